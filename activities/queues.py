"""Namespaces and task queues, as the server speaks of them: what keeps all work from being done, and fails nothing."""

from collections.abc import Iterator
from shlex import quote
from typing import Final

from temporalio.api.enums.v1 import NamespaceState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

LONGEST_NAME: Final = 200
SLOWEST: Final = 1.0
"""Tasks a second. What is slower is taken for shut."""
_KINDS: Final = {
    TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW: "workflow",
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: "activity",
}


async def held_up(client: Client, queue: str) -> str:
    """Say what keeps work on a queue from being done, and the command that ends it; nothing where nothing does.

    None of our workers is of a deployment: what is led to one is done by nobody.

    Raises ``RPCError``.
    """
    for kind, name in _KINDS.items():
        request = DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=kind,
            report_config=True,
        )
        found = await client.workflow_service.describe_task_queue(request, retry=False)
        for why, command in (*_led_away(found), *_slowed(found, queue, name)):
            return f"{why}: {command} -n {client.namespace}"
    return ""


def _led_away(found: DescribeTaskQueueResponse) -> Iterator[tuple[str, str]]:
    leads = (
        (found.versioning_info.current_deployment_version, "set-current-version", "--unversioned"),
        (found.versioning_info.ramping_deployment_version, "set-ramping-version", "--delete"),
    )
    for version, verb, flag in leads:
        if version.deployment_name:
            name = quote(version.deployment_name[:LONGEST_NAME])
            why = f"it is led to the worker deployment {name}, which is none of ours"
            yield why, f"temporal worker deployment {verb} --deployment-name {name} {flag} --yes"


def _slowed(found: DescribeTaskQueueResponse, queue: str, kind: str) -> Iterator[tuple[str, str]]:
    limits = (
        (found.config.queue_rate_limit, "--queue-rps-limit"),
        (found.config.fairness_keys_rate_limit_default, "--fairness-key-rps-limit-default"),
    )
    for limit, flag in limits:
        if limit.HasField("rate_limit") and limit.rate_limit.requests_per_second < SLOWEST:
            why = f"somebody has slowed it to {limit.rate_limit.requests_per_second:g} tasks a second"
            command = f"temporal task-queue config set --task-queue {queue} --task-queue-type {kind}"
            yield why, f"{command} {flag} default"


_ELSEWHERE: Final = (
    "What stands is in the release store, and nothing of it is lost: go on with another namespace, see "
    "docs/how-to/recover.md (the namespace is closed)"
)


async def why_closed(client: Client) -> str:
    """Say that a namespace takes nothing new, and what to do; nothing where it does. Raises ``RPCError``."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    found = await client.workflow_service.describe_namespace(request, retry=False)
    if found.namespace_info.state == NamespaceState.NAMESPACE_STATE_REGISTERED:
        return ""
    state = NamespaceState.Name(found.namespace_info.state).removeprefix("NAMESPACE_STATE_").lower()
    return (
        f"the namespace “{client.namespace}” is {state}, so that nothing can be begun in it, and the server does not "
        f"take that back. {_ELSEWHERE}"
    )


async def why_lost(client: Client) -> str:
    """Say what ``why_closed`` does, of a namespace that was there; and where it is not any more, that."""
    try:
        return await why_closed(client)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return (
        f"the namespace “{client.namespace}” is not there any more: somebody has deleted it, and with it all that ran. "
        f"What was under way stands as it stood. {_ELSEWHERE}"
    )
