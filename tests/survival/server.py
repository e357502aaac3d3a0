"""A Temporal server of one's own, on a file, that may be killed and started again."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Self

from temporalio.client import Client
from temporalio.service import RPCError

from tests.survival.waiting import until
from workers.server import CLOSED, QUICK, flags, free_port, temporal_binary
from workflows.reaching import reach

HASTY = {"history.defaultWorkflowTaskTimeout": '"2s"'}
"""A workflow task whose worker died is given to another one this soon."""


class MortalServer:
    """Listens on the same port, with the same file, however often it is killed."""

    def __init__(self, folder: Path, namespaces: tuple[str, ...] = ()) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._namespaces = namespaces
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        port = self.address.rpartition(":")[2]
        command = [
            temporal_binary(),
            "server",
            "start-dev",
            "--headless",
            "--ip",
            "127.0.0.1",
            "--port",
            port,
        ]
        command += ["--log-level", "error", *flags(QUICK | CLOSED | HASTY)]
        command += ["--db-filename", str(self._folder / "temporal.db")]
        command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"]
        for namespace in self._namespaces:
            command += ["--namespace", namespace]
        with (self._folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, start_new_session=True
            )
        await until(self._answers)

    async def _answers(self) -> bool:
        try:
            client = await reach(self.address)
            await client.count_workflows()
        except (RPCError, RuntimeError):
            return False
        return True

    async def kill(self) -> None:
        if self._process and self._process.returncode is None:
            os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def client(self, namespace: str = "default") -> Client:
        return await reach(self.address, namespace=namespace)
