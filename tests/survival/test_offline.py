"""The server is dead, and somebody rolls back from the store: on time, once, and known when the engine is back."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from activities.offline import Ended, OfflineRollback
from domain.actor import Actor, Channel
from domain.answer import Awake
from domain.journal import Receipt, Settled
from domain.names import Subject
from domain.outcome import Outcome
from domain.terms import Request, Story
from tests.fakes import Bell, FixedSettings, ShiftedClock
from tests.survival.harbour import Harbour
from tests.survival.probe import Controls, Probe
from tests.survival.process import FORKS, Berth, Process, tools_of
from tests.survival.server import MortalServer
from tests.town import engine_worker

PARTS = ("api", "site")
SIGKILLED = -9


async def _go_back(
    berth: Berth, service: str, probe: Probe, said: list[str] | None = None, ahead: timedelta = timedelta()
) -> Ended:
    """Roll back as the command does, with adapters that know no server."""
    subject = Subject(service=service, environment=berth.environment)
    request = Request(
        story=Story.ROLLBACK,
        subject=subject,
        actor=Actor(name="olga@example.com", channel=Channel.OFFLINE),
        reason="the server is gone",
    )
    tools = tools_of(berth, probe, FixedSettings(berth.configuration))
    clock = ShiftedClock()
    clock.offset = ahead
    heard = said if said is not None else []
    return await OfflineRollback(tools._replace(clock=clock), request, "offline/host", heard.append).run(
        lambda _: None
    )


def _die_at(berth: Berth, service: str) -> None:
    asyncio.run(_go_back(berth, service, Probe(berth.folder, berth.at)))


async def _killed_at(berth: Berth, service: str) -> int:
    process = FORKS.Process(target=_die_at, args=(berth, service), daemon=True)
    process.start()
    return await Process(process).ended()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MortalServer]:
    async with MortalServer(tmp_path) as server:
        yield server


def _newest(receipts: list[Receipt]) -> tuple[Story, Settled, Outcome, Channel]:
    receipt = receipts[0]
    return receipt.story, receipt.settled, receipt.outcome, receipt.actor.channel


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_a_rollback_without_the_server_stands_and_the_lane_learns_of_it(
    server: MortalServer, tmp_path: Path, every: int
) -> None:
    """Killed anywhere it is finished by the next run; the lane knows of it, and promotes from what stands there."""
    client = await server.client()
    async with engine_worker(client, Bell()), Harbour(client, Bell(), tmp_path, PARTS) as harbour:
        await harbour.open(harbour.dev)
        for version in ("1.0.0", "2.0.0"):
            assert (await harbour.promoted(version, harbour.dev)).outcome is Outcome.PROMOTED
        before = await harbour.until_idle()
        await server.kill()

        await _assert_killed_anywhere(harbour, tmp_path / "copies", every)
        said: list[str] = []
        ended = await _go_back(harbour.berth, harbour.service, Probe(harbour.folder), said)

        assert ended.settled, ended.faults
        assert harbour.standing == ("1.0.0", "1.0.0")
        assert any("put back 1.0.0" in line for line in said)
        receipts = await harbour.receipts()
        assert _newest(receipts) == (Story.ROLLBACK, Settled.DONE, Outcome.ROLLED_BACK, Channel.OFFLINE)
        assert receipts[0].of == receipts[1].turn == before.last_turn
        assert receipts[0].reason == "the server is gone"

        await server.start()
        await harbour.lane(harbour.dev).signal("awake", Awake(turn=ended.turn))
        learnt = await harbour.until_lane(lambda lane: lane.last_turn >= ended.turn)
        assert {getattr(held, "version", "") for held in learnt.held.values()} == {"1.0.0"}
        assert (await harbour.promoted("3.0.0", harbour.dev)).outcome is Outcome.PROMOTED
        assert harbour.standing == ("3.0.0", "3.0.0")
        await harbour.assert_sound()
        await harbour.close(harbour.dev)


async def _assert_killed_anywhere(harbour: Harbour, copies: Path, every: int) -> None:
    """Die at every call of a port in a copy of the world; then run again there."""
    at = 1
    while True:
        folder = copies / str(at)
        shutil.copytree(harbour.folder, folder, symlinks=True)
        Controls(folder / "controls").set("armed")
        berth = harbour.berth._replace(folder=folder, at=at)
        code = await _killed_at(berth, harbour.service)
        Controls(folder / "controls").clear("armed")
        world = harbour.elsewhere(folder)
        again = await _go_back(berth, harbour.service, Probe(folder))
        assert again.settled, f"killed at {at}: {again}"
        assert world.standing == ("1.0.0", "1.0.0"), f"killed at {at}"
        await world.assert_sound()
        rollbacks = [receipt for receipt in await world.receipts() if receipt.story is Story.ROLLBACK]
        assert len(rollbacks) == 1, f"killed at {at}"
        if code != SIGKILLED:
            assert at > every
            return
        at += every


async def test_a_change_that_the_server_died_in_is_settled_and_its_late_write_refused(
    server: MortalServer, tmp_path: Path
) -> None:
    """A deed that hangs through the outage comes too late; its promotion is told that it was put back."""
    client = await server.client()
    async with engine_worker(client, Bell()), Harbour(client, Bell(), tmp_path, PARTS) as harbour:
        await harbour.open(harbour.dev)
        assert (await harbour.promoted("1.0.0", harbour.dev)).outcome is Outcome.PROMOTED
        harbour.stop_at("place site")
        promotion = await harbour.promote("2.0.0")
        await harbour.reached()
        assert harbour.standing == ("2.0.0", "1.0.0")
        await server.kill()

        ended = await _go_back(harbour.berth, harbour.service, Probe(harbour.folder))

        assert ended.settled, ended.faults
        assert harbour.standing == ("1.0.0", "1.0.0")
        await server.start()
        harbour.let_go()
        report = await harbour.ended(promotion)
        assert report.outcome is Outcome.ROLLED_BACK, report.why
        assert harbour.standing == ("1.0.0", "1.0.0")
        await harbour.until_idle()
        assert (await harbour.promoted("3.0.0", harbour.dev)).outcome is Outcome.PROMOTED
        await harbour.assert_sound()
        (lost,) = [one for one in await harbour.receipts() if one.settled is Settled.UNDONE]
        assert (lost.version, lost.actor.name, lost.deeds) == ("2.0.0", "ana@example.com", ())
        assert await harbour.found_by_an_auditor() == []
        await harbour.close(harbour.dev)


async def test_what_is_sick_after_it_is_unsettled_until_it_is_mended_and_run_again(
    server: MortalServer, tmp_path: Path
) -> None:
    """No receipt is left of what is not well; the lane finishes what nobody finished."""
    client = await server.client()
    async with engine_worker(client, Bell()), Harbour(client, Bell(), tmp_path, PARTS) as harbour:
        await harbour.open(harbour.dev)
        for version in ("1.0.0", "2.0.0"):
            await harbour.promoted(version, harbour.dev)
        await server.kill()
        harbour.controls.set("sick-1.0.0")

        sick = await _go_back(harbour.berth, harbour.service, Probe(harbour.folder))

        assert (sick.settled, harbour.standing) == (False, ("1.0.0", "1.0.0"))
        assert len(await harbour.receipts()) == 2
        harbour.controls.clear("sick-1.0.0")
        await server.start()
        await harbour.lane(harbour.dev).signal("awake", Awake(turn=sick.turn))
        await harbour.until_lane(lambda lane: lane.last_turn > sick.turn and not lane.unsettled)
        await harbour.until_idle()
        assert harbour.standing == ("1.0.0", "1.0.0"), "what was rolled back came back"
        receipts = await harbour.receipts()
        assert [receipt.story for receipt in receipts[:2]] == [Story.SETTLEMENT, Story.ROLLBACK]
        assert receipts[1].of == receipts[2].turn
        await harbour.close(harbour.dev)


async def test_a_lane_that_nobody_told_recalls_when_a_deed_of_an_older_turn_is_refused(
    server: MortalServer, tmp_path: Path
) -> None:
    """The host's clock was an hour ahead, and so is its turn: what the lane gives is refused until it knows."""
    client = await server.client()
    async with engine_worker(client, Bell()), Harbour(client, Bell(), tmp_path) as harbour:
        await harbour.open(harbour.dev)
        for version in ("1.0.0", "2.0.0"):
            await harbour.promoted(version, harbour.dev)
        await server.kill()
        ended = await _go_back(
            harbour.berth, harbour.service, Probe(harbour.folder), ahead=timedelta(hours=1)
        )
        await server.start()

        report = await harbour.promoted("3.0.0", harbour.dev)

        assert report.outcome is Outcome.PROMOTED, report.why
        assert harbour.standing == ("3.0.0",)
        assert (await harbour.until_idle()).last_turn > ended.turn
        await harbour.assert_sound()
        await harbour.close(harbour.dev)
