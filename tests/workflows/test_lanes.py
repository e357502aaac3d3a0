"""Who goes first: lanes that let only the newest wait, or nobody, and soaks that make way."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.common import SearchAttributeKey

from domain.actor import Actor
from domain.answer import Ask, NotBegun
from domain.attempt import Kind
from domain.configuration_files import EnvironmentFile
from domain.folding import folded
from domain.journal import Soaked
from domain.names import OUTCOME, Subject, journal_key, promotion_id, receipt_prefix
from domain.notice import Event
from domain.noticing import of_promotion
from domain.outcome import Outcome, Phase
from domain.status import PromotionStatus, Report
from domain.terms import LanePolicy, LaneTerms, Request, Sealed, Story
from tests.domain.strategies import NOON
from tests.town import PATIENCE, Town
from tests.workflows.attacks import attacking, until_lane


async def reports(handles: Iterable[WorkflowHandle[Any, Report]]) -> list[Report]:
    ends = asyncio.gather(*(handle.result() for handle in handles))
    return await asyncio.wait_for(ends, PATIENCE.total_seconds())


async def test_the_newest_that_waits_supersedes_the_others_which_hear_by_whom(town: Town) -> None:
    """What runs is let finish, the newest comes next, and those between end superseded, never without a word."""
    town.change_place(town.dev, lane=LanePolicy.SUPERSEDE)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    between = [await town.promote(version, town.dev) for version in ("2.0.0", "3.0.0")]
    newest = await town.promote("4.0.0", town.dev, by="cy@example.com")

    superseded = await reports(between)
    waiting = await town.lane_status(town.dev)
    gate.set()
    ended = await reports([running, newest])

    assert [report.outcome for report in superseded] == [Outcome.SUPERSEDED] * 2
    assert "4.0.0, asked for by cy@example.com (claimed, not proven) at " in superseded[-1].why
    assert [ask.request.version for ask in waiting.queue] == ["4.0.0"]
    assert [report.outcome for report in ended] == [Outcome.PROMOTED] * 2
    assert [getattr(holding, "version", "") for _, _, holding in town.world.writes] == ["1.0.0", "4.0.0"]
    (notice,) = of_promotion(
        await between[-1].query("status", result_type=PromotionStatus), "run", NOON, timedelta()
    )
    assert notice.event is Event.SUPERSEDED
    assert "4.0.0, asked for by cy@example.com (claimed, not proven) at " in notice.text
    described = await between[-1].describe()
    assert described.typed_search_attributes[SearchAttributeKey.for_keyword(OUTCOME)] == "superseded"


async def test_a_lane_that_lets_nobody_wait_refuses_promotions_and_takes_rollbacks(town: Town) -> None:
    """The refusal says who has the lane; the way back is open all the while."""
    town.change_place(town.dev, lane=LanePolicy.REFUSE)
    await town.stands("1.0.0", town.dev)
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()

    (late,) = await reports([await town.promote("3.0.0", town.dev)])
    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert late.outcome is Outcome.REFUSED
    assert "2.0.0, asked for by ana@example.com (claimed, not proven) at " in late.why
    assert "has had it since " in late.why
    assert answer.outcome is Outcome.CANCELLED
    assert (await reports([running]))[0].outcome is Outcome.CANCELLED
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_a_soak_makes_way_and_what_was_cut_short_is_not_walked_on_until_it_soaks_anew(
    town: Town,
) -> None:
    """The newer promotion does not wait; what is placed stays, the receipt says `cut`, and so does who comes after.

    Not even an undo of the newer one makes up for it; only another soak does.
    """
    await town.stands("0.9.0", town.dev)
    town.change_place(town.dev, soak=timedelta(hours=1), yields=True)
    first = await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)

    second = await town.promote("2.0.0", town.dev, by="cy@example.com")
    (cut,) = await reports([first])
    await town.until_change(town.dev, Phase.SOAKING)
    receipts = await town.receipts(town.dev)
    await second.cancel()
    (undone,) = await reports([second])

    assert cut.outcome is Outcome.PROMOTED
    assert "its soak was cut short after " in cut.why
    assert "of 1h, for 2.0.0, asked for by cy@example.com (claimed, not proven)" in cut.why
    assert receipts[0].soaked is Soaked.CUT
    assert undone.outcome is Outcome.CANCELLED
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    onward = await town.promoted("1.0.0", town.staging)
    assert onward.outcome is Outcome.REFUSED
    assert f"towpath promote {town.service} 1.0.0 {town.dev}" in onward.why

    town.change_place(town.dev, soak=timedelta(milliseconds=1))
    walked = await (await town.walk("1.0.0", town.staging)).result()

    assert [(stop.environment, stop.outcome) for stop in walked.road] == [
        (town.dev, Outcome.PROMOTED),
        (town.staging, Outcome.PROMOTED),
    ]
    assert (await town.receipts(town.dev))[0].soaked is Soaked.FULL


async def test_a_soak_that_does_not_yield_is_ended_by_nobody(town: Town) -> None:
    """Neither by a newer promotion nor by whoever makes up that there is one."""
    await town.stands("0.9.0", town.dev)
    environments = town.settings.configuration.environments
    file = EnvironmentFile.model_validate(
        {"environment": town.dev, "yield": False, "key": environments[town.dev].key}
    )
    town.settings.configuration = town.settings.configuration.but(
        environments=environments | {town.dev: file}
    )
    town.change_place(town.dev, soak=timedelta(seconds=2), yields=True)
    first = await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)

    await change.signal("yield_soak", {"to": "9.9.9, asked for by eve"})
    await town.promote("2.0.0", town.dev)
    await reports([first])

    receipt = next(one for one in await town.receipts(town.dev) if one.version == "1.0.0")
    assert receipt.soaked is Soaked.FULL
    refused = (await change.query("status"))["refused"]
    assert refused[0]["why"] == "by its terms nobody ends its soak"


def made_up_like(status: PromotionStatus, subject: Subject) -> Ask:
    """Copy another's plan into an ask of a promotion that is not there, and is newer than any."""
    assert status.proposal
    body = folded(status.proposal.model_dump_json())
    sealed = Sealed(kind="proposal", environment=subject.environment, key="", body=body, signature="")
    request = Request(subject=subject, version="9.9.9", actor=Actor(name="eve"))
    return Ask(
        asker=promotion_id(subject, "9.9.9"),
        number=1,
        request=request,
        proposal=sealed,
        since=datetime.now(UTC) + timedelta(days=1),
    )


