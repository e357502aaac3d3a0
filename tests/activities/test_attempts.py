"""How people hear of what was tried: at once, once, and never so often that they stop to listen."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from activities.attempts import (
    AT_ONCE,
    MOST_DOUBTED,
    MOST_PENDING,
    TRIES,
    Attempts,
    caught,
    overlooked,
    watched,
)
from activities.ports import Alarm, ChannelError
from domain.attempt import Kind
from domain.attempt_telling import Tried, remedy
from domain.logbook import Attempt, Doer
from domain.names import Subject
from domain.notice import Event
from tests.fakes import Bell, ShiftedClock

SUBJECT = Subject(service="shop", environment="production")


class Book:
    """A logbook."""

    def __init__(self) -> None:
        self.written: list[Attempt] = []

    async def keep(self, *attempts: Attempt) -> None:
        self.written += attempts


class Mute(Bell):
    """Channels of which none takes anything, until one does."""

    def __init__(self) -> None:
        super().__init__()
        self.is_mute = True

    async def call(self, alarm: Alarm) -> None:
        if self.is_mute:
            raise ChannelError("No channel took the alarm.")
        await super().call(alarm)


class Loud(Bell):
    """A notifier that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.rang = asyncio.Event()

    async def call(self, alarm: Alarm) -> None:
        await super().call(alarm)
        self.rang.set()


def tried(by: str = "mischief/1", why: str = "it has no turn", subject: Subject | None = SUBJECT) -> Tried:
    attempt = Attempt(
        at=datetime.now(UTC),
        environment="production",
        subject=subject,
        what="perform",
        by=Doer(workflow_id=by, run="r1"),
        claimed="eve@example.com",
        why=why,
    )
    return Tried(Kind.STRANGER, attempt)


def attempts_to(bell: Bell, book: Book | None = None) -> Attempts:
    return Attempts("production", bell, ShiftedClock(), (book or Book()).keep)


async def test_an_attempt_is_told_once_with_where_what_and_whom_to_ask() -> None:
    bell, book = Bell(), Book()
    attempts = attempts_to(bell, book)

    attempts.note(tried())
    await attempts.tell()
    await attempts.tell()

    (alarm,) = bell.alarms
    assert (alarm.event, alarm.subject) == (Event.ATTEMPT, SUBJECT)
    assert alarm.headline == "shop in production: an effect was ordered by a workflow that has no turn there"
    assert "Ask eve@example.com whether it was theirs." in alarm.remedy
    assert alarm.remedy.endswith("temporal workflow show -w mischief/1")
    assert remedy(tried()._replace(namespace="prod")).endswith("temporal workflow show -n prod -w mischief/1")
    assert [one.times for one in book.written] == [1]


async def test_what_comes_again_is_told_in_sum() -> None:
    """The same kind by the same workflow for the same reason has one alarm, and its number later."""
    bell, book = Bell(), Book()
    attempts = attempts_to(bell, book)
    attempts.note(tried())
    await attempts.tell()

    for _ in range(7):
        attempts.note(tried())
    await attempts.tell()

    assert bell.alarms[1].headline == "production: 7 more attempts"
    assert (
        "7 × perform, by way of “mischief/1”, in the name of eve@example.com: it has no"
        in bell.alarms[1].remedy
    )
    assert len({alarm.key for alarm in bell.alarms}) == 2
    assert [one.times for one in book.written] == [1, 7]


async def test_a_flood_of_one_is_one_alarm_and_one_sum() -> None:
    bell = Bell()
    attempts = attempts_to(bell)

    for _ in range(10_000):
        attempts.note(tried())
    await attempts.tell()

    assert [alarm.headline.partition(": ")[2] for alarm in bell.alarms] == [
        "an effect was ordered by a workflow that has no turn there",
        "9999 more attempts",
    ]


async def test_a_flood_of_many_is_a_few_alarms_and_one_sum() -> None:
    """Whoever makes every attempt another makes no pile of work: what is kept, told and written has its bounds."""
    bell, book = Bell(), Book()
    attempts = attempts_to(bell, book)

    for number in range(10_000):
        attempts.note(tried(by=f"mischief/{number}"))
    await attempts.tell()

    assert len(bell.alarms) == AT_ONCE + 1
    assert bell.alarms[-1].headline == f"production: {10_000 - AT_ONCE} more attempts"
    assert len(bell.alarms[-1].remedy) < 5_000
    assert len(book.written) == MOST_PENDING + 1
    assert sum(one.times for one in book.written) == 10_000


async def test_what_no_channel_takes_is_told_again_and_written_once() -> None:
    bell, book = Mute(), Book()
    attempts = attempts_to(bell, book)
    attempts.note(tried())
    await attempts.tell()
    assert not bell.alarms

    bell.is_mute = False
    await attempts.tell()
    await attempts.tell()

    assert (len(bell.alarms), len(book.written)) == (1, 1)


