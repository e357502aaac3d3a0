"""What the page on recovering shows is what people see: each trouble is made, and looked at."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseActivityRequest, UnpauseActivityRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.labels import search_attributes
from clients.client import Towpath
from clients.trouble import FailedError
from domain.names import ENGINE_QUEUE, SERVICE, STORY, Subject, promotion_id
from domain.outcome import Exit, Outcome, Phase
from tests.clients.conftest import CommandLine, Ran
from tests.servers import AT_ONCE, new_server
from tests.survival.waiting import until
from tests.town import Town
from tests.workflows.attacks import pending
from workflows import patience

pytestmark = pytest.mark.server

PAGE: Final = (Path(__file__).parents[2] / "docs/how-to/recover.md").read_text()
SUBJECT: Final = Subject(service="storefront", environment="production")


def shown(heading: str) -> str:
    """Return what is seen, as a section of the page shows it."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    return found[0]


def assert_seen(block: str, ran: Ran, *, town: Town | None = None, environment: str = "") -> None:
    """Each line of the block was printed, in order: under the test's own names, and “…” stands for anything."""
    text = f"{ran.out}\n{ran.err}"
    if town:
        text = text.replace(town.service, "storefront").replace(environment, "production")
    printed = iter([_plain(line) for line in text.splitlines()])
    for line in map(_plain, block.splitlines()):
        wanted = re.compile(re.escape(line).replace("…", ".*"))
        assert any(wanted.fullmatch(other) for other in printed), f"“{line}” was not printed:\n{text}"


def _plain(line: str) -> str:
    line = re.sub(r"\b\d{13}\b", "TURN", line)
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "THEN", line)
    line = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", line)
    return re.sub(r"\b[0-9a-f]{8}\b", "DIGITS", line).strip()


async def test_an_undo_that_is_stuck(town: Town, towpath: CommandLine) -> None:
    """The status of the lane, and what the doctor says of it."""
    await town.stands("1.0.0", town.dev)
    town.make("2.0.0")
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))
    watched = await towpath.type("promote", town.service, "2.0.0", town.dev, "--watch")

    seen = await towpath.type("status", town.service, town.dev)
    examined = await towpath.type("doctor")

    assert watched.code == Exit.UNSETTLED
    assert_seen(shown("An undo is stuck"), seen, town=town, environment=town.dev)
    assert examined.code == Exit.UNSETTLED
    assert_seen(shown("A lane is unsettled"), examined, town=town, environment=town.dev)


async def test_an_undo_that_is_stuck_and_whose_lane_is_gone(town: Town, towpath: CommandLine) -> None:
    """The next lane waits for the change that still runs, and a word to the lane reaches that change."""
    await town.stands("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))
    town.make("2.0.0")
    town.make("3.0.0")
    first = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.STUCK)
    await town.lane(town.dev).terminate("by mistake")
    after = await town.promote("3.0.0", town.dev)
    await town.until(after, Phase.IN_LANE)
    town.world.stuck.clear()

    said = await towpath.type("retry", town.service, town.dev, "--by", "olga@example.com")

    assert said.code == Exit.DONE, said.said
    assert "retry was sent to change/" in said.out
    assert (await asyncio.wait_for(first.result(), 30)).outcome is Outcome.ROLLED_BACK
    assert (await asyncio.wait_for(after.result(), 30)).outcome is Outcome.PROMOTED


async def test_a_lane_that_was_ended_with_a_rollback_in_it(town: Town, towpath: CommandLine) -> None:
    """
    It was said to be busy with that for ever, and another rollback declined on its word.
    """
    for version in ("1.0.0", "2.0.0"):
        await town.promoted(version, town.dev)
    await town.close(town.dev)
    wish = await Towpath(town.client).rollback(town.service, town.dev, by="bo@example.com")
    await _until_it_runs(town)
    change = await town.change(town.dev)
    for one in (town.lane(town.dev), change):
        await one.terminate("somebody did")
    await town.open(town.dev)

    seen = await towpath.type("status", town.service, town.dev)
    of_change = await towpath.type("status", change.id)
    with pytest.raises(FailedError, match="is terminated, and has not answered"):
        await wish.result()
    again = await towpath.type("rollback", town.service, town.dev, "--watch")

    assert seen.code == Exit.BUG
    assert f"lane/{town.service}/{town.dev} is terminated" in seen.said
    assert "Lost with it: a rollback, asked for by bo@example.com" in seen.said
    assert "is busy" not in seen.said
    assert of_change.code == Exit.BUG
    assert "has left no word" in of_change.said
    assert again.code == Exit.DONE, again.said
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def _until_it_runs(town: Town) -> None:
    async def runs() -> bool:
        return (await town.lane_status(town.dev)).turn is not None

    await until(runs)


