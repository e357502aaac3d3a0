"""What clocks show in places: from local time to instants, whatever the clock is put forward or back."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")
_YEARS: Final = range(1970, 9999)
"""In every zone there is a day before these, and one after them."""
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ]([01]?\d|2[0-3]):([0-5]\d)")


_OF_ONE_MACHINE: Final = re.compile(r"(localtime|posixrules|Factory)|(posix|right)/.*")
"""What some systems keep among their zones: what is set there, and clocks that count leap seconds."""


def _check_zone(name: str) -> str:
    try:
        _read_zone(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"“{name[:80]}” is not a time zone; write one as Europe/Berlin, America/New_York or UTC"
        raise ValueError(message) from error
    return name


def _read_zone(name: str) -> ZoneInfo:
    if _OF_ONE_MACHINE.fullmatch(name):
        raise ValueError(name)
    return ZoneInfo(name)


def _check_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        message = f"“{text[:80]}” is not a time of day; write hours and minutes, as in 09:00 or 24:00"
        raise ValueError(message)
    return text.zfill(len("09:00"))


def _check_moment(text: str) -> str:
    try:
        _read_moment(text)
    except ValueError as error:
        message = (
            f"“{text[:80]}” is not a moment; write date and time of day, as in 2026-12-20 18:00, of a year from "
            f"{_YEARS[0]} to {_YEARS[-1]}"
        )
        raise ValueError(message) from error
    return text


Zone = Annotated[str, AfterValidator(_check_zone)]
TimeOfDay = Annotated[str, AfterValidator(_check_time)]
LocalMoment = Annotated[str, AfterValidator(_check_moment)]


def _read_moment(text: str) -> datetime:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    moment = datetime.combine(date.fromisoformat(found[1]), time(int(found[2]), int(found[3])))
    if moment.year not in _YEARS:
        raise ValueError(text)
    return moment


def instant_of(moment: LocalMoment, zone: Zone) -> datetime:
    return first_instant(_read_moment(moment), ZoneInfo(zone))


def at_time(day: date, moment: TimeOfDay, zone: Zone) -> datetime:
    """Return when clocks in that zone reach this time on that day; 24:00 is the day's end."""
    hours, minutes = map(int, moment.split(":"))
    local = datetime.combine(day, time()) + timedelta(hours=hours, minutes=minutes)
    return first_instant(local, ZoneInfo(zone))


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant, in UTC, at which clocks in that zone show this or later.

    A time that clocks show twice is the first of the two. One that they skip is the moment at which they do.
    """
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == local:
        return late
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=1) // 2)
        if middle.astimezone(zone).replace(tzinfo=None) < local:
            early = middle
        else:
            late = middle
    return late


def instants_of(local: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """Return every instant, in UTC, at which clocks in that zone show exactly this: one, two, or none."""
    told = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    shown = {moment for moment in told if moment.astimezone(zone).replace(tzinfo=None) == local}
    return tuple(sorted(shown))


def say_local(moment: datetime, zone: Zone) -> str:
    """Say an instant as clocks there show it: ``Mon 2026-01-05 09:00 CET``."""
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z}"
