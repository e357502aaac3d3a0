"""What the Temporal UI shows of where a workflow stands; written when somebody looks."""

from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowFailureError, WorkflowHandle

from domain.names import ENGINE_QUEUE, change_id, environment_id
from domain.outcome import Phase
from domain.status import PromotionStatus
from domain.telling import tell_promotion
from tests.town import Town

pytestmark = pytest.mark.server


async def details_of(handle: WorkflowHandle[Any, Any]) -> str:
    metadata: WorkflowMetadata = await handle.query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    return metadata.current_details


async def test_a_promotion_says_what_it_waits_for_and_later_how_it_ended(town: Town) -> None:
    """Whoever approves in the Temporal UI reads there what they approve, and how; and what became of it."""
    handle = await town.waiting_in_production("1.0.0")
    status = await handle.query("status", result_type=PromotionStatus)

    waiting = await details_of(handle)
    await town.approve(handle)
    await handle.result()

    assert waiting == tell_promotion(status, town.client.namespace)
    assert "waiting for approval" in waiting
    assert f"approve {town.service}" in waiting
    assert "promoted" in await details_of(handle)


async def test_lane_change_and_environment_say_where_they_stand(town: Town) -> None:
    """Every kind of workflow that an operator opens there has something to say."""
    report = await town.promoted("1.0.0", town.dev)
    await town.freeze(town.dev)
    assert report.turn
    change = town.client.get_workflow_handle(change_id(town.subject(town.dev), report.turn))
    environment = town.client.get_workflow_handle(environment_id(town.dev))

    assert f"1.0.0 of {town.subject(town.dev)}" in await details_of(change)
    assert "promoted" in await details_of(change)
    assert Phase.IDLE in await details_of(town.lane(town.dev))
    assert "frozen" in await details_of(environment)


async def test_what_never_began_says_nothing_and_breaks_nothing(town: Town) -> None:
    """Whoever opens a workflow that was started in a wrong way is told by its failure."""
    for kind in (
        "ChangeWorkflow",
        "EnvironmentWorkflow",
        "LaneWorkflow",
        "PipelineWorkflow",
        "PromotionWorkflow",
    ):
        story = kind.removesuffix("Workflow").lower()
        handle = await town.client.start_workflow(
            kind, "nonsense", id=f"{story}/a b", task_queue=ENGINE_QUEUE
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()

        assert isinstance(await details_of(handle), str), kind
