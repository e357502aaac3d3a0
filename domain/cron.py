"""When a cron schedule comes due by the clocks of a place, whatever they are put forward or back.

A schedule that names its hours and minutes is due once for each time that it names: the first time that clocks show
it, or, where they skip it, the moment at which they do. One that leaves hours or minutes open with a star is due
whenever clocks show such a time: twice in an hour that comes twice, and not at all in one that never was. So does
the cron of Debian.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from domain.zone import Zone, first_instant, instants_of

_DAY: Final = timedelta(days=1)
"""No clock is put back by more."""


def check_cron(text: str) -> None:
    """Raise ``ValueError``, with what to write, where this is no schedule of five fields."""
    try:
        CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
        _minute, _hour, _day, _month, _weekday = text.split()
    except (CronSimError, ValueError) as error:
        message = f"“{text}” is not a schedule; write five fields, as in 0 9 * * mon-fri"
        raise ValueError(message) from error


def due(text: str, zone: Zone, since: datetime) -> Iterator[datetime]:
    """Yield in order, in UTC, when this is due: from ``since`` on, and some moments before it."""
    there = ZoneInfo(zone)
    is_open = _is_open(text)
    waiting: list[datetime] = []
    # Of clocks it knows nothing: it is asked what a calendar says, without any zone.
    for local in CronSim(text, _shown_before(since, there)):
        found = instants_of(local, there) if is_open else (first_instant(local, there),)
        # What is yet to come is due no sooner than this is for the first time.
        while waiting and found and waiting[0] <= found[0]:
            yield heappop(waiting)
        for moment in found:
            heappush(waiting, moment)
    yield from sorted(waiting)


def _is_open(text: str) -> bool:
    """Tell whether hours or minutes are left open."""
    minutes, hours, *_ = text.split()
    return minutes.startswith("*") or hours.startswith("*")


def _shown_before(since: datetime, there: ZoneInfo) -> datetime:
    """Return a local time such that all that is due from ``since`` on is written later than it."""
    begin = since.astimezone(UTC) - timedelta(minutes=1)
    shown, tomorrow = (at.astimezone(there).replace(tzinfo=None) for at in (begin, begin + _DAY))
    return min(shown, tomorrow - _DAY)
