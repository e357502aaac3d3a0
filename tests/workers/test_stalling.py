"""What stands still though nothing fails has a person called."""

import asyncio
import shlex
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.operatorservice.v1 import DeleteNamespaceRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride
from temporalio.api.workflowservice.v1 import (
    DeprecateNamespaceRequest,
    PauseActivityRequest,
    PollActivityTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
    UpdateActivityOptionsRequest,
    UpdateTaskQueueConfigRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.clock import SystemClock
from activities.queues import held_up, why_closed
from domain.doors import NUDGE
from domain.names import ENGINE_QUEUE, effects_queue
from domain.outcome import Outcome, Phase
from tests.clients.conftest import CommandLine
from tests.fakes import Bell, ShiftedClock
from tests.servers import AT_ONCE, new_server
from tests.survival.waiting import until
from tests.town import Town, engine_worker
from tests.workflows.attacks import pending, steal
from workers.server import temporal_binary
from workers.stalling import OTHERS_EVERY, Stalled
from workers.standstill import OVERDUE

pytestmark = [pytest.mark.server, pytest.mark.processes]
NAMESPACE = "default"
VERSIONED = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED


@pytest.fixture
async def soaking(tmp_path: Path) -> AsyncIterator[tuple[Town, WorkflowHandle[Any, Any], Bell]]:
    """A change in its soak, on a server of its own."""
    bell = Bell()
    async with AsyncExitStack() as stack:
        client, _ = await stack.enter_async_context(new_server(AT_ONCE))
        await stack.enter_async_context(engine_worker(client, bell))
        town = await stack.enter_async_context(Town(client, bell, tmp_path))
        await town.stands("1.0.0", town.dev)
        town.change_place(town.dev, soak=timedelta(minutes=5))
        await town.promote("2.0.0", town.dev)
        await town.until_change(town.dev, Phase.SOAKING)
        change = await town.change(town.dev)
        yield town, change, bell
        bell.alarms.clear()
        await change.terminate("the test is over")


async def seen(client: Client, bell: Bell, wanted: int) -> Stalled:
    """Look until so many were called; a workflow is listed a little after it has begun."""
    stalled = Stalled(client, bell, SystemClock())
    async with asyncio.timeout(20):
        while len(bell.alarms) < wanted:
            await stalled.look_round()
            await asyncio.sleep(0.1)
    await stalled.look_round()
    assert len(bell.alarms) == wanted, "each is told once"
    return stalled


async def test_a_paused_soak_has_a_person_called(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell],
) -> None:
    """It has no time-out while it is: the change held its lane for ever, served and without a receipt."""
    town, change, bell = soaking
    where = WorkflowExecution(workflow_id=change.id)
    await town.client.workflow_service.pause_activity(
        PauseActivityRequest(namespace=NAMESPACE, execution=where, id=await pending(change, "soak"))
    )

    await seen(town.client, bell, 1)

    assert (
        bell.alarms[0].headline
        == f"{change.id}: its activity soak is paused, and has no time-out while it is"
    )
    assert bell.alarms[0].subject == town.subject(town.dev)


