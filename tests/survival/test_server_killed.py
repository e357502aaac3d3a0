"""The server is killed with -9 while much is under way, and started again on the same file and port."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from domain.configuration import Approval
from domain.outcome import Outcome, Phase
from domain.value import short
from tests.fakes import Bell
from tests.survival.harbour import Harbour
from tests.survival.server import MortalServer
from tests.town import engine_worker

EACH = 3
ONE_OF_TWO = Approval.model_validate({"quorum": 1, "from": ["managers"]})


async def _approve(handle: WorkflowHandle[Any, Any], intent: str) -> None:
    await handle.signal("approve", {"by": "bo@example.com", "plan": short(intent)})


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])
async def test_everything_finishes_after_the_server_was_killed(tmp_path: Path, kills: int) -> None:
    """Promotions that wait, deploy, queue, soak or undo when the server dies end as if it had not, each deed once."""
    bell = Bell()
    async with MortalServer(tmp_path) as server:
        client = await server.client()

        async def moored() -> Harbour:
            harbour = Harbour(client, bell, tmp_path)
            await harbour.open(harbour.dev)
            assert (await harbour.promoted("1.0.0", harbour.dev)).outcome is Outcome.PROMOTED
            return harbour

        async with engine_worker(client, bell):
            waiting = [await moored() for _ in range(EACH)]
            deploying = [await moored() for _ in range(EACH)]
            undoing = [await moored() for _ in range(EACH)]
            soaking = await moored()
            intents = []
            for harbour in waiting:
                harbour.change_place(harbour.dev, approval=ONE_OF_TWO)
                status = await harbour.until(await harbour.promote("2.0.0"), Phase.WAITING_FOR_APPROVAL)
                assert status.intent
                intents.append(status.intent)
            for harbour in deploying:
                harbour.stop_at("place site")
                await harbour.promote("2.0.0")
                await harbour.reached()
                await harbour.promote("3.0.0")
            for harbour in undoing:
                harbour.controls.set("sick-2.0.0")
                harbour.stop_at("restore site")
                await harbour.promote("2.0.0")
                await harbour.reached()
            soaking.change_place(soaking.dev, soak=timedelta(seconds=4))
            await soaking.promote("2.0.0")
            await soaking.until_change(soaking.dev, Phase.SOAKING)

            for _ in range(kills):
                await server.kill()
                await server.start()

            for harbour in (*deploying, *undoing):
                harbour.let_go()
            for harbour, intent in zip(waiting, intents, strict=True):
                await _approve(harbour.promotion("2.0.0"), intent)
            for harbour in (*waiting, *deploying, soaking):
                assert (await harbour.ended(harbour.promotion("2.0.0"))).outcome is Outcome.PROMOTED
            for harbour in deploying:
                assert (await harbour.ended(harbour.promotion("3.0.0"))).outcome is Outcome.PROMOTED
                assert harbour.standing == ("3.0.0",)
            for harbour in undoing:
                assert (await harbour.ended(harbour.promotion("2.0.0"))).outcome is Outcome.ROLLED_BACK
                assert harbour.standing == ("1.0.0",)
            harbours = [*waiting, *deploying, *undoing, soaking]
            await asyncio.gather(*(harbour.until_idle() for harbour in harbours))
            for harbour in harbours:
                await harbour.assert_sound()
                await harbour.close(harbour.dev)
