"""Calls to the server: what their errors mean, and some that take no answer for an answer."""

from typing import Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

_TO_ALL: Final = {
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
}
_SILENT: Final = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}
_CLOSED: Final = "Namespace has invalid state"
_UNDECODED: Final = "failed to decode Protobuf message"


def is_away(error: RPCError) -> bool:
    """Tell whether nobody answered, rather than that somebody refused."""
    return error.status in _SILENT or (
        error.status is RPCStatusCode.UNKNOWN and "transport error" in error.message
    )


def concerns_all(error: RPCError) -> bool:
    """Tell whether it is said to whoever asks, whatever they ask about."""
    return is_away(error) or error.status in _TO_ALL or _CLOSED in error.message


def is_unreadable(error: RPCError) -> bool:
    """Tell whether the server answered, and with what the SDK cannot read: a worker is handed the same."""
    return error.status is RPCStatusCode.INTERNAL and _UNDECODED in error.message


async def describe(
    client: Client, workflow_id: str, run: str = ""
) -> DescribeWorkflowExecutionResponse | None:
    """Describe a run, or the newest of an id; None where there is none, or what it was given cannot be read.

    Asked once: what cannot be read is not asked for again and again. Raises ``RPCError``.
    """
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id, run_id=run)
    )
    try:
        return await client.workflow_service.describe_workflow_execution(request, retry=False)
    except RPCError as error:
        if is_unreadable(error) or error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def begun(client: Client, workflow_id: str, run: str) -> WorkflowExecutionStartedEventAttributes | None:
    """Read how a run was begun; None where it is gone, or nobody can read it. Raises ``RPCError``."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run),
        maximum_page_size=1,
    )
    try:
        page = await client.workflow_service.get_workflow_execution_history(request, retry=False)
    except RPCError as error:
        if is_unreadable(error) or error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return page.history.events[0].workflow_execution_started_event_attributes
