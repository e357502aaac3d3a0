"""What anybody can do who reaches Temporal's port: by the real program, and by workflows of their own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.command.v1 import Command
from temporalio.api.failure.v1 import Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    RespondActivityTaskFailedByIdRequest,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.actor import Actor
from domain.answer import Ask
from domain.approval import Decision, Verdict
from domain.attempt import Kind
from domain.fence import milliseconds
from domain.names import ENGINE_QUEUE, change_id, effects_queue, environment_id, lane_id, promotion_id
from domain.order import StepOrder
from domain.outcome import Phase
from domain.plan import Step
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PromotionStatus
from domain.terms import Proposal, Request, Sealed
from domain.value import Value
from domain.warrant import Warrant
from tests.news import news
from tests.replaying import PUPPET
from tests.temporal_cli import Said, Shell
from tests.town import Town
from workflows.wire import DATA_CONVERTER


@workflow.defn(name="Mischief")
class MischiefWorkflow:
    """An attacker's own, on a queue of the attacker's own: it has somebody else's worker act."""

    @workflow.run
    async def run(self, verb: str, queue: str, order: Any) -> Any:
        return await workflow.execute_activity(
            verb,
            order,
            task_queue=queue,
            start_to_close_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@workflow.defn(name="ChangeWorkflow")
class PosingWorkflow(MischiefWorkflow):
    """The same, by the name of ours."""

    @workflow.run
    async def run(self, verb: str, queue: str, order: Any) -> Any:
        return await super().run(verb, queue, order)


@workflow.defn(name="Puppet")
class PuppetWorkflow:
    """Goes by the id of a lane, promotion or environment, and answers whatever it was told to."""

    @workflow.init
    def __init__(self, says: dict[str, Any]) -> None:
        self._says = {"run": workflow.info().run_id} | says

    @workflow.run
    async def run(self, says: dict[str, Any]) -> None:
        del says
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def status(self) -> dict[str, Any]:
        return self._says


@workflow.defn(name="LaneWorkflow")
class PosingLane(PuppetWorkflow):
    """Goes by the name of ours as well, on the queue of ours, and has changes of its own."""

    @workflow.init
    def __init__(self, says: dict[str, Any]) -> None:
        super().__init__(says)

    @workflow.run
    async def run(self, says: dict[str, Any]) -> None:
        await super().run(says)

    @workflow.update
    async def has(self, change: str, queue: str, args: list[Any]) -> Any:
        return await workflow.execute_child_workflow(
            "ChangeWorkflow", args=args, id=change, task_queue=queue, memo={PUPPET: True}
        )


class Attacker:
    """Reaches Temporal, knows what stands in histories, and has no key."""

    def __init__(self, town: Town, queue: str, stack: AsyncExitStack) -> None:
        self._town = town
        self._queue = queue
        self._stack = stack
        self._is_engine = False
        self._puppets: list[WorkflowHandle[Any, Any]] = []
        self._lanes: dict[str, WorkflowHandle[Any, Any]] = {}
        self.told: set[str] = set()
        """What people have been told of since."""

    async def has(
        self, verb: str, environment: str, order: Value, workflow_id: str = "", kind: str = "Mischief"
    ) -> Any:
        """Have a verb of an environment run, from a workflow of one's own; return what it answered or refused."""
        handle = await self._town.client.start_workflow(
            kind,
            args=[verb, effects_queue(environment), order],
            id=workflow_id or f"mischief/{uuid.uuid4()}",
            task_queue=self._queue,
            memo={PUPPET: True},
        )
        return await _answer_to(handle.result())

    async def draws_up(self, request: Request) -> Sealed:
        """Anybody may have a plan drawn up: it is sealed, and opens nothing by itself. People hear of it."""
        sealed = Sealed.model_validate(await self.has("draw_up", request.subject.environment, request))
        told = {*await self._town.alarmed()}
        assert Kind.STRANGER in told
        self.told |= told
        return sealed

    def approval(self, proposal: Proposal) -> Decision:
        """Make up that somebody who may approve has approved."""
        return Decision(
            actor=Actor(name="bo@example.com"),
            verdict=Verdict.APPROVE,
            intent=proposal.plan.intent,
            at=datetime.now(UTC),
        )

    async def warrant(self, environment: str, version: str, turn: int, asker: str = "person/eve") -> Warrant:
        """Make a warrant of genuine terms and an approval that nobody gave."""
        request = Request(
            subject=self._town.subject(environment), version=version, actor=Actor(name="eve@example.com")
        )
        sealed = await self.draws_up(request)
        decision = self.approval(Proposal.model_validate_json(sealed.text))
        return Warrant(asker=asker, turn=turn, request=request, proposal=sealed, decisions=(decision,))

    async def poses(self, warrant: Warrant, **lies: Any) -> None:
        """Put workflows of one's own in the place of lane, asker and environment: each says what helps the warrant.

        The engine's worker, whom all of them believe, is one's own too. ``lies`` are what the promotion says otherwise.
        """
        await self._takes_the_engines_place()
        request, at = warrant.request, datetime.now(UTC)
        subject, version = request.subject, request.version or "none"
        ask = Ask(asker=warrant.asker, request=request)
        lane = LaneStatus(subject=subject, phase=Phase.BUSY, turn=warrant.turn, running=ask)
        promotion = PromotionStatus(
            subject=subject,
            version=version,
            phase=Phase.IN_LANE,
            since=at,
            request=request,
            decisions=warrant.decisions,
        )
        says = promotion.model_dump(mode="json", exclude_defaults=True)
        await self.puts(promotion_id(subject, version), says | lies)
        await self.puts(lane_id(subject), lane.model_dump(mode="json"), "LaneWorkflow", ENGINE_QUEUE)
        self._lanes[lane_id(subject)] = self._puppets[-1]
        environment = EnvironmentStatus(environment=subject.environment)
        await self.puts(environment_id(subject.environment), environment.model_dump(mode="json"))

    async def performs(self, warrant: Warrant, act: int = 1, step: Step | None = None) -> str:
        """Order a deed, from a workflow that goes by the change's id; return what was answered."""
        order = StepOrder(warrant=warrant, step=step or step_of(warrant), act=act)
        return str(await self.does(warrant, "perform", order))

    async def does(self, warrant: Warrant, verb: str, order: Value) -> Any:
        """Have a verb run, from a workflow that goes by the change's id; of a lane of one's own it is the child."""
        subject = warrant.request.subject
        change, lane = change_id(subject, warrant.turn), self._lanes.get(lane_id(subject))
        if lane is None:
            return await self.has(verb, subject.environment, order, change)
        args = [verb, effects_queue(subject.environment), order]
        return await _answer_to(lane.execute_update("has", args=[change, self._queue, args]))

    async def puts(
        self, workflow_id: str, says: dict[str, Any], kind: str = "Puppet", queue: str = ""
    ) -> None:
        """Put a workflow of one's own in somebody's place, that answers this when it is asked how it stands."""
        handle = await self._town.client.start_workflow(
            kind,
            says,
            id=workflow_id,
            task_queue=queue or self._queue,
            memo={PUPPET: True},
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )
        self._puppets.append(handle)

    async def leaves(self) -> None:
        for one in self._puppets:
            with suppress(RPCError):
                await one.terminate("the test is over")

    async def _takes_the_engines_place(self) -> None:
        if not self._is_engine:
            assert self._town.engine
            await self._stack.enter_async_context(self._town.engine.away())
            await self._stack.enter_async_context(_worker(self._town, ENGINE_QUEUE, PosingLane))
            self._is_engine = True


async def _answer_to(asking: Awaitable[Any]) -> Any:
    """Return what was answered, or why nothing was: what failed at the very beginning."""
    try:
        return await asyncio.wait_for(asking, 30)
    except (WorkflowFailureError, WorkflowUpdateFailedError) as failure:
        cause: BaseException | None = failure.cause
        while isinstance(cause, ActivityError | ChildWorkflowError):
            cause = cause.cause
        return str(cause)


@asynccontextmanager
async def attacking(town: Town) -> AsyncIterator[Attacker]:
    """Run an attacker's own worker."""
    queue = f"mischief-{uuid.uuid4()}"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            _worker(town, queue, MischiefWorkflow, PosingWorkflow, PuppetWorkflow)
        )
        one = Attacker(town, queue, stack)
        yield one
        await one.leaves()


