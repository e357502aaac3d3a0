"""Finding what stands still though nothing fails: the server says so of each, to whoever asks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import describe
from activities.effects import EffectActivities
from domain.names import ENGINE_QUEUE, effects_queue
from domain.workflow_types import RUNNING_HERE
from workers.witnessing import about

PAUSED: Final = f"{RUNNING_HERE} AND TemporalPauseInfo IS NOT NULL"
PINNED: Final = f"{RUNNING_HERE} AND TemporalWorkflowVersioningBehavior IS NOT NULL"
OVERDUE: Final = timedelta(minutes=2)
FAR: Final = timedelta(minutes=30)
"""Whatever of ours fails is tried again sooner."""
AT_ONCE: Final = 8
_RUNNING: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


class Still(NamedTuple):
    """A workflow that does not go on, and why."""

    workflow_id: str
    run_id: str
    why: str


async def find_rows(client: Client, query: str) -> list[WorkflowExecution]:
    """List what a query finds; nothing where the server is too old for what it asks, and so for what it would find."""
    try:
        return [row async for row in client.list_workflows(query)]
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return []
        raise


async def find_pinned(client: Client) -> list[Still]:
    """Find what waits for a worker of a deployment: none of ours is of one."""
    why = "it is pinned to a worker deployment, and none of our workers is of one"
    return [Still(row.id, row.run_id, why) for row in await find_rows(client, PINNED)]


async def described(
    client: Client, rows: list[WorkflowExecution]
) -> AsyncIterator[tuple[WorkflowExecution, DescribeWorkflowExecutionResponse]]:
    """Describe workflows, several at once. What has ended, or is ended for that it cannot be read, is left out."""
    for first in range(0, len(rows), AT_ONCE):
        some = rows[first : first + AT_ONCE]
        seen = await asyncio.gather(*(describe(client, row.id, row.run_id) for row in some))
        for row, one in zip(some, seen, strict=True):
            if one is not None and one.workflow_execution_info.status == _RUNNING:
                yield row, one


def find_still(
    row: WorkflowExecution, seen: DescribeWorkflowExecutionResponse, now: datetime
) -> Iterator[Still]:
    """Find the activities that will not be done, and say why."""
    for pending in seen.pending_activities:
        for why in _why_stalled(pending, _its_queue(row.id, pending), now):
            yield Still(row.id, row.run_id, f"its activity {pending.activity_type.name} {why}")


def _its_queue(workflow_id: str, pending: PendingActivityInfo) -> str:
    does_effects = hasattr(EffectActivities, pending.activity_type.name)
    return effects_queue(about(workflow_id).environment) if does_effects else ENGINE_QUEUE


def _why_stalled(pending: PendingActivityInfo, its_queue: str, now: datetime) -> Iterator[str]:
    """Say why an activity will not be done: none of ours is ever paused or led elsewhere, or late for long."""
    queue = pending.activity_options.task_queue.name
    if pending.paused:
        yield "is paused, and has no time-out while it is"
    elif queue and queue != its_queue:
        yield f"is led to the queue “{queue[:200]}”"
    elif pending.HasField("next_attempt_schedule_time") and (
        pending.next_attempt_schedule_time.ToDatetime(UTC) - now > FAR
    ):
        yield "is not tried again for a long time"
    elif pending.HasField("expiration_time"):
        late = now - pending.expiration_time.ToDatetime(UTC)
        if late > OVERDUE:
            yield "is long overdue, and nothing ends it"
