"""Asking, steering, freezing and showing, by the command line and the Python client."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from clients.cli.progress import tell_record
from clients.client import Towpath
from clients.lane import Lane, Wish
from clients.trouble import DeclinedError, UsageError
from clients.watching import watch_lane
from domain.actor import Actor
from domain.answer import Done, NotBegun
from domain.approval import Decision, Verdict
from domain.approval_written import Approval
from domain.names import change_id, environment_id
from domain.outcome import Exit, Outcome, Phase
from domain.record import DecisionRecord, OverrideRecord
from tests.clients.conftest import CommandLine, words
from tests.domain.strategies import NOON, digest
from tests.town import Town

pytestmark = pytest.mark.server


async def test_a_plan_is_shown_and_nothing_is_asked_for(town: Town, towpath: CommandLine) -> None:
    """`plan` says what would be done, and leaves no promotion and no lane behind."""
    town.make("1.0.0")

    ran = await towpath.type("plan", *words(town, "1.0.0", town.dev))
    as_json = await towpath.type("plan", *words(town, "1.0.0", town.dev), "--json")
    lane = await towpath.type("status", town.service, town.dev)

    assert ran.code == Exit.DONE
    assert "site: nothing → 1.0.0" in ran.said
    assert json.loads(as_json.out)["plan"]["version"] == "1.0.0"
    assert lane.code == Exit.USAGE


async def test_a_plan_that_would_be_refused_says_so(town: Town, towpath: CommandLine) -> None:
    """`plan` of what may not enter ends with 10 and the reasons."""
    ran = await towpath.type("plan", *words(town, "9.9.9", town.staging))

    assert ran.code == Exit.REFUSED
    assert "no release 9.9.9" in ran.said


async def test_a_held_change_waits_until_it_is_resumed(town: Town, towpath: CommandLine) -> None:
    """`hold` and `resume`, said to the promotion or to the lane, reach the change; `status` shows it held."""
    go_on = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()

    held = await towpath.type("hold", *words(town, "1.0.0", town.dev), "--comment", "lunch")
    async for view in watch_lane(Lane(town.client, town.subject(town.dev))):
        if view.change and any(isinstance(record, OverrideRecord) for record in view.change.records):
            break
    go_on.set()
    await town.until_change(town.dev, Phase.HELD)
    seen = await towpath.type("status", *words(town, "1.0.0", town.dev))
    again = await towpath.type("hold", town.service, town.dev)
    resumed = await towpath.type("resume", town.service, town.dev)
    report = await handle.result()

    assert (held.code, again.code, resumed.code) == (Exit.DONE, Exit.REFUSED, Exit.DONE)
    assert "held" in seen.out
    assert "it is held already" in again.said
    assert report.outcome is Outcome.PROMOTED


@pytest.mark.parametrize("verb", ["hold", "resume", "retry", "skip"])
async def test_steering_where_nothing_goes_on_is_declined(
    town: Town, towpath: CommandLine, verb: str
) -> None:
    """With nothing under way, whoever steers hears at once that there is nothing to steer."""
    await town.promoted("1.0.0", town.dev)

    ran = await towpath.type(verb, town.service, town.dev)
    ended = await towpath.type(verb, *words(town, "1.0.0", town.dev))

    assert (ran.code, ended.code) == (Exit.REFUSED, Exit.REFUSED)
    assert "no change is under way" in ran.said
    assert "it has ended" in ended.said


async def test_a_freeze_stops_what_goes_forward_until_it_thaws(town: Town, towpath: CommandLine) -> None:
    """`freeze` holds at once, its remedy is what `status` offers, and `thaw` lets the promotion go on."""
    frozen = await towpath.type("freeze", town.dev, "--reason", "stop the line", "--for", "2h")
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    seen = await towpath.type("status", *words(town, "1.0.0", town.dev))
    thawed = await towpath.type("thaw", town.dev)
    report = await asyncio.wait_for(handle.result(), 20)
    again = await towpath.type("thaw", town.dev)

    assert (frozen.code, thawed.code, again.code) == (Exit.DONE, Exit.DONE, Exit.REFUSED)
    assert "stop the line" in frozen.said
    assert f"towpath thaw {town.dev}" in seen.said
    assert report.outcome is Outcome.PROMOTED


async def test_an_environment_whose_workflow_was_terminated_is_not_shown_as_frozen(
    town: Town, towpath: CommandLine
) -> None:
    """Whoever ends it ends what it kept shut: that is said, and not what it last knew."""
    await towpath.type("freeze", town.dev, "--reason", "stop the line")
    await town.client.get_workflow_handle(environment_id(town.dev)).terminate("by somebody")

    seen = await towpath.type("status", environment_id(town.dev))

    assert "is terminated: whatever it kept shut" in " ".join(seen.said.split())
    assert "stop the line" not in seen.said


async def test_a_name_that_is_empty_is_nobodys(town: Town, towpath: CommandLine) -> None:
    """A variable that is not set is not a wish to act as whoever is logged in."""
    ran = await towpath.type("freeze", town.dev, "--reason", "stop the line", "--by", "")

    assert ran.code == Exit.USAGE
    assert "--by names nobody" in ran.said
    assert not (await town.client.count_workflows(f"WorkflowId='{environment_id(town.dev)}'")).count


async def test_what_runs_already_is_adopted(town: Town, towpath: CommandLine) -> None:
    """`adopt` records what stands there, and the lane then knows it."""
    ran = await towpath.type("adopt", town.service, town.dev)
    seen = await towpath.type("status", town.service, town.dev)

    assert (ran.code, seen.code) == (Exit.DONE, Exit.DONE)
    assert "was recorded as it stands" in ran.said
    assert "holds site: nothing" in seen.said


async def test_a_second_rollback_at_once_is_declined(town: Town, towpath: CommandLine) -> None:
    """Two people who roll back in the same minute do not undo two changes; a turn says which is meant."""
    for version in ("1.0.0", "2.0.0"):
        await town.promoted(version, town.dev)
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    await town.promote("3.0.0", town.dev)
    await town.world.reached.wait()
    lane = await Towpath(town.client).lane(town.service, town.dev).status()
    await Towpath(town.client).rollback(town.service, town.dev, by="bo@example.com")
    stale = await towpath.type("rollback", town.service, town.dev, "--turn", "1", "--watch")

    assert lane.running is not None
    assert stale.code == Exit.DONE
    assert town.world.version(town.place(town.dev)) == "2.0.0"


async def test_of_two_rollbacks_that_were_asked_for_at_once_one_is_done(town: Town) -> None:
    """
    Each was asked for before the lane knew of the other. It undid two changes, and each ended as asked for.
    """
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await town.promoted(version, town.dev)
    client = Towpath(town.client)

    wishes = await asyncio.gather(
        *(client.rollback(town.service, town.dev, by=f"{who}@example.com") for who in ("bo", "cy")),
        return_exceptions=True,
    )
    answers = [await one.result() for one in wishes if isinstance(one, Wish)]

    done = [one for one in answers if isinstance(one, Done)]
    assert [one.outcome for one in done] == [Outcome.ROLLED_BACK]
    assert town.world.version(town.place(town.dev)) == "2.0.0"
    for one in answers:
        if isinstance(one, NotBegun):
            assert "another would undo one change more" in one.refusal.why


async def test_a_rollback_that_was_typed_before_another_was_done_is_declined(town: Town) -> None:
    """A command takes longer to come up than a rollback to be done; of two that were typed at once, one is meant."""
    for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0"):
        await town.promoted(version, town.dev)
    client, typed = Towpath(town.client), datetime.now(UTC)
    await (await client.rollback(town.service, town.dev, by="bo@example.com", meant=typed)).result()

    with pytest.raises(DeclinedError, match="was rolled back by somebody else just now"):
        await client.rollback(town.service, town.dev, by="cy@example.com", meant=typed)
    later = datetime.now(UTC)
    await (await client.rollback(town.service, town.dev, by="cy@example.com", meant=later)).result()

    assert town.world.version(town.place(town.dev)) == "2.0.0"


async def test_a_decision_needs_a_plan_that_was_read(town: Town, towpath: CommandLine) -> None:
    """Without --plan and a terminal nothing is decided: the plan is shown, and the command that names it."""
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    handle = await town.promote("1.0.0", town.production)
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.intent

    ran = await towpath.type("approve", *words(town, "1.0.0", town.production), "--by", "bo@example.com")
    bare = await towpath.type(
        "approve", *words(town, "1.0.0", town.production), "--by", "bo@example.com", "--yes", "--signal"
    )
    report = await asyncio.wait_for(handle.result(), 20)

    assert (ran.code, bare.code) == (Exit.USAGE, Exit.DONE)
    assert f"--plan {status.intent.removeprefix('sha256:')[:8]}" in ran.said
    assert report.outcome is Outcome.PROMOTED


async def test_refusals_reach_whoever_decides_in_words(town: Town) -> None:
    """The Python client raises the reason for which a decision is not taken."""
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    promotion = await Towpath(town.client).promote(
        *words(town, "1.0.0", town.production), by="bo@example.com"
    )
    plan = (
        await town.until(town.client.get_workflow_handle(promotion.id), Phase.WAITING_FOR_APPROVAL)
    ).intent
    assert plan

    with pytest.raises(DeclinedError, match="nobody decides on their own request"):
        await promotion.approve(plan, by="bo@example.com")
    with pytest.raises(DeclinedError, match="is not an approver here"):
        await promotion.approve(plan, by="eve@example.com")
    with pytest.raises(DeclinedError, match="is the one that waits"):
        await promotion.approve("00000000", by="cy@example.com")
    with pytest.raises(UsageError, match="plan"):
        await promotion.approve("0" * 100, by="cy@example.com")

    assert "is taken" in await promotion.approve(plan, by="cy@example.com")
    assert (await promotion.result()).outcome is Outcome.PROMOTED


async def test_two_words_are_a_lane_or_the_only_promotion_of_a_version(
    town: Town, towpath: CommandLine
) -> None:
    """`status SERVICE X` finds out whether X is an environment or a version."""
    await town.promoted("1.0.0", town.dev)

    lane = await towpath.type("status", town.service, town.dev)
    promotion = await towpath.type("status", town.service, "1.0.0")

    assert "The lane of" in lane.said
    assert "ended: promoted" in promotion.said


async def test_who_acts_is_said_unless_they_said_so(town: Town, towpath: CommandLine) -> None:
    """A name that was found somewhere is told, with where; the one on the command line is not repeated."""
    told = await towpath.type("promote", *words(town, "1.0.0", town.staging))
    untold = await towpath.type("cancel", *words(town, "1.0.0", town.staging), "--by", "cy@example.com")

    assert "Acting as ana@example.com (TOWPATH_BY" in told.err
    assert "Acting as" not in untold.err


def test_a_comment_begins_no_line_of_its_own() -> None:
    """Where people read who decided what, nobody writes that another has."""
    said = Decision(
        actor=Actor(name="eve"),
        verdict=Verdict.APPROVE,
        intent=digest("plan"),
        at=NOON,
        comment="fine\r\nbo says approve\u2028cy says approve\n",
    )

    (told,) = tell_record(DecisionRecord(at=NOON, decision=said))

    assert [line.split()[0] for line in told.splitlines()] == ["eve", "│", "│"]


async def test_a_promotion_that_is_refused_at_once_says_so_unwatched(
    town: Town, towpath: CommandLine
) -> None:
    """A slip in the version was “asked for”, with 0, and refused where nobody looked."""
    ran = await towpath.type("promote", town.service, "1.0.O", town.dev)

    assert ran.code == Exit.REFUSED
    assert "It was refused: " in ran.said
    assert "1.0.O" in ran.said.partition("It was refused: ")[2]


async def test_a_rollback_that_is_declined_at_once_says_so_unwatched(
    town: Town, towpath: CommandLine
) -> None:
    """It was “asked for”, and no command told afterwards that it was not begun, or why."""
    declined = await towpath.type("rollback", town.service, town.dev)
    await town.promoted("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    done = await towpath.type("rollback", town.service, town.dev)

    assert declined.code == Exit.REFUSED
    assert "was not begun: there is no change of" in declined.said
    assert done.code == Exit.DONE
    assert "site is now 1.0.0" in done.said


async def test_the_decision_that_is_offered_is_the_whole_of_what_was_written(
    town: Town, towpath: CommandLine
) -> None:
    """What was said with it is not lost on whoever copies the line."""
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}))
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)

    asked = await towpath.type(
        "approve", *words(town, "1.0.0", town.dev), "--comment", "it's well", "--by", "bo@example.com"
    )

    assert asked.code == Exit.USAGE
    assert asked.said.endswith("""--by bo@example.com --comment 'it'"'"'s well'""")


async def test_a_freeze_in_place_of_another_says_what_it_replaces(town: Town, towpath: CommandLine) -> None:
    """Somebody else's reason and end are gone with it, and whoever froze it last is the one who knows."""
    await towpath.type("freeze", town.dev, "--reason", "the audit", "--by", "bo@example.com")

    again = await towpath.type("freeze", town.dev, "--reason", "lunch")

    assert again.code == Exit.DONE
    assert "in place of what was said before: frozen by bo@example.com" in again.said
    assert "the audit" in again.said


