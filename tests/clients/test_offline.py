"""`towpath rollback --without-server`, as an operator types it at night, with real programs that were killed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from domain.names import Subject
from domain.outcome import Exit
from tests.clients.conftest import CommandLine, Ran, ended
from tests.clients.test_hosting import home as home_of_a_site
from tests.clients.test_hosting import start_up
from tests.survival.waiting import until
from workers.server import free_port
from workers.untold import alone

pytestmark = [pytest.mark.server, pytest.mark.processes]
home = home_of_a_site
BACK = ("rollback", "storefront", "dev", "--without-server")
WHY = ("--reason", "the server is gone")


async def _kill(up: asyncio.subprocess.Process) -> None:
    """Kill -9 the engine with its workers, and then the server that they leave behind."""
    for pid in (up.pid, *_children(up.pid)):
        os.kill(pid, signal.SIGKILL)
    await up.wait()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _served(home: CommandLine) -> str:
    return (home.folder / "live/dev/current/index.html").read_text()


async def _learnt(home: CommandLine) -> Ran | None:
    ran = await home.type("status", "storefront", "dev")
    return ran if "rolled back without the engine, by olga@example.com" in ran.said else None


async def test_an_operator_rolls_back_while_the_server_is_dead(home: CommandLine) -> None:
    """Everything that stands in the way is said; it is done from the store; the lane is told by itself."""
    port = free_port()
    home.set(TEMPORAL_ADDRESS=f"127.0.0.1:{port}")  # whoever listens on the usual port is a stranger
    up = await start_up(home, port)
    for version in ("1", "2"):
        site = str(home.folder / "site" / version)
        await home.type("release", "create", "storefront", version, "--from", site)
        assert (await home.type("promote", "storefront", version, "dev", "--watch")).code == Exit.DONE
    alive = await home.type(*BACK, *WHY)
    await _kill(up)
    assert _served(home) == "version 2"

    speechless = await home.type(*BACK)
    elsewhere = await home.type("rollback", "storefront", "moon", "--without-server", *WHY)
    key, store = home.folder / ".towpath/keys/dev.pem", home.folder / "store"
    key.rename(key.with_suffix(".away"))
    keyless = await home.type(*BACK, *WHY)
    key.with_suffix(".away").rename(key)
    store.rename(home.folder / "away")
    storeless = await home.type(*BACK, *WHY)
    (home.folder / "away").rename(store)
    with alone(home.folder / ".towpath", Subject(service="storefront", environment="dev")):
        second = await home.type(*BACK, *WHY)
    assert _served(home) == "version 2"
    done = await home.run(*BACK, *WHY, "--by", "olga@example.com")
    again = await home.type(*BACK, *WHY)

    assert (alive.code, speechless.code, elsewhere.code, keyless.code, storeless.code) == (10, 2, 2, 2, 10)
    assert second.code == Exit.REFUSED
    assert "Somebody on this host" in second.said
    assert "The server answers" in alive.said
    assert "--reason" in speechless.said
    assert "there is: dev, production" in elsewhere.said
    assert "dev.pem" in keyless.said
    assert "no receipt and no journal" in storeless.said
    assert done.code == Exit.DONE, done.said
    assert "put back 1" in done.said
    assert "by olga@example.com" in done.said
    assert (again.code, _served(home)) == (Exit.DONE, "version 1")
    assert "was rolled back already, by olga@example.com" in again.said

    up = await start_up(home, port)
    try:
        learnt = await until(lambda: _learnt(home))
        next_one = await home.type("promote", "storefront", "2", "dev", "--watch")
    finally:
        up.terminate()
        await ended(up)
    assert "holds site: 1 " in learnt.said
    assert "the server is gone" in learnt.said
    assert next_one.code == Exit.DONE, next_one.said
    assert _served(home) == "version 2"


async def test_a_server_without_a_lane_is_not_said_to_have_one(towpath: CommandLine) -> None:
    """It may be another server than the one that was there: where to look is said, and the sentence is true."""
    await towpath.type("config", "init")
    await towpath.type("service", "new", "storefront", "--component", "site=content")
    await towpath.type("environment", "key", "dev")

    ran = await towpath.type(*BACK, *WHY)

    assert ran.code == Exit.REFUSED
    assert "has no lane of storefront in dev: it is another one, or has lost its file" in ran.said
    assert "TEMPORAL_ADDRESS" in ran.said
