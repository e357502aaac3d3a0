"""When a change may begin: windows that open again and again, and freezes that are planned.

A span is a stretch of time, its end not in it. Nobody lists all spans to know what holds at a moment: each window says
how long it has been open until, and when it opens next, and from there it is gone on in jumps.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from domain.cron import check_cron, due
from domain.value import Duration, Value
from domain.zone import LocalMoment, TimeOfDay, Zone, at_time, instant_of, say_local

AHEAD: Final = timedelta(days=366 * 9)
"""How far it is looked for a window: the 29th of February is nine years away at most."""
MOST_JUMPS: Final = 400
"""So often it is gone on to where something opens or closes next: a year of days, and more."""
LONGEST_WINDOW: Final = timedelta(days=7)


class Day(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Span(NamedTuple):
    start: datetime
    end: datetime


class Window(Value):
    """Changes may begin: on some days ``from`` a time ``to`` a time, or whenever ``cron`` says, while it ``lasts``."""

    days: tuple[Day, ...] = ()
    """None named are all of them. A window that reaches past midnight is of the day that it opens on."""
    opens: TimeOfDay | None = Field(default=None, alias="from")
    closes: TimeOfDay | None = Field(default=None, alias="to")
    cron: str = Field(default="", max_length=200)
    lasts: Duration | None = None
    zone: Zone

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        weekly, by_cron = (self.opens, self.closes), (self.cron or None, self.lasts)
        if self.days or any(weekly):
            if any(by_cron) or not all(weekly):
                message = "this is half a window; write days, from and to, or else cron and lasts"
                raise ValueError(message)
        elif not all(by_cron):
            message = (
                "nothing says when this opens; write from and to, as in 09:00 and 16:00, or cron and lasts"
            )
            raise ValueError(message)
        if self.lasts and self.lasts > LONGEST_WINDOW:
            message = "this lasts longer than a week; write 7d or less"
            raise ValueError(message)
        if self.cron:
            check_cron(self.cron)
        return self

    def open_until(self, now: datetime) -> datetime | None:
        """Return until when at least it is open, where it is open now; None where it is not."""
        if self.cron:
            latest = self._latest_start(now, self.lasts or timedelta())
            ends = [latest + self.lasts] if latest and self.lasts else []
        else:
            ends = [span.end for span in self._days_around(now) if span.start <= now]
        return max((end for end in ends if end > now), default=None)

    def opens_after(self, now: datetime) -> datetime | None:
        """Return when it opens next, be it open now or not; None where that is farther away than can be seen."""
        if self.cron:
            return next((start for start in self._starts(now) if start > now), None)
        return next((span.start for span in self._weekly(now) if now < span.start < span.end), None)

    def _weekly(self, since: datetime) -> Iterator[Span]:
        """Yield its days as spans, from before ``since`` on; one that clocks skip is empty."""
        opens, closes = self.opens or "", self.closes or ""
        past_midnight = timedelta(days=closes <= opens)
        # The day before may reach into this one, and clocks may be a day apart.
        first = since.astimezone(ZoneInfo(self.zone)).date() - timedelta(days=2)
        for day in (first + timedelta(days=number) for number in range(AHEAD.days)):
            if not self.days or tuple(Day)[day.weekday()] in self.days:
                yield Span(at_time(day, opens, self.zone), at_time(day + past_midnight, closes, self.zone))

    def _days_around(self, now: datetime) -> Iterator[Span]:
        return takewhile(lambda span: span.start <= now, self._weekly(now))

    def _latest_start(self, now: datetime, within: timedelta) -> datetime | None:
        """Return the last start until now, looking back ever farther, so that many starts are not all counted."""
        back = timedelta(hours=1)
        while True:
            starts = takewhile(lambda start: start <= now, self._starts(now - min(back, within)))
            if latest := max(starts, default=None):
                return latest
            if back >= within:
                return None
            back *= 2

    def _starts(self, since: datetime) -> Iterator[datetime]:
        """Yield when it opens from ``since`` on, as far as can be seen."""
        starts = (start for start in due(self.cron, self.zone, since) if start >= since)
        return takewhile(lambda start: start <= since + AHEAD, starts)


class PlannedFreeze(Value):
    """Nothing moves forward from one moment until another."""

    begins: LocalMoment = Field(alias="from")
    until: LocalMoment
    zone: Zone
    reason: str = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _is_a_while(self) -> Self:
        if self.span.start >= self.span.end:
            message = "this ends before it begins; write an until that is later than from"
            raise ValueError(message)
        return self

    @property
    def span(self) -> Span:
        return Span(instant_of(self.begins, self.zone), instant_of(self.until, self.zone))

    def __str__(self) -> str:
        return f"frozen as planned until {say_local(self.span.end, self.zone)}: {self.reason}"


class Schedule(Value):
    """Everything planned for a service in an environment: of each level some window must be open, and no freeze."""

    windows: tuple[tuple[Window, ...], ...] = ()
    freezes: tuple[PlannedFreeze, ...] = ()

    @property
    def zone(self) -> str:
        """The zone that instants are said in: that of whatever is written first."""
        zones = [window.zone for level in self.windows for window in level]
        zones += [freeze.zone for freeze in self.freezes]
        return zones[0] if zones else "UTC"

    def frozen(self, now: datetime) -> PlannedFreeze | None:
        """Return the planned freeze that holds now: of several, the one that ends last."""
        holding = [one for one in self.freezes if one.span.start <= now < one.span.end]
        return max(holding, key=lambda one: one.span.end, default=None)

    def is_open(self, now: datetime) -> bool:
        """Tell whether a change may begin now."""
        return self._open_until(now) is not None

    def opens(self, now: datetime) -> datetime | None:
        """Return when a change may begin: now, or later, or, as far as can be seen, never."""
        at: datetime | None = now
        for _ in range(MOST_JUMPS):
            if at is None or at > now + AHEAD:
                return None
            if self.is_open(at):
                return at
            at = self._may_open(at)
        return None

    def closes(self, now: datetime) -> datetime | None:
        """Return when the window that is open, or else the next one, closes.

        None where none opens, or where it stays open for longer than can be seen, as without any windows.
        """
        at = self.opens(now)
        for _ in range(MOST_JUMPS):
            if at is None or at >= now + AHEAD:
                return None
            until = self._open_until(at)
            if until is None:
                return at
            at = until
        return None

    def _open_until(self, now: datetime) -> datetime | None:
        """Return until when at least everything lets a change begin, where it does now."""
        if self.frozen(now):
            return None
        ends = [_latest(window.open_until(now) for window in level) for level in self.windows if level]
        if None in ends:
            return None
        freezes = [freeze.span.start for freeze in self.freezes if freeze.span.start > now]
        return min([end for end in ends if end] + freezes, default=now + AHEAD)

    def _may_open(self, now: datetime) -> datetime | None:
        """Return the first moment at which what is shut now may be open; None where something never is again."""
        if freeze := self.frozen(now):
            return freeze.span.end
        shut = [level for level in self.windows if level and not any(one.open_until(now) for one in level)]
        opening = [
            min((at for window in level if (at := window.opens_after(now))), default=None) for level in shut
        ]
        return None if None in opening else _latest(opening)

    def say(self, now: datetime) -> str:
        """Say where it stands now, and until when; nothing where nothing is planned."""
        if freeze := self.frozen(now):
            return str(freeze)
        if not any(self.windows):
            return ""
        opens, closes = self.opens(now), self.closes(now)
        if opens is None:
            return "outside its windows, of which none opens again"
        if opens > now:
            return f"outside its windows, of which the next opens {say_local(opens, self.zone)}"
        return f"within its window{f', which closes {say_local(closes, self.zone)}' if closes else ''}"


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)
