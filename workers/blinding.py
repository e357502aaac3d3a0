"""Rows in the server's list that nobody can read: one of them hides whatever is listed with it.

The server keeps what a workflow is started with, such as a memo, as it came, and lists it; the SDK refuses the whole
list where it cannot read one row. Such a row is found by the moment of its start, in ever shorter spans of time, and is
deleted by the server itself, which reads it.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import uuid4

from temporalio.api.batch.v1 import BatchOperationDeletion
from temporalio.api.workflowservice.v1 import (
    ListWorkflowExecutionsRequest,
    ListWorkflowExecutionsResponse,
    StartBatchOperationRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable

MOST: Final = 50
"""So many are found and deleted at once: each takes some fifty questions."""
PAGE: Final = 1000
BEGINNING: Final = datetime(2019, 1, 1, tzinfo=UTC)
"""Before there was a server of this kind."""
FINEST: Final = timedelta(microseconds=1)
"""What was started within so short a time is deleted together."""
BETWEEN: Final = timedelta(seconds=0.2)
PAUSE: Final = timedelta(seconds=1)
PATIENCE: Final = 30
"""Servers answer ten questions a second of this kind, or a few more: it waits so many times for its turn."""


async def can_list(client: Client, query: str) -> bool:
    """Tell whether all that a query finds can be listed, and leave others their turn meanwhile.

    Raises ``RPCError`` where the server does not say.
    """
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, query=query, page_size=PAGE)
    while True:
        try:
            page = await _in_turn(client, request)
        except RPCError as error:
            if is_unreadable(error):
                return False
            raise
        if not page.next_page_token:
            return True
        request.next_page_token = page.next_page_token
        await asyncio.sleep(BETWEEN.total_seconds())


async def _in_turn(client: Client, request: ListWorkflowExecutionsRequest) -> ListWorkflowExecutionsResponse:
    for _ in range(PATIENCE):
        try:
            return await client.workflow_service.list_workflow_executions(request, retry=False)
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
        await asyncio.sleep(PAUSE.total_seconds())
    return await client.workflow_service.list_workflow_executions(request, retry=False)


async def delete_unlistable(client: Client, query: str, now: datetime, why: str) -> list[datetime]:
    """Delete what a query finds and nobody can list, ``MOST`` at most; return when each was started.

    The server deletes them by and by: within seconds, where nothing else is being deleted. Raises ``RPCError`` where it
    will not, or where it has as many batches under way as it takes.
    """
    found: list[datetime] = []
    async for moment in _unlistable(client, query, now):
        found.append(moment)
        if len(found) == MOST:
            break
    if found:
        spans = " OR ".join(f"({_span(one, one + FINEST)})" for one in found)
        await client.workflow_service.start_batch_operation(
            StartBatchOperationRequest(
                namespace=client.namespace,
                visibility_query=f"({query}) AND ({spans})",
                job_id=str(uuid4()),
                reason=why,
                deletion_operation=BatchOperationDeletion(identity=client.identity),
            )
        )
    return found


async def _unlistable(client: Client, query: str, now: datetime) -> AsyncIterator[datetime]:
    """Find what cannot be listed, the newest hour first: most often it has only just come."""
    for until, since in pairwise((now, now - timedelta(hours=1), now - timedelta(days=30), BEGINNING)):
        async for moment in _unlistable_in(client, query, since, until):
            yield moment


async def _unlistable_in(
    client: Client, query: str, since: datetime, until: datetime
) -> AsyncIterator[datetime]:
    """Find what was started in a span of time and cannot be listed."""
    if await can_list(client, f"({query}) AND {_span(since, until)}"):
        return
    if until - since <= FINEST:
        yield since
        return
    middle = since + max((until - since) / 2, FINEST)
    for half in (since, middle), (middle, until):
        async for moment in _unlistable_in(client, query, *half):
            yield moment


def _span(since: datetime, until: datetime) -> str:
    return f"StartTime >= '{since.isoformat()}' AND StartTime < '{until.isoformat()}'"
