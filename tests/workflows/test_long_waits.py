"""Waits of hours and months, in seconds: who is asked as well after a while, and what a long wait forgets."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.labels import search_attributes
from domain.actor import Actor
from domain.approval import DecisionWord
from domain.approval_written import Approval
from domain.configuration_files import Organisation
from domain.names import ENGINE_QUEUE, SERVICE, promotion_id
from domain.notice import Event
from domain.noticing import of_promotion
from domain.outcome import Outcome, Phase
from domain.status import PromotionStatus, Report
from domain.terms import Request
from domain.value import short
from domain.windows import Window
from tests.town import PATIENCE, Town
from workflows import patience

pytestmark = pytest.mark.server
BO, LEE = "bo@example.com", "lee@example.com"
LONG = Approval.model_validate(
    {"quorum": 1, "from": ["managers"], "wait": "60d", "escalate": [{"after": "4h", "to": ["leads"]}]}
)


@pytest.fixture
async def ready(town: Town) -> Town:
    """Production waits for sixty days, and asks the leads after four hours."""
    groups: dict[str, tuple[str, ...]] = {"managers": (BO,), "leads": (LEE,)}
    town.settings.configuration = town.settings.configuration.but(organisation=Organisation(groups=groups))
    town.change_place(town.production, approval=LONG)
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    return town


async def asked(town: Town, skipping: WorkflowEnvironment) -> WorkflowHandle[Any, Report]:
    """Start a promotion whose clock can be put forward."""
    handle = await requested(town, skipping, town.production)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    return skipping.client.get_workflow_handle(handle.id, result_type=Report)


async def requested(
    town: Town, skipping: WorkflowEnvironment, environment: str
) -> WorkflowHandle[Any, Report]:
    subject = town.subject(environment)
    request = Request(subject=subject, version="1.0.0", actor=Actor(name="ana@example.com"))
    with skipping.with_time_skipping_disabled():
        return await skipping.client.start_workflow(
            "PromotionWorkflow",
            request,
            id=promotion_id(subject, "1.0.0"),
            task_queue=ENGINE_QUEUE,
            result_type=Report,
            search_attributes=search_attributes({SERVICE: town.service}),
        )


async def status_of(handle: WorkflowHandle[Any, Report]) -> PromotionStatus:
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    return status


async def next_run(handle: WorkflowHandle[Any, Report], run: str | None) -> PromotionStatus:
    """Say things to it until it goes on in a new run, and return what that says of itself."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while (await handle.describe()).run_id == run:
            await handle.signal("hold", {"by": "olga@example.com"})
        while True:
            try:
                return await status_of(handle)
            except RPCError:  # the new run has not been taken up yet
                await asyncio.sleep(0.05)


async def test_who_is_asked_after_a_while_counts_by_the_environments_own_clock(
    ready: Town, skipping: WorkflowEnvironment
) -> None:
    """Before that their word is refused; where only the workflow believes that the time has come, at the effect."""
    handle = await asked(ready, skipping)
    first = await status_of(handle)
    early = DecisionWord(by=LEE, plan=short(first.intent or ""))
    await handle.signal("approve", early)
    refused = await status_of(handle)

    assert await skipping.fast_forward(handle, timedelta(hours=4, minutes=1))
    await handle.signal("approve", early)
    again = await ready.until_new_plan(handle, first.intent)
    assert await skipping.fast_forward(handle, timedelta(hours=4, minutes=1))
    ready.clock.offset = timedelta(hours=5)
    due = await status_of(handle)
    await handle.signal("approve", DecisionWord(by=LEE, plan=short(again.intent or "")))
    report = await asyncio.wait_for(handle.result(), PATIENCE.total_seconds())

    assert "is not an approver here" in refused.refused[-1].why
    assert (refused.escalated, again.escalated, due.escalated) == (0, 0, 1)
    assert due.waits_for == f"1 of: {BO}, {LEE}"
    assert report.outcome is Outcome.PROMOTED


async def test_sixty_days_are_waited_through_with_reminders_and_runs_and_then_are_over(
    ready: Town, skipping: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait goes on in new runs, and ends when it was to end; whoever decides on its last day is in time."""
    monkeypatch.setattr(patience, "LONGEST_HISTORY", 40)
    handle = await asked(ready, skipping)
    first, run = await status_of(handle), (await handle.describe()).run_id
    assert await skipping.fast_forward(handle, timedelta(days=30))
    later = await next_run(handle, run)
    assert await skipping.fast_forward(handle, timedelta(days=29))
    last = await status_of(handle)
    ready.clock.offset = timedelta(days=59)
    await handle.signal("approve", DecisionWord(by=BO, plan=short(first.intent or "")))
    report = await asyncio.wait_for(handle.result(), PATIENCE.total_seconds())
    ready.clock.offset = timedelta()
    ready.world.held.clear()
    for environment in (ready.dev, ready.staging):
        await ready.promoted("1.0.0", environment)
    silent = await asked(ready, skipping)
    await skipping.fast_forward(silent, timedelta(days=61))
    silence = await asyncio.wait_for(silent.result(), PATIENCE.total_seconds())

    assert later.refused
    assert later.intent == last.intent == first.intent
    assert last.escalated == 1
    assert report.outcome is Outcome.PROMOTED
    assert silence.outcome is Outcome.EXPIRED
    assert first.proposal
    now = first.proposal.drawn_up + timedelta(days=59)
    events = [notice.event for notice in of_promotion(last, "run", now, timedelta(hours=4))]
    assert Event.REMINDER in events
    assert Event.ESCALATED in events


def next_year_or_half(zone: ZoneInfo) -> datetime:
    """Return nine o'clock there on the next first of January or July before which the clocks are changed."""
    now = datetime.now(zone)
    firsts = (datetime(now.year + year, month, 1, 9, tzinfo=zone) for year in (0, 1) for month in (1, 7))
    return next(at for at in firsts if at > now and at.utcoffset() != now.utcoffset())


async def test_what_waits_for_a_window_beyond_a_change_of_the_clocks_wakes_when_it_opens_there(
    town: Town, skipping: WorkflowEnvironment
) -> None:
    """By the clocks as they will be then: a minute before nothing happens, and at nine it goes on by itself."""
    zone = "Europe/Berlin"
    opens = next_year_or_half(ZoneInfo(zone))
    ahead = opens.astimezone(UTC) - datetime.now(UTC)
    window = Window.model_validate({"cron": f"0 9 1 {opens.month} *", "lasts": "1h", "zone": zone})
    town.change_place(town.dev, windows=(window,))
    town.make("1.0.0")
    handle = await requested(town, skipping, town.dev)
    status = await town.until(handle, Phase.WAITING_FOR_GATE)

    waiting = skipping.client.get_workflow_handle(handle.id, result_type=Report)
    assert await skipping.fast_forward(waiting, ahead - timedelta(minutes=1))
    before = await status_of(waiting)
    town.clock.offset = ahead
    assert await skipping.fast_forward(waiting, timedelta(minutes=2))
    report = await asyncio.wait_for(waiting.result(), PATIENCE.total_seconds())

    assert f"opens {opens:%a %Y-%m-%d} 09:00 {opens:%Z}" in status.waits_for
    assert before.phase is Phase.WAITING_FOR_GATE
    assert report.outcome is Outcome.PROMOTED