async def test_what_is_paused_is_listed_whatever_it_is_an_activity_of(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most are looked at every few minutes only; which of them has anything paused, the server lists."""
    town, change, bell = soaking
    monkeypatch.setattr("workers.stalling.CHANGES", "WorkflowType='nothing'")
    monkeypatch.setattr("workers.stalling.OTHERS", "WorkflowType='nothing'")
    where = WorkflowExecution(workflow_id=change.id)
    await town.client.workflow_service.pause_activity(
        PauseActivityRequest(namespace=NAMESPACE, execution=where, id=await pending(change, "soak"))
    )

    await seen(town.client, bell, 1)

    assert bell.alarms[0].headline.endswith("its activity soak is paused, and has no time-out while it is")


@pytest.mark.parametrize("queue", ["nowhere", ENGINE_QUEUE])
async def test_an_activity_that_is_led_elsewhere_has_a_person_called(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell], queue: str
) -> None:
    """A queue of ours is elsewhere too, where nobody does what only an environment's worker does."""
    town, change, bell = soaking
    options = ActivityOptions(task_queue=TaskQueue(name=queue))
    request = UpdateActivityOptionsRequest(
        namespace=NAMESPACE,
        execution=WorkflowExecution(workflow_id=change.id),
        id=await pending(change, "soak"),
        activity_options=options,
    )
    request.update_mask.paths.append("task_queue.name")
    await town.client.workflow_service.update_activity_options(request)

    await seen(town.client, bell, 1)

    assert bell.alarms[0].headline == f"{change.id}: its activity soak is led to the queue “{queue}”"


async def test_an_activity_is_overdue_exactly_when_its_time_is_long_up(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell],
) -> None:
    town, change, bell = soaking
    clock = ShiftedClock()
    stalled = Stalled(town.client, bell, clock)
    described = (await change.describe()).raw_description.pending_activities
    (soak,) = [one for one in described if one.activity_type.name == "soak"]
    left = soak.expiration_time.ToDatetime(SystemClock().now().tzinfo) - SystemClock().now()

    async def is_listed() -> bool:
        return bool((await town.client.count_workflows(f"WorkflowId='{change.id}'")).count)

    await until(is_listed)

    clock.offset = left + OVERDUE - timedelta(seconds=20)
    await stalled.look_round()
    assert bell.alarms == []
    clock.offset = left + OVERDUE + timedelta(seconds=20)
    await stalled.look_round()

    (alarm,) = bell.alarms
    assert alarm.headline == f"{change.id}: its activity soak is long overdue, and nothing ends it"


async def make_known(client: Client, queue: str = ENGINE_QUEUE) -> None:
    """Have the server know a deployment: one poll, of somebody who never comes back, is enough."""
    options = WorkerDeploymentOptions(
        deployment_name="evil dep", build_id="b1", worker_versioning_mode=VERSIONED
    )
    service, briefly, place = client.workflow_service, timedelta(seconds=3), TaskQueue(name=queue)
    with suppress(RPCError):
        if queue == ENGINE_QUEUE:
            await service.poll_workflow_task_queue(
                PollWorkflowTaskQueueRequest(
                    namespace=NAMESPACE, task_queue=place, identity="evil", deployment_options=options
                ),
                retry=False,
                timeout=briefly,
            )
        else:
            await service.poll_activity_task_queue(
                PollActivityTaskQueueRequest(
                    namespace=NAMESPACE, task_queue=place, identity="evil", deployment_options=options
                ),
                retry=False,
                timeout=briefly,
            )


async def test_a_workflow_that_is_pinned_has_a_person_called(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell],
) -> None:
    """No task of it comes to a worker of ours any more, and none fails."""
    town, _, bell = soaking
    await make_known(town.client)
    lane = town.lane(town.dev).id
    request = UpdateWorkflowExecutionOptionsRequest(
        namespace=NAMESPACE, workflow_execution=WorkflowExecution(workflow_id=lane)
    )
    pinned = request.workflow_execution_options.versioning_override.pinned
    pinned.behavior = VersioningOverride.PinnedOverrideBehavior.PINNED_OVERRIDE_BEHAVIOR_PINNED
    pinned.version.deployment_name, pinned.version.build_id = "evil dep", "b1"
    request.update_mask.paths.append("versioning_override")

    async def pin() -> bool:
        with suppress(RPCError):  # until the server has heard of the version
            await town.client.workflow_service.update_workflow_execution_options(request, retry=False)
            return True
        return False

    await until(pin)

    await seen(town.client, bell, 1)

    assert bell.alarms[0].headline == (
        f"{lane}: it is pinned to a worker deployment, and none of our workers is of one"
    )
    assert bell.alarms[0].subject == town.subject(town.dev)


def to_nobody(**more: Any) -> dict[str, Any]:
    """Name a version of a deployment that no worker is of, in a request."""
    names = {"namespace": NAMESPACE, "deployment_name": "evil dep", "build_id": "b1", "identity": "evil"}
    return names | {"ignore_missing_task_queues": True, "allow_no_pollers": True} | more


