"""Ending what stands in the engine's way and never goes on, and noting who has put it there."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import structlog
from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable
from domain.attempt import Kind
from workflows.doorkeeper import Sighting, Witness

UNREADABLE: Final = "its history holds what no worker can read, such as a failure nested too deeply"
SLEEPING: Final = "it was started to begin some other day, and nothing would wake it before"
AT_ONCE: Final = 8

log = structlog.get_logger(__name__)


class Left(NamedTuple):
    """What was not ended: it can be read, or its history could not be had."""

    readable: list[WorkflowExecution]
    unread: list[WorkflowExecution]


class Ending:
    """Ends workflows, and has a witness note each."""

    def __init__(self, client: Client, witness: Witness) -> None:
        self._client = client
        self._witness = witness

    async def end_unreadable(self, rows: Sequence[WorkflowExecution]) -> Left:
        """End those that nobody can read. What has ended by itself is not left either."""
        left = Left([], [])
        for first in range(0, len(rows), AT_ONCE):
            await asyncio.gather(*(self._end_unreadable(row, left) for row in rows[first : first + AT_ONCE]))
        return left

    async def _end_unreadable(self, row: WorkflowExecution, left: Left) -> None:
        try:
            # Once may be a fault of the line.
            if await is_readable(self._client, row) or await is_readable(self._client, row):
                left.readable.append(row)
                return
            await self._end(row, row.run_id, Kind.UNREADABLE, "history", UNREADABLE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                log.warning("wedged_unread", workflow=row.id, run=row.run_id, why=error.message)
                left.unread.append(row)

    async def end_sleeping(self, row: WorkflowExecution) -> None:
        """End what is to begin some other day: what a cron begins is another run by then, so the newest is ended."""
        await self._end(row, None, Kind.START, "start", SLEEPING)

    async def _end(self, row: WorkflowExecution, run: str | None, kind: Kind, door: str, why: str) -> None:
        try:
            await self._client.get_workflow_handle(row.id, run_id=run).terminate(why)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return
        log.error("ended", workflow=row.id, run=row.run_id, why=why)
        self._witness(Sighting(kind, door, why, "", row.id, row.run_id, self._client.namespace))


async def is_readable(client: Client, row: WorkflowExecution) -> bool:
    """Read its history as a worker would be given it: by the same library, which refuses the same."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecutionId(workflow_id=row.id, run_id=row.run_id),
    )
    try:
        while True:
            page = await client.workflow_service.get_workflow_execution_history(request, retry=False)
            if not page.next_page_token:
                return True
            request.next_page_token = page.next_page_token
    except RPCError as error:
        if is_unreadable(error):
            return False
        raise
