"""Asks in another's name: what a lane answers to somebody else's ask is no answer to the asker's own."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from clients.lane import Lane
from domain.actor import Actor
from domain.answer import Ask, Done
from domain.approval_written import Approval
from domain.attempt import Kind
from domain.folding import folded
from domain.names import promotion_id
from domain.outcome import Outcome, Phase
from domain.status import PromotionStatus
from domain.terms import LanePolicy, Request, Sealed, Story
from tests.news import news
from tests.town import Town
from tests.workflows.attacks import asks, until_lane


def made_up(status: PromotionStatus, number: int, **lies: Any) -> Ask:
    """Make up the ask that a promotion has sent, or is about to send; ``lies`` are what it says otherwise."""
    assert status.request
    ask = Ask(
        asker=promotion_id(status.subject, status.version),
        number=number,
        intent=status.intent or "",
        request=status.request,
        since=status.asked_at,
    )
    return ask.but(**lies)


def unsealed(status: PromotionStatus) -> Sealed:
    """Copy a promotion's plan, with a seal that is none."""
    assert status.proposal
    body = folded(status.proposal.model_dump_json())
    return Sealed(kind="proposal", environment=status.subject.environment, key="", body=body, signature="")


async def until_refused(handle: WorkflowHandle[Any, Any], why: str) -> None:
    async with asyncio.timeout(20):
        async for _ in news(handle):
            refused = (await handle.query("status"))["refused"]
            if any(why in one["why"] for one in refused):
                return


async def test_the_receipt_of_another_plan_ends_no_promotion(town: Town) -> None:
    """Asked in the name of what is under way for what was done before, the lane has an answer: to nobody's ask."""
    await town.promoted("1.0.0", town.dev)
    intent = (await town.receipts(town.dev))[0].intent
    await town.lane(town.dev).terminate("its next run recalls that receipt")
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    town.world.reached.clear()
    running = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    status = await town.until(running, Phase.IN_LANE)

    await town.lane(town.dev).signal("ask", made_up(status, status.number, intent=intent))
    await town.until_alarmed(Kind.SPEAKING)
    gate.set()
    report = await asyncio.wait_for(running.result(), 30)

    assert report.outcome is Outcome.PROMOTED
    assert report.turn == (await town.receipts(town.dev))[0].turn
    assert town.world.version(town.place(town.dev)) == "2.0.0"


@pytest.mark.parametrize("lie", ["no terms", "no seal"])
async def test_a_made_up_copy_takes_the_place_of_no_ask_that_waits(town: Town, lie: str) -> None:
    """The lane asks the promotion which of the two it has sent."""
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    waiting = await town.promote("2.0.0", town.dev)
    status = await town.until(waiting, Phase.IN_LANE)
    await until_lane(town, town.dev, lambda lane: lane.queue)

    proposal = unsealed(status) if lie == "no seal" else None
    await town.lane(town.dev).signal("ask", made_up(status, status.number, proposal=proposal))
    await town.until_alarmed(Kind.SPEAKING)
    lane = await town.lane_status(town.dev)
    gate.set()

    assert [ask.asker for ask in lane.queue] == [waiting.id]
    reports = [await asyncio.wait_for(handle.result(), 30) for handle in (running, waiting)]
    assert [report.outcome for report in reports] == [Outcome.PROMOTED] * 2


async def test_what_was_answered_before_a_promotion_asks_is_no_answer_to_it(town: Town) -> None:
    """Somebody has asked in its name, under the number that it is to ask with, and tells it so when it does."""
    handle = await town.waiting_in_production("1.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    await asks(town, town.production, made_up(status, 1))
    told = (await until_lane(town, town.production, lambda lane: lane.answers)).answers[handle.id]
    assert {*await town.alarmed()} == {Kind.WARRANT}
    gate = town.world.slow[town.place(town.production)] = asyncio.Event()
    town.world.reached.clear()
    await town.approve(handle)
    await town.world.reached.wait()

    await handle.signal("told", told)
    await until_refused(handle, "says nothing of the kind")
    gate.set()

    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.production)) == "1.0.0"


