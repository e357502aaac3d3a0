"""Errands are done for workflows of ours, and for nobody else."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import ActivityType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartActivityExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.attempt import Kind
from domain.names import ENGINE_QUEUE, Subject
from domain.order import Call
from tests.fakes import Bell
from tests.servers import AT_ONCE, new_server
from tests.survival.waiting import until
from tests.town import engine_worker
from workflows.doorkeeper import Sighting

pytestmark = [pytest.mark.server, pytest.mark.processes]

CALL = Call(
    subject=Subject(service="shop", environment="dev"),
    headline="please wire money",
    remedy="rm -rf /",
    key="1",
)


@workflow.defn(name="Mallory")
class _Mallory:
    @workflow.run
    async def run(self, call: Call) -> None:
        await workflow.execute_activity(
            "call_person", call, task_queue=ENGINE_QUEUE, start_to_close_timeout=timedelta(seconds=10)
        )


async def test_nobody_has_people_called_but_workflows_of_ours() -> None:
    """By a workflow of their own, or, where the server does that, by no workflow at all: it is refused, and noted."""
    bell, seen = Bell(), list[Sighting]()
    async with AsyncExitStack() as stack:
        client, _ = await stack.enter_async_context(
            new_server(AT_ONCE | {"activity.enableStandalone": "true"})
        )
        await stack.enter_async_context(engine_worker(client, bell, witness=seen.append))
        await stack.enter_async_context(
            Worker(
                client,
                task_queue="mallory",
                workflows=[_Mallory],
                workflow_runner=UnsandboxedWorkflowRunner(),
            )
        )
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow("Mallory", CALL, id="mallory", task_queue="mallory")
        request = StartActivityExecutionRequest(
            namespace=client.namespace,
            identity="mallory",
            request_id="1",
            activity_id="alone",
            activity_type=ActivityType(name="call_person"),
            task_queue=TaskQueue(name=ENGINE_QUEUE),
        )
        request.start_to_close_timeout.FromSeconds(10)
        request.schedule_to_close_timeout.FromSeconds(30)
        request.input.payloads.extend(await client.data_converter.encode([CALL]))
        await client.workflow_service.start_activity_execution(request)
        await until(lambda: len(seen) > 1)

    assert isinstance(failed.value.cause, ActivityError)
    assert "was ordered by a workflow of the kind “Mallory”" in str(failed.value.cause.cause)
    assert [(one.kind, one.door, one.workflow_id) for one in seen] == [
        (Kind.STRANGER, "call_person", "mallory"),
        (Kind.STRANGER, "call_person", ""),
    ]
    assert bell.alarms == []


async def test_a_server_of_ours_does_nothing_for_no_workflow() -> None:
    """It is told to take no activity that stands alone."""
    async with new_server(AT_ONCE) as (client, _), asyncio.timeout(20):
        request = StartActivityExecutionRequest(
            namespace=client.namespace,
            identity="mallory",
            activity_id="alone",
            activity_type=ActivityType(name="call_person"),
            task_queue=TaskQueue(name=ENGINE_QUEUE),
        )
        request.start_to_close_timeout.FromSeconds(10)
        with pytest.raises(RPCError, match=r"(?i)standalone activity is disabled|not enabled|disabled"):
            await client.workflow_service.start_activity_execution(request, retry=False)
