"""A walk: environments in order, each through its own promotion; nothing skipped, nothing in silence."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from clients.client import Towpath
from clients.signing import Signer
from domain.actor import Actor
from domain.approval_written import Approval
from domain.names import ENGINE_QUEUE, pipeline_id
from domain.outcome import Outcome, Phase
from domain.road import Stand, WalkRequest
from domain.status import PipelineStatus, PromotionStatus, WalkReport
from domain.terms import ApprovalTerms
from tests.news import news
from tests.people import People, needs_openssh
from tests.town import PATIENCE, Town
from workflows import patience

pytestmark = pytest.mark.server
Walk = WorkflowHandle[Any, WalkReport]


async def ended(handle: Walk) -> WalkReport:
    return await asyncio.wait_for(handle.result(), 40)


def stands(report: WalkReport) -> list[tuple[str, Stand]]:
    return [(stop.environment.partition("-")[0], stop.stand) for stop in report.road]


async def test_a_release_is_walked_to_production(town: Town) -> None:
    """
    One environment after the other, in the requester's name; what stands everywhere needs no second walk.
    """
    handle = await town.walk("1.0.0")
    asked = town.promotion_of("1.0.0", town.production)
    stop = await town.until_under_way(handle, town.production)
    status = await town.until(asked, Phase.WAITING_FOR_APPROVAL)
    assert status.request
    assert (status.request.actor.name, status.request.reason) == ("ana@example.com", "a feature")
    assert not stop.joined
    await town.approve(asked)
    report = await ended(handle)
    again = await ended(await town.walk("1.0.0"))

    assert (report.outcome, report.why) == (Outcome.PROMOTED, "")
    assert stands(report) == [(name, Stand.THROUGH) for name in ("dev", "staging", "production")]
    for environment in (town.dev, town.staging, town.production):
        assert town.world.version(town.place(environment)) == "1.0.0"
    assert (again.outcome, stands(again)) == (Outcome.NOTHING_TO_DO, [("production", Stand.THROUGH)])


async def test_whoever_walks_does_not_approve(town: Town) -> None:
    """
    The requester goes along: an approval of one's own walk does not count, another's does.
    """
    handle = await town.walk("1.0.0", by="Bo@Example.com")
    await town.until_under_way(handle, town.production)
    asked = town.promotion_of("1.0.0", town.production)
    await town.approve(asked, "bo@example.com")
    status = await town.until(asked, Phase.WAITING_FOR_APPROVAL)
    assert status.decisions == ()
    await town.approve(asked, "cy@example.com")

    assert (await ended(handle)).outcome is Outcome.PROMOTED


async def test_what_is_newer_before_it_is_left_alone(town: Town) -> None:
    """
    Where the release stands already, the walk does not go further back: dev keeps the newer version.
    """
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    await town.promoted("2.0.0", town.dev)

    handle = await town.walk("1.0.0")
    await town.until_under_way(handle, town.production)
    await town.approve(town.promotion_of("1.0.0", town.production))
    report = await ended(handle)

    assert report.outcome is Outcome.PROMOTED
    assert stands(report) == [("staging", Stand.THROUGH), ("production", Stand.THROUGH)]
    assert town.world.version(town.place(town.dev)) == "2.0.0"


async def test_what_drifted_is_walked_again(town: Town) -> None:
    """
    A receipt alone does not pass for what stands there: the targets have to show it.
    """
    await town.stands("1.0.0", town.dev)
    town.world.held.pop(town.place(town.dev))

    report = await ended(await town.walk("1.0.0", town.dev))

    assert report.outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_a_walk_ends_where_an_environment_does_and_is_walked_again(town: Town) -> None:
    """
    Put back in staging, the walk ends so and says where and why; production is never asked. Mended, it goes on.
    """
    town.world.sick.add("1.0.0")
    town.change_place(town.dev, health=())
    report = await ended(await town.walk("1.0.0"))

    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why.startswith(f"{town.staging}: ")
    assert report.why.endswith(f"; not walked to: {town.production}")
    assert stands(report) == [
        ("dev", Stand.THROUGH),
        ("staging", Stand.STOPPED),
        ("production", Stand.AHEAD),
    ]
    town.world.sick.clear()
    handle = await town.walk("1.0.0", town.staging)
    assert (await ended(handle)).outcome is Outcome.PROMOTED


async def test_two_branches_go_at_once_and_come_together(town: Town) -> None:
    """
    Two environments after dev are under way together; production is asked once both are through.
    """
    sides = ("asia", "europe")
    asia, europe = (f"{side}-{town.service}" for side in sides)
    await town.branch((asia, europe), town.dev, town.production)
    gates = {name: town.world.slow.setdefault(town.place(name), asyncio.Event()) for name in (asia, europe)}

    handle = await town.walk("1.0.0")
    for name in (asia, europe):
        await town.until_under_way(handle, name)
    gates[asia].set()
    assert (await town.promotion_of("1.0.0", asia).result()).outcome is Outcome.PROMOTED
    status: PipelineStatus = await handle.query("status", result_type=PipelineStatus)
    assert {stop.environment: stop.stand for stop in status.road}[town.production] is Stand.AHEAD
    gates[europe].set()
    await town.until_under_way(handle, town.production)
    await town.approve(town.promotion_of("1.0.0", town.production))

    report = await ended(handle)
    assert report.outcome is Outcome.PROMOTED
    assert [name for name, _ in stands(report)] == ["dev", "asia", "europe", "production"]


async def test_a_walk_joins_what_runs(town: Town) -> None:
    """
    A promotion that somebody else has under way is waited for, in their name, and not asked for twice.
    """
    gate = town.world.slow.setdefault(town.place(town.dev), asyncio.Event())
    first = await town.promote("1.0.0", town.dev, by="eve@example.com")
    await town.world.reached.wait()

    handle = await town.walk("1.0.0", town.staging)
    stop = await town.until_under_way(handle, town.dev)
    gate.set()
    report = await ended(handle)

    assert stop.joined
    assert report.outcome is Outcome.PROMOTED
    assert (await first.describe()).run_id == first.first_execution_run_id
    assert town.world.doubled() == []


async def test_cancelling_a_walk_stops_the_walk_only(town: Town) -> None:
    """
    What is under way goes on to its end; what is ahead is not begun; the report says both.
    """
    gate = town.world.slow.setdefault(town.place(town.dev), asyncio.Event())
    handle = await town.walk("1.0.0")
    await town.world.reached.wait()

    await handle.cancel(reason="cancelled by ana@example.com: not today")
    report = await ended(handle)
    gate.set()

    assert report.outcome is Outcome.CANCELLED
    assert report.why == (
        f"cancelled by ana@example.com: not today; not walked to: {town.staging}, {town.production}; "
        f"still under way, and going on: {town.dev}"
    )
    assert (await town.promotion_of("1.0.0", town.dev).result()).outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.staging)) == "absent"


async def test_a_promotion_that_is_lost_fails_its_walk(town: Town) -> None:
    """
    Terminated, whether started here or joined: a person is needed, and is told where to look.
    """
    for joined in (False, True):
        version = "2.0.0" if joined else "1.0.0"
        for environment in (town.dev, town.staging):
            await town.promoted(version, environment)
        if joined:
            await town.promote(version, town.production)
        handle = await town.walk(version)
        assert (await town.until_under_way(handle, town.production)).joined is joined

        await town.promotion_of(version, town.production).terminate("by mistake")
        with pytest.raises(WorkflowFailureError) as failed:
            await ended(handle)

        said = str(failed.value.cause)
        assert "ended without an outcome" in said
        assert f"towpath status {town.service} {town.production}" in said


async def test_a_walk_says_that_nobody_knows_the_way(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a worker of production there is no road, and that is a phase with a remedy; with one it goes on.
    """
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=0.2))
    await town.close(town.staging)
    handle = await town.walk("1.0.0", town.staging)
    status = await _until_phase(town, handle, Phase.NO_WORKER)
    await town.open(town.staging)

    assert status.remedy == f"towpath worker --environments {town.staging}"
    assert (await ended(handle)).outcome is Outcome.PROMOTED


