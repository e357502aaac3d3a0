"""Windows and planned freezes: what is open when, whatever the clocks are put to."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.cron import due
from domain.windows import Day, PlannedFreeze, Schedule, Window
from domain.zone import at_time, first_instant, say_local

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHANGES = {
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),  # by half an hour
    "Pacific/Chatham": (date(2026, 4, 5), date(2026, 9, 27)),  # 12:45 ahead, at 02:45
    "Pacific/Apia": (date(2011, 12, 30),),  # a day that never was
    "America/Havana": (date(2026, 3, 8), date(2026, 11, 1)),  # at midnight
    "Asia/Kathmandu": (date(2026, 1, 1),),  # 5:45 ahead, and never changed
    "UTC": (date(2026, 1, 1),),
}
zones = st.sampled_from([*CHANGES])
clock_times = st.tuples(st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59])).map(lambda hm: time(*hm))


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and a local time on the day that its clocks are changed, or on one beside it."""
    zone = draw(zones)
    day = draw(st.sampled_from(CHANGES[zone])) + timedelta(days=draw(st.integers(-1, 1)))
    return zone, datetime.combine(day, draw(clock_times))


def wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def watched(local: datetime, zone: str) -> datetime:
    """Find by watching the clock, minute by minute, when it first shows this or later."""
    moment = local.replace(tzinfo=UTC) - 40 * HOUR
    while wall(moment, zone) < local:
        moment += MINUTE if wall(moment + HOUR, zone) >= local - HOUR else HOUR
    return moment


@given(near_a_change())
def test_a_local_time_is_the_first_instant_at_which_clocks_show_it_or_later(
    case: tuple[str, datetime],
) -> None:
    """Whether they show it once, twice or never: as whoever watches the clock would find."""
    zone, local = case

    assert first_instant(local, ZoneInfo(zone)) == watched(local, zone)


def weekly(opens: str, closes: str, zone: str, *days: Day) -> Window:
    return Window.model_validate({"days": days, "from": opens, "to": closes, "zone": zone})


def said(moment: time) -> str:
    return f"{moment:%H:%M}"


@settings(max_examples=30)  # whoever watches a clock takes their time
@given(case=near_a_change(), opens=clock_times, closes=clock_times, days=st.sets(st.sampled_from(Day)))
def test_a_weekly_window_opens_and_closes_as_the_clock_is_watched(
    case: tuple[str, datetime], opens: time, closes: time, days: set[Day]
) -> None:
    """Once on each of its days, never longer than written; what never was is not open."""
    zone, local = case
    now = first_instant(local, ZoneInfo(zone))
    window = weekly(said(opens), said(closes), zone, *days)
    expected = []
    for day in (local.date() + timedelta(days=off) for off in range(-2, 3)):
        start = watched(datetime.combine(day, opens), zone)
        end = watched(datetime.combine(day + timedelta(days=closes <= opens), closes), zone)
        if not days or [*Day][day.weekday()] in days:
            expected.append(start <= now < end)

    assert Schedule(windows=((window,),)).is_open(now) == any(expected)


CASES: Mapping[str, tuple[Window, str, str, str]] = {
    "an ordinary day": (
        weekly("09:00", "16:00", "Europe/Berlin", Day.MON),
        "2026-01-05T07:00",
        "08:00",
        "15:00",
    ),
    "clocks skip it all": (
        weekly("02:15", "02:45", "Europe/Berlin"),
        "2026-03-29T00:00",
        "30T00:15",
        "30T00:45",
    ),
    "clocks skip its beginning": (
        weekly("02:30", "04:00", "Europe/Berlin"),
        "2026-03-29T00:00",
        "01:00",
        "02:00",
    ),
    "clocks show its beginning twice": (
        weekly("02:30", "04:00", "Europe/Berlin"),
        "2026-10-25T00:00",
        "00:30",
        "03:00",
    ),
    "clocks show its end twice": (
        weekly("01:00", "02:30", "Europe/Berlin"),
        "2026-10-24T20:00",
        "24T23:00",
        "25T00:30",
    ),
    "past midnight": (weekly("22:00", "02:00", "UTC", Day.FRI), "2026-01-10T01:00", "01:00", "02:00"),
    "the whole day": (weekly("00:00", "24:00", "UTC", Day.SAT), "2026-01-09T12:00", "10T00:00", "11T00:00"),
    "by cron, at an hour that is skipped": (
        Window(cron="30 2 * * *", lasts=HOUR, zone="Europe/Berlin"),
        "2026-03-29T00:00",
        "01:00",
        "02:00",
    ),
    "by cron, running": (
        Window(cron="0 9 * * 1", lasts=8 * HOUR, zone="UTC"),
        "2026-01-05T16:59",
        "16:59",
        "17:00",
    ),
    "by cron, at an hour that clocks show twice": (
        Window(cron="30 2 * * *", lasts=HOUR, zone="Europe/Berlin"),
        "2026-10-25T01:35",
        "26T01:30",
        "26T02:30",
    ),
    "by cron, every other hour, where clocks are put back by half of one": (
        Window(cron="0 */2 * * *", lasts=10 * MINUTE, zone="Australia/Lord_Howe"),
        "2026-04-04T15:10",
        "15:30",
        "15:40",
    ),
    "by cron with a star, seen late in the first of two like hours": (
        Window(cron="*/15 2 * * *", lasts=10 * MINUTE, zone="Europe/Berlin"),
        "2026-10-25T00:57",
        "01:00",
        "01:10",
    ),
    "after 2038, in summer": (
        weekly("09:00", "10:00", "Europe/Berlin"),
        "2039-03-27T00:00",
        "07:00",
        "08:00",
    ),
    "on the 29th of February": (
        Window(cron="0 0 29 2 *", lasts=HOUR, zone="UTC"),
        "2026-03-01T00:00",
        "2028-02-29T00:00",
        "2028-02-29T01:00",
    ),
}


