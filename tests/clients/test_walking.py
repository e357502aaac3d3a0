"""`promote --through`: walking, joining, watching and stopping, as typed."""

import asyncio
import json

import pytest

from clients.client import Towpath
from domain.outcome import Exit, Outcome, Phase
from tests.clients.conftest import CommandLine, read_until, words
from tests.town import Town

pytestmark = pytest.mark.server


async def test_a_walk_is_watched_to_its_end(town: Town, towpath: CommandLine) -> None:
    """
    Plain lines say what happens where and how to approve; the picture stands at the end; 0 where it arrives.
    """
    town.make("1.0.0")
    process = await towpath.start(
        "promote", town.service, "1.0.0", "--through", town.production, "--watch", "--reason", "a feature"
    )
    said = await read_until(process, "approve it: ")
    command = said.rpartition("approve it: ")[2].split()
    approved = await towpath.run(*command[1:-1], "bo@example.com")
    assert process.stdout
    rest = (await asyncio.wait_for(process.stdout.read(), 30)).decode()

    assert approved.code == Exit.DONE, approved.said
    assert await process.wait() == Exit.DONE, rest
    assert f"{town.dev}: promoted" in said
    assert f"{town.production}: waiting for approval: 1 of: bo@example.com, cy@example.com" in said
    assert f"The walk of 1.0.0 of {town.service} ended: promoted." in rest
    picture = [line.split()[:2] for line in rest.splitlines() if "✓" in line]
    assert picture == [["✓", name] for name in (town.dev, town.staging, town.production)]
    assert town.world.version(town.place(town.production)) == "1.0.0"


async def test_a_walk_that_is_stopped_says_where(town: Town, towpath: CommandLine) -> None:
    """
    The shell is told the outcome of the environment that ended the walk, at once and afterwards.
    """
    town.make("1.0.0")
    town.world.sick.add("1.0.0")

    ran = await towpath.type("promote", town.service, "1.0.0", "--through", town.production, "--watch")
    later = await towpath.type("status", f"pipeline/{town.service}/1.0.0")
    told = json.loads((await towpath.type("status", f"pipeline/{town.service}/1.0.0", "--json")).out)

    assert ran.code == later.code == Exit.ROLLED_BACK
    for said in (ran.said, later.said):
        assert f"ended: rolled back: {town.dev}: " in said
        assert f"not walked to: {town.staging}, {town.production}" in said
        assert f"○ {town.production}" in said
    assert told["walk"]["outcome"] == Outcome.ROLLED_BACK
    assert [stop["stand"] for stop in told["pipeline"]["road"]] == ["stopped", "ahead", "ahead"]


async def test_what_is_under_way_is_joined_or_declined(town: Town, towpath: CommandLine) -> None:
    """
    The same walk asked for twice is one walk; one that leads elsewhere is declined with what to do.
    """
    gate = town.world.slow.setdefault(town.place(town.dev), asyncio.Event())
    town.make("1.0.0")
    first = await towpath.type("promote", town.service, "1.0.0", "--through", town.staging)
    await town.world.reached.wait()
    again = await towpath.type("promote", town.service, "1.0.0", "--through", town.staging)
    further = await towpath.type("promote", town.service, "1.0.0", "--through", town.production)
    shown = await towpath.type("status", f"pipeline/{town.service}/1.0.0")
    listed = await towpath.type("status", town.service)
    gate.set()
    watched = await towpath.type("status", f"pipeline/{town.service}/1.0.0", "--watch")

    assert (first.code, again.code, further.code) == (Exit.DONE, Exit.DONE, Exit.REFUSED)
    assert "is under way already" in again.said
    assert f"is under way already through {town.staging}, and not through {town.production}" in further.said
    assert f"● {town.dev} deploying" in shown.said
    assert f"pipeline/{town.service}/1.0.0 walking" in listed.said
    assert watched.code == Exit.DONE, watched.said
    assert town.world.version(town.place(town.staging)) == "1.0.0"


async def test_a_walk_is_stopped_and_its_promotion_is_not(town: Town, towpath: CommandLine) -> None:
    """
    `cancel` of a walk ends it with 14; what is under way goes on.
    """
    gate = town.world.slow.setdefault(town.place(town.dev), asyncio.Event())
    handle = await town.walk("1.0.0")
    await town.world.reached.wait()

    ran = await towpath.type("cancel", f"pipeline/{town.service}/1.0.0", "--reason", "not today", "--watch")
    second = await towpath.type("cancel", f"pipeline/{town.service}/1.0.0")
    gate.set()

    assert (ran.code, second.code) == (Exit.CANCELLED, Exit.REFUSED)
    assert "cancelled by ana@example.com: not today" in (await handle.result()).why
    assert f"still under way, and going on: {town.dev}" in ran.said
    assert (await town.promotion_of("1.0.0", town.dev).result()).outcome is Outcome.PROMOTED


async def test_words_that_name_no_walk_are_refused(town: Town, towpath: CommandLine) -> None:
    """
    Neither or both of ENVIRONMENT and --through, a walk that is not there: each is said in a sentence.
    """
    neither = await towpath.type("promote", town.service, "1.0.0")
    both = await towpath.type("promote", *words(town, "1.0.0", town.dev), "--through", town.production)
    unknown = await towpath.type("cancel", f"pipeline/{town.service}/1.0.0")
    missing = await towpath.type("status", "pipeline/nobody/1.0.0")

    assert {neither.code, both.code, unknown.code, missing.code} == {Exit.USAGE}
    assert "--through" in neither.said
    assert "--through" in both.said
    assert f"There is no walk of 1.0.0 of {town.service}" in unknown.said


async def test_a_script_walks(town: Town) -> None:
    """
    The Python client walks, names each promotion, and hears the report.
    """
    town.make("1.0.0")
    towpath = Towpath(town.client)

    walk = await towpath.walk(town.service, "1.0.0", [town.production], by="ci@example.com")
    await town.until_under_way(town.client.get_workflow_handle(walk.id), town.production)
    promotion = walk.promotion(town.production)
    await town.approve(town.promotion_of("1.0.0", town.production))
    report = await walk.result()

    assert report.outcome is Outcome.PROMOTED
    assert (await promotion.result()).outcome is Outcome.PROMOTED
    assert (await walk.status()).phase is Phase.ENDED
