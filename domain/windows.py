"""When a change may begin: windows that open again and again, and freezes that are planned.

A span is a stretch of time, its end not in it. What is open is a row of spans in order, and none of them touch.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from heapq import merge
from itertools import islice
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, model_validator

from domain.value import Duration, Value
from domain.zone import LocalMoment, TimeOfDay, Zone, at_time, instant_of, say_local

AHEAD: Final = timedelta(days=366 * 9)
"""How far it is looked for a window: the 29th of February is nine years away at most."""
MOST_SPANS: Final = 20_000
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
            self._starts(datetime(2026, 1, 1, tzinfo=UTC))
        return self

    def spans(self, since: datetime) -> Iterator[Span]:
        """Yield when it is open, as far as that ends after ``since``, in order of beginning."""
        for span in self._by_cron(since) if self.cron else self._weekly(since):
            if span.start > since + AHEAD:
                return
            if span.start < span.end and span.end > since:
                yield span

    def _weekly(self, since: datetime) -> Iterator[Span]:
        opens, closes = self.opens or "", self.closes or ""
        past_midnight = timedelta(days=closes <= opens)
        # The day before may reach into this one, and clocks may be a day apart.
        day = since.astimezone(ZoneInfo(self.zone)).date() - timedelta(days=2)
        while True:
            if not self.days or tuple(Day)[day.weekday()] in self.days:
                yield Span(at_time(day, opens, self.zone), at_time(day + past_midnight, closes, self.zone))
            day += timedelta(days=1)

    def _by_cron(self, since: datetime) -> Iterator[Span]:
        lasts = self.lasts or timedelta()
        for start in self._starts(since - lasts):
            yield Span(start.astimezone(UTC), start.astimezone(UTC) + lasts)

    def _starts(self, since: datetime) -> Iterator[datetime]:
        try:
            return CronSim(self.cron, since.astimezone(ZoneInfo(self.zone)) - timedelta(minutes=1))
        except CronSimError as error:
            message = f"“{self.cron}” is not a schedule; write five fields, as in 0 9 * * mon-fri"
            raise ValueError(message) from error


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
        span = self._next(now)
        return span is not None and span.start <= now

    def opens(self, now: datetime) -> datetime | None:
        """Return when a change may begin: now, or later, or, as far as can be seen, never."""
        span = self._next(now)
        return max(span.start, now) if span else None

    def closes(self, now: datetime) -> datetime | None:
        """Return when the window that is open, or else the next one, closes; None where none ever does."""
        span = self._next(now)
        return span.end if span and span.end < now + AHEAD else None

    def _next(self, now: datetime) -> Span | None:
        return next(self.spans(now), None)

    def spans(self, since: datetime) -> Iterator[Span]:
        """Yield when changes may begin, as far as that ends after ``since``."""
        spans: Iterator[Span] = iter([Span(since, since + AHEAD)])
        for level in filter(None, self.windows):
            spans = _both(spans, _any(level, since))
        return _without(spans, sorted(one.span for one in self.freezes))

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


def _any(windows: Sequence[Window], since: datetime) -> Iterator[Span]:
    """Yield when some of these windows are open."""
    spans = islice(merge(*(window.spans(since) for window in windows)), MOST_SPANS)
    open_ = next(spans, None)
    for span in spans:
        if open_ is None:
            break
        if span.start <= open_.end:
            open_ = Span(open_.start, max(open_.end, span.end))
        else:
            yield open_
            open_ = span
    if open_:
        yield open_


def _both(one: Iterator[Span], other: Iterator[Span]) -> Iterator[Span]:
    """Yield where two rows overlap."""
    first, second = next(one, None), next(other, None)
    while first and second:
        start, end = max(first.start, second.start), min(first.end, second.end)
        if start < end:
            yield Span(start, end)
        if first.end == end:
            first = next(one, None)
        else:
            second = next(other, None)


def _without(spans: Iterable[Span], holes: Sequence[Span]) -> Iterator[Span]:
    """Yield what is left of a row beside these holes, which are in order of beginning."""
    for span in spans:
        start = span.start
        for hole in holes:
            if hole.start < span.end and hole.end > start:
                if start < hole.start:
                    yield Span(start, hole.start)
                start = max(start, hole.end)
        if start < span.end:
            yield Span(start, span.end)
