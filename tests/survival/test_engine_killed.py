"""The engine's own worker is killed with -9, at every workflow task and around every errand."""

import asyncio
from pathlib import Path

import pytest

from domain.outcome import Outcome
from tests.fakes import Bell
from tests.survival.harbour import Harbour
from tests.survival.process import Process, launch_engine
from tests.survival.server import MortalServer

SIGKILLED = -9
NAMESPACES = tuple(f"town-{number}" for number in range(4))


async def _sick_release(server: MortalServer, namespace: str, folder: Path, at: int) -> int:
    """Tell the story of a sick release with an engine that dies at its ``at``-th step; return how many there were."""
    client = await server.client(namespace)
    async with Harbour(client, Bell(), folder) as harbour:
        await harbour.open(harbour.dev)
        engine = launch_engine(server.address, namespace, harbour.folder, at)
        harbour.processes.append(engine)
        assert (await harbour.promoted("1.0.0", harbour.dev)).outcome is Outcome.PROMOTED
        harbour.controls.set("sick-2.0.0")
        harbour.controls.set("armed")
        handle = await harbour.promote("2.0.0")
        relaunching = asyncio.create_task(_relaunch(engine, harbour, server.address, namespace))
        report = await harbour.ended(handle)
        await harbour.until_idle()
        relaunching.cancel()
        assert report.outcome is Outcome.ROLLED_BACK, report.why
        assert harbour.standing == ("1.0.0",)
        await harbour.assert_sound()
        steps = len([call for call in harbour.calls if "engine" in call])
        await harbour.close(harbour.dev)
        return steps


async def _relaunch(engine: Process, harbour: Harbour, address: str, namespace: str) -> None:
    """Where an engine dies, another takes its place; one that is to die later than the story's end lives on."""
    assert await engine.ended() == SIGKILLED
    harbour.processes.append(launch_engine(address, namespace, harbour.folder, 0))


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_a_promotion_ends_well_wherever_its_engine_is_killed(tmp_path: Path, every: int) -> None:
    """Another engine goes on from the history: nothing is done twice, and nothing is forgotten."""
    async with MortalServer(tmp_path, NAMESPACES) as server:
        steps = await _sick_release(server, NAMESPACES[0], tmp_path, 0)
        assert steps > 30
        left = list(range(1, steps + 1, every))

        async def kill_in(namespace: str) -> None:
            while left:
                at = left.pop()
                try:
                    await _sick_release(server, namespace, tmp_path, at)
                except Exception as error:
                    error.add_note(f"the engine was killed at step {at} of {steps}")
                    raise

        async with asyncio.TaskGroup() as group:
            for namespace in NAMESPACES:
                group.create_task(kill_in(namespace))
