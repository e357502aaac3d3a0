import asyncio
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from activities.labels import search_attributes
from domain.doors import NUDGE
from domain.names import ENGINE_QUEUE, ENVIRONMENT, PHASE, SERVICE, STORY, promotion_id
from domain.outcome import Outcome, Phase
from domain.workflow_types import PROMOTION
from tests.fakes import Bell
from tests.servers import AT_ONCE, new_server
from tests.survival.waiting import until
from tests.town import Town, engine_worker
from workers.lookout import WAITING, Lookout, keep_lookout
from workflows import patience


async def test_a_lane_that_was_lost_with_its_change_is_woken(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Lane and change terminated together leave nobody to notice: the lookout does.

    What was begun is put back, and the promotion, which is still approved, has its turn in the new lane.
    """
    monkeypatch.setattr(patience, "PUBLISH_AFTER", timedelta(seconds=0.3))
    await town.promoted("1.0.0", town.dev)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    change = await town.change(town.dev)
    await town.lane(town.dev).terminate("somebody meant well")
    await change.terminate("somebody meant well")
    gate.set()
    lookout = asyncio.create_task(keep_lookout(town.client, Bell(), timedelta(milliseconds=100)))

    report = await asyncio.wait_for(handle.result(), 30)

    lookout.cancel()
    with suppress(asyncio.CancelledError):
        await lookout
    assert report.outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.dev)) == "2.0.0"
    assert town.world.doubled() == []


async def test_a_lane_that_rests_while_a_promotion_waits_for_it_is_nudged_the_second_time(
    tmp_path: Path,
) -> None:
    """Somebody took its task, and answered it with nothing. What rests once may just have ended something."""
    bell = Bell()
    async with new_server(AT_ONCE) as (client, _), Town(client, bell, tmp_path) as town:
        async with engine_worker(client, bell):
            await town.promoted("1.0.0", town.dev)
        subject = town.subject(town.dev)
        names = {SERVICE: subject.service, ENVIRONMENT: subject.environment, STORY: "promotion"}
        waiting = await client.start_workflow(
            PROMOTION,
            id=promotion_id(subject, "2.0.0"),
            task_queue=ENGINE_QUEUE,
            search_attributes=search_attributes(names | {PHASE: Phase.IN_LANE}),
        )

        async def is_listed() -> bool:
            return bool((await client.count_workflows(WAITING)).count)

        await until(is_listed)
        lookout = Lookout(client)
        nudged = list[bool]()
        for _ in range(2):
            await lookout.look()
            history = await town.lane(town.dev).fetch_history()
            nudged.append(
                any(
                    event.workflow_execution_signaled_event_attributes.signal_name == NUDGE
                    for event in history.events
                )
            )
        await waiting.terminate()

    assert nudged == [False, True]
