"""A crowd that somebody makes up at an environment's door, and whoever waits there in earnest."""

import asyncio

import pytest

from domain.names import environment_id
from domain.outcome import Outcome, Phase
from domain.status import EnvironmentStatus
from tests.news import news
from tests.town import Town
from tests.workflows.test_gates import pin
from workflows import patience

CROWD = 600


async def test_a_crowd_that_somebody_made_up_wedges_no_environment(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on in a new run with as many as that can be given; who waits in earnest waits still, and is woken."""
    monkeypatch.setattr(patience, "LONGEST_HISTORY", CROWD)
    await pin(town, town.dev)
    environment = town.client.get_workflow_handle(environment_id(town.dev))
    await environment.signal("freeze", {"by": "olga@example.com", "reason": "stocktaking"})
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    first = (await environment.describe()).run_id

    for waiter in ("promotion/shop/elsewhere/1.0.0", "environment/dev", "x" * 50_000):
        await environment.signal("tell_of_thaw", {"asker": waiter})
    crowd = [f"promotion/{'s' * 60}/{town.dev}/{place}.{'0' * 55}" for place in range(CROWD)]
    await asyncio.gather(*(environment.signal("tell_of_thaw", {"asker": one}) for one in crowd))
    async with asyncio.timeout(20):
        async for _ in news(environment):
            if (await environment.describe()).run_id != first:
                break
    status = await environment.query("status", result_type=EnvironmentStatus)
    await environment.signal("thaw", {"by": "olga@example.com"})
    await environment.signal("unpin", {"by": "olga@example.com", "service": town.service})

    assert (await asyncio.wait_for(handle.result(), 30)).outcome is Outcome.PROMOTED
    assert status.freeze
    assert status.pins[town.service].reason == "it works"
    assert [one.door for one in status.refused] == ["tell_of_thaw"] * 3
