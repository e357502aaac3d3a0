"""Task queues, as the server speaks of them."""

from shlex import quote

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client


async def led_away(client: Client, queue: str) -> str:
    """Say which worker deployment has all that is new on a queue, and how to have it back; nothing where none has.

    None of our workers is of a deployment: what is led to one is done by nobody, and fails nowhere.

    Raises ``RPCError``.
    """
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        info = (await client.workflow_service.describe_task_queue(request, retry=False)).versioning_info
        for version in (info.current_deployment_version, info.ramping_deployment_version):
            if version.deployment_name:
                name = quote(version.deployment_name[:200])
                back = f"set-current-version --deployment-name {name} --unversioned -n {client.namespace}"
                command = f"temporal worker deployment {back}"
                return f"it is led to the worker deployment {name}, which is none of ours: {command}"
    return ""
