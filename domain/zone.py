"""What clocks show in places: from local time to instants, whatever the clock is put forward or back."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ]([01]?\d|2[0-3]):([0-5]\d)")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"“{name[:80]}” is not a time zone; write one as Europe/Berlin, America/New_York or UTC"
        raise ValueError(message) from error
    return name


def _check_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        message = f"“{text[:80]}” is not a time of day; write hours and minutes, as in 09:00 or 24:00"
        raise ValueError(message)
    return text.zfill(len("09:00"))


def _check_moment(text: str) -> str:
    try:
        _read_moment(text)
    except ValueError as error:
        message = f"“{text[:80]}” is not a moment; write date and time of day, as in 2026-12-20 18:00"
        raise ValueError(message) from error
    return text


Zone = Annotated[str, AfterValidator(_check_zone)]
TimeOfDay = Annotated[str, AfterValidator(_check_time)]
LocalMoment = Annotated[str, AfterValidator(_check_moment)]


def _read_moment(text: str) -> datetime:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return datetime.combine(date.fromisoformat(found[1]), time(int(found[2]), int(found[3])))


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


def say_local(moment: datetime, zone: Zone) -> str:
    """Say an instant as clocks there show it: ``Mon 2026-01-05 09:00 CET``."""
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z}"
