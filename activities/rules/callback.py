"""Somebody else's word: the promotion is posted as JSON, and the answer says whether the rule is kept."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

import httpx
from pydantic import AfterValidator, Field, JsonValue, ValidationError

from activities.masking import mask
from activities.ports import Case, Desk, Judgement
from activities.references import NoSecretError, Reference, look_up
from domain.rule import LONGEST_SENTENCE, cut
from domain.value import Duration, Value, canonical, say_duration

SIGNATURE: Final = "X-Towpath-Signature"
_LARGEST: Final = 64 * 1024
_BUSY: Final = frozenset({429, 502, 503, 504})
_FIRST_PAUSE: Final = 0.2


def _address(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("this is not an address; write one such as https://policy.example/towpath")
    if url.userinfo:
        raise ValueError("an address holds no password; name it by secret, as env:NAME or file:PATH")
    return text


class CallbackSettings(Value):
    """What people may write about a callback rule."""

    callback: Annotated[str, AfterValidator(_address)]
    secret: Reference | None = None
    timeout: Annotated[Duration, Field(gt=timedelta(), le=timedelta(minutes=5))] = timedelta(seconds=10)


class _Answer(Value):
    """What a callback answers. Only ``true`` is a yes: a text, or a number, is no answer."""

    passed: Annotated[bool, Field(alias="pass", strict=True)]
    message: str = ""


class _NoWordError(Exception):
    """There was no answer to go by. The text is a sentence."""


class CallbackRule:
    """Posts until there is an answer or the time is over. Follows no redirect, and asks no proxy."""

    settings: ClassVar[type[Value]] = CallbackSettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        self._settings = CallbackSettings.model_validate(settings)
        self._desk = desk

    async def judge(self, case: Case) -> Judgement:
        host = httpx.URL(self._settings.callback).host
        try:
            secret = self._secret()
            answer = await self._ask(canonical(dict(case.dossier)).encode(), secret)
        except (NoSecretError, _NoWordError) as no:
            return Judgement(passed=False, sentence=f"{host} could not be asked: {no}")
        said = cut(mask(answer.message, [secret]), LONGEST_SENTENCE - 100)
        verdict = "says yes" if answer.passed else "says no"
        return Judgement(passed=answer.passed, sentence=f"{host} {verdict}{f': {said}' if said else ''}")

    def _secret(self) -> str:
        reference = self._settings.secret
        return look_up(reference, self._desk.folder, self._desk.variables) if reference else ""

    async def _ask(self, body: bytes, secret: str) -> _Answer:
        headers = {"Content-Type": "application/json", "User-Agent": "towpath", "Accept-Encoding": "identity"}
        if secret:
            headers[SIGNATURE] = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
        pause, last = _FIRST_PAUSE, "no answer"
        try:
            async with (
                asyncio.timeout(self._settings.timeout.total_seconds()),
                httpx.AsyncClient(
                    headers=headers, trust_env=False, verify=ssl.create_default_context()
                ) as web,
            ):
                while True:
                    try:
                        status, text = await self._post(web, body)
                    except httpx.HTTPError as wrong:
                        last = str(wrong) or type(wrong).__name__
                    else:
                        if status not in _BUSY:
                            return _read(status, text)
                        last = f"it answered {status}"
                    await asyncio.sleep(pause)
                    pause *= 2
        except TimeoutError:
            limit = say_duration(self._settings.timeout)
            raise _NoWordError(f"{last} within {limit}; see that it runs, and ask again") from None

    async def _post(self, web: httpx.AsyncClient, body: bytes) -> tuple[int, bytes]:
        """Return status and body, of which no more is read than an answer may have."""
        async with web.stream("POST", self._settings.callback, content=body) as response:
            text = bytearray()
            async for piece in response.aiter_bytes(1 << 14):
                text += piece
                if len(text) > _LARGEST:
                    raise _NoWordError(f"its answer has more than {_LARGEST >> 10} KiB")
        return response.status_code, bytes(text)


def _read(status: int, text: bytes) -> _Answer:
    if not 200 <= status < 300:
        raise _NoWordError(f"it answered {status}, and only 200 to 299 is an answer")
    try:
        return _Answer.model_validate_json(text)
    except ValidationError as wrong:
        raise _NoWordError('its answer is not {"pass": true or false, "message": "…"}') from wrong
