"""What does not go on is ended where nobody can ever read it, and told of where somebody may."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.clock import SystemClock
from activities.ports import Alarm
from domain.attempt import Kind
from domain.names import ENGINE_QUEUE, lane_id
from domain.outcome import Outcome, Phase
from tests.fakes import Bell
from tests.servers import AT_ONCE, new_server
from tests.town import Town, engine_worker
from tests.workflows.attacks import pending
from workers.wedged import UNREADABLE, keep_ending_wedged
from workflows.doorkeeper import Sighting

pytestmark = [pytest.mark.server, pytest.mark.processes]

DEEPER_THAN_IS_READ: Final = 150
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
        client, http = await stack.enter_async_context(new_server(AT_ONCE))
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

    await quay.fail(change.id, await pending(change, "soak"), DEEPER_THAN_IS_READ)

    report = await asyncio.wait_for(handle.result(), 60)
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert [(one.kind, one.workflow_id, one.why) for one in quay.seen] == [
        (Kind.UNREADABLE, change.id, UNREADABLE)
    ]
    assert quay.bell.alarms == []
    town.change_place(town.dev, soak=timedelta())
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED


async def test_many_that_nobody_can_read_are_ended_before_the_server_has_marked_them(
    quay: Quay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each would be handed to the worker five times, which asks less and less often meanwhile.
    """
    monkeypatch.setattr("workers.wedged.NEWEST", timedelta(seconds=1))
    monkeypatch.setattr("workers.wedged.WEDGED", "WorkflowType='nothing'")
    ids = [f"mischief-{number}" for number in range(40)]
    for workflow_id in ids:
        await quay.start(workflow_id, "LaneWorkflow", DEEPER_THAN_IS_READ)

    await quay.until(lambda: len(quay.seen) == len(ids))

    assert {(one.kind, one.workflow_id) for one in quay.seen} == {(Kind.UNREADABLE, one) for one in ids}
    assert (await quay.town.promoted("1.0.0", quay.town.dev)).outcome is Outcome.PROMOTED


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
