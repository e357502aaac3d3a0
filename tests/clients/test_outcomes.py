"""What the shell is told: one code for each kind of ending."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.labels import search_attributes
from clients.cli.advising import remedies
from clients.lane import Lane
from clients.overview import look
from clients.promotion import Promotion
from clients.watching import watch, watch_lane
from domain.approval_written import Approval
from domain.configuration_files import EnvironmentFile
from domain.fence import Fence
from domain.names import SERVICE, STORY, change_id, lane_id, promotion_id
from domain.outcome import Exit, Outcome, Phase
from domain.status import ChangeStatus, Report
from domain.terms import Story
from tests.clients.conftest import CommandLine, ended, words
from tests.replaying import PUPPET
from tests.town import Town
from tests.workflows.attacks import PuppetWorkflow

pytestmark = pytest.mark.server


async def test_a_promotion_that_is_made_ends_with_0(town: Town, towpath: CommandLine) -> None:
    """`promote --watch` of what is let in tells the shell 0, and says what stands there now."""
    town.make("1.0.0")

    ran = await towpath.type("promote", *words(town, "1.0.0", town.dev), "--watch")

    assert (ran.code, town.world.version(town.place(town.dev))) == (Exit.DONE, "1.0.0")
    assert "ended: promoted" in ran.out
    assert "site is now 1.0.0" in ran.out


async def test_what_stands_there_already_ends_with_0(town: Town, towpath: CommandLine) -> None:
    """There being nothing to do is a success."""
    await town.stands("1.0.0", town.dev)

    ran = await towpath.type("promote", *words(town, "1.0.0", town.dev), "--watch")

    assert ran.code == Exit.DONE
    assert "nothing to do: every component of 1.0.0 stands there already" in ran.said


async def test_what_may_not_enter_ends_with_10(town: Town, towpath: CommandLine) -> None:
    """A refused promotion tells the shell 10, and people why."""
    town.make("1.0.0")

    ran = await towpath.type("promote", *words(town, "1.0.0", town.staging), "--watch")

    assert ran.code == Exit.REFUSED
    assert f"{town.dev} has never held 1.0.0" in ran.said


async def test_what_somebody_rejects_ends_with_11(town: Town, towpath: CommandLine) -> None:
    """`reject` ends a promotion, and `status` of it then tells the shell 11."""
    handle = await _waiting_in_production(town)

    said = await towpath.type(
        "reject", *words(town, "1.0.0", town.production), "--yes", "--by", "bo@example.com"
    )
    await handle
    ran = await towpath.type("status", *words(town, "1.0.0", town.production))

    assert (said.code, ran.code) == (Exit.DONE, Exit.REJECTED)
    assert "bo@example.com" in ran.out


async def test_what_nobody_decides_ends_with_12(town: Town, towpath: CommandLine) -> None:
    """Silence is a no, and has a code of its own."""
    at_once = Approval.model_validate({"quorum": 1, "from": ["managers"]}).but(wait=timedelta())
    town.make("1.0.0")
    town.change_place(town.dev, approval=at_once)

    ran = await towpath.type("promote", *words(town, "1.0.0", town.dev), "--watch")

    assert ran.code == Exit.EXPIRED


async def test_what_turns_out_sick_ends_with_13(town: Town, towpath: CommandLine) -> None:
    """A release that is not healthy is put back, and the shell is told."""
    await town.stands("1.0.0", town.dev)
    town.make("2.0.0")
    town.world.sick.add("2.0.0")

    ran = await towpath.type("promote", *words(town, "2.0.0", town.dev), "--watch")

    assert (ran.code, town.world.version(town.place(town.dev))) == (Exit.ROLLED_BACK, "1.0.0")
    assert "2.0.0 is sick" in ran.said


async def test_what_is_cancelled_ends_with_14(town: Town, towpath: CommandLine) -> None:
    """`cancel --watch` sees the undo through, and names who cancelled."""
    await town.promote("1.0.0", town.dev)
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()

    ran = await towpath.type("cancel", *words(town, "2.0.0", town.dev), "--reason", "wrong one", "--watch")

    assert ran.code == Exit.CANCELLED
    assert "cancelled by ana@example.com: wrong one" in ran.said


async def test_a_stuck_undo_ends_the_watch_with_20_and_skip_ends_it_with_16(
    town: Town, towpath: CommandLine
) -> None:
    """The watch does not wait for somebody who does not know; the commands it prints are those that work."""
    await town.stands("1.0.0", town.dev)
    town.make("2.0.0")
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))

    stuck = await towpath.type("promote", *words(town, "2.0.0", town.dev), "--watch")
    back = await towpath.type("rollback", town.service, town.dev)
    listed = await towpath.type("services", town.service)
    told = [line.strip() for line in stuck.out.splitlines() if line.strip().startswith("towpath skip")]
    skipped = await towpath.type(*told[0].split()[1:])
    async for seen in watch_lane(Lane(town.client, town.subject(town.dev))):
        if seen.change and "what was put back is not healthy" in seen.change.waits_for:
            await towpath.type("skip", town.service, town.dev)
            break
    ran = await towpath.type("status", *words(town, "2.0.0", town.dev), "--watch")

    assert (stuck.code, back.code) == (Exit.UNSETTLED, Exit.UNSETTLED)
    assert "which is stuck" in back.said
    assert f"towpath retry {town.service} {town.dev}" in back.said
    assert "site unknown (1.0.0 before)" in listed.said
    assert (skipped.code, ran.code) == (Exit.DONE, Exit.SETTLED_BY_HAND)
    lane = rf"^{lane_id(town.subject(town.dev))} +idle "
    async with asyncio.timeout(20):  # the list hears of it a little later
        while not re.search(lane, (await towpath.type("status", town.service)).out, re.MULTILINE):
            continue


async def test_what_fails_again_and_again_is_said_while_it_is_tried(town: Town, towpath: CommandLine) -> None:
    """A deed that is retried leaves nothing in a history: its status says why it does not come about."""

    def fail(_: str, __: Fence) -> None:
        message = "the disk is full"
        raise OSError(message)

    town.make("1.0.0")
    town.world.before_write = fail
    await town.promote("1.0.0", town.dev)
    async for seen in watch(Promotion(town.client, town.subject(town.dev), "1.0.0")):
        if seen.in_vain:
            break
    ran = await towpath.type("status", town.service, town.dev)

    assert "tried again and again, and fails: the disk is full" in ran.said


async def test_a_list_says_what_is_being_done(town: Town, towpath: CommandLine) -> None:
    """Visibility is told only of what takes long; a deploy in the middle is not shown as if nothing were done."""
    town.make("1.0.0")
    go_on = town.world.slow[town.place(town.dev)] = asyncio.Event()
    promotion = await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.DEPLOYING)

    ran = await towpath.type("status", town.service)
    listed = await towpath.type("status")
    go_on.set()
    await promotion.result()
    after = await towpath.type("status", town.service)

    stands = {row.split()[0].partition("/")[0]: " ".join(row.split()[1:]) for row in ran.out.splitlines()}
    assert stands["promotion"].startswith("deploying")
    assert stands["change"].startswith("deploying")
    assert stands["lane"].startswith("busy")
    of_all = [row.split()[:2] for row in listed.out.splitlines() if town.service in row]
    assert sorted(stand for _, stand in of_all) == ["busy", "deploying"]
    assert "deploying" not in after.out
    assert "busy" not in after.out


@workflow.defn(name="ChangeWorkflow")
class Braggart(PuppetWorkflow):
    """A change that somebody made up."""

    @workflow.init
    def __init__(self, says: dict[str, Any]) -> None:
        super().__init__(says)

    @workflow.run
    async def run(self, says: dict[str, Any]) -> None:
        await super().run(says)


@pytest.mark.parametrize(
    ("runs_as", "phase", "is_believed"),
    [
        ("{own}", Phase.DEPLOYING, True),
        ("{own}-or-so", Phase.DEPLOYING, False),
        ("{own}", Phase.ENDED, False),
    ],
    ids=["its own", "another's", "one that has ended"],
)
async def test_a_list_believes_a_change_of_itself_and_while_it_has_not_ended(
    town: Town, towpath: CommandLine, runs_as: str, phase: Phase, *, is_believed: bool
) -> None:
    """Whoever made one up says nothing of another's promotion; nor does one whose end visibility has missed."""
    await town.stands("1.0.0", town.dev, town.staging)
    promotion = await town.promote("1.0.0", town.production)
    await town.until(promotion, Phase.WAITING_FOR_APPROVAL)
    subject, began = town.subject(town.production), datetime.now(UTC)
    said = ChangeStatus(
        story=Story.PROMOTION, subject=subject, turn=7, version="1.0.0", phase=phase, since=began
    )
    async with Worker(
        town.client,
        task_queue=f"mischief-{town.service}",
        workflows=[Braggart],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="mischief",
    ) as worker:
        braggart = await town.client.start_workflow(
            "ChangeWorkflow",
            said.model_dump(mode="json"),
            id=runs_as.format(own=change_id(subject, 7)),
            task_queue=worker.task_queue,
            memo={PUPPET: True},
            search_attributes=search_attributes({SERVICE: town.service, STORY: "deploy"}),
        )
        async with asyncio.timeout(20):
            ran = await towpath.type("status", town.service)
            while braggart.id not in ran.out:
                ran = await towpath.type("status", town.service)
        await braggart.terminate("the test is over")

    stands = "deploying" if is_believed else "waiting for approval"
    assert re.search(rf"^{promotion.id} +{stands} ", ran.out, re.MULTILINE)