def _worker(town: Town, queue: str, *workflows: type) -> Worker:
    return Worker(
        town.client,
        task_queue=queue,
        workflows=workflows,
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="mischief",
    )


def now() -> int:
    return milliseconds(datetime.now(UTC))


def step_of(warrant: Warrant) -> Step:
    assert warrant.proposal
    return Proposal.model_validate_json(warrant.proposal.text).plan.steps[0]


def world_of(town: Town) -> tuple[object, ...]:
    """Return all that an attacker could have changed: what stands, what was written, and the sealed papers."""
    papers = {
        key: text for key, text in town.store.content.items() if key.startswith(("journal/", "receipt/"))
    }
    return dict(town.world.held), list(town.world.writes), papers


async def complete(shell: Shell, handle: WorkflowHandle[Any, Any], kind: str, result: Value | str) -> Said:
    """Complete an activity that waits or runs, as anybody can who reaches the port."""
    words = ("activity", "complete", "-w", handle.id, "--activity-id", await pending(handle, kind))
    text = result if isinstance(result, str) else result.model_dump_json()
    return await shell.temporal(*words, "--result", text)


async def fail(
    town: Town, handle: WorkflowHandle[Any, Any], kind: str, error: ApplicationError | Failure
) -> None:
    """Have an activity that waits or runs fail, with whatever one likes."""
    failure = error if isinstance(error, Failure) else Failure()
    if isinstance(error, ApplicationError):
        await DATA_CONVERTER.encode_failure(error, failure)
    await town.client.workflow_service.respond_activity_task_failed_by_id(
        RespondActivityTaskFailedByIdRequest(
            namespace=town.client.namespace,
            workflow_id=handle.id,
            activity_id=await pending(handle, kind),
            failure=failure,
            identity="eve",
        )
    )