async def lead_away(client: Client, queue: str) -> None:
    await make_known(client, queue)
    request = SetWorkerDeploymentCurrentVersionRequest(**to_nobody())
    await client.workflow_service.set_worker_deployment_current_version(request)


async def ramp_up(client: Client, queue: str) -> None:
    await make_known(client, queue)
    request = SetWorkerDeploymentRampingVersionRequest(**to_nobody(percentage=100))
    await client.workflow_service.set_worker_deployment_ramping_version(request)


async def slow_down(client: Client, queue: str) -> None:
    activities = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    request = UpdateTaskQueueConfigRequest(namespace=NAMESPACE, task_queue=queue, task_queue_type=activities)
    request.update_queue_rate_limit.rate_limit.requests_per_second = 0
    await client.workflow_service.update_task_queue_config(request)


@pytest.mark.parametrize(
    ("hold_up", "is_engines"),
    [(lead_away, True), (lead_away, False), (ramp_up, False), (slow_down, True), (slow_down, False)],
)
async def test_a_queue_that_is_held_up_has_a_person_called(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell],
    hold_up: Callable[[Client, str], Awaitable[None]],
    *,
    is_engines: bool,
) -> None:
    """No task begins then, and so none fails: nobody else would notice. The command that they are told ends it.

    What is held up again, later, is told anew.
    """
    town, _, bell = soaking
    queue = ENGINE_QUEUE if is_engines else effects_queue(town.dev)

    async def is_held_up() -> bool:
        return bool(await held_up(town.client, queue))

    async def is_free() -> bool:
        return not await is_held_up()

    await hold_up(town.client, queue)
    await until(is_held_up)
    stalled = await seen(town.client, bell, 1)
    (alarm,) = bell.alarms
    await type_out(town.client, alarm.remedy.partition(": temporal ")[2])
    await until(is_free)
    for _ in range(2 * OTHERS_EVERY):
        await stalled.look_round()
    await hold_up(town.client, queue)
    async with asyncio.timeout(20):
        while len(bell.alarms) < 2:
            await stalled.look_round()
    await type_out(town.client, bell.alarms[1].remedy.partition(": temporal ")[2])

    assert alarm.headline == f"Nothing goes on that is on the queue “{queue}”"