async def test_a_promotion_to_where_nobody_works_is_kept_and_said_to_wait(
    town: Town, towpath: CommandLine
) -> None:
    """Perhaps the words were swapped: the command says that it waits, and how it is taken back."""
    nowhere = f"nowhere-{town.dev}"
    ran = await towpath.type("promote", town.service, "1.0.0", nowhere)
    back = await towpath.type(*ran.said.rpartition("take it back: towpath ")[2].split())

    assert ran.code == Exit.NOBODY_POLLS
    assert f"no worker serves {nowhere}" in ran.said
    assert back.code == Exit.DONE


@pytest.mark.parametrize("verb", ["promote", "plan"])
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 0, 1)])
async def test_an_environment_that_does_not_stand_last_is_said_and_nothing_asked_for(
    town: Town, towpath: CommandLine, order: Sequence[int], verb: str
) -> None:
    """A promotion to “1.0.0” would wait for ever."""
    configuration = town.settings.configuration
    files = configuration.environments | {"canal": EnvironmentFile(environment="canal")}
    town.settings.configuration = configuration.but(environments=files)
    await town.open("canal")
    words = ["lock", "1.0.0", "canal"]

    ran = await towpath.type(verb, *(words[at] for at in order))

    assert ran.code == Exit.USAGE
    assert "no worker serves an environment “1.0.0”, and one serves “canal”" in ran.said
    assert f"towpath {verb} lock 1.0.0 canal" in ran.said
    assert [row async for row in town.client.list_workflows(f"{SERVICE} IN ('lock', 'canal')")] == []


