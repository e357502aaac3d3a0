"""What does not go on is ended where nobody can ever read it, and told of where somebody may."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from temporalio.api.common.v1 import Memo, Payload, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from activities.clock import SystemClock
from activities.ports import Alarm
from domain.attempt import Kind
from domain.logbook import Doer
from domain.names import ENGINE_QUEUE, PHASE, SERVICE, STORY, lane_id
from domain.outcome import Outcome, Phase
from domain.workflow_types import OURS
from tests.fakes import Bell
from tests.raw_grpc import field, groups, send
from tests.servers import AT_ONCE, new_server
from tests.town import Town, engine_worker
from tests.workflows.attacks import pending
from workers.blinding import can_list
from workers.doubting import Task, why_ended
from workers.ending import SLEEPING, UNREADABLE, is_readable
from workers.sight import UNLISTABLE
from workers.wedged import keep_ending_wedged
from workflows.doorkeeper import Sighting

pytestmark = [pytest.mark.server, pytest.mark.processes]

DEEPER_THAN_IS_READ: Final = 150
AS_DEEP_AS_IS_READ: Final = (95, 96)
"""Of these, 95 is read by all who read it; 96 not by Python, unless it is told to read as deep as the core."""
AS_OFTEN_AS_ASKED: Final = {"frontend.namespaceRPS.visibility": "1000"}
"""It answers whoever lists as often as is asked: a server in use, ten times a second."""
SOON: Final = timedelta(seconds=0.2)


def nested(depth: int) -> dict[str, Any]:
    """Make up a failure with so many causes: the server takes ten thousand, and whoever reads it a hundred."""
    failure: dict[str, Any] = {"message": "x"}
    for _ in range(depth):
        failure = {"message": "x", "cause": failure}
    return failure | {"applicationFailureInfo": {"nonRetryable": True}}


class DullBell(Bell):
    """A notifier that does not work the first few times."""

    broken = 0

    async def call(self, alarm: Alarm) -> None:
        if self.broken:
            self.broken -= 1
            message = "nobody hears it"
            raise OSError(message)
        await super().call(alarm)


class Quay:
    """A town on a server of its own, and who looks for what does not go on there."""

    def __init__(self, town: Town, http: str, bell: DullBell, seen: list[Sighting]) -> None:
        self.town = town
        self.bell = bell
        self.seen = seen
        self._http = http

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while True:
                if ready():
                    return
                await asyncio.sleep(0.1)

    async def start(self, workflow_id: str, kind: str, depth: int) -> None:
        """Start a workflow of ours as what goes on after a failure, with a history that begins with that."""
        url = f"{self._http}/api/v1/namespaces/{self.town.client.namespace}/workflows/{workflow_id}"
        said = {
            "workflowType": {"name": kind},
            "taskQueue": {"name": ENGINE_QUEUE},
            "continuedFailure": nested(depth),
        }
        async with httpx.AsyncClient() as http:
            answer = await http.post(url, json=said, timeout=10)
        assert answer.status_code == httpx.codes.OK, answer.text

    async def hide(self, workflow_id: str, kind: str, queue: str, said: dict[str, str]) -> None:
        """Start a workflow that nobody can list, and nobody who lists it with others can list them."""
        request = StartWorkflowExecutionRequest(
            namespace=self.town.client.namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=queue),
            request_id=workflow_id,
        )
        for name, value in said.items():
            keyword = Payload(
                metadata={"encoding": b"json/plain", "type": b"Keyword"}, data=f'"{value}"'.encode()
            )
            request.search_attributes.indexed_fields[name].CopyFrom(keyword)
        entry = Memo.FieldsEntry
        hidden = Payload(data=b"m").SerializeToString() + groups(DEEPER_THAN_IS_READ)
        memo = field(entry, "key", b"m") + field(entry, "value", hidden)
        message = request.SerializeToString() + field(request, "memo", field(Memo, "fields", memo))
        address = self.town.client.service_client.config.target_host
        await send(address, "StartWorkflowExecution", message)

    async def fail(self, workflow_id: str, activity_id: str, depth: int) -> None:
        """Have an activity fail as whoever reaches the port may, with what our own client could not send."""
        url = f"{self._http}/api/v1/namespaces/{self.town.client.namespace}/activities/{activity_id}/fail"
        said = {"workflowId": workflow_id, "failure": nested(depth)}
        async with httpx.AsyncClient() as http:
            answer = await http.post(url, json=said, timeout=10)
        assert answer.status_code == httpx.codes.OK, answer.text


@pytest.fixture
async def quay(tmp_path: Path) -> AsyncIterator[Quay]:
    bell, seen = DullBell(), list[Sighting]()
    async with AsyncExitStack() as stack:
        client, http = await stack.enter_async_context(new_server(AT_ONCE | AS_OFTEN_AS_ASKED))
        await stack.enter_async_context(engine_worker(client, bell))
        town = await stack.enter_async_context(Town(client, bell, tmp_path))
        looking = asyncio.create_task(keep_ending_wedged(client, bell, seen.append, SystemClock(), SOON))
        yield Quay(town, http, bell, seen)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def test_a_change_that_nobody_can_read_is_ended_and_put_back(quay: Quay) -> None:
    """
    A soak that fails with what no worker can read leaves a change that never goes on: its lane puts it back.
    """
    town = quay.town
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)

    soak = await pending(change, "soak")
    await quay.fail(change.id, soak, DEEPER_THAN_IS_READ)
    doer = Doer(workflow_id=change.id, run=(await change.describe()).run_id)
    told = await why_ended(town.client, Task(doer, soak, 1))

    report = await asyncio.wait_for(handle.result(), 60)
    assert "more than anybody can read" in told
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert [(one.kind, one.workflow_id, one.why) for one in quay.seen] == [
        (Kind.UNREADABLE, change.id, UNREADABLE)
    ]
    assert quay.bell.alarms == []
    town.change_place(town.dev, soak=timedelta())
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED


async def test_what_is_just_not_too_deep_fails_as_any_failure_does(quay: Quay) -> None:
    """
    The core reads so many levels, and hands on what it has read some levels deeper: the worker outlives all of them.
    """
    town = quay.town
    await town.stands("1.0.0", town.dev)
    for depth in AS_DEEP_AS_IS_READ:
        town.change_place(town.dev, soak=timedelta(minutes=5))
        handle = await town.promote(f"2.0.{depth}", town.dev)
        await town.until_change(town.dev, Phase.SOAKING)
        change = await town.change(town.dev)

        await quay.fail(change.id, await pending(change, "soak"), depth)

        assert (await asyncio.wait_for(handle.result(), 60)).outcome is Outcome.ROLLED_BACK, depth
        assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert quay.seen == []
    town.change_place(town.dev, soak=timedelta())
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED


async def test_many_that_nobody_can_read_are_ended_before_the_server_has_marked_them(
    quay: Quay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each would be handed to the worker five times, which asks less and less often meanwhile.
    """
    monkeypatch.setattr("workers.newcomers.NEWEST", timedelta(seconds=1))
    monkeypatch.setattr("workers.wedged.WEDGED", "WorkflowType='nothing'")
    ids = [f"mischief-{number}" for number in range(40)]
    for workflow_id in ids:
        await quay.start(workflow_id, "LaneWorkflow", DEEPER_THAN_IS_READ)

    await quay.until(lambda: len(quay.seen) == len(ids))

    assert {(one.kind, one.workflow_id) for one in quay.seen} == {(Kind.UNREADABLE, one) for one in ids}
    assert (await quay.town.promoted("1.0.0", quay.town.dev)).outcome is Outcome.PROMOTED