async def type_out(client: Client, command: str) -> None:
    """Have the real ``temporal`` run what somebody pastes."""
    address = client.service_client.config.target_host
    program = await asyncio.create_subprocess_exec(
        temporal_binary(),
        *shlex.split(command),
        "--address",
        address,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    out, _ = await asyncio.wait_for(program.communicate(), 20)
    assert program.returncode == 0, out.decode()


async def test_a_namespace_that_is_closed_has_a_person_called_at_once_and_directly(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing can be begun there, no notice either; what runs goes on. The server takes it back by no command."""
    town, _, bell = soaking
    offline = CommandLine(tmp_path, capsys, monkeypatch)
    offline.set(TEMPORAL_ADDRESS=town.client.service_client.config.target_host)
    await town.client.workflow_service.deprecate_namespace(DeprecateNamespaceRequest(namespace=NAMESPACE))

    await seen(town.client, bell, 1)
    examined = await offline.type("doctor")

    assert bell.alarms[0].headline == "Nothing can be begun in the namespace “default”"
    assert "is deprecated" in bell.alarms[0].remedy
    assert "✗ namespace: the namespace “default” is deprecated" in examined.out


async def test_a_namespace_that_is_deleted_has_a_person_called() -> None:
    """All that ran is gone with it, and its workers are soon: nobody was called, and a sick release stood."""
    bell = Bell()
    async with new_server(AT_ONCE) as (client, _):
        await client.operator_service.delete_namespace(DeleteNamespaceRequest(namespace=NAMESPACE))

        async def is_gone() -> bool:
            try:
                await why_closed(client)
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND
            return False

        await until(is_gone)
        with pytest.raises(RPCError):
            await Stalled(client, bell, SystemClock()).look_round()

    assert bell.alarms[0].headline == "Nothing can be begun in the namespace “default”"
    assert "somebody has deleted it" in bell.alarms[0].remedy


@pytest.fixture
async def robbed(tmp_path: Path) -> AsyncIterator[tuple[Town, Bell, WorkflowHandle[Any, Any]]]:
    """A change that has deployed, and of which the next task was answered with nothing; its promotion."""
    bell = Bell()
    async with AsyncExitStack() as stack:
        client, _ = await stack.enter_async_context(new_server(AT_ONCE))
        town = await stack.enter_async_context(Town(client, bell, tmp_path))
        await town.stands("1.0.0", town.dev)
        gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
        town.world.sick.add("2.0.0")
        async with engine_worker(client, bell):
            promotion = await town.promote("2.0.0", town.dev)
            await town.world.reached.wait()
            change = await town.change(town.dev)
        gate.set()
        async with asyncio.timeout(30):
            await steal(client, change.id)
        await stack.enter_async_context(engine_worker(client, bell))
        yield town, bell, promotion
        for one in (promotion, change, town.lane(town.dev)):
            with suppress(RPCError):
                await one.terminate("the test is over")


async def test_a_change_whose_task_was_taken_is_woken(
    robbed: tuple[Town, Bell, WorkflowHandle[Any, Any]],
) -> None:
    """A sick release stood there, its status said that its health was checked, and nobody was called."""
    town, bell, promotion = robbed
    stalled = Stalled(town.client, bell, SystemClock())
    status = await town.change_status(town.dev)

    async def has_ended() -> bool:
        await stalled.look_round()
        return (await promotion.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until(has_ended)

    assert status.phase is Phase.CHECKING_HEALTH
    assert (await promotion.result()).outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert bell.alarms == []


async def test_a_change_that_answers_nobody_is_woken_too(
    robbed: tuple[Town, Bell, WorkflowHandle[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took its task may have what it is asked come to them, and answer nothing."""
    town, bell, promotion = robbed

    async def is_not_answered(*_: object) -> None:
        """What is asked comes to somebody else."""

    monkeypatch.setattr("workers.idling.ask_status", is_not_answered)
    stalled = Stalled(town.client, bell, SystemClock())

    async def is_woken() -> bool:
        await stalled.look_round()
        return (await promotion.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until(is_woken)

    assert (await promotion.result()).outcome is Outcome.ROLLED_BACK


async def test_where_waking_does_not_help_a_person_is_called(
    robbed: tuple[Town, Bell, WorkflowHandle[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next task may be taken, too."""
    town, bell, _ = robbed
    woken = list[str]()

    async def in_vain(_: Client, workflow_id: str) -> None:
        woken.append(workflow_id)

    monkeypatch.setattr("workers.stalling.nudge", in_vain)
    change = await town.change(town.dev)

    await seen(town.client, bell, 1)

    assert woken == [change.id]
    (alarm,) = bell.alarms
    assert alarm.subject == town.subject(town.dev)
    assert alarm.headline.startswith(f"{change.id}: it should be checking health, since ")
    assert alarm.headline.endswith(", and does nothing")


async def test_what_rests_as_it_should_is_left_alone(
    soaking: tuple[Town, WorkflowHandle[Any, Any], Bell],
) -> None:
    """A promotion that waits for its lane, another that waits for approval, and a change that somebody holds."""
    town, change, bell = soaking
    await change.signal("hold", {"by": "olga@example.com"})
    town.make("3.0.0")
    waiting = await town.promote("3.0.0", town.dev)
    await town.until(waiting, Phase.IN_LANE)
    stalled = Stalled(town.client, bell, SystemClock())

    for _ in range(3):
        await stalled.look_round()
    histories = [await one.fetch_history() for one in (waiting, change, town.lane(town.dev))]

    nudges = [
        event
        for history in histories
        for event in history.events
        if event.workflow_execution_signaled_event_attributes.signal_name == NUDGE
    ]
    assert nudges == []
    assert bell.alarms == []
