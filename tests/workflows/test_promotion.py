"""The story of a promotion, told on a real server."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.mistakes import BrokenConfigurationError
from domain.actor import Actor
from domain.approval import DecisionWord
from domain.approval_written import Approval
from domain.environment import Placement
from domain.names import ENGINE_QUEUE, promotion_id
from domain.outcome import Outcome, Phase
from domain.status import Report
from domain.terms import CheckTerms, Request, Story, TargetTerms
from domain.value import short
from tests.survival.waiting import until
from tests.town import Town
from workflows import patience


async def test_a_release_walks_to_production(town: Town) -> None:
    """One approval by somebody else carries a release all the way."""
    for environment in (town.dev, town.staging, town.production):
        report = await town.promoted("1.0.0", environment)
        assert report.outcome is Outcome.PROMOTED, report.why

    assert town.world.version(town.place(town.production)) == "1.0.0"
    assert town.world.doubled() == []


async def test_a_sick_release_is_put_back(town: Town) -> None:
    """A release that fails its health check leaves the one before standing, well and proven."""
    await town.stands("1.0.0", town.dev)
    town.world.sick.add("2.0.0")

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert "2.0.0 is sick" in report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_where_nothing_could_be_begun_nothing_is_stuck(town: Town) -> None:
    """A target that has gone away by the time of the deed was never touched, and its undo asks nothing of it."""
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}))
    handle = await town.promote("2.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    town.world.away.add(town.place(town.dev))
    await town.approve(handle)

    report = await asyncio.wait_for(handle.result(), 40)

    town.world.away.clear()
    assert report.outcome is Outcome.ROLLED_BACK
    assert "is away" in report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_the_first_release_that_is_sick_leaves_nothing(town: Town) -> None:
    """Absent is a legal state, and is restored like any other."""
    town.world.sick.add("1.0.0")

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "absent"


async def test_a_target_that_refuses_ends_in_rolled_back_and_says_why(town: Town) -> None:
    """A refusal at the very first step undoes what never happened, and nothing is touched."""
    town.world.refuses.add(town.place(town.dev))

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert "will not take 1.0.0" in report.why
    assert town.world.writes == [] or town.world.version(town.place(town.dev)) == "absent"


async def test_a_release_that_the_environment_before_does_not_hold_is_refused(town: Town) -> None:
    """The way here is part of the validation, and the refusal names the environment to go to first."""
    report = await town.promoted_without_waiting("1.0.0", town.staging)

    assert report.outcome is Outcome.REFUSED
    assert f"{town.dev} has never held 1.0.0" in report.why


async def test_what_stands_there_already_is_nothing_to_do(town: Town) -> None:
    """Promoting twice touches the world once."""
    await town.promoted("1.0.0", town.dev)
    writes = len(town.world.writes)

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.NOTHING_TO_DO
    assert len(town.world.writes) == writes


async def test_a_version_that_was_never_made_is_refused(town: Town) -> None:
    """The refusal says how to make it."""
    request = Request(subject=town.subject(town.dev), version="9.9.9", actor=Actor(name="ana"))
    handle = await town.client.start_workflow(
        "PromotionWorkflow",
        request,
        id=promotion_id(request.subject, "9.9.9"),
        task_queue=ENGINE_QUEUE,
        result_type=Report,
    )

    report = await handle.result()

    assert report.outcome is Outcome.REFUSED
    assert "towpath release create" in report.why


async def test_one_rejection_refuses(town: Town) -> None:
    """Rejected is an ending with a name and a reason."""
    handle = await town.waiting_in_production("1.0.0")
    status = await handle.query("status")

    await handle.signal(
        "reject", {"by": "cy@example.com", "comment": "not on a Friday", "plan": short(status["intent"])}
    )

    report = await handle.result()
    assert report.outcome is Outcome.REJECTED
    assert "not on a Friday" in report.why
    assert town.world.version(town.place(town.production)) == "absent"


async def test_silence_is_a_no(town: Town, skipping: WorkflowEnvironment) -> None:
    """After the wait the promotion has expired; three days pass in no time."""
    await town.stands("1.0.0", town.dev, town.staging)
    request = Request(subject=town.subject(town.production), version="1.0.0", actor=Actor(name="ana"))

    handle = await skipping.client.start_workflow(
        "PromotionWorkflow",
        request,
        id=promotion_id(request.subject, "1.0.0"),
        task_queue=ENGINE_QUEUE,
        result_type=Report,
    )

    report = await handle.result()
    assert report.outcome is Outcome.EXPIRED


async def test_an_approval_that_has_lapsed_is_asked_for_again(town: Town) -> None:
    """A grant older than ``valid`` when its turn comes opens nothing: the promotion waits with a new plan."""
    handle = await town.waiting_in_production("1.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    town.clock.offset = timedelta(hours=25)

    await town.approve(handle)
    await town.until(handle, Phase.PREPARING, Phase.WAITING_FOR_APPROVAL)
    again = await town.until_new_plan(handle, status.intent)

    assert again.phase is Phase.WAITING_FOR_APPROVAL
    assert "lapsed" in str(again.records)
    assert town.world.version(town.place(town.production)) == "absent"


async def test_a_quorum_of_two_needs_two_people(town: Town) -> None:
    """The same person twice is one person."""
    town.change_place(town.production, approval=Approval.model_validate({"quorum": 2, "from": ["managers"]}))
    handle = await town.waiting_in_production("1.0.0")
    await town.approve(handle, "bo@example.com")
    await town.approve(handle, "Bo@example.com ")

    status = await handle.query("status")
    assert status["phase"] == Phase.WAITING_FOR_APPROVAL
    await handle.signal("approve", DecisionWord(by="cy@example.com", plan=short(status["intent"])))
    report = await handle.result()
    assert report.outcome is Outcome.PROMOTED


async def test_every_quorum_is_asked_for_and_asked_for_again_at_the_effect(town: Town) -> None:
    """One group's word is not the other's; a quorum that was added since voids what was given without it."""
    organisation = town.settings.configuration.organisation
    groups = {**organisation.groups, "security": ("eve@example.com",), "owners": ("di@example.com",)}
    town.settings.configuration = town.settings.configuration.but(
        organisation=organisation.but(groups=groups)
    )
    managers, security = {"quorum": 1, "from": ["managers"]}, {"from": ["security"]}
    both = {**managers, "also": [security]}
    town.change_place(town.production, approval=Approval.model_validate(both))
    handle = await town.waiting_in_production("1.0.0")
    await town.approve(handle, "bo@example.com")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert "and 1 of: eve@example.com" in str(status)

    three = {**managers, "also": [security, {"from": ["owners"]}]}
    town.change_place(town.production, approval=Approval.model_validate(three))
    await town.approve(handle, "eve@example.com")
    again = await town.until_new_plan(handle, status.intent)

    assert again.proposal
    assert [one.groups for one in again.proposal.terms.approval.also] == [("security",), ("owners",)]
    assert "lacks the approval of 1 of: " in str(again.records)
    assert town.world.version(town.place(town.production)) == "absent"


async def test_an_approver_who_left_the_group_no_longer_counts(town: Town) -> None:
    """Who may is read live at the effect: an approval by somebody removed since opens nothing."""
    handle = await town.waiting_in_production("1.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    organisation = town.settings.configuration.organisation.but(groups={"managers": ("cy@example.com",)})
    town.settings.configuration = town.settings.configuration.but(organisation=organisation)

    await town.approve(handle, "bo@example.com")

    again = await town.until_new_plan(handle, status.intent)
    assert again.proposal
    assert again.proposal.terms.approval.approvers == ("cy@example.com",)
    assert town.world.version(town.place(town.production)) == "absent"


async def test_a_changed_basis_voids_the_approval(town: Town) -> None:
    """When something else was put there meanwhile, the approvers see a new plan before anything happens."""
    await town.reach_production("1.0.0")
    handle = await town.waiting_in_production("2.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    other = town.make("1.5.0").components[0]
    held = town.world.held[town.place(town.production)]
    town.world.held[town.place(town.production)] = held.but(
        version="1.5.0", release=town.make("1.5.0").digest(), artifact=other.artifact
    )

    await town.approve(handle)

    again = await town.until_new_plan(handle, status.intent)
    assert "1.5.0" in str(again.proposal)
    assert "1.5.0" in str(again.records)
    await town.approve(handle)
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_other_actions_than_were_approved_void_the_approval(town: Town) -> None:
    """Where a target says its actions beforehand, people approve those: with others they are asked anew."""
    await town.reach_production("1.0.0")
    place = town.place(town.production)
    town.world.actions[place] = "create database"
    handle = await town.waiting_in_production("2.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    town.world.actions[place] = "delete database"

    await town.approve(handle)

    again = await town.until_new_plan(handle, status.intent)
    assert town.world.version(place) == "1.0.0"
    assert "would now be changed in other ways than were approved: delete database" in str(again.records)
    await town.approve(handle)
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_cancel_while_it_waits_ends_cancelled(town: Town) -> None:
    """Nothing was touched, and the workflow completes rather than failing."""
    handle = await town.waiting_in_production("1.0.0")

    await handle.cancel()

    report = await handle.result()
    assert report.outcome is Outcome.CANCELLED


async def test_cancel_during_a_deploy_undoes_it(town: Town) -> None:
    """The cancel goes by the lane; the undo never races the deed."""
    await town.stands("1.0.0", town.dev)
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()

    await handle.cancel()

    report = await handle.result()
    assert report.outcome is Outcome.CANCELLED
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert town.world.overlaps == 0


async def test_a_cancel_after_the_change_was_lost_tells_what_became_of_it(town: Town) -> None:
    """What was put back was not done: nobody is told that their cancel came too late."""
    await town.stands("1.0.0", town.dev)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    change = await town.change(town.dev)

    await change.terminate("somebody meant well")
    await handle.cancel()
    gate.set()

    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome in {Outcome.ROLLED_BACK, Outcome.CANCELLED}
    assert "too late" not in report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_a_frozen_environment_waits_for_the_thaw(town: Town) -> None:
    """A freeze is judged at the effect; after the thaw the promotion goes on with the same approval."""
    environment = await town.freeze(town.production)
    handle = await town.waiting_in_production("1.0.0")
    await town.approve(handle)
    status = await town.until(handle, Phase.WAITING_FOR_GATE)
    assert "stop the line" in status.waits_for
    assert town.world.version(town.place(town.production)) == "absent"

    await environment.signal("thaw", {"by": "olga@example.com"})

    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_a_freeze_with_an_end_thaws_by_itself(town: Town) -> None:
    """Whoever waits is told when the freeze is over, without anybody's command."""
    await town.freeze(town.dev, lasts="2s")

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.PROMOTED


