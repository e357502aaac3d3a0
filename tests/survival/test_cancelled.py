"""A promotion is cancelled, in every phase that it can be in: what it began is undone, and it says cancelled."""

import asyncio
from datetime import timedelta

import pytest

from domain.approval_written import Approval
from domain.names import environment_id
from domain.outcome import Outcome, Phase
from tests.fakes import Bell
from tests.survival.harbour import Harbour
from tests.survival.waiting import until
from workflows import patience

ONE_OF_TWO = Approval.model_validate({"quorum": 1, "from": ["managers"]})


async def _cancelled(harbour: Harbour, version: str = "2.0.0", standing: str = "1.0.0") -> None:
    """Cancel it, and see that nothing of it stays."""
    handle = harbour.promotion(version)
    await handle.cancel()
    report = await harbour.ended(handle)
    assert report.outcome is Outcome.CANCELLED, report.why
    await harbour.until_idle()
    assert harbour.standing == (standing,)
    await harbour.assert_sound()


async def test_while_it_is_prepared(harbour: Harbour) -> None:
    """Nothing has begun, and nothing will."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("observe site")
    await harbour.promote("2.0.0")
    await harbour.reached()

    await _cancelled(harbour)


async def test_while_nobody_serves_the_environment(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel needs no worker."""
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=1))
    await harbour.promoted("1.0.0", harbour.dev)
    await harbour.close(harbour.dev)
    handle = await harbour.promote("2.0.0")
    await harbour.until(handle, Phase.PREPARING, Phase.NO_WORKER)

    await _cancelled(harbour)


async def test_while_it_waits_for_approval(harbour: Harbour) -> None:
    """An approval after that comes too late."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.change_place(harbour.dev, approval=ONE_OF_TWO)
    handle = await harbour.promote("2.0.0")
    await harbour.until(handle, Phase.WAITING_FOR_APPROVAL)

    await _cancelled(harbour)


async def test_while_the_environment_is_frozen(harbour: Harbour) -> None:
    """The thaw finds nobody waiting."""
    await harbour.promoted("1.0.0", harbour.dev)
    await harbour.freeze(harbour.dev)
    handle = await harbour.promote("2.0.0")
    await harbour.until(handle, Phase.WAITING_FOR_GATE)

    await _cancelled(harbour)

    freeze = harbour.client.get_workflow_handle(environment_id(harbour.dev))
    await freeze.signal("thaw", {"by": "olga@example.com"})
    assert (await harbour.promoted("3.0.0", harbour.dev)).outcome is Outcome.PROMOTED
    await freeze.terminate("the test is over")


async def test_while_it_waits_in_the_queue(harbour: Harbour) -> None:
    """Whoever has the lane goes on undisturbed."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("place site")
    first = await harbour.promote("2.0.0")
    await harbour.reached()
    second = await harbour.promote("3.0.0")
    await harbour.until_lane(lambda lane: len(lane.queue) == 1)

    await second.cancel()
    report = await harbour.ended(second)
    harbour.let_go()

    assert report.outcome is Outcome.CANCELLED
    assert (await harbour.ended(first)).outcome is Outcome.PROMOTED
    await harbour.until_idle()
    assert harbour.standing == ("2.0.0",)
    await harbour.assert_sound()


async def test_while_it_deploys(harbour: Harbour) -> None:
    """The deed hears it, and is undone."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("place site")
    await harbour.promote("2.0.0")
    await harbour.reached()

    await _cancelled(harbour)


async def test_while_its_health_is_checked(harbour: Harbour) -> None:
    """What has landed is put back."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("check")
    await harbour.promote("2.0.0")
    await harbour.reached()
    handle = harbour.promotion("2.0.0")
    await handle.cancel()
    await until(lambda: len(harbour.landings) == 3)
    harbour.let_go()

    report = await harbour.ended(handle)

    assert report.outcome is Outcome.CANCELLED, report.why
    await harbour.until_idle()
    assert harbour.standing == ("1.0.0",)
    await harbour.assert_sound()


async def test_while_it_soaks(harbour: Harbour) -> None:
    """A soak that is cancelled is no soak: what was there before is there again."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.change_place(harbour.dev, soak=timedelta(minutes=20))
    await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.SOAKING)

    await _cancelled(harbour)


async def test_while_it_is_undone_already(harbour: Harbour) -> None:
    """The undo goes on to its end, and its own reason is the answer."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("sick-2.0.0")
    harbour.stop_at("restore site")
    handle = await harbour.promote("2.0.0")
    await harbour.reached()

    await handle.cancel()
    await until(lambda: _was_told(harbour))
    harbour.let_go()

    report = await harbour.ended(handle)
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    await harbour.until_idle()
    assert harbour.standing == ("1.0.0",)
    await harbour.assert_sound()


async def _was_told(harbour: Harbour) -> bool:
    history = await (await harbour.change(harbour.dev)).fetch_history()
    return any(
        event.HasField("workflow_execution_cancel_requested_event_attributes") for event in history.events
    )


async def test_while_its_undo_is_stuck(harbour: Harbour, bell: Bell) -> None:
    """A cancel undoes nothing more than the undo that is stuck; a person still has to say what becomes of it."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("sick-2.0.0")
    harbour.controls.set("stuck-site")
    handle = await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.STUCK)

    await handle.cancel()
    await until(lambda: _was_told(harbour))
    assert (await harbour.change_status(harbour.dev)).phase is Phase.STUCK
    harbour.controls.clear("stuck-site")
    await handle.signal("retry", {"by": "olga@example.com"})

    report = await harbour.ended(handle)
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    await harbour.until_idle()
    assert harbour.standing == ("1.0.0",)
    assert len([alarm for alarm in bell.alarms if alarm.subject.service == harbour.service]) == 1
    await harbour.assert_sound()


async def test_a_cancel_at_any_moment_leaves_one_release_or_the_other(harbour: Harbour) -> None:
    """Sixteen promotions are cancelled after as many history events each: each says truly what stands."""
    standing = "absent"
    for moment in range(3, 51, 3):
        handle = await harbour.promote(f"1.0.{moment}")
        async with asyncio.timeout(20):
            async for event in handle.fetch_history_events(wait_new_event=True):
                if event.event_id >= moment:
                    break
        if not await harbour.is_over(handle.id):
            await handle.cancel()
        report = await harbour.ended(handle)
        standing = f"1.0.{moment}" if report.outcome is Outcome.PROMOTED else standing
        assert report.outcome in {Outcome.PROMOTED, Outcome.CANCELLED}, report.why
        assert harbour.standing == (standing,)
    await harbour.until_idle()
    await harbour.assert_sound()
