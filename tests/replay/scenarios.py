"""Every way a story ends, played in a small town: what golden histories are recorded from."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from domain.actor import Actor
from domain.approval_written import Approval
from domain.configuration_files import Organisation
from domain.names import ENGINE_QUEUE, change_id, environment_id, lane_id, pipeline_id, promotion_id
from domain.outcome import Phase
from domain.terms import LanePolicy, Request, Story, TargetTerms
from domain.urgency import BreakGlass, Urgency
from domain.value import short
from tests.survival.waiting import until
from tests.town import Town

Scenario = Callable[[Town], Awaitable[None]]


async def promoted(town: Town) -> None:
    for environment in (town.dev, town.staging, town.production):
        await town.promoted("1.0.0", environment)


async def rolled_back(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    await town.promoted("2.0.0", town.dev)


async def refused(town: Town) -> None:
    await town.promoted_without_waiting("1.0.0", town.staging)


async def rejected(town: Town) -> None:
    handle = await town.waiting_in_production("1.0.0")
    status = await handle.query("status")
    await handle.signal("typo", {"by": "bo@example.com"})
    await handle.signal("approve")
    answer = {"by": "cy@example.com", "comment": "no", "plan": short(status["intent"])}
    await handle.signal("reject", answer)
    await handle.result()


async def expired(town: Town) -> None:
    approval = town.settings.configuration.approval(town.subject(town.production))
    place = town.settings.configuration.services[town.service].environments[town.production]
    assert place.approval
    town.change_place(town.production, approval=place.approval.but(wait=timedelta(seconds=1)))
    assert approval.quorum
    await (await town.waiting_in_production("1.0.0")).result()


async def cancelled(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    await handle.cancel()
    await handle.result()


async def cancelled_while_it_waits(town: Town) -> None:
    handle = await town.waiting_in_production("1.0.0")
    await handle.cancel()
    await handle.result()


async def nothing_to_do(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    await town.promoted("1.0.0", town.dev)


async def settled_by_hand(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.STUCK)
    await handle.signal("skip", {"by": "olga@example.com", "comment": "repaired by hand"})
    await handle.result()


async def stuck_and_retried(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.STUCK)
    town.world.stuck.clear()
    await handle.signal("retry", {"by": "olga@example.com"})
    await handle.result()


async def frozen_and_thawed(town: Town) -> None:
    environment = await town.freeze(town.dev)
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    await environment.signal("thaw", {"by": "olga@example.com"})
    await handle.result()


async def rollback_of_an_idle_environment(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    await town.ask_lane(town.dev, Story.ROLLBACK)


async def adopted(town: Town) -> None:
    await town.ask_lane(town.dev, Story.ADOPTION)


async def held_and_resumed(town: Town) -> None:
    both = {"site": TargetTerms(target="fake"), "api": TargetTerms(target="fake")}
    town.change_place(town.dev, targets=both)
    town.make("1.0.0", ("site", "api"))
    gate = town.world.slow[town.place(town.dev, "site")] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await town.until(handle, Phase.IN_LANE)
    await handle.signal("hold", {"by": "olga@example.com"})
    await town.until_recorded(town.dev, "hold")
    gate.set()
    await town.until_change(town.dev, Phase.HELD)
    await handle.signal("resume", {"by": "olga@example.com"})
    await handle.result()


async def superseded(town: Town) -> None:
    town.change_place(town.dev, lane=LanePolicy.SUPERSEDE)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    older = await town.promote("2.0.0", town.dev)
    await town.until(older, Phase.IN_LANE)
    newer = await town.promote("3.0.0", town.dev)
    await older.result()
    gate.set()
    await running.result()
    await newer.result()


async def turned_away_from_a_busy_lane(town: Town) -> None:
    town.change_place(town.dev, lane=LanePolicy.REFUSE)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await (await town.promote("2.0.0", town.dev)).result()
    gate.set()
    await running.result()


async def soak_cut_short(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(hours=1), yields=True)
    older = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    town.change_place(town.dev, soak=timedelta(seconds=1))
    newer = await town.promote("3.0.0", town.dev)
    await older.result()
    await newer.result()


async def change_terminated(town: Town) -> None:
    await town.promoted("1.0.0", town.dev)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    await (await town.change(town.dev)).terminate("the scenario asks for it")
    gate.set()
    await handle.result()


async def change_lost(town: Town) -> None:
    """What its promotion says of that is a shape of its own."""
    await change_terminated(town)


async def rolled_back_by_two_at_once(town: Town) -> None:
    """The second has not known of the first, and is declined."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await town.promoted(version, town.dev)
    people = ("olga@example.com", "paul@example.com")
    await asyncio.gather(*(town.ask_lane(town.dev, Story.ROLLBACK, by=who) for who in people))


