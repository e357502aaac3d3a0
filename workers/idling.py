"""Finding what waits for nothing and does not go on: somebody took a task of its, and answered with nothing.

The server has nothing to do for it then, and its history says nothing; what it should be doing is known by replaying
it. The next task, whatever it is for, has it done.
"""

from typing import Any, NamedTuple

from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse, ResetStickyTaskQueueRequest
from temporalio.client import Client, WorkflowExecution, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import ask_status
from activities.lanes import find_lane
from domain.doors import NUDGE
from domain.outcome import FOR_PEOPLE, FOR_WORKERS, Phase
from domain.status import ChangeStatus, LaneStatus, PromotionStatus
from domain.workflow_types import CHANGE, LANE, NOTICE, PROMOTION


class Duty(NamedTuple):
    """What a workflow that is at rest should be doing."""

    doing: str
    since: str = ""
    is_patient: bool = False
    """It may be waiting for people, and then it rests as it should."""

    def __str__(self) -> str:
        return f"{self.doing}, since {self.since}" if self.since else self.doing


def is_at_rest(seen: DescribeWorkflowExecutionResponse) -> bool:
    """Tell whether the server has nothing to do for it: it waits for a signal, or for a timer."""
    has_task = seen.HasField("pending_workflow_task")
    return not (seen.pending_activities or seen.pending_children or has_task)


async def duty_of(client: Client, row: WorkflowExecution) -> Duty | None:
    """Say what a workflow that is at rest should be doing; None where it may rest. Raises ``RPCError``."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(row.id, run_id=row.run_id)
    try:
        match row.workflow_type:
            case kind if kind == CHANGE:
                return _of_change(await ask_status(handle, ChangeStatus))
            case kind if kind == LANE:
                return _of_lane(await ask_status(handle, LaneStatus))
            case kind if kind == PROMOTION:
                return await _of_promotion(client, await ask_status(handle, PromotionStatus))
            case kind if kind == NOTICE:
                return Duty("telling")
            case _:
                return None
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None  # it has ended meanwhile


async def nudge(client: Client, workflow_id: str) -> None:
    """Give a workflow a task, by a signal that says nothing, and to whichever worker is there. Raises ``RPCError``.

    Whoever answered its last task may have said that its next ones, and what it is asked, come to them.
    """
    where = WorkflowExecutionId(workflow_id=workflow_id)
    request = ResetStickyTaskQueueRequest(namespace=client.namespace, execution=where)
    try:
        await client.workflow_service.reset_sticky_task_queue(request)
        await client.get_workflow_handle(workflow_id).signal(NUDGE, {})
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _of_change(change: ChangeStatus | None) -> Duty:
    """A change that answers nobody should do at least that."""
    if change is None:
        return Duty("answering whoever asks it")
    return Duty(change.phase, str(change.since), change.phase in FOR_PEOPLE)


def _of_lane(lane: LaneStatus | None) -> Duty | None:
    if lane is None or not (lane.turn is not None or lane.queue or lane.unsettled):
        return None
    return Duty(lane.phase, f"turn {lane.turn or lane.last_turn}")


async def _of_promotion(client: Client, promotion: PromotionStatus | None) -> Duty | None:
    if promotion is None:
        return None
    duty = Duty(promotion.phase, str(promotion.since))
    if promotion.phase in FOR_WORKERS:
        return duty
    if promotion.phase is not Phase.IN_LANE:
        return None
    lane = await find_lane(client, promotion.subject)
    return duty if lane is None or lane.turn is None else None