async def test_what_a_lane_holds_while_it_moves_is_said_to_be_of_before(
    town: Town, towpath: CommandLine
) -> None:
    """A change that is at work, or stuck, has perhaps replaced it already."""
    await town.promoted("1.0.0", town.dev)
    at_rest = await towpath.type("status", town.service, town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    await town.promote("2.0.0", town.dev)
    change = await town.until_change(town.dev, Phase.SOAKING)
    moving = await towpath.type("status", town.service, town.dev)
    asked = await towpath.type("status", *words(town, "2.0.0", town.dev))
    cancelled = await towpath.type("cancel", *words(town, "2.0.0", town.dev), "--reason", "lunch", "--watch")

    assert f"2.0.0 of {town.subject(town.dev)} has its turn in the lane; since" in asked.said
    assert "ended: cancelled by ana@example.com: lunch." in cancelled.said
    assert "before turn" not in at_rest.said
    assert re.search(rf"holds site: 1.0.0 .*, as it was before turn {change.turn}\b", moving.said)


async def test_a_rollback_is_listed_among_all_that_has_ended(town: Town, towpath: CommandLine) -> None:
    """Somebody has asked for it, as for a promotion; the change of a promotion is told of with that."""
    await town.promoted("1.0.0", town.dev)
    promotion = (await town.lane_status(town.dev)).last_turn
    await towpath.type("rollback", town.service, town.dev, "--turn", str(promotion), "--watch")
    rollback = (await town.lane_status(town.dev)).last_turn
    subject = town.subject(town.dev)

    async with asyncio.timeout(20):
        ran = await towpath.type("status", "--all", "--limit", "1000")
        while change_id(subject, rollback) not in ran.out:
            ran = await towpath.type("status", "--all", "--limit", "1000")

    assert re.search(rf"^{change_id(subject, rollback)} +rolled back ", ran.out, re.MULTILINE)
    assert change_id(subject, promotion) not in ran.out


async def test_a_hold_is_taken_back_before_it_holds(town: Town, towpath: CommandLine) -> None:
    """While a soak lasts it was neither shown, nor could anybody resume."""
    town.change_place(town.dev, soak=timedelta(minutes=5))
    await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)

    held = await towpath.type("hold", town.service, town.dev)
    seen = await towpath.type("status", town.service, town.dev)
    resumed = await towpath.type("resume", town.service, town.dev)
    again = await towpath.type("status", town.service, town.dev)

    assert (held.code, resumed.code) == (Exit.DONE, Exit.DONE), resumed.said
    assert "it holds before its next step" in seen.said
    assert "it holds" not in again.said