async def test_whoever_tells_is_there_at_once() -> None:
    """The first is told as it comes, without waiting for a round."""
    bell = Loud()
    attempts = attempts_to(bell)
    telling = asyncio.create_task(attempts.keep_telling())
    await asyncio.sleep(0)

    attempts.note(tried(subject=None))
    await asyncio.wait_for(bell.rang.wait(), 5)

    telling.cancel()
    assert bell.alarms[0].subject.service == ""


@pytest.mark.parametrize(("times", "waits"), [(1, 1), (3, 1), (4, 2)])
async def test_a_few_attempts_make_nobody_hear_later_of_the_next(
    monkeypatch: pytest.MonkeyPatch, times: int, waits: int
) -> None:
    """Rounds are further apart only while more comes between them than is told apart."""
    bell, slept = Loud(), list[float]()
    attempts = attempts_to(bell)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            for number in range(times):
                attempts.note(tried(by=f"another-{number}"))
        else:
            raise asyncio.CancelledError

    monkeypatch.setattr("activities.attempts.asyncio.sleep", sleep)
    attempts.note(tried())
    with pytest.raises(asyncio.CancelledError):
        await attempts.keep_telling()

    assert slept == [60, 60 * waits]


async def test_the_command_that_shows_an_attempt_is_safe_to_paste() -> None:
    """An attacker chooses the ids of their workflows."""
    bell = Bell()
    attempts = attempts_to(bell)

    attempts.note(tried(by="x'; rm -rf / #"))
    await attempts.tell()

    assert bell.alarms[0].remedy.endswith("""temporal workflow show -w 'x'"'"'; rm -rf / #'""")


def test_what_is_met_outside_an_activity_is_nobodys_attempt() -> None:
    """An auditor meets bad seals by reading; what is looked at a second time is overlooked."""
    caught(Kind.SEAL, "nobody watches")
    with watched() as found:
        caught(Kind.SEAL, "it was altered")
        with overlooked():
            caught(Kind.SIGNATURE, "revoked since")
    caught(Kind.SEAL, "nobody watches any more")

    assert [(one.kind, one.why) for one in found] == [(Kind.SEAL, "it was altered")]


async def test_a_refusal_that_may_be_honest_is_looked_up() -> None:
    """A change that was overtaken is refused as one is that somebody made up: only its server tells which it is."""
    bell = Bell()
    attempts = attempts_to(bell)

    async def is_honest() -> str:
        return ""

    async def is_not() -> str:
        return "no lane started it"

    attempts.doubt(tried(by="change/shop/production/7"), is_honest)
    attempts.doubt(tried(by="change/shop/production/8"), is_not)
    await attempts.tell()

    (alarm,) = bell.alarms
    assert "no lane started it; it has no turn" in alarm.remedy


async def test_what_can_never_be_looked_up_is_told_in_the_end() -> None:
    """Somebody may have seen to that: a history that nobody can read is looked up in vain each time."""
    bell = Bell()
    attempts = attempts_to(bell)

    async def is_never_known() -> str:
        message = "nobody can read it"
        raise ValueError(message)

    attempts.doubt(tried(), is_never_known)
    for _ in range(TRIES - 1):
        await attempts.tell()
        assert bell.alarms == []
    await attempts.tell()
    await attempts.tell()

    (alarm,) = bell.alarms
    assert "whether it was honest cannot be found out (nobody can read it); it has no turn" in alarm.remedy


async def test_what_is_known_does_not_wait_for_what_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred questions that nobody answers keep an attempt from nobody."""
    monkeypatch.setattr("activities.attempts.LOOKING_UP", timedelta(seconds=0.2))
    bell = Bell()
    attempts = attempts_to(bell)

    async def is_not_answered() -> str:
        await asyncio.Event().wait()
        return ""

    for number in range(MOST_DOUBTED):
        attempts.doubt(tried(by=f"unanswered-{number}"), is_not_answered)
    attempts.note(tried(by="known"))
    async with asyncio.timeout(5):
        await attempts.tell()

    assert [alarm.key for alarm in bell.alarms] == [tried(by="known").key]


async def test_doubts_make_nobody_hear_later_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be honest, and may never be looked up: rounds stay as near to each other as they were."""
    bell, slept = Loud(), list[float]()
    attempts = attempts_to(bell)

    async def is_never_known() -> str:
        raise ValueError

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 1:
            raise asyncio.CancelledError
        attempts.note(tried(by="another"))

    for number in range(AT_ONCE + 1):
        attempts.doubt(tried(by=f"doubted-{number}"), is_never_known)
    attempts.note(tried())
    monkeypatch.setattr("activities.attempts.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await attempts.keep_telling()

    assert slept == [60, 60]
