"""One HTTP request, and the proof of which revision answered it."""

import asyncio
import functools
import json
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final, NamedTuple, Self

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationError, model_validator

from activities.matching import EndlessSearchError, is_found
from activities.ports import Expected, Finding
from domain.environment import Absent, Placement
from domain.marker import MARKER_PATH, Marker
from domain.value import Duration, Value, names_digest, say_duration, short

_LARGEST: Final = 1 << 20
_HEADERS: Final = {"Accept-Encoding": "identity", "Cache-Control": "no-cache", "User-Agent": "towpath"}


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as wrong:
        raise ValueError(f"“{text}” is not an address: {wrong}") from wrong
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"“{text}” is not an address such as https://shop.example/health")
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as wrong:
        raise ValueError(f"“{text}” is not a regular expression: {wrong}") from wrong
    return text


def _one_or_more(written: object) -> object:
    return (written,) if isinstance(written, int) else written


class Proves(Value):
    """Where the answer itself names its revision: a header, or a dotted path into its JSON."""

    header: str | None = Field(default=None, min_length=1)
    json_path: str | None = Field(default=None, min_length=1, alias="json")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.header is None) == (self.json_path is None):
            raise ValueError("say either the header or the JSON path that names the revision")
        return self


class HttpSettings(Value):
    """What people may write about an http check."""

    http: Annotated[str, AfterValidator(_address)]
    status: Annotated[
        tuple[Annotated[int, Field(ge=100, le=599)], ...],
        Field(min_length=1),
        BeforeValidator(_one_or_more, json_schema_input_type=int | tuple[int, ...]),
    ] = (200,)
    body: str | None = None
    matches: Annotated[str, AfterValidator(_pattern)] | None = None
    headers: dict[str, str] = {}
    latency: Duration | None = None
    timeout: Duration = timedelta(seconds=5)
    proves: Proves | None = None


class _Answer(NamedTuple):
    status: int
    headers: httpx.Headers
    body: bytes
    took: timedelta

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class _Unwell(Exception):
    """The service is not well. The text is a sentence."""