@needs_openssh
async def test_a_walk_is_signed_for_each_environment_when_it_is_asked_for(town: Town, tmp_path: Path) -> None:
    """
    Unsigned, or signed for another place alone, it is refused before anything moves; signed, it arrives.
    """
    ana, people, towpath = "ana@example.com", People(tmp_path / "people"), Towpath(town.client)
    people.allow(town.folder, {ana: ana})
    asks_for_signatures = Approval.model_validate({"quorum": 0, "signed": True})
    for environment in (town.dev, town.staging):
        town.change_place(environment, approval=asks_for_signatures)
    town.make("1.0.0")

    async def walked(signer: Signer | None, *passing: str) -> WalkReport:
        walk = await towpath.walk(
            town.service, "1.0.0", [town.staging], by=ana, signer=signer, passing=passing
        )
        return await asyncio.wait_for(walk.result(), 40)

    unsigned, in_part = await walked(None), await walked(people.signer(ana))
    assert unsigned.outcome is in_part.outcome is Outcome.REFUSED
    assert unsigned.why.startswith(f"{town.staging}: {ana} may not have asked for this: it is not signed")
    assert in_part.why.startswith(f"{town.dev}: {ana} may not have asked for this: it is not signed")
    assert town.world.writes == []

    passing = town.settings.configuration.signed_on_the_way(town.service, [town.staging])
    report = await walked(people.signer(ana), *passing)

    assert report.outcome is Outcome.PROMOTED, report.why


