"""``temporal workflow reset``, by the real program, of promotion, lane and change, before and after the deploy."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from domain.approval_written import Approval
from domain.outcome import Outcome, Phase
from tests.survival.harbour import Harbour
from tests.survival.waiting import until
from workers.server import temporal_binary

ONE_OF_TWO = Approval.model_validate({"quorum": 1, "from": ["managers"]})


async def _reset(harbour: Harbour, handle: WorkflowHandle[Any, Any], event: int, run: str = "") -> None:
    """Have the real program take a workflow back to an event of its history, or of that of an earlier run."""
    address = harbour.client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        *(temporal_binary(), "workflow", "reset", "--address", address, "--workflow-id", handle.id),
        *("--event-id", str(event), "--reason", "an operator's idea", *(("--run-id", run) if run else ())),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def _run_of(handle: WorkflowHandle[Any, Any]) -> str:
    return (await handle.describe()).run_id or ""


async def _tasks(handle: WorkflowHandle[Any, Any]) -> list[int]:
    """Return the events that a workflow can be reset to: the ends of its tasks, oldest first."""
    history = await handle.fetch_history()
    return [
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]


async def _settles_down(harbour: Harbour, *versions: str) -> None:
    await harbour.until_idle()
    assert harbour.standing[0] in versions
    await harbour.assert_sound()


async def test_a_promotion_reset_before_its_deploy_begins_anew(harbour: Harbour) -> None:
    """It waits for a new approval of a new plan; the old one opens nothing."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.change_place(harbour.dev, approval=ONE_OF_TWO)
    handle = await harbour.promote("2.0.0")
    status = await harbour.until(handle, Phase.WAITING_FOR_APPROVAL)

    await _reset(harbour, handle, (await _tasks(handle))[0])

    again = await harbour.until_new_plan(handle, status.intent)
    assert again.intent != status.intent
    anew = harbour.promotion("2.0.0")
    await anew.signal("approve", {"by": "bo@example.com", "plan": str(status.intent)})
    await anew.signal("approve", {"by": "cy@example.com", "plan": str(again.intent)})
    assert (await harbour.ended(harbour.promotion("2.0.0"))).outcome is Outcome.PROMOTED
    assert len(harbour.landings) == 2
    await _settles_down(harbour, "2.0.0")


async def test_a_promotion_reset_after_its_deploy_finds_it_done(harbour: Harbour) -> None:
    """Taken back to any point of its history, it deploys nothing a second time."""
    await harbour.promoted("1.0.0", harbour.dev)
    handle = await harbour.promote("2.0.0")
    await harbour.ended(handle)
    run, events = await _run_of(handle), await _tasks(handle)

    for event in events:
        await _reset(harbour, handle, event, run)
        report = await harbour.ended(harbour.promotion("2.0.0"))
        assert report.outcome in {Outcome.PROMOTED, Outcome.NOTHING_TO_DO}, report.why
        await _settles_down(harbour, "2.0.0")

    assert len(harbour.landings) == 2


async def test_an_approval_is_not_spent_again_by_a_reset(harbour: Harbour) -> None:
    """Once rolled back, a release needs a new approval, to whichever point its promotion is reset."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.change_place(harbour.dev, approval=ONE_OF_TWO)
    assert (await harbour.promoted("2.0.0", harbour.dev)).outcome is Outcome.PROMOTED
    events, run = await _tasks(harbour.promotion("2.0.0")), await _run_of(harbour.promotion("2.0.0"))
    await harbour.rolled_back()
    landed = len(harbour.landings)

    for event in events:
        await _reset(harbour, harbour.promotion("2.0.0"), event, run)
        handle = harbour.promotion("2.0.0")
        if (await handle.query("status"))["phase"] != Phase.ENDED:
            await harbour.until(handle, Phase.WAITING_FOR_APPROVAL, Phase.ENDED)
            await handle.cancel()
        await harbour.ended(handle)
        await harbour.until_idle()

    assert harbour.standing == ("1.0.0",)
    assert len(harbour.landings) == landed
    await harbour.assert_sound()


async def test_a_change_reset_in_mid_deploy_goes_on(harbour: Harbour) -> None:
    """The new run does the same deed under the same fence, which is the same deed; its lane hears the answer."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("place site")
    handle = await harbour.promote("2.0.0")
    await harbour.reached()
    change = await harbour.change(harbour.dev)

    await _reset(harbour, change, (await _tasks(change))[0])
    harbour.let_go()

    assert (await harbour.ended(handle)).outcome is Outcome.PROMOTED
    assert len(harbour.landings) == 2
    await _settles_down(harbour, "2.0.0")


@pytest.mark.parametrize(
    ("task", "outcome"), [(-1, Outcome.PROMOTED), (-2, Outcome.ROLLED_BACK), (0, Outcome.ROLLED_BACK)]
)
async def test_a_lane_reset_in_mid_deploy_knows_its_change_or_has_it_put_back(
    harbour: Harbour, task: int, outcome: Outcome
) -> None:
    """Taken back to before it began its change, it has given nobody a turn."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("place site")
    handle = await harbour.promote("2.0.0")
    await harbour.reached()
    lane = harbour.lane(harbour.dev)

    await _reset(harbour, lane, (await _tasks(lane))[task])
    harbour.let_go()

    assert (await harbour.ended(handle)).outcome is outcome
    await _settles_down(harbour, "2.0.0" if outcome is Outcome.PROMOTED else "1.0.0")


async def test_a_change_reset_while_it_soaks_does_not_deploy_again(harbour: Harbour) -> None:
    """What landed stands already under this fence, and is found so."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.change_place(harbour.dev, soak=timedelta(seconds=3))
    handle = await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.SOAKING)
    change = await harbour.change(harbour.dev)

    await _reset(harbour, change, (await _tasks(change))[0])

    assert (await harbour.ended(handle)).outcome is Outcome.PROMOTED
    assert len(harbour.landings) == 2
    await _settles_down(harbour, "2.0.0")


async def test_a_change_reset_after_its_end_changes_nothing(harbour: Harbour) -> None:
    """Its turn has its receipt: it is over, and a later release stays."""
    await harbour.promoted("1.0.0", harbour.dev)
    report = await harbour.promoted("2.0.0", harbour.dev)
    await harbour.promoted("3.0.0", harbour.dev)
    change = harbour.client.get_workflow_handle(f"change/{harbour.service}/{harbour.dev}/{report.turn}")
    run, events = await _run_of(change), await _tasks(change)

    for event in events:
        await _reset(harbour, change, event, run)
        await until(lambda: harbour.is_over(change.id))

    assert harbour.standing == ("3.0.0",)
    assert len(harbour.landings) == 3
    assert (await harbour.promoted("4.0.0", harbour.dev)).outcome is Outcome.PROMOTED
    await _settles_down(harbour, "4.0.0")