async def test_a_freeze_that_is_over_is_no_freeze(town: Town, towpath: CommandLine) -> None:
    """It ends by itself, and was said to hold until somebody thawed it."""
    await towpath.type("freeze", town.dev, "--reason", "for a moment", "--for", "1s")

    async def is_open() -> bool:
        return f"{town.dev} is open" in (await towpath.type("status", f"environment/{town.dev}")).said

    frozen = not await is_open()
    await until(is_open)
    listed = json.loads((await towpath.type("status", "--json")).out)["rows"]

    assert frozen
    assert [row["phase"] for row in listed if row["id"] == f"environment/{town.dev}"] == ["open"]


async def test_a_soak_that_somebody_paused(town: Town, towpath: CommandLine) -> None:
    """Nothing of it fails: the doctor asks the server."""
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)
    where = WorkflowExecution(workflow_id=change.id)
    activity = await pending(change, "soak")
    service = town.client.workflow_service
    await service.pause_activity(PauseActivityRequest(namespace="default", execution=where, id=activity))

    examined = await towpath.type("doctor")
    await service.unpause_activity(UnpauseActivityRequest(namespace="default", execution=where, id=activity))
    await change.terminate("the test is over")

    assert_seen(shown("A change stands still"), examined, town=town, environment=town.dev)


async def test_an_environment_without_a_worker(
    town: Town, towpath: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promotion to where no worker ever was does not keep CI waiting; it says that it waits, and what helps."""
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=1))
    environment = f"no-{town.dev}"

    watched = await towpath.type("promote", town.service, "2.0.0", environment, "--watch")
    status = await towpath.type("status", town.service, "2.0.0", environment)

    assert watched.code == Exit.NOBODY_POLLS
    assert f"towpath worker --environments {environment}" in watched.said
    assert_seen(shown("No worker"), status, town=town, environment=environment)


@workflow.defn(name="PromotionWorkflow")
class _AnotherVersion:
    @workflow.run
    async def run(self) -> None:
        message = "this code does not replay that history"
        raise RuntimeError(message)


async def _until_marked(client: Client) -> None:
    found = 0
    while not found:
        found = (await client.count_workflows("TemporalReportedProblems IS NOT NULL")).count
        await asyncio.sleep(0.1)


@pytest.mark.processes
async def test_a_server_that_is_new_a_workflow_that_is_wedged_and_a_server_that_is_gone(
    offline: CommandLine,
) -> None:
    """In the life of one server: its file was lost, a worker of another version meets a promotion, and it is gone."""
    async with new_server(AT_ONCE) as (client, _):
        offline.set(TEMPORAL_ADDRESS=client.service_client.config.target_host)
        nothing = await offline.type("status")
        async with Worker(
            client,
            task_queue=ENGINE_QUEUE,
            workflows=[_AnotherVersion],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            await client.start_workflow(
                "PromotionWorkflow",
                id=promotion_id(SUBJECT, "2.0.0"),
                task_queue=ENGINE_QUEUE,
                search_attributes=search_attributes({SERVICE: SUBJECT.service, STORY: "promotion"}),
            )
            async with asyncio.timeout(30):
                await _until_marked(client)
            wedged = await offline.type("doctor")
            stands = await offline.type("status", "storefront", "2.0.0", "production")
    gone = await offline.type("status")

    assert_seen(shown("The server's file is lost"), nothing)
    assert_seen(shown("A workflow is wedged"), wedged)
    assert "fails at every attempt to go on" in stands.said
    assert "no engine worker" not in stands.said
    assert gone.code == Exit.NO_SERVER
    assert_seen(shown("The server is gone, and a release is bad"), gone)