async def test_nobody_makes_way_for_a_promotion_that_has_not_asked_yet(town: Town) -> None:
    """It waits for its approval, and is newer than all that have theirs: it has asked for nothing."""
    approval = Approval.model_validate({"quorum": 1, "from": ["managers"]})
    town.change_place(town.dev, lane=LanePolicy.SUPERSEDE, approval=approval)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running, waiting, newest = [
        await town.promote(version, town.dev) for version in ("1.0.0", "2.0.0", "3.0.0")
    ]
    await town.approve(running)
    await town.world.reached.wait()
    await town.approve(waiting)
    await until_lane(town, town.dev, lambda lane: lane.queue)
    status = await town.until(newest, Phase.WAITING_FOR_APPROVAL)

    forged = made_up(status, status.number, proposal=unsealed(status))
    await town.lane(town.dev).signal("ask", forged)
    await town.until_alarmed(Kind.SPEAKING)
    lane = await town.lane_status(town.dev)
    gate.set()

    assert [ask.asker for ask in lane.queue] == [waiting.id]
    assert (await asyncio.wait_for(running.result(), 30)).outcome is Outcome.PROMOTED
    await town.until(waiting, Phase.WAITING_FOR_APPROVAL)  # of its new plan: another stands there now


async def test_an_answer_to_another_ask_is_none_to_an_operators(town: Town) -> None:
    """Their rollback is answered by what became of it, whatever else was asked in their name."""
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    intent = (await town.receipts(town.dev))[0].intent
    await town.lane(town.dev).terminate("its next run recalls that receipt")
    wish = await Lane(town.client, town.subject(town.dev)).rollback(by="ana@example.com")
    lane = await until_lane(town, town.dev, lambda lane: lane.running)
    assert lane.running
    assert lane.running.request.story is Story.ROLLBACK

    await town.lane(town.dev).signal("ask", lane.running.but(intent=intent, comes_back=True))
    await town.until_alarmed(Kind.SPEAKING)
    gate.set()

    assert isinstance(await asyncio.wait_for(wish.result(), 30), Done)
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_who_begins_in_an_hour_holds_no_lane_up_meanwhile(town: Town) -> None:
    """A promotion that somebody starts with a delay answers nothing: it has asked nothing, and is not waited for."""
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    request = Request(subject=town.subject(town.dev), version="9.9.9", actor=Actor(name="eve"))
    later = await town.client.start_workflow(
        "PromotionWorkflow",
        request,
        id=promotion_id(town.subject(town.dev), "9.9.9"),
        task_queue="towpath",
        start_delay=timedelta(hours=1),
    )

    for intent in ("one", "another"):
        ask = Ask(asker=later.id, number=1, request=request, intent=intent)
        await town.lane(town.dev).signal("ask", ask)
    gate.set()

    assert (await asyncio.wait_for(running.result(), 15)).outcome is Outcome.PROMOTED
    await town.until_alarmed(Kind.SPEAKING)
    await later.terminate()


async def test_a_promotion_that_is_told_to_ask_again_and_again_asks_once_more(town: Town) -> None:
    """What it is about to say to its lane, it need not say twice."""
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await town.until(handle, Phase.IN_LANE)

    await asyncio.gather(*(handle.signal("ask_again", {}) for _ in range(300)))
    gate.set()

    assert (await asyncio.wait_for(handle.result(), 30)).outcome is Outcome.PROMOTED
    asked = [event async for event in town.lane(town.dev).fetch_history_events() if is_ask(event)]
    assert len(asked) < 100, "at most once for each task of its workflow"


async def test_a_cancelled_promotion_that_is_told_to_ask_again_says_that_it_withdraws(town: Town) -> None:
    """A newborn lane knows of neither, and is not to carry out what was cancelled."""
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await handle.cancel()
    await until_said(town, "ask", "withdraw")

    await handle.signal("ask_again", {})
    await until_said(town, "ask", "withdraw", "ask", "withdraw")
    await town.until_change(town.dev, Phase.UNDOING)
    gate.set()

    assert (await asyncio.wait_for(handle.result(), 30)).outcome is Outcome.CANCELLED


async def until_said(town: Town, *signals: str) -> None:
    """Wait until all of these were said to a lane, and nothing else."""
    said: list[str] = []
    async with asyncio.timeout(20):
        async for _ in news(town.lane(town.dev)):
            events = [event async for event in town.lane(town.dev).fetch_history_events()]
            signalled = [one.workflow_execution_signaled_event_attributes.signal_name for one in events]
            said = [name for name in signalled if name in {"ask", "withdraw"}]
            if said == [*signals]:
                return
    raise AssertionError(said)


def is_ask(event: Any) -> bool:
    return bool(event.workflow_execution_signaled_event_attributes.signal_name == "ask")