def moment(text: str, near: datetime | None = None) -> datetime:
    """Read a moment in UTC, or, of one near by, its day and time or time alone."""
    if near and len(text) < len("2026-01-01T00:00"):
        text = f"{near:%Y-%m-%dT%H:%M}"[: -len(text)] + text
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", CASES)
def test_when_a_window_opens_and_closes(name: str) -> None:
    """The next opening, or now where it is open, and the closing after that."""
    window, now, opens, closes = CASES[name]
    schedule, at = Schedule(windows=((window,),)), moment(now)

    assert schedule.opens(at) == moment(opens, at)
    assert schedule.closes(at) == moment(closes, at)


@st.composite
def cron_hours(draw: st.DrawFn) -> tuple[str, set[int]]:
    """The field of a schedule, and the hours that it means."""
    if draw(st.booleans()):
        step = draw(st.integers(1, 5))
        return f"*/{step}", set(range(0, 24, step))
    hours = draw(st.sets(st.integers(0, 4), min_size=1, max_size=3))
    return ",".join(map(str, sorted(hours))), hours


changes = st.sampled_from([(zone, day) for zone, days in CHANGES.items() if len(days) > 1 for day in days])


@settings(max_examples=60)
@given(
    change=changes,
    after=st.integers(-60, 300),
    hours=cron_hours(),
    minutes=st.sets(st.sampled_from([0, 10, 15, 30, 45, 59]), min_size=1),
)
def test_a_cron_schedule_is_due_exactly_when_clocks_show_its_times(
    change: tuple[str, date], after: int, hours: tuple[str, set[int]], minutes: set[int]
) -> None:
    """With a star each time that they do; without one once, the first time, or else at the moment that skips it."""
    zone, changed = change
    since = first_instant(datetime.combine(changed, time()), ZoneInfo(zone)) + after * MINUTE
    until = since + 6 * HOUR
    text = f"{','.join(map(str, sorted(minutes)))} {hours[0]} * * *"
    watching = (since + minute * MINUTE for minute in range(6 * 60))
    if hours[0].startswith("*"):
        walls = ((at, wall(at, zone)) for at in watching)
        expected = [at for at, shown in walls if shown.hour in hours[1] and shown.minute in minutes]
    else:
        days = (changed + timedelta(days=off) for off in range(-2, 3))
        times = [
            datetime.combine(day, time(hour, minute))
            for day in days
            for hour in hours[1]
            for minute in minutes
        ]
        expected = sorted(first_instant(one, ZoneInfo(zone)) for one in times)

    found = list(takewhile(lambda at: at < until, due(text, zone, since)))

    assert found == sorted(found)
    assert [at for at in found if at >= since] == [at for at in expected if since <= at < until]


def daily(opens: time, closes: time, zone: str, days: set[Day]) -> Window:
    return weekly(said(opens), said(closes), zone, *days)


def by_cron(cron: str, hours: int, zone: str) -> Window:
    return Window(cron=cron, lasts=hours * HOUR, zone=zone)


def frozen(day: int, days: int, zone: str) -> PlannedFreeze:
    begins, until = f"2026-03-{day:02} 02:30", f"2026-03-{day + days:02} 02:30"
    return PlannedFreeze.model_validate({"from": begins, "until": until, "zone": zone, "reason": "x"})