async def steal(client: Client, workflow_id: str, *commands: Command) -> None:
    """Take a workflow's next task from the engine's queue, and answer it with these: any other is held as long."""
    service, queue = client.workflow_service, TaskQueue(name=ENGINE_QUEUE)
    while True:
        asked = PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=queue, identity="eve")
        task = await service.poll_workflow_task_queue(asked)
        if task.workflow_execution.workflow_id == workflow_id:
            break
    await service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(
            namespace=client.namespace, task_token=task.task_token, identity="eve", commands=commands
        )
    )


async def pending(handle: WorkflowHandle[Any, Any], kind: str) -> str:
    """Wait for an activity to run, and return its id."""
    async with asyncio.timeout(20):
        async for _ in news(handle):
            for activity in (await handle.describe()).raw_description.pending_activities:
                if activity.activity_type.name == kind:
                    return activity.activity_id
    message = f"{kind} never ran"
    raise AssertionError(message)


async def stolen(change: WorkflowHandle[Any, Any]) -> Warrant:
    first = (await change.fetch_history()).events[0]
    payload = first.workflow_execution_started_event_attributes.input.payloads[0]
    warrant: Warrant = (await DATA_CONVERTER.decode([payload], [Warrant]))[0]
    return warrant


async def until_stuck_on(change: WorkflowHandle[Any, Any], why: str) -> ChangeStatus:
    async with asyncio.timeout(20):
        async for _ in news(change):
            status: ChangeStatus = await change.query("status", result_type=ChangeStatus)
            if status.phase is Phase.STUCK and why in status.waits_for:
                return status
    raise AssertionError(why)


async def asks(town: Town, environment: str, ask: Ask) -> None:
    """Say it to a lane, which need not be there yet."""
    await town.client.start_workflow(
        "LaneWorkflow",
        id=town.lane(environment).id,
        task_queue="towpath",
        start_signal="ask",
        start_signal_args=[ask],
    )


async def until_lane(town: Town, environment: str, is_so: Callable[[LaneStatus], object]) -> LaneStatus:
    """Wait until a lane shows what is looked for."""
    async with asyncio.timeout(20):
        async for _ in news(town.lane(environment)):
            status = await town.lane_status(environment)
            if is_so(status):
                return status
    raise AssertionError(environment)
