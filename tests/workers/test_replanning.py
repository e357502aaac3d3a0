"""What waits for a planned moment, when somebody plans it anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from domain.names import ENVIRONMENT, PHASE
from domain.outcome import Outcome, Phase
from domain.windows import Window
from tests.survival.waiting import until
from tests.town import Town
from workers.replanning import Replanning

pytestmark = pytest.mark.server


def window_after(length: timedelta) -> Window:
    opens = datetime.now(UTC) + length
    return Window.model_validate(
        {"from": f"{opens:%H:%M}", "to": f"{opens + timedelta(hours=1):%H:%M}", "zone": "UTC"}
    )


async def times_told(handle: WorkflowHandle[Any, Any]) -> int:
    events = [event async for event in handle.fetch_history_events()]
    return sum(
        event.workflow_execution_signaled_event_attributes.signal_name == "gate_opened" for event in events
    )


async def test_what_waits_for_a_window_asks_again_exactly_when_another_is_written(town: Town) -> None:
    """Nobody else would tell it: it has gone by what was written when it asked, for as long as a week."""
    town.change_floor(town.dev, windows=(window_after(timedelta(hours=6)),))
    handle = await town.promote("1.0.0", town.dev)
    replanning = Replanning(town.client, town.settings, town.dev)

    async def told_in_some_rounds() -> int:
        for _ in range(4):
            await _until_it_waits(town, handle)
            await replanning.look()
        return await times_told(handle)

    first = await told_in_some_rounds()
    town.change_floor(town.dev, windows=(window_after(timedelta(hours=9)),))
    second = await told_in_some_rounds()
    town.change_floor(town.staging, windows=(window_after(timedelta(hours=9)),))
    other = await told_in_some_rounds()
    town.change_place(town.dev, windows=())
    town.change_floor(town.dev, windows=())
    await replanning.look()

    report = await handle.result()
    assert report.outcome is Outcome.PROMOTED
    assert [first, second, other] == [2, 4, 4]


@pytest.mark.parametrize("how", ["terminated", "thawed unheard"])
async def test_what_waits_for_a_thaw_asks_again_where_the_freeze_is_gone_unheard(
    town: Town, how: str
) -> None:
    """It waited for a thaw that nobody could say any more: “production is not frozen, and never was”."""
    gate = await town.freeze(town.dev)
    handle = await town.promote("1.0.0", town.dev)
    await _until_it_waits(town, handle)
    replanning = Replanning(town.client, town.settings, town.dev)
    for _ in range(4):
        await replanning.look()
        await _until_it_waits(town, handle)
    told = await times_told(handle)
    if how == "terminated":
        await gate.terminate("somebody did")
    else:
        await _forget_who_waits(town, gate)

    async def has_ended() -> bool:
        await replanning.look()
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until(has_ended)
    assert (await handle.result()).outcome is Outcome.PROMOTED
    assert told == 2


async def _forget_who_waits(town: Town, gate: WorkflowHandle[Any, Any]) -> None:
    """Have the environment's workflow begin anew, and open: it knows of nobody who waits."""
    await gate.terminate("somebody did")
    await (await town.freeze(town.dev)).signal("thaw", {"by": "olga@example.com"})


async def _until_it_waits(town: Town, handle: WorkflowHandle[Any, Any]) -> None:
    """It does, and is listed as one that does."""
    query = f"{ENVIRONMENT}='{town.dev}' AND {PHASE}='{Phase.WAITING_FOR_GATE}'"

    async def is_listed() -> bool:
        return bool((await town.client.count_workflows(query)).count)

    for _ in range(2):
        await town.until(handle, Phase.WAITING_FOR_GATE)
        await until(is_listed)
