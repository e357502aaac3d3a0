import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from domain.outcome import Outcome
from tests.fakes import Bell
from tests.town import Town
from workers.lookout import keep_lookout
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
