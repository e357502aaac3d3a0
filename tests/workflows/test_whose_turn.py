"""Whose turn it is, by the server's own word."""

import asyncio
from datetime import timedelta

import pytest

from activities.clearance import Clearing
from activities.lanes import Caller, Lane, find_lane, gave
from domain.names import change_id, lane_id
from domain.outcome import Outcome, Phase
from domain.terms import Request
from tests.town import Town
from tests.workflows.attacks import attacking

pytestmark = pytest.mark.server


async def test_a_turn_is_its_changes_and_nobody_elses(town: Town) -> None:
    """
    Whoever goes by the change's id in another run has no turn, nor has another change.
    """
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    subject, change = town.subject(town.dev), await town.change(town.dev)
    run = (await change.describe()).run_id
    other = (await handle.describe()).run_id

    lane = await find_lane(town.client, subject)
    gate.set()
    await handle.result()

    assert lane
    assert lane.turn
    assert change.id == change_id(subject, lane.turn)
    assert await gave(lane, subject, Caller(town.client, change.id, run))
    assert not await gave(lane._replace(run=other), subject, Caller(town.client, change.id, run))
    assert not await gave(lane, subject, Caller(town.client, change_id(subject, lane.turn + 1), run))
    assert not await gave(lane, subject, Caller(town.client, handle.id, run))


async def test_a_lane_is_one_that_the_engine_runs(town: Town) -> None:
    """
    Nobody there, one that has ended and one that somebody else runs are no lanes; one that rests has nothing open.
    """
    subject = town.subject(town.dev)
    never = await find_lane(town.client, subject)
    await town.promoted("1.0.0", town.dev)

    resting = await find_lane(town.client, subject)
    await town.lane(town.dev).terminate("by somebody")
    ended = await find_lane(town.client, subject)
    async with attacking(town) as attacker:
        await attacker.puts(lane_id(subject), {})
        anothers = await find_lane(town.client, subject)

    assert [never, resting, ended, anothers] == [None, Lane(), None, None]


async def test_a_settlement_whose_lane_is_gone_makes_way_for_the_next_lane(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A change is terminated, and then its lane, just as that begins to settle: each waited for the other for ever.
    """
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    settling, begun, goes_on = Clearing.settling, asyncio.Event(), asyncio.Event()

    async def settle_slowly(clearing: Clearing, request: Request) -> None:
        begun.set()
        await goes_on.wait()
        await settling(clearing, request)

    monkeypatch.setattr(Clearing, "settling", settle_slowly)
    town.change_place(town.dev, soak=timedelta())
    await (await town.change(town.dev)).terminate("by somebody")
    await asyncio.wait_for(begun.wait(), 20)
    await town.lane(town.dev).terminate("by somebody")
    goes_on.set()

    report = await asyncio.wait_for(handle.result(), 40)

    assert report.outcome is Outcome.PROMOTED, report.why
    assert [getattr(held, "version", "") for _, _, held in town.world.writes[-3:]] == [
        "2.0.0",
        "1.0.0",
        "2.0.0",
    ]
    assert town.world.doubled() == []
