"""The embedded server: its own port and its own file, or none."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from workers.server import ServerError, embedded, free_port, temporal_binary

FIRST_OF_CONNECTIONS = 32_768
"""Linux gives connections ports from here on; others begin later."""
ABANDON = """
import asyncio, os, sys
from pathlib import Path
from workers.server import embedded, temporal_binary

async def main():
    async with embedded(temporal_binary(), Path(sys.argv[1])):
        print("ready", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_port_that_is_taken_is_refused() -> None:
    """Whoever listens there would be taken for our own server, and be worked for."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(
            ServerError, match=f"cannot have port {port} of 127.0.0.1: Address already in use"
        ):
            async with embedded(temporal_binary(), None, port=port):
                pass


async def test_a_port_that_is_chosen_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it one that a connection is given for its own end: it could be gone before the server has it."""
    port = free_port()
    monkeypatch.setattr("workers.server.PORTS", range(port, port + 1))

    with socket.create_server(("127.0.0.1", port)), pytest.raises(ServerError, match="No port between"):
        free_port()

    assert free_port() == port
    assert port < FIRST_OF_CONNECTIONS


async def test_a_server_that_outlived_its_starter_is_ended_before_its_file_is_opened_again(
    tmp_path: Path,
) -> None:
    """Two servers on one file would each believe to own every workflow in it."""
    database = tmp_path / "temporal.db"
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ABANDON, str(database), stdout=asyncio.subprocess.PIPE
    )
    assert starter.stdout
    assert await starter.stdout.readline() == b"ready\n"
    starter.kill()
    await starter.wait()
    left_behind = int((tmp_path / "temporal.lock").read_text())
    os.kill(left_behind, 0)  # it lives

    async with embedded(temporal_binary(), database):
        now = int((tmp_path / "temporal.lock").read_text())
        assert now != left_behind
        assert not _lives(left_behind)
        os.kill(now, 0)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # what has ended stays there until somebody asks how
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
