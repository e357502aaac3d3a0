"""A look that fails goes on, and has a person called where it goes on failing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.service import RPCError, RPCStatusCode

from activities.mistakes import BrokenConfigurationError
from tests.fakes import Bell
from tests.survival.waiting import until
from workers.rounds import Rounds

SOON = timedelta(milliseconds=5)


class Look:
    """Fails so many times, and then does not."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error = error
        self.left = times
        self.rounds = 0

    async def __call__(self) -> None:
        self.rounds += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error


async def kept(look: Callable[[], Awaitable[None]], ready: Callable[[], bool], **terms: timedelta) -> Bell:
    bell = Bell()
    rounds = Rounds("what is looked for", "blind", bell, **terms)
    keeping = asyncio.create_task(rounds.keep(look, SOON))
    await until(ready)
    assert not keeping.done()
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    return bell


async def test_a_look_that_fails_for_a_while_goes_on_and_calls_nobody() -> None:
    look = Look(ValueError("made up"), 5)

    bell = await kept(look, lambda: look.rounds > 8, blind=timedelta(seconds=30))

    assert bell.alarms == []


async def test_a_look_that_goes_on_failing_has_a_person_called_once() -> None:
    """Once for as long as it lasts: what fails anew, later, is told anew."""
    look = Look(ValueError("made up"), 40)

    bell = await kept(look, lambda: look.rounds > 42, blind=timedelta(milliseconds=50))

    (alarm,) = bell.alarms
    assert alarm.headline == "The engine cannot look for what is looked for: made up"


async def test_what_fails_anew_is_told_anew() -> None:
    """The same key twice is one alarm: the second time has another."""
    bell, blind = Bell(), timedelta(milliseconds=20)
    look = Look(ValueError("made up"), 0)
    keeping = asyncio.create_task(Rounds("what is looked for", "blind", bell, blind=blind).keep(look, SOON))
    for times in (1, 2):
        look.left, look.rounds = 20, 0
        await until(lambda: look.rounds > 22)
        assert len(bell.alarms) == times
    keeping.cancel()


async def test_a_look_that_hangs_is_given_up_and_told() -> None:
    rounds = 0

    async def hang() -> None:
        nonlocal rounds
        rounds += 1
        await asyncio.Event().wait()

    bell = await kept(
        hang, lambda: rounds > 12, longest=timedelta(milliseconds=10), blind=timedelta(milliseconds=50)
    )

    (alarm,) = bell.alarms
    assert "it took longer than" in alarm.headline


@pytest.mark.parametrize(
    "error",
    [
        RPCError("nobody there", RPCStatusCode.UNAVAILABLE, b""),
        BrokenConfigurationError("folder", ()),
    ],
)
async def test_nobody_is_called_for_what_is_told_elsewhere(error: Exception) -> None:
    """A server that is away says so to all; a folder that is broken says so to whoever is at work on it."""
    look = Look(error, 1000)

    bell = await kept(look, lambda: look.rounds > 30, blind=timedelta(milliseconds=10))

    assert bell.alarms == []


async def test_a_call_that_fails_is_made_again() -> None:
    class Deaf(Bell):
        """Hears nothing the first time."""

        async def call(self, alarm: object) -> None:
            raised.append(alarm)
            if len(raised) == 1:
                message = "no channel"
                raise OSError(message)

    raised: list[object] = []
    look = Look(ValueError("made up"), 1000)
    keeping = asyncio.create_task(Rounds("it", "blind", Deaf(), blind=timedelta()).keep(look, SOON))
    for wanted in (lambda: len(raised) == 2, lambda: look.rounds > 40):
        await until(wanted)
    keeping.cancel()

    assert len(raised) == 2