async def past_answered_with_nonsense(town: Town) -> None:
    """The lane asks for it again."""
    await town.promoted("1.0.0", town.dev)
    lane = town.lane(town.dev)
    await lane.terminate("the scenario asks for it")
    await town.close(town.dev)
    asked = asyncio.create_task(town.ask_lane(town.dev, Story.ADOPTION))
    recalling = await until(lambda: _pending(lane))
    await town.client.get_async_activity_handle(
        workflow_id=lane.id, run_id=None, activity_id=recalling
    ).complete("nonsense")
    await town.open(town.dev)
    await asked


async def _pending(handle: WorkflowHandle[Any, Any]) -> str:
    described = await handle.describe()
    if described.status is not WorkflowExecutionStatus.RUNNING:
        return ""
    return next((one.activity_id for one in described.raw_description.pending_activities), "")


async def refused_by_a_worker_that_came_late(town: Town) -> None:
    await town.close(town.staging)
    handle = await town.promote("1.0.0", town.staging)
    await town.until(handle, Phase.NO_WORKER)
    await town.open(town.staging)
    await handle.result()


async def started_badly(town: Town) -> None:
    subject = town.subject(town.dev)
    request = Request(subject=subject, version="2.0.0", actor=Actor(name="ana@example.com"))
    await town.client.start_workflow(
        "PromotionWorkflow", request, id=promotion_id(subject, "1.0.0"), task_queue=ENGINE_QUEUE
    )


async def walked(town: Town) -> None:
    """Side by side, a join on the way, and a word that is refused."""
    sides = (f"asia-{town.service}", f"europe-{town.service}")
    await town.branch(sides, town.dev, town.production)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    handle = await town.walk("1.0.0")
    await town.until_under_way(handle, town.dev)
    await handle.signal("hurry", {"by": "eve@example.com"})
    gate.set()
    await town.until_under_way(handle, town.production)
    await town.approve(town.promotion_of("1.0.0", town.production))
    await handle.result()


async def walk_stopped(town: Town) -> None:
    town.world.sick.add("1.0.0")
    await (await town.walk("1.0.0")).result()


async def walk_cancelled(town: Town) -> None:
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.walk("1.0.0")
    await town.world.reached.wait()
    await handle.cancel()
    await handle.result()
    gate.set()
    await town.promotion_of("1.0.0", town.dev).result()


async def walk_refused(town: Town) -> None:
    town.change_place(town.dev, after=(town.production,))
    await (await town.walk("1.0.0")).result()


async def rehearsed(town: Town) -> None:
    town.change_place(town.dev, rehearse=True)
    await town.promoted("1.0.0", town.dev)


async def glass_broken(town: Town) -> None:
    """Past a freeze, by somebody on call."""
    _have(town, {"managers": ("bo@example.com",), "on-call": ("di@example.com",)})
    glass = BreakGlass.model_validate({"from": ["on-call"], "skips": ["freezes"], "review": ["managers"]})
    town.change_floor(town.production, break_glass=glass)
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    await town.freeze(town.production)
    await (await town.hurry(Urgency.BREAK_GLASS, "1.0.0", town.production, "di@example.com")).result()


async def escalated(town: Town) -> None:
    _have(town, {"managers": ("bo@example.com",), "leads": ("lee@example.com",)})
    asked = {"quorum": 1, "from": ["managers"], "escalate": [{"after": "1s", "to": ["leads"]}]}
    town.change_place(town.production, approval=Approval.model_validate(asked))
    handle = await town.waiting_in_production("1.0.0")
    while not (await town.until(handle, Phase.WAITING_FOR_APPROVAL)).escalated:  # noqa: ASYNC110 - it is asked
        await asyncio.sleep(0.1)
    await town.approve(handle, "lee@example.com")
    await handle.result()


def _have(town: Town, groups: dict[str, tuple[str, ...]]) -> None:
    town.settings.configuration = town.settings.configuration.but(organisation=Organisation(groups=groups))


SCENARIOS: Final[Mapping[str, Scenario]] = {
    scenario.__name__: scenario
    for scenario in (
        promoted,
        rolled_back,
        refused,
        rejected,
        expired,
        cancelled,
        cancelled_while_it_waits,
        nothing_to_do,
        settled_by_hand,
        stuck_and_retried,
        frozen_and_thawed,
        rollback_of_an_idle_environment,
        adopted,
        held_and_resumed,
        superseded,
        turned_away_from_a_busy_lane,
        soak_cut_short,
        change_terminated,
        change_lost,
        rolled_back_by_two_at_once,
        past_answered_with_nonsense,
        refused_by_a_worker_that_came_late,
        started_badly,
        walked,
        walk_stopped,
        walk_cancelled,
        walk_refused,
        rehearsed,
        glass_broken,
        escalated,
    )
}

STORIES: Final = (promotion_id, lane_id, change_id, environment_id, pipeline_id)
"""Every kind of workflow whose histories are kept."""
