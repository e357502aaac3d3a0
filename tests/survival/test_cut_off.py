"""A worker is stopped in the middle of its work, taken for dead, and wakes when others have gone on without it."""

import asyncio
import signal

import pytest

from domain.outcome import Outcome
from tests.survival.conftest import Builder
from tests.survival.harbour import Harbour
from tests.survival.process import Process
from tests.survival.waiting import until


async def _stopped_at(harbour: Harbour, point: str) -> Process:
    """1.0.0 stands, the promotion of 2.0.0 is under way, and its worker has stopped at this point."""
    asleep = harbour.launch(at=1, sent=signal.SIGSTOP, only=point)
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("armed")
    await harbour.promote("2.0.0")
    await until(lambda: asleep.is_stopped)
    return asleep


async def _woken(harbour: Harbour, asleep: Process) -> None:
    """Wake it, alone, and wait until it has done a whole promotion: whatever it had to say late has been said."""
    for process in harbour.processes:
        if process is not asleep:
            await process.kill()
    said = len(harbour.calls)
    asleep.wake()
    await until(lambda: any(call.startswith(f"{asleep.pid} ") for call in harbour.calls[said:]))
    assert harbour.standing == ("1.0.0",)
    report = await harbour.promoted("3.0.0", harbour.dev)
    assert report.outcome is Outcome.PROMOTED, report.why
    assert harbour.standing == ("3.0.0",)
    await harbour.until_idle()
    await harbour.assert_sound()


async def _cancelled(harbour: Harbour, point: str) -> None:
    asleep = await _stopped_at(harbour, point)
    harbour.launch()

    await harbour.promotion("2.0.0").cancel()

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.CANCELLED, report.why
    assert harbour.standing == ("1.0.0",)
    await _woken(harbour, asleep)


async def _terminated(harbour: Harbour, point: str) -> None:
    asleep = await _stopped_at(harbour, point)
    harbour.launch()

    await (await harbour.change(harbour.dev)).terminate("an operator's slip")

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert harbour.standing == ("1.0.0",)
    await _woken(harbour, asleep)


async def _sick(harbour: Harbour, point: str) -> None:
    harbour.controls.set("sick-2.0.0")
    asleep = await _stopped_at(harbour, point)
    harbour.launch()

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert harbour.standing == ("1.0.0",)
    await _woken(harbour, asleep)


async def test_a_deed_that_wakes_after_its_undo_changes_nothing(build: Builder) -> None:
    """Cancelled and undone by another worker, the late write is refused by its fence, or was called off."""
    points = (
        "before create journal",
        "after create journal",
        "before place",
        "after place",
        "before create receipt",
    )

    await asyncio.gather(*(_cancelled(build(), point) for point in points))


@pytest.mark.slow
async def test_a_deed_that_wakes_after_its_settlement_changes_nothing(build: Builder) -> None:
    """Its change was terminated and its lane has settled it: what it had not begun was called off."""
    points = ("before create journal", "after create journal", "before place", "after place")

    await asyncio.gather(*(_terminated(build(), point) for point in points))


@pytest.mark.slow
async def test_an_undo_that_wakes_after_another_worker_did_it_does_it_no_second_time(build: Builder) -> None:
    """The same fence twice is the same deed, and the same receipt."""
    points = ("before restore", "after restore", "before create receipt")

    await asyncio.gather(*(_sick(build(), point) for point in points))


@pytest.mark.slow
async def test_what_wakes_at_the_point_of_writing_is_told_that_it_comes_too_late(build: Builder) -> None:
    """The target itself refuses it, by its fence."""
    harbour = build()
    asleep = await _stopped_at(harbour, "before place")
    harbour.launch()
    await harbour.promotion("2.0.0").cancel()
    await harbour.ended(harbour.promotion("2.0.0"))

    asleep.wake()

    late = await until(lambda: [call for call in harbour.calls if "failed site" in call])
    assert len(late) == 1
    assert late[0].endswith("StaleFenceError")
    assert harbour.standing == ("1.0.0",)
    await harbour.assert_sound()
