"""Handing a notice to the engine, which carries it to its channels: a workflow of its own, once for each key."""

from typing import Final

import structlog
from pydantic import ValidationError
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import Client
from temporalio.common import (
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.calls import begun, describe
from activities.labels import search_attributes
from domain.names import ENGINE_QUEUE, ENVIRONMENT, STORY, notice_id
from domain.notice import Event, NoticeOrder
from domain.workflow_types import NOTICE

LONGEST_SUMMARY: Final = 100
_GROWING: Final = frozenset({Event.APPROVAL_WANTED, Event.REMINDER, Event.ESCALATED})
_TELLING: Final = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED,
)

log = structlog.get_logger(__name__)


async def post(client: Client, order: NoticeOrder) -> None:
    """Have a notice told, once however often it is posted. Raises ``RPCError`` where no server takes it.

    Its id can be foreseen, and whoever reaches the server may have put something else there: that makes way.
    """
    workflow_id = notice_id(order.notice.key)
    try:
        await _start(client, workflow_id, order, WorkflowIDReusePolicy.REJECT_DUPLICATE)
    except WorkflowAlreadyStartedError:
        if await _tells(client, workflow_id, order):
            return
        log.warning("notice_in_the_way", workflow=workflow_id, title=order.notice.title)
        await _start(client, workflow_id, order, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
    log.info(
        "notice",
        title=order.notice.title,
        severity=order.notice.severity.value,
        channels=list(order.channels),
        key=order.notice.key,
    )


async def _start(client: Client, workflow_id: str, order: NoticeOrder, reuse: WorkflowIDReusePolicy) -> None:
    in_its_place = reuse is WorkflowIDReusePolicy.ALLOW_DUPLICATE
    terminate, fail = WorkflowIDConflictPolicy.TERMINATE_EXISTING, WorkflowIDConflictPolicy.FAIL
    await client.start_workflow(
        NOTICE,
        order,
        id=workflow_id,
        task_queue=ENGINE_QUEUE,
        id_reuse_policy=reuse,
        id_conflict_policy=terminate if in_its_place else fail,
        static_summary=order.notice.title[:LONGEST_SUMMARY],
        search_attributes=search_attributes({STORY: "notice", ENVIRONMENT: order.notice.environment}),
    )


async def _tells(client: Client, workflow_id: str, order: NoticeOrder) -> bool:
    """Tell whether what goes by a notice's id tells it, or has told it: by these channels, and now."""
    found = await describe(client, workflow_id)
    if found is None or found.workflow_execution_info.status not in _TELLING:
        return False
    how = await begun(client, workflow_id, found.workflow_execution_info.execution.run_id)
    if how is None or (how.workflow_type.name, how.task_queue.name) != (NOTICE, ENGINE_QUEUE):
        return False
    if how.cron_schedule or how.first_workflow_task_backoff.ToTimedelta():
        return False
    try:
        (told,) = await client.data_converter.decode(how.input.payloads, [NoticeOrder])
    except (ValidationError, ValueError, RuntimeError):
        return False
    return _is_same(told, order)


def _is_same(told: NoticeOrder, order: NoticeOrder) -> bool:
    """Tell whether one notice tells what another would: of one that waits, how long it has is each time another."""
    one, other = told.notice, order.notice
    if (one.key, one.event, one.service, one.environment) != (
        other.key,
        other.event,
        other.service,
        other.environment,
    ):
        return False
    says_the_same = one.event in _GROWING or (one.title, one.text) == (other.title, other.text)
    return says_the_same and set(told.channels) >= set(order.channels)
