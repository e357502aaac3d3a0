"""Finding what waits for nothing and does not go on: somebody took a task of its, and answered with nothing.

The server has nothing to do for it then, and its history says nothing; what it should be doing is known by replaying
it. The next task, whatever it is for, has it done.
"""

from typing import Any, Final

from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse, ResetStickyTaskQueueRequest
from temporalio.client import Client, WorkflowExecution, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import ask_status
from activities.lanes import find_lane
from domain.doors import NUDGE
from domain.outcome import Phase
from domain.status import ChangeStatus, LaneStatus, PromotionStatus
from domain.workflow_types import CHANGE, LANE, NOTICE, PROMOTION

SILENT: Final = "answering whoever asks it"
PATIENT: Final = frozenset({Phase.HELD, Phase.WAITING_FOR_GATE, Phase.STUCK})
"""Phases in which a change may wait for people alone."""
_AT_WORK: Final = frozenset({Phase.PREPARING, Phase.NO_WORKER, Phase.ENDED})
"""Phases in which a promotion waits for nobody but workers."""


def is_at_rest(seen: DescribeWorkflowExecutionResponse) -> bool:
    """Tell whether the server has nothing to do for it: it waits for a signal, or for a timer."""
    has_task = seen.HasField("pending_workflow_task")
    return not (seen.pending_activities or seen.pending_children or has_task)


async def should_do(client: Client, row: WorkflowExecution) -> str:
    """Say what a workflow that is at rest should be doing, and since when; nothing where it may rest.

    Raises ``RPCError``.
    """
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(row.id, run_id=row.run_id)
    try:
        match row.workflow_type:
            case kind if kind == CHANGE:
                change = await ask_status(handle, ChangeStatus)
                return f"{change.phase}, since {change.since}" if change else SILENT
            case kind if kind == LANE:
                lane = await ask_status(handle, LaneStatus)
                return _of_lane(lane) if lane else ""
            case kind if kind == PROMOTION:
                promotion = await ask_status(handle, PromotionStatus)
                return await _of_promotion(client, promotion) if promotion else ""
            case kind if kind == NOTICE:
                return "telling"
            case _:
                return ""
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ""  # it has ended meanwhile


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


def is_patient(doing: str) -> bool:
    """Tell whether what a change should be doing is to wait for people."""
    return doing.partition(",")[0] in PATIENT


def _of_lane(lane: LaneStatus) -> str:
    busy = lane.turn is not None or lane.queue or lane.unsettled
    return f"{lane.phase}, since turn {lane.turn or lane.last_turn}" if busy else ""


async def _of_promotion(client: Client, promotion: PromotionStatus) -> str:
    doing = f"{promotion.phase}, since {promotion.since}"
    if promotion.phase in _AT_WORK:
        return doing
    if promotion.phase is not Phase.IN_LANE:
        return ""
    lane = await find_lane(client, promotion.subject)
    return doing if lane is None or lane.turn is None else ""
