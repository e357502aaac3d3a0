"""What every value of the domain is: frozen, digestible, the same in YAML, on the wire and in the store."""

import hashlib
import json
import re
from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Value(BaseModel):
    """An immutable value.

    Unknown fields are ignored here, so that an old worker survives a new field during a rolling upgrade.
    Where people write (configuration, signals), the caller validates with ``extra="forbid"``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="iso8601")

    def canonical(self) -> str:
        """Return the one JSON text of this value: keys sorted, no white space, UTF-8 as it is."""
        return canonical(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return ``sha256:`` and the hex digest of the canonical text; no trip over the wire changes it."""
        return digest_of(self.canonical().encode())

    def but(self, **changes: object) -> Self:
        """Return a copy with some fields changed; their values are trusted, not validated."""
        if unknown := changes.keys() - self.__pydantic_fields__.keys():
            raise TypeError(f"{type(self).__name__} has no {' and no '.join(sorted(unknown))}")
        return self.model_copy(update=changes)


def canonical(content: object) -> str:
    """Return the one JSON text of plain content: keys sorted, no white space, UTF-8 as it is."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def short(digest: str) -> str:
    """Return the first eight hex digits of a digest: what people see, say and paste."""
    return digest.removeprefix("sha256:")[:8]


SHORTEST_DIGEST: Final = 8


def names_digest(claimed: str, digest: str) -> bool:
    """Tell whether a person's text names this digest: eight hex digits or more of its beginning."""
    digits = claimed.strip().lower().removeprefix("sha256:")
    return len(digits) >= SHORTEST_DIGEST and digest.removeprefix("sha256:").startswith(digits)


Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

LONGEST_DURATION: Final = timedelta(days=3650)
"""Ten years: far enough, and no sum with a date can overflow."""
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


_FORM: Final = "write a number and a unit, such as 90s, 10m, 1h30m, 3d or 2w"


def parse_duration(text: object) -> object:
    """Read ``90s``, ``10m``, ``1h30m``, ``3d`` or ``2w``; anything else is left for pydantic to judge."""
    if isinstance(text, bool):
        message = f"{str(text).lower()} is not a duration; {_FORM}"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes no other
    if not isinstance(text, str) or text.startswith(("P", "-P")):
        return text
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text).strip():
        message = f"“{text}” is not a duration; {_FORM}"
        raise ValueError(message)
    try:
        return sum((timedelta(**{_UNITS[unit]: float(count)}) for count, unit in parts), timedelta())
    except OverflowError as overflow:
        raise ValueError(_TOO_LONG) from overflow


_TOO_LONG: Final = f"a duration cannot be longer than {LONGEST_DURATION.days} days"


def _check_length(length: timedelta) -> timedelta:
    if length < timedelta():
        message = "a duration cannot be negative"
        raise ValueError(message)
    if length > LONGEST_DURATION:
        raise ValueError(_TOO_LONG)
    return length


Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_check_length)]


def some_time(otherwise: str = "") -> AfterValidator:
    """Return what refuses a duration of nothing, and says what else may be done ``otherwise`` than to write more."""

    def check(length: timedelta) -> timedelta:
        if not length:
            message = f"0s is no time: write more{otherwise}"
            raise ValueError(message)
        return length

    return AfterValidator(check)


SomeTime = Annotated[Duration, some_time()]
"""A duration that is not nothing."""


def say_duration(length: timedelta) -> str:
    """Say a length of time as people write it: ``3d``, ``1h30m``, ``90s`` as ``1m30s``, ``0.4s``.

    Below ten seconds tenths are said, above them whole seconds; ``parse_duration`` reads either.
    """
    seconds = length.total_seconds()
    if seconds < 10:
        return f"{round(seconds, 1):g}s"
    said, rest = "", int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        said += f"{count}{unit}" if count else ""
    return said