windows = st.builds(
    daily, clock_times, clock_times, zones, st.sets(st.sampled_from(Day), max_size=3)
) | st.builds(
    by_cron,
    st.sampled_from(["0 9 * * mon-fri", "30 */5 * * *", "15 2 * * sun"]),
    st.integers(1, 30),
    zones,
)
freezes = st.builds(
    frozen, st.integers(20, 28), st.integers(1, 3), zones.filter(lambda zone: zone != "Pacific/Apia")
)
levels = st.lists(st.lists(windows, max_size=2).map(tuple), max_size=2).map(tuple)
schedules = st.builds(Schedule, windows=levels, freezes=st.lists(freezes, max_size=2).map(tuple))
minutes = st.integers(0, 14 * 24 * 60).map(lambda minute: datetime(2026, 3, 20, tzinfo=UTC) + minute * MINUTE)


def lets_in(schedule: Schedule, now: datetime) -> bool:
    """Ask each window and freeze by itself."""
    free = all(not one.span.start <= now < one.span.end for one in schedule.freezes)
    return free and all(
        any(start <= now < end for window in level for start, end in spans_around(window, now))
        for level in schedule.windows
        if level
    )


def spans_around(window: Window, now: datetime) -> list[tuple[datetime, datetime]]:
    """List, a start or a day at a time, all that may be open at a moment."""
    zone = ZoneInfo(window.zone)
    if window.lasts:
        starts = CronSim(window.cron, (now - window.lasts - HOUR).astimezone(zone))
        past = takewhile(lambda start: start <= now, (start.astimezone(UTC) for start in starts))
        return [(start, start + window.lasts) for start in past]
    opens, closes = window.opens or "", window.closes or ""
    days = [now.astimezone(zone).date() + timedelta(days=off) for off in range(-2, 2)]
    return [
        (
            at_time(day, opens, window.zone),
            at_time(day + timedelta(days=closes <= opens), closes, window.zone),
        )
        for day in days
        if not window.days or [*Day][day.weekday()] in window.days
    ]


@settings(max_examples=200)
@given(schedules, minutes)
def test_a_change_may_begin_exactly_where_each_level_has_a_window_open_and_no_freeze_holds(
    schedule: Schedule, now: datetime
) -> None:
    """Levels only ever tighten; a level without windows asks for nothing."""
    assert schedule.is_open(now) == lets_in(schedule, now)