class HttpCheck:
    """Asks once, follows no redirect, and asks no proxy: what answers is the service itself."""

    settings: ClassVar[type[Value]] = HttpSettings

    def __init__(self, settings: Mapping[str, JsonValue], folder: Path) -> None:
        del folder  # nothing here is relative to it
        self._settings = HttpSettings.model_validate(settings)

    async def look(self, expected: Expected) -> Finding:
        """Look once. Where nothing is to stand, nothing is asked, and that passes."""
        if isinstance(expected.holding, Absent):
            return Finding(
                passed=True, proven=False, sentence="nothing is to stand here, so nothing was asked"
            )
        try:
            async with httpx.AsyncClient(headers=_HEADERS, trust_env=False, verify=_trust()) as client:
                answer = await self._ask(client, httpx.URL(self._settings.http))
                await self._judge(answer)
                return await self._prove(client, answer, expected)
        except _Unwell as found:
            return Finding(passed=False, proven=False, sentence=str(found))

    async def _ask(self, client: httpx.AsyncClient, url: httpx.URL) -> _Answer:
        began = asyncio.get_running_loop().time()
        try:
            async with (
                asyncio.timeout(self._settings.timeout.total_seconds()),
                client.stream("GET", url) as response,
            ):
                body = bytearray()
                async for piece in response.aiter_bytes(1 << 16):
                    body += piece
                    if len(body) >= _LARGEST:
                        break
        except TimeoutError as slow:
            raise _Unwell(f"{url} did not answer within {say_duration(self._settings.timeout)}") from slow
        except httpx.HTTPError as wrong:
            raise _Unwell(f"{url} could not be asked: {str(wrong) or type(wrong).__name__}") from wrong
        took = timedelta(seconds=asyncio.get_running_loop().time() - began)
        return _Answer(response.status_code, response.headers, bytes(body[:_LARGEST]), took)

    async def _judge(self, answer: _Answer) -> None:
        settings = self._settings
        if answer.status not in settings.status:
            raise _Unwell(f"{settings.http} answered {_say_status(answer)}, not {_either(settings.status)}")
        if settings.body is not None and settings.body not in answer.text:
            raise _Unwell(f"{settings.http} answered without “{settings.body}” in {_say_body(answer)}")
        if settings.matches is not None:
            await self._match(settings.matches, answer)
        for name, wanted in settings.headers.items():
            if (found := answer.headers.get(name)) != wanted:
                raise _Unwell(f"{settings.http} answered with {name}: {found or 'nothing'}, not {wanted}")
        if settings.latency is not None and answer.took > settings.latency:
            raise _Unwell(
                f"{settings.http} took {_say_milliseconds(answer.took)}, "
                f"which is more than {_say_milliseconds(settings.latency)}"
            )

    async def _match(self, pattern: str, answer: _Answer) -> None:
        try:
            found = await is_found(pattern, answer.text)
        except EndlessSearchError as endless:
            raise _Unwell(f"the answer of {self._settings.http} {endless}") from endless
        if not found:
            raise _Unwell(
                f"{self._settings.http} answered without a match of “{pattern}” in {_say_body(answer)}"
            )

    async def _prove(self, client: httpx.AsyncClient, answer: _Answer, expected: Expected) -> Finding:
        well = f"{self._settings.http} answered {answer.status} in {_say_milliseconds(answer.took)}"
        if not isinstance(expected.holding, Placement):
            return Finding(
                passed=True, proven=False, sentence=f"{well}; it is not known what is to stand here: unproven"
            )
        if self._settings.proves:
            proof = self._claim(self._settings.proves, answer, expected.holding, *expected.beside.values())
            return Finding(passed=True, proven=True, sentence=f"{well}; {proof}")
        url = httpx.URL(self._settings.http).copy_with(raw_path=f"/{MARKER_PATH}".encode(), fragment=None)
        marker, why = _read_marker(await self._ask(client, url))
        if marker is None:
            return Finding(passed=True, proven=False, sentence=f"{well}; {url} {why}: unproven")
        if expected.component is not None and marker.component != expected.component:
            return Finding(
                passed=True, proven=False, sentence=f"{well}; {url} is of {marker.component}: unproven"
            )
        wanted = expected.beside.get(marker.component, expected.holding)
        self._compare(marker, expected, wanted, url)
        return Finding(
            passed=True, proven=True, sentence=f"{well}; {url} names {wanted}, deed {marker.fence}"
        )

    def _claim(self, proves: Proves, answer: _Answer, wanted: Placement, *or_one_of: Placement) -> str:
        where = f"header {proves.header}" if proves.header else f"JSON path {proves.json_path}"
        found = (
            answer.headers.get(proves.header)
            if proves.header
            else _follow(proves.json_path or "", answer.body)
        )
        if found is None:
            raise _Unwell(
                f"{self._settings.http} answered without the {where}, which is to prove its revision"
            )
        for placement in (wanted, *or_one_of):
            if found == placement.version or any(
                names_digest(found, digest) for digest in (placement.release, placement.artifact)
            ):
                return f"its {where} names {placement}"
        raise _Unwell(f"{self._settings.http} answered with {where}: {found[:100]}, not {wanted}")

    def _compare(self, marker: Marker, expected: Expected, wanted: Placement, url: httpx.URL) -> None:
        if marker.subject != expected.subject:
            raise _Unwell(
                f"{url} names {marker.subject}, not {expected.subject}: this is the address of something else"
            )
        if marker.release != wanted.release:
            raise _Unwell(f"{url} names {marker.version} ({short(marker.release)}), not {wanted}")
        if marker.artifact != wanted.artifact:
            raise _Unwell(
                f"{url} names artifact {short(marker.artifact)} of {marker.component}, "
                f"not {wanted}’s {short(wanted.artifact)}"
            )
        if wanted.fence and wanted.fence.outranks(marker.fence):
            raise _Unwell(
                f"{url} was placed by deed {marker.fence}, before deed {wanted.fence}: an old answer"
            )


@functools.cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _say_milliseconds(length: timedelta) -> str:
    return f"{length / timedelta(milliseconds=1):,.0f} ms"


def _say_status(answer: _Answer) -> str:
    where = answer.headers.get("Location")
    return f"{answer.status}, a redirect to {where[:200]}" if where else str(answer.status)


def _either(statuses: tuple[int, ...]) -> str:
    return " or ".join(str(status) for status in statuses)


def _say_body(answer: _Answer) -> str:
    if len(answer.body) >= _LARGEST:
        return "the first 1 MiB of its body"
    return f"its body of {len(answer.body):,} bytes"


def _read_marker(answer: _Answer) -> tuple[Marker | None, str]:
    """Read the marker. A server in trouble is unwell; one that has no marker to show is only unproven."""
    if answer.status >= 500:
        raise _Unwell(f"/{MARKER_PATH} answered {answer.status}")
    if answer.status != 200:
        return None, f"answered {_say_status(answer)}"
    try:
        return Marker.model_validate_json(answer.body), ""
    except ValidationError:
        return None, "is not a marker of Towpath's"


def _follow(path: str, body: bytes) -> str | None:
    """Return what a dotted path leads to in a JSON text, as text; None where it leads nowhere."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for step in path.split("."):
        match found:
            case dict():
                found = found.get(step)
            case list() if step.isdecimal() and int(step) < len(found):
                found = found[int(step)]
            case _:
                return None
    return str(found) if isinstance(found, (str, int, float)) else None