async def test_nobody_is_superseded_for_a_promotion_that_has_not_asked(town: Town) -> None:
    """Whoever copies an ask, with its sealed plan, in the name of one that waits or of one that never was."""
    town.change_place(town.dev, lane=LanePolicy.SUPERSEDE)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    waiting = await town.promote("2.0.0", town.dev)
    status = await town.until(waiting, Phase.IN_LANE)
    made_up = made_up_like(status, town.subject(town.dev))

    puppet = promotion_id(town.subject(town.dev), "8.8.8")
    says = status.but(version="8.8.8", asked_at=made_up.since, ask="").model_dump(mode="json")

    async with attacking(town) as attacker:
        await attacker.puts(puppet, says)
        for asker in (made_up.asker, running.id, "person/eve", puppet):
            await town.lane(town.dev).signal("ask", made_up.but(asker=asker))
        lane = await until_lane(town, town.dev, lambda lane: len(lane.refused) == 4)
    gate.set()

    assert [ask.asker for ask in lane.queue] == [waiting.id]
    assert {record.door for record in lane.refused} == {"ask"}
    assert [report.outcome for report in await reports([running, waiting])] == [Outcome.PROMOTED] * 2
    assert {one for one in await town.alarmed() if "more attempt" not in one} == {Kind.SPEAKING}


async def test_nobody_ends_a_soak_for_a_promotion_that_has_not_asked(town: Town) -> None:
    """Neither at the lane nor at the change, by whose terms a newer one would."""
    await town.stands("0.9.0", town.dev)
    town.change_place(town.dev, soak=timedelta(seconds=4), yields=True)
    first = await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)
    status = await first.query("status", result_type=PromotionStatus)

    await change.signal("yield_soak", {"to": "9.9.9, asked for by eve"})
    await town.lane(town.dev).signal("ask", made_up_like(status, town.subject(town.dev)))
    (report,) = await reports([first])

    assert report.outcome is Outcome.PROMOTED
    assert (await town.receipts(town.dev))[0].soaked is Soaked.FULL
    assert "does not say so" in (await town.lane_status(town.dev)).refused[0].why
    assert {one for one in await town.alarmed() if "more attempt" not in one} == {Kind.SPEAKING}


