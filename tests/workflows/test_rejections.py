"""A decision can be changed until the effect: a rejection is heard while its promotion has its place in the lane."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from domain.approval import DecisionWord
from domain.outcome import Outcome, Phase
from domain.status import PromotionStatus, Report
from domain.value import short
from tests.town import PATIENCE, Town

pytestmark = pytest.mark.server
BO, CY = "bo@example.com", "cy@example.com"


async def ended(handle: WorkflowHandle[Any, Any]) -> Report:
    report: Report = await asyncio.wait_for(handle.result(), PATIENCE.total_seconds())
    return report


async def rejects(handle: WorkflowHandle[Any, Any], by: str) -> str:
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    said = DecisionWord(by=by, plan=short(status.intent or ""), comment="it leaks").model_dump(mode="json")
    answer: str = await handle.execute_update("decide", {**said, "decision": "reject"})
    return answer


async def test_a_rejection_in_the_queue_ends_it_while_another_has_the_lane(town: Town) -> None:
    """It does not wait for its turn to hear the no, even of the one who had said yes."""
    gate = town.world.slow[town.place(town.production)] = asyncio.Event()
    running = await town.waiting_in_production("1.0.0")
    await town.approve(running)
    await town.world.reached.wait()
    waiting = await town.waiting_in_production("2.0.0")
    await town.approve(waiting)
    await town.until(waiting, Phase.IN_LANE)

    answer = await rejects(waiting, BO)
    report = await ended(waiting)
    late = await rejects(running, CY)
    gate.set()

    assert "unless its change has begun" in answer
    assert report.outcome is Outcome.REJECTED
    assert "it leaks" in report.why
    assert (await town.lane_status(town.production)).queue == ()
    finished = await ended(running)
    assert "unless its change has begun" in late
    assert finished.outcome is Outcome.PROMOTED
    assert "when the change had begun" in finished.why
    assert town.world.version(town.place(town.production)) == "1.0.0"


async def test_a_rejection_after_its_turn_came_is_obeyed_at_the_effect(town: Town) -> None:
    """The change was under way to a worker that is away: when that is back it hears of the no, and does nothing."""
    await town.reach_production("0.9.0")
    handle = await town.waiting_in_production("1.0.0")
    await town.close(town.production)
    await town.approve(handle)
    await town.until_change(town.production, Phase.DEPLOYING)

    await rejects(handle, CY)
    await town.open(town.production)
    report = await ended(handle)

    assert report.outcome is Outcome.REJECTED
    assert report.turn is None
    assert town.world.version(town.place(town.production)) == "0.9.0"
    assert [receipt.version for receipt in await town.receipts(town.production)] == ["0.9.0"]