@settings(max_examples=200)
@given(schedules, minutes)
def test_the_next_opening_is_the_first_moment_that_lets_in(schedule: Schedule, now: datetime) -> None:
    """Nothing before it does; and the closing after it is the first moment that does not."""
    opens = schedule.opens(now)
    if opens is None:
        assert not any(lets_in(schedule, now + step * HOUR) for step in range(0, 24 * 14, 5))
        return
    steps = int((opens - now) / MINUTE)

    assert lets_in(schedule, opens)
    assert not any(lets_in(schedule, now + step * MINUTE) for step in range(0, steps, max(steps // 10, 1)))
    if closes := schedule.closes(now):
        assert not lets_in(schedule, closes)
        assert lets_in(schedule, closes - MINUTE / 60)


@pytest.mark.parametrize("step", [1, -1])
def test_a_long_window_meets_each_of_several_short_ones(step: int) -> None:
    """Whichever of the levels is the long one."""
    short = (weekly("09:00", "10:00", "UTC", Day.MON), weekly("11:00", "12:00", "UTC", Day.MON))
    levels = (short, (weekly("08:00", "13:00", "UTC", Day.MON),))
    schedule = Schedule(windows=levels[::step])
    found: list[str] = []
    at = moment("2026-01-05T00:00")
    while len(found) < 3 and (opens := schedule.opens(at)) and (closes := schedule.closes(at)):
        found.append(f"{opens:%d %H}-{closes:%H}")
        at = closes

    assert found == ["05 09-10", "05 11-12", "12 09-10"]


@pytest.mark.parametrize(
    "window",
    [
        Window(cron="* * * * *", lasts=timedelta(days=7), zone="Europe/Berlin"),
        Window(cron="30 */5 * * *", lasts=30 * HOUR, zone="America/New_York"),
        weekly("00:00", "24:00", "Europe/Berlin"),
    ],
)
def test_what_is_open_for_ever_closes_never(window: Window) -> None:
    """However often it opens anew meanwhile: nobody counts through that."""
    schedule, now = Schedule(windows=((window,), (window,))), moment("2026-03-20T00:00")

    assert schedule.opens(now) == now
    assert schedule.closes(now) is None
    assert schedule.say(now) == "within its window"


def test_levels_that_never_meet_never_open() -> None:
    """That too is found in jumps."""
    morning, evening = weekly("09:00", "10:00", "UTC"), Window(cron="*/5 20 * * *", lasts=HOUR, zone="UTC")

    assert Schedule(windows=((morning,), (evening,))).opens(moment("2026-03-20T00:00")) is None


def test_what_is_planned_is_said_in_its_own_zone() -> None:
    """For whoever waits: where it stands now, and until when by their own clocks."""
    window = weekly("09:00", "16:00", "Europe/Berlin", Day.MON)
    freeze = PlannedFreeze.model_validate(
        {
            "from": "2026-01-05 10:00",
            "until": "2026-01-05 11:30",
            "zone": "Europe/Berlin",
            "reason": "stocktaking",
        }
    )
    schedule = Schedule(windows=((window,),), freezes=(freeze,))
    never = Schedule(windows=((weekly("09:00", "10:00", "UTC"),), (weekly("10:00", "11:00", "UTC"),)))

    assert schedule.say(moment("2026-01-05T07:00")) == (
        "outside its windows, of which the next opens Mon 2026-01-05 09:00 CET"
    )
    assert (
        schedule.say(moment("2026-01-05T08:30")) == "within its window, which closes Mon 2026-01-05 10:00 CET"
    )
    assert schedule.say(moment("2026-01-05T09:30")) == (
        "frozen as planned until Mon 2026-01-05 11:30 CET: stocktaking"
    )
    assert never.say(moment("2026-01-05T09:30")) == "outside its windows, of which none opens again"
    assert Schedule().say(moment("2026-01-05T09:30")) == ""
    assert say_local(moment("2026-07-01T00:00"), "Asia/Kathmandu") == "Wed 2026-07-01 05:45 +0545"


WRONG = {
    "half a week": {"from": "09:00", "zone": "UTC"},
    "both kinds": {"from": "09:00", "to": "10:00", "cron": "0 9 * * *", "lasts": "1h", "zone": "UTC"},
    "days alone": {"days": ["mon"], "zone": "UTC"},
    "days and cron": {"days": ["mon"], "cron": "0 9 * * *", "lasts": "1h", "zone": "UTC"},
    "cron alone": {"cron": "0 9 * * *", "zone": "UTC"},
    "nothing": {"zone": "UTC"},
    "no time": {"from": "25:00", "to": "10:00", "zone": "UTC"},
    "no schedule": {"cron": "every day", "lasts": "1h", "zone": "UTC"},
    "no zone": {"from": "09:00", "to": "10:00", "zone": "Berlin"},
    "what one machine has for a zone": {"from": "09:00", "to": "10:00", "zone": "localtime"},
    "clocks with leap seconds": {"from": "09:00", "to": "10:00", "zone": "right/Europe/Berlin"},
    "a path for a zone": {"from": "09:00", "to": "10:00", "zone": "../../etc/passwd"},
    "no end": {"cron": "0 9 * * *", "lasts": "8d", "zone": "UTC"},
    "no time at all": {"cron": "0 9 * * *", "lasts": "0s", "zone": "UTC"},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_window_is_refused_with_a_remedy(name: str) -> None:
    """Each in a sentence that says what to write."""
    with pytest.raises(ValidationError, match="; write"):
        Window.model_validate(WRONG[name])


def test_a_planned_freeze_ends_once_where_clocks_show_its_end_twice_or_never() -> None:
    """At the first of the two, or at the moment that skips it; it holds until then, and not at that moment."""
    for begins, until, ends in (
        ("2026-10-24 12:00", "2026-10-25 02:30", "2026-10-25T00:30"),
        ("2026-03-28 12:00", "2026-03-29 02:30", "2026-03-29T01:00"),
        ("2026-03-28 12:00", "2026-03-29 03:00", "2026-03-29T01:00"),
    ):
        written = {"from": begins, "until": until, "zone": "Europe/Berlin", "reason": "x"}
        schedule = Schedule(freezes=(PlannedFreeze.model_validate(written),))

        assert not schedule.is_open(moment(ends) - timedelta(seconds=1))
        assert schedule.is_open(moment(ends))


@pytest.mark.parametrize(
    "until",
    [
        "2026-01-05 09:00",
        "2026-01-05",
        "tomorrow",
        "2026-02-30 09:00",
        "9999-12-31 23:59",
        "0001-01-01 00:00",
    ],
)
def test_what_is_no_freeze_is_refused_with_a_remedy(until: str) -> None:
    """It ends after it begins, at moments that there are."""
    with pytest.raises(ValidationError, match="; write"):
        PlannedFreeze.model_validate(
            {"from": "2026-01-05 09:00", "until": until, "zone": "UTC", "reason": "x"}
        )
