"""Servers of a test's own, for what would be in the way of others on the one that all tests share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from temporalio.client import Client

from workers.server import CLOSED, QUICK, flags, free_port, temporal_binary
from workflows.wire import DATA_CONVERTER

AT_ONCE: Final = {"system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "1"}
"""What fails once is marked, not what fails five times in a row."""


@asynccontextmanager
async def new_server(dynamic: dict[str, str]) -> AsyncIterator[tuple[Client, str]]:
    """Run a server in memory while the block runs; yield a client, and the address of its interface by HTTP."""
    address, http = f"127.0.0.1:{free_port()}", free_port()
    server = await asyncio.create_subprocess_exec(
        temporal_binary(),
        *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", address.rpartition(":")[2]),
        *("--http-port", str(http), "--log-level", "error", *flags(QUICK | CLOSED | dynamic)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    client = await Client.connect(address, data_converter=DATA_CONVERTER)
                    await client.count_workflows()
                except RuntimeError:
                    await asyncio.sleep(0.1)
                else:
                    break
        yield client, f"http://127.0.0.1:{http}"
    finally:
        server.kill()
        await server.wait()
