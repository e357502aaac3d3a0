"""The server is killed with -9 while much is under way, and started again on the same file and port."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from domain.approval_written import Approval
from domain.outcome import Outcome, Phase
from domain.value import short
from tests.fakes import Bell
from tests.survival.harbour import Harbour
from tests.survival.server import MortalServer
from tests.town import engine_worker

ONE_OF_TWO = Approval.model_validate({"quorum": 1, "from": ["managers"]})


async def _waits(harbour: Harbour) -> str:
    """Have a promotion wait for its approval; return the plan that it shows."""
    harbour.change_place(harbour.dev, approval=ONE_OF_TWO)
    status = await harbour.until(await harbour.promote("2.0.0"), Phase.WAITING_FOR_APPROVAL)
    assert status.intent
    return short(status.intent)


async def _deploys(harbour: Harbour) -> None:
    """Have one promotion in the middle of its deed, and another in the queue."""
    harbour.stop_at("place site")
    await harbour.promote("2.0.0")
    await harbour.reached()
    await harbour.promote("3.0.0")


async def _undoes(harbour: Harbour) -> None:
    harbour.controls.set("sick-2.0.0")
    harbour.stop_at("restore site")
    await harbour.promote("2.0.0")
    await harbour.reached()


async def _soaks(harbour: Harbour) -> None:
    harbour.change_place(harbour.dev, soak=timedelta(seconds=4))
    await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.SOAKING)


async def _ends(harbour: Harbour, outcome: Outcome, standing: str, version: str = "2.0.0") -> None:
    harbour.let_go()
    assert (await harbour.ended(harbour.promotion(version))).outcome is outcome
    await harbour.until_idle()
    assert harbour.standing == (standing,)
    await harbour.assert_sound()
    await harbour.close(harbour.dev)


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
async def test_everything_finishes_after_the_server_was_killed(tmp_path: Path, kills: int) -> None:
    """Promotions that wait, deploy, queue, soak or undo when the server dies end as if it had not."""
    bell = Bell()
    async with MortalServer(tmp_path) as server:
        client = await server.client()
        async with engine_worker(client, bell):
            harbours = [Harbour(client, bell, tmp_path) for _ in range(7)]
            for harbour in harbours:
                await harbour.open(harbour.dev)
                assert (await harbour.promoted("1.0.0", harbour.dev)).outcome is Outcome.PROMOTED
            soaking, waiting, deploying, undoing = harbours[0], harbours[1:3], harbours[3:5], harbours[5:]
            plans = [await _waits(harbour) for harbour in waiting]
            await asyncio.gather(*map(_deploys, deploying), *map(_undoes, undoing), _soaks(soaking))

            for _ in range(kills):
                await server.kill()
                await server.start()

            for harbour, plan in zip(waiting, plans, strict=True):
                await harbour.promotion("2.0.0").signal("approve", {"by": "bo@example.com", "plan": plan})
            await asyncio.gather(
                *(_ends(harbour, Outcome.PROMOTED, "2.0.0") for harbour in (*waiting, soaking)),
                *(_ends(harbour, Outcome.PROMOTED, "3.0.0", "3.0.0") for harbour in deploying),
                *(_ends(harbour, Outcome.ROLLED_BACK, "1.0.0") for harbour in undoing),
            )
            for harbour in deploying:
                assert (await harbour.ended(harbour.promotion("2.0.0"))).outcome is Outcome.PROMOTED
