"""What an environment's worker notes of its activities, and what its server tells of those that may be honest."""

import pytest
from temporalio.client import Client

from domain.logbook import Doer
from domain.names import ENGINE_QUEUE, change_id
from tests.town import Town
from workers.doubting import GONE, Task, why_ended, why_no_change
from workers.story import WORKFLOWS
from workers.watching import OURS

pytestmark = pytest.mark.server


def test_only_workflows_of_ours_order_effects() -> None:
    """A kind that is renamed would have people called for each of its effects."""
    assert {one.__name__ for one in WORKFLOWS} >= OURS


async def test_a_change_that_its_lane_started_is_one(town: Town) -> None:
    """Whatever it is refused for. And what it did itself, nobody did in its place."""
    await town.promoted("1.0.0", town.dev)
    (receipt,) = await town.receipts(town.dev)
    handle = town.client.get_workflow_handle(change_id(town.subject(town.dev), receipt.turn))
    doer = Doer(workflow_id=handle.id, run=(await handle.describe()).run_id)

    assert await why_no_change(town.client, doer) == ""
    assert await why_ended(town.client, Task(doer, "no such activity", 1)) == ""


@pytest.mark.parametrize("queue", [ENGINE_QUEUE, "eve"])
async def test_a_change_that_somebody_started_is_none(town: Town, queue: str) -> None:
    """Its name and its kind are of an attacker's choosing; who started it is the server's word."""
    handle = await town.client.start_workflow(
        "ChangeWorkflow", {}, id=change_id(town.subject(town.dev), 7), task_queue=queue
    )
    doer = Doer(workflow_id=handle.id, run=handle.result_run_id or "")

    assert "did not start it" in await why_no_change(town.client, doer)
    await _end(town, queue, handle.id)


async def test_a_change_that_somebody_deleted_is_none(client: Client) -> None:
    """A trace that was taken away is one, too."""
    doer = Doer(workflow_id="change/shop/dev/7", run="01a21ab9-eae9-7840-a769-6ce3e90b3a9d")

    assert await why_no_change(client, doer) == GONE
    assert await why_ended(client, Task(doer, "1", 1)) == ""


async def _end(town: Town, queue: str, workflow_id: str) -> None:
    handle = town.client.get_workflow_handle(workflow_id)
    if queue == ENGINE_QUEUE:
        with pytest.raises(Exception, match="Workflow execution failed"):
            await handle.result()
        assert len(await town.alarmed()) == 1
    else:
        await handle.terminate()
