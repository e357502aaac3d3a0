"""Engine and server are killed with -9 while releases are walked."""

import asyncio
from pathlib import Path

from domain.approval_written import Approval
from domain.outcome import Outcome, Phase
from domain.road import Stand
from domain.value import short
from tests.fakes import Bell
from tests.survival.harbour import Harbour
from tests.survival.process import launch_engine
from tests.survival.server import MortalServer
from tests.survival.waiting import PATIENCE

ONE_OF_TWO = Approval.model_validate({"quorum": 1, "from": ["managers"]})


async def test_a_walk_goes_on_after_engine_and_server_were_killed(tmp_path: Path) -> None:
    """What a walk has started, and what it has joined, it hears of; the next environment follows, and nothing twice."""
    async with MortalServer(tmp_path) as server:
        client = await server.client()
        own, joined = Harbour(client, Bell(), tmp_path), Harbour(client, Bell(), tmp_path)
        async with own, joined:
            own.processes.append(launch_engine(server.address, "default", own.folder, 0))
            for harbour in (own, joined):
                await harbour.open(harbour.dev)
                await harbour.open(harbour.staging)
                await harbour.release("1.0.0")
                harbour.change_place(harbour.dev, approval=ONE_OF_TWO)
            await joined.promote("1.0.0")
            walks = [await harbour.walk("1.0.0", harbour.staging) for harbour in (own, joined)]
            seen = [
                (await harbour.until_under_way(walk, harbour.dev)).joined
                for harbour, walk in zip((own, joined), walks, strict=True)
            ]
            waiting = [
                await harbour.until(harbour.promotion("1.0.0"), Phase.WAITING_FOR_APPROVAL)
                for harbour in (own, joined)
            ]

            await own.processes[0].kill()
            await server.kill()
            await server.start()
            own.processes.append(launch_engine(server.address, "default", own.folder, 0))
            for harbour, status in zip((own, joined), waiting, strict=True):
                plan = short(status.intent or "")
                await harbour.promotion("1.0.0").signal("approve", {"by": "bo@example.com", "plan": plan})
            reports = [await asyncio.wait_for(walk.result(), PATIENCE) for walk in walks]

            assert seen == [False, True]
            for harbour, report in zip((own, joined), reports, strict=True):
                assert report.outcome is Outcome.PROMOTED
                assert [stop.stand for stop in report.road] == [Stand.THROUGH, Stand.THROUGH]
                assert harbour.standing == ("1.0.0",)
                assert len(harbour.landings) == 2, "each environment was written to once"
                await harbour.close(harbour.dev)
                await harbour.close(harbour.staging)
