"""Handing a notice to the engine, which carries it to its channels: a workflow of its own, once for each key."""

from typing import Final

import structlog
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.names import ENGINE_QUEUE, ENVIRONMENT, STORY, notice_id
from domain.notice import NoticeOrder

LONGEST_SUMMARY: Final = 100

log = structlog.get_logger(__name__)


async def post(client: Client, order: NoticeOrder) -> None:
    """Have a notice told, once however often it is posted. Raises ``RPCError`` where no server takes it."""
    notice = order.notice
    pairs = [(STORY, "notice"), (ENVIRONMENT, notice.environment)]
    try:
        await client.start_workflow(
            "NoticeWorkflow",
            order,
            id=notice_id(notice.key),
            task_queue=ENGINE_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=notice.title[:LONGEST_SUMMARY],
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(SearchAttributeKey.for_keyword(key), value) for key, value in pairs]
            ),
        )
    except WorkflowAlreadyStartedError:
        return
    log.info(
        "notice",
        title=notice.title,
        severity=notice.severity.value,
        channels=list(order.channels),
        key=notice.key,
    )