async def test_what_is_no_name_is_said_in_whatever_order_it_stands(towpath: CommandLine) -> None:
    """No queue is asked after that could not have such a name."""
    ran = await towpath.type("promote", "lock" * 1000, "canal", "1.0.0")

    assert ran.code == Exit.USAGE
    assert "cannot be the name of a service" in ran.said


async def test_a_rollback_that_comes_about_ends_with_0(town: Town, towpath: CommandLine) -> None:
    """To `rollback`, having rolled back is what was asked for. A second one does not empty the place by mistake."""
    await town.promoted("1.0.0", town.dev)
    first = (await town.lane_status(town.dev)).last_turn
    await town.promoted("2.0.0", town.dev)

    ran = await towpath.type("rollback", town.service, town.dev, "--watch")
    twice = await towpath.type("rollback", town.service, town.dev, "--watch")
    stands = town.world.version(town.place(town.dev))
    named = await towpath.type("rollback", town.service, town.dev, "--turn", str(first), "--watch")
    again = await towpath.type("rollback", town.service, town.dev, "--watch")

    assert (ran.code, twice.code, stands) == (Exit.DONE, Exit.REFUSED, "1.0.0")
    assert f"name its turn: --turn {first}" in " ".join(twice.said.split())
    assert (named.code, town.world.version(town.place(town.dev))) == (Exit.DONE, "absent")
    assert again.code == Exit.REFUSED
    assert "no change" in again.said


async def test_a_failed_workflow_ends_with_1(town: Town, towpath: CommandLine) -> None:
    """What nobody foresaw is told apart from every outcome, and its sentence is shown."""
    handle = await town.promote("1.0.0", f"nowhere-{town.dev}")
    await handle.terminate("a slip of the hand")

    ran = await towpath.type("status", town.service, "1.0.0", f"nowhere-{town.dev}", "--watch")

    assert ran.code == Exit.BUG
    assert "terminated" in ran.said


async def test_every_remedy_is_a_command_that_is_understood(town: Town, towpath: CommandLine) -> None:
    """What the details of a waiting promotion offer is the command that lets it in."""
    done = await _waiting_in_production(town)
    seen = await look(town.client, promotion_id(town.subject(town.production), "1.0.0"))

    command = next(iter(remedies(seen))).replace("you@example.com", "bo@example.com")
    ran = await towpath.type(*command.split()[1:])

    assert re.match(r"towpath approve \S+ \S+ \S+ --plan [0-9a-f]{8} --by", command)
    assert (ran.code, (await done).outcome) == (Exit.DONE, Outcome.PROMOTED)


async def test_ctrl_c_ends_a_watch_and_nothing_else(town: Town, towpath: CommandLine) -> None:
    """Ctrl-C says that the promotion goes on, and it does."""
    done = await _waiting_in_production(town)
    process = await towpath.start("status", *words(town, "1.0.0", town.production), "--watch")
    assert process.stdout
    await process.stdout.readline()

    process.send_signal(2)
    ran = await ended(process)
    status = await look(town.client, promotion_id(town.subject(town.production), "1.0.0"))

    assert ran.code == 130
    assert "goes on" in ran.said
    assert status.promotion
    assert status.promotion.phase is Phase.WAITING_FOR_APPROVAL
    done.cancel()


async def _waiting_in_production(town: Town) -> "asyncio.Task[Report]":
    """Walk 1.0.0 to production's gate; return what waits for its end."""
    await town.stands("1.0.0", town.dev, town.staging)
    handle = await town.promote("1.0.0", town.production)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    return asyncio.create_task(handle.result())