async def test_what_hides_all_that_is_listed_with_it_is_found_and_deleted(quay: Quay) -> None:
    """
    A memo that nobody can read blinded everybody who lists: those who look for the wedged, for lanes, for news.

    One that has ended, and one that is on nobody's queue, hide as much.
    """
    client = quay.town.client
    ours = TypedSearchAttributes([SearchAttributePair(SearchAttributeKey.for_keyword(SERVICE), "shop")])
    kept = [f"kept-{number}" for number in range(20)]
    for workflow_id in kept:
        await client.start_workflow("Nonsense", id=workflow_id, task_queue="nobodys", search_attributes=ours)
    await quay.hide("hidden", "LaneWorkflow", ENGINE_QUEUE, {})
    await quay.hide("elsewhere", "Nonsense", "nobodys", {STORY: "promotion", PHASE: Phase.IN_LANE})
    await quay.hide("change/a/b/1", "Nonsense", "nobodys", {})
    await quay.hide("ended", "Nonsense", "nobodys", {SERVICE: "shop"})
    await client.get_workflow_handle("ended").terminate()

    await quay.until(lambda: len(quay.seen) == 4)

    assert {(one.kind, one.door, one.why.partition(";")[0]) for one in quay.seen} == {
        (Kind.UNREADABLE, "list", UNLISTABLE)
    }
    running = (
        f"({OURS}) AND ExecutionStatus='Running'"  # what has ended, the server deletes half a minute later
    )
    async with asyncio.timeout(30):
        while not await can_list(client, running):  # noqa: ASYNC110 - the server says nothing when it is done
            await asyncio.sleep(0.1)
    assert {row.id async for row in client.list_workflows(running)} == set(kept)
    for workflow_id in ("hidden", "elsewhere", "change/a/b/1"):
        with pytest.raises(RPCError, match="not found"):
            await client.get_workflow_handle(workflow_id).describe()