async def test_an_ask_that_somebody_made_up_takes_nobodys_place(town: Town) -> None:
    """Whatever it says of its age and of the lane: what carries no terms is let into nothing, and is never newer."""
    town.change_place(town.dev, lane=LanePolicy.SUPERSEDE)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    waiting = await town.promote("2.0.0", town.dev)
    await town.until(waiting, Phase.IN_LANE)
    request = Request(subject=town.subject(town.dev), version="9.9.9", actor=Actor(name="eve"))
    made_up = {"asker": "person/eve", "request": request, "lane": {"policy": "refuse", "yields": True}}

    for since in ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00", "soon"):
        await town.lane(town.dev).signal("ask", {**made_up, "since": since})
    lane = await town.lane_status(town.dev)
    gate.set()

    assert [ask.request.version for ask in lane.queue] == ["2.0.0", "9.9.9"]
    assert [ask.lane for ask in lane.queue if ask.asker == "person/eve"] == [LaneTerms()]
    assert [record.why.partition(":")[0] for record in lane.refused] == ["since", "since"]
    assert [report.outcome for report in await reports([running, waiting])] == [Outcome.PROMOTED] * 2


async def test_a_rollback_of_what_was_lost_is_its_settlement(town: Town) -> None:
    """
    The settlement puts back what was lost. A rollback that was asked for meanwhile undid the change before it, too.
    """
    for version in ("1.0.0", "2.0.0"):
        await town.promoted(version, town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    lost = await town.promote("3.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)
    await town.close(town.dev)
    await change.terminate("somebody did")
    await asyncio.sleep(0.5)
    asked = asyncio.create_task(town.ask_lane(town.dev, Story.ROLLBACK))
    await asyncio.sleep(0.5)
    await town.open(town.dev)

    answer = await asyncio.wait_for(asked, 30)
    report = await asyncio.wait_for(lost.result(), 30)

    assert isinstance(answer, NotBegun)
    assert "is being settled, which puts back whatever that had begun" in answer.refusal.why
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "2.0.0"


async def test_a_rollback_that_comes_with_the_end_of_its_change_leaves_the_lane_well(town: Town) -> None:
    """
    To cancel a change of which the same task says that it was terminated failed that task, again and again.
    """
    assert town.engine
    await town.promoted("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    lost = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)
    async with town.engine.away():
        await change.terminate("somebody did")
        await asyncio.sleep(0.5)
        asked = asyncio.create_task(town.ask_lane(town.dev, Story.ROLLBACK))
        await asyncio.sleep(0.5)

    answer = await asyncio.wait_for(asked, 30)
    report = await asyncio.wait_for(lost.result(), 30)

    assert not isinstance(answer, NotBegun)
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_what_its_target_bears_is_not_said_never_to_have_been(town: Town) -> None:
    """
    The journal was gone from the store, and what was to be undone “never happened”: a sick release stood, unheard of.
    """
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    promotion = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    turn = (await town.lane_status(town.dev)).turn
    assert turn is not None
    key = journal_key(town.subject(town.dev), turn, 1)
    entry = town.store.content.pop(key)

    town.world.sick.add("2.0.0")
    stuck = await town.until_change(town.dev, Phase.STUCK)
    town.store.content[key] = entry
    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})

    report = await asyncio.wait_for(promotion.result(), 30)
    assert "bears deed" in stuck.waits_for
    assert "its entry is not in the journal" in stuck.waits_for
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_no_rollback_is_drawn_up_past_a_change_without_its_receipt(town: Town) -> None:
    """It was drawn up from the receipt before, and undid another change than the newest."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await town.promoted(version, town.dev)
    key = max(
        town.store.content, key=lambda one: (one.startswith(receipt_prefix(town.subject(town.dev))), one)
    )
    receipt = town.store.content.pop(key)

    refused = await town.ask_lane(town.dev, Story.ROLLBACK)
    town.store.content[key] = receipt
    done = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert isinstance(refused, NotBegun)
    assert "no receipt says how it ended" in refused.refusal.why
    assert done.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "2.0.0"