async def test_a_road_that_is_none_is_refused(town: Town) -> None:
    """
    No release, no such service there, a circle: the walk is refused with the sentence, and nothing is begun.
    """
    request = WalkRequest(
        service=town.service, version="9.9.9", through=(town.dev,), actor=Actor(name="ana@example.com")
    )
    missing = await town.client.execute_workflow(
        "PipelineWorkflow",
        request,
        id=pipeline_id(town.service, "9.9.9"),
        task_queue=ENGINE_QUEUE,
        result_type=WalkReport,
    )
    town.change_place(town.dev, after=(town.production,))
    circle = await ended(await town.walk("1.0.0"))

    assert missing.outcome is circle.outcome is Outcome.REFUSED
    assert f"{town.dev}: There is no release 9.9.9" in missing.why
    assert "wait for one another" in circle.why
    assert town.world.writes == []


async def test_a_long_wait_is_a_wait_like_any_other(town: Town, skipping: WorkflowEnvironment) -> None:
    """
    Production is approved after twenty hours, and not at all in another walk: promoted, and expired.
    """
    await town.stands("1.0.0", town.dev, town.staging)
    await _promote_skipping(town, skipping, "1.0.0")
    handle = await town.walk("1.0.0")
    await town.until_under_way(handle, town.production)
    asked = town.promotion_of("1.0.0", town.production)
    status = await town.until(asked, Phase.WAITING_FOR_APPROVAL)
    assert await skipping.fast_forward(skipping.client.get_workflow_handle(asked.id), timedelta(hours=20))
    town.clock.offset = timedelta(hours=20)
    await town.approve(asked)
    report = await ended(handle)
    town.clock.offset = timedelta()
    for environment in (town.dev, town.staging):
        await town.promoted("2.0.0", environment)
    late = await _promote_skipping(town, skipping, "2.0.0")
    walking = await town.walk("2.0.0")
    await town.until_under_way(walking, town.production)
    await town.until(late, Phase.WAITING_FOR_APPROVAL)
    await skipping.fast_forward(late)
    silent = await ended(walking)

    assert status.proposal
    assert status.proposal.terms.approval.wait == ApprovalTerms().wait
    assert report.outcome is Outcome.PROMOTED
    assert silent.outcome is Outcome.EXPIRED
    assert silent.why.startswith(f"{town.production}: nobody decided in time")


async def test_a_walk_goes_on_in_a_new_run(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A flood of words is refused and makes it go on in a new run: what is under way is joined, nothing begun twice.
    """
    monkeypatch.setattr(patience, "LONGEST_HISTORY", 60)
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}))
    handle = await town.walk("1.0.0", town.staging)
    await town.until_under_way(handle, town.dev)
    asked = town.promotion_of("1.0.0", town.dev)
    before: PromotionStatus = await town.until(asked, Phase.WAITING_FOR_APPROVAL)
    for _ in range(60):
        await town.client.get_workflow_handle(handle.id).signal("hurry", {"by": "eve@example.com"})
    await town.approve(asked)
    report = await ended(handle)

    runs = [row.run_id async for row in town.client.list_workflows(f"WorkflowId='{handle.id}'")]
    newest = await town.client.get_workflow_handle(handle.id).query("status", result_type=PipelineStatus)
    assert len(runs) > 1
    assert report.outcome is Outcome.PROMOTED
    assert "a walk takes no signals" in newest.refused[0].why
    assert (await asked.query("status", result_type=PromotionStatus)).intent == before.intent
    assert town.world.doubled() == []


async def _promote_skipping(
    town: Town, skipping: WorkflowEnvironment, version: str
) -> WorkflowHandle[Any, Any]:
    """Promote to production, for a walk to join it; its clock can be moved on."""
    real, town.client = town.client, skipping.client
    try:
        with skipping.with_time_skipping_disabled():
            return await town.promote(version, town.production)
    finally:
        town.client = real


async def _until_phase(town: Town, handle: Walk, phase: Phase) -> PipelineStatus:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        async for _ in news(town.client.get_workflow_handle(handle.id)):
            status: PipelineStatus = await handle.query("status", result_type=PipelineStatus)
            if status.phase is phase:
                return status
    message = f"it never was {phase}"
    raise AssertionError(message)