async def test_where_it_cannot_be_deleted_a_person_is_called_once(
    quay: Quay, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> list[str]:
        message = "no batches here"
        raise RPCError(message, RPCStatusCode.PERMISSION_DENIED, b"")

    monkeypatch.setattr("workers.sight.delete_unlistable", refuse)
    await quay.hide("hidden", "LaneWorkflow", ENGINE_QUEUE, {})

    await quay.until(lambda: bool(quay.bell.alarms))
    await asyncio.sleep(5 * SOON.total_seconds())

    (alarm,) = quay.bell.alarms
    assert alarm.headline == "The engine cannot list what runs in the namespace “default”"
    assert quay.seen == []


async def test_a_history_that_cannot_be_had_keeps_nobody_from_the_others(
    quay: Quay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It may be had the next time, and is not taken for read meanwhile.
    """
    monkeypatch.setattr("workers.newcomers.NEWEST", timedelta())
    monkeypatch.setattr("workers.wedged.WEDGED", "WorkflowType='nothing'")
    asked: list[str] = []

    async def is_not_had(client: Client, row: WorkflowExecution) -> bool:
        asked.append(row.id)
        if row.id == "mischief-0" and asked.count(row.id) < 3:
            message = "too much is asked for"
            raise RPCError(message, RPCStatusCode.RESOURCE_EXHAUSTED, b"")
        return await is_readable(client, row)

    monkeypatch.setattr("workers.ending.is_readable", is_not_had)
    for number in range(2):
        await quay.start(f"mischief-{number}", "LaneWorkflow", DEEPER_THAN_IS_READ)

    await quay.until(lambda: len(quay.seen) == 2)

    assert [one.workflow_id for one in quay.seen] == ["mischief-1", "mischief-0"]


@pytest.mark.parametrize(
    ("kind", "queue"), [("Nonsense", ENGINE_QUEUE), ("LaneWorkflow", "nobodys"), ("Nonsense", "nobodys")]
)
async def test_of_what_stands_in_the_place_of_ours_a_person_is_told_before_the_server_has_marked_it(
    quay: Quay, monkeypatch: pytest.MonkeyPatch, kind: str, queue: str
) -> None:
    """
    With a long time-out of its tasks the server marks it after ten minutes, and on a queue that nobody polls never.
    """
    monkeypatch.setattr("workers.newcomers.NEWEST", timedelta())
    monkeypatch.setattr("workers.wedged.WEDGED", "WorkflowType='nothing'")
    lane = lane_id(quay.town.subject(quay.town.dev))
    quay.bell.broken = 2
    await quay.town.client.start_workflow(kind, id=lane, task_queue=queue)
    await quay.town.client.start_workflow("Nonsense", id="environment/of/another", task_queue="nobodys")

    await quay.until(lambda: bool(quay.bell.alarms))
    await asyncio.sleep(5 * SOON.total_seconds())

    (alarm,) = quay.bell.alarms
    assert alarm.headline == f"{lane}: a workflow of another kind, or on another queue, stands in its place"


@pytest.mark.parametrize(
    "later",
    [{"start_delay": timedelta(days=365)}, {"cron_schedule": "0 0 1 1 *"}, {"cron_schedule": "@every 1s"}],
)
async def test_what_would_begin_some_other_day_is_ended(quay: Quay, later: dict[str, Any]) -> None:
    """
    It is of our kind and on our queue, no task of it fails, and no signal wakes it: it would hold its lane for a year.
    """
    town, lane = quay.town, lane_id(quay.town.subject(quay.town.dev))
    await town.client.start_workflow("LaneWorkflow", id=lane, task_queue=ENGINE_QUEUE, **later)

    await quay.until(lambda: bool(quay.seen))

    assert [(one.kind, one.workflow_id, one.why) for one in quay.seen] == [(Kind.START, lane, SLEEPING)]
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED
    assert len(quay.seen) == 1, "the lane of ours is none of that kind"


async def test_of_a_workflow_of_another_kind_under_a_lanes_id_a_person_is_told_once(quay: Quay) -> None:
    """
    It is not ours to end: a newer engine may know the kind. Whoever ends it has the lane go on.
    """
    town, lane = quay.town, lane_id(quay.town.subject(quay.town.dev))
    quay.bell.broken = 2
    stranger = await town.client.start_workflow("Nonsense", id=lane, task_queue=ENGINE_QUEUE)
    handle = await town.promote("1.0.0", town.dev)

    await quay.until(lambda: bool(quay.bell.alarms))
    await asyncio.sleep(5 * SOON.total_seconds())

    (alarm,) = quay.bell.alarms
    assert alarm.headline == f"{lane}: it fails at every attempt to go on"
    assert quay.bell.broken == 0
    assert (alarm.subject, quay.seen) == (town.subject(town.dev), [])
    assert (await stranger.describe()).status is WorkflowExecutionStatus.RUNNING
    await stranger.terminate("it is in the way")
    await handle.terminate("the test is over")