async def test_a_rollback_ignores_a_freeze(town: Town) -> None:
    """Nothing ever blocks putting back."""
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    await town.freeze(town.dev)

    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert answer.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_nobody_serves_the_environment(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """“No worker” is a phase with a remedy, not a silence; a worker that comes is noticed."""
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(milliseconds=100))
    await town.close(town.dev)
    handle = await town.promote("1.0.0", town.dev)

    status = await town.until(handle, Phase.NO_WORKER)
    assert f"towpath worker --environments {town.dev}" in status.remedy
    await town.open(town.dev)

    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_two_components_are_one_change(town: Town) -> None:
    """When the second component fails, the first is put back too, newest first."""
    both = {"site": TargetTerms(target="fake"), "api": TargetTerms(target="fake")}
    town.change_place(town.dev, targets=both, health=())
    town.make("1.0.0", ("site", "api"))
    town.make("2.0.0", ("site", "api"))
    await town.stands("1.0.0", town.dev)
    town.world.refuses.add(town.place(town.dev, "api"))

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev, "site")) == "1.0.0"
    assert town.world.version(town.place(town.dev, "api")) == "1.0.0"


async def test_a_soak_is_watched_and_a_release_that_turns_sick_is_put_back(town: Town) -> None:
    """Health during the soak counts as health after the deploy does."""
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(seconds=20))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)

    town.world.sick.add("2.0.0")

    report = await handle.result()
    assert report.outcome is Outcome.ROLLED_BACK
    assert "while it soaked" in report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_what_was_found_sick_while_it_soaked_is_put_back_though_nobody_could_seal_that_then(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evidence was lost with the first try, and the second found the release well again."""
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(seconds=8))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)

    async def has_failed() -> bool:
        pending = (await change.describe()).raw_description.pending_activities
        return any(one.last_failure.message for one in pending)

    with monkeypatch.context() as broken:
        broken.setattr(town.settings, "about", _half_written)
        town.world.sick.add("2.0.0")
        await until(has_failed)
        town.world.sick.remove("2.0.0")

    report = await handle.result()
    assert report.outcome is Outcome.ROLLED_BACK
    assert "while it soaked" in report.why


def _half_written(service: str = "", environment: str = "") -> NoReturn:
    raise BrokenConfigurationError(f"{service}{environment}", [])


async def test_what_is_sick_does_not_soak(town: Town) -> None:
    """Whoever goes on with a soak does not count what the first one watched without finding it well."""
    slow = CheckTerms(check="fake", within=timedelta(minutes=5), every=timedelta(milliseconds=100))
    town.change_place(town.dev, soak=timedelta(seconds=20), health=(slow,))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)

    async def found_well() -> datetime | None:
        (pending,) = (await change.describe()).raw_description.pending_activities
        said = await town.client.data_converter.decode(pending.heartbeat_details.payloads)
        return datetime.fromisoformat(said[1]) if said else None

    first = await until(found_well)

    async def goes_on() -> datetime | None:
        return last if (last := await found_well()) != first else None

    await until(goes_on)
    town.world.sick.add("2.0.0")
    turned_sick = datetime.now(UTC)
    await asyncio.sleep(3)
    last = await found_well()
    await handle.cancel()
    await handle.result()

    assert last is not None
    assert last <= turned_sick


async def test_while_its_worker_is_stopped_nothing_soaks(town: Town) -> None:
    """It went by the clock alone, and three stops of a quarter of a minute were most of a soak."""
    town.change_place(town.dev, soak=timedelta(seconds=8))
    handle = await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    await asyncio.sleep(2)

    town.clock.offset += timedelta(minutes=5)
    await asyncio.sleep(3)
    status = await town.change_status(town.dev)

    assert status.phase is Phase.SOAKING
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_a_full_soak_is_in_the_receipt(town: Town) -> None:
    """The next environment is proven by a receipt that says the soak was full."""
    town.change_place(town.dev, soak=timedelta(seconds=1))

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.PROMOTED
    assert "full" in (await town.receipts(town.dev))[0].soaked


async def test_a_held_change_waits_and_goes_on(town: Town) -> None:
    """A hold stops the change before its next step, and a resume lets it go on."""
    both = {"site": TargetTerms(target="fake"), "api": TargetTerms(target="fake")}
    town.change_place(town.dev, targets=both, health=())
    town.make("1.0.0", ("site", "api"))
    gate = town.world.slow[town.place(town.dev, "site")] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await town.until(handle, Phase.IN_LANE)
    await handle.signal("hold", {"by": "olga@example.com", "comment": "let me look"})
    await town.until_recorded(town.dev, "hold")
    gate.set()

    await town.until_change(town.dev, Phase.HELD)
    assert town.world.version(town.place(town.dev, "api")) == "absent"
    await handle.signal("resume", {"by": "olga@example.com"})

    assert (await handle.result()).outcome is Outcome.PROMOTED


@pytest.mark.parametrize("again", ["1.0.0", "2.0.0"])
async def test_a_version_that_was_rolled_back_can_be_promoted_again(town: Town, again: str) -> None:
    """Promoted, rolled back, promoted again: each is a turn of its own, and the newest stands."""
    await town.promoted("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    await town.ask_lane(town.dev, Story.ROLLBACK)
    assert town.world.version(town.place(town.dev)) == "1.0.0"

    report = await town.promoted(again, town.dev)

    assert report.outcome is (Outcome.NOTHING_TO_DO if again == "1.0.0" else Outcome.PROMOTED)
    assert town.world.version(town.place(town.dev)) == again


async def test_a_component_that_a_release_leaves_out_keeps_standing(town: Town) -> None:
    """Holdings and the way to the next environment are per component: releases that change one leave others alone."""
    both = {"site": TargetTerms(target="fake"), "api": TargetTerms(target="fake")}
    for environment in (town.dev, town.staging):
        town.change_place(environment, targets=both, health=())
    town.make("1.0.0", ("site", "api"))
    town.make("2.0.0", ("api",))
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)

    report = await town.promoted("1.0.0", town.staging)
    assert report.outcome is Outcome.REFUSED
    report = await town.promoted("2.0.0", town.staging)
    assert report.outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.dev, "site")) == "1.0.0"
    assert town.world.version(town.place(town.dev, "api")) == "2.0.0"


async def test_a_rollback_in_one_environment_still_vouches_for_what_is_back(town: Town) -> None:
    """After a rollback the newest receipt proves the release that stands there again, and no other."""
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    await town.ask_lane(town.dev, Story.ROLLBACK)

    assert (await town.promoted("2.0.0", town.staging)).outcome is Outcome.REFUSED
    assert (await town.promoted("1.0.0", town.staging)).outcome is Outcome.PROMOTED


async def test_adoption_learns_what_runs_and_deploys_nothing(town: Town) -> None:
    """What was put there before Towpath came is in a receipt afterwards, and vouches for the next environment."""
    release = town.make("0.9.0")
    town.world.held[town.place(town.dev)] = Placement(
        version="0.9.0", release=release.digest(), artifact=release.components[0].artifact
    )

    answer = await town.ask_lane(town.dev, Story.ADOPTION)

    assert answer.said == "done"
    assert town.world.writes == []
    assert (await town.promoted("0.9.0", town.staging)).outcome is Outcome.PROMOTED
