"""What is restored from a backup is behind the world; the store knows better."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.spaces import Spaces
from clients.lane import Lane
from clients.promotion import Promotion
from clients.trouble import UsageError
from domain.outcome import Outcome
from tests.survival.server import MortalServer
from tests.workers.site import SUBJECT, approved, lay_out, release
from workers.running import working
from workers.settings import Surroundings

pytestmark = [pytest.mark.server, pytest.mark.processes]


@asynccontextmanager
async def served(server: MortalServer, place: Surroundings) -> AsyncIterator[Client]:
    client = await server.client()
    async with working(Spaces(client), place, [SUBJECT.environment], engine=True):
        yield client


async def test_a_server_restored_from_an_older_backup(tmp_path: Path) -> None:
    """What was done since the backup is not forgotten: the next change outranks it, and its undo leads back to it."""
    place = lay_out(tmp_path)
    current = tmp_path / "live/dev/current/index.html"
    database, backup = tmp_path / "server", tmp_path / "backup"
    database.mkdir()
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await release(place, version)
    server = MortalServer(database)
    try:
        await server.start()
        async with served(server, place) as client:
            await (await approved(client, "1.0.0")).result()
        await server.kill()
        shutil.copytree(database, backup)
        await server.start()
        async with served(server, place) as client:
            await (await approved(client, "2.0.0")).result()
        await server.kill()
        shutil.rmtree(database)
        shutil.copytree(backup, database)
        await server.start()
        async with served(server, place) as client:
            forgotten = Promotion(client, SUBJECT, "2.0.0")
            with pytest.raises(UsageError):
                await forgotten.status()
            third = await (await approved(client, "3.0.0")).result()
            stood = current.read_text()
            wish = await Lane(client, SUBJECT).rollback(by="olga@example.com")
            back = await asyncio.wait_for(wish.result(), 60)
    finally:
        await server.kill()

    assert third.outcome is Outcome.PROMOTED, third.why
    assert stood == "3.0.0"
    assert current.read_text() == "2.0.0", back
