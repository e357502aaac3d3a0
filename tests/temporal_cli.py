"""The real ``temporal`` program, as a person in a shell uses it."""

import asyncio
from pathlib import Path
from typing import Any, Final, NamedTuple

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from workers.server import temporal_binary
from workers.story import WORKFLOWS, sandbox
from workflows.doorkeeper import Doorkeeper
from workflows.wire import DATA_CONVERTER

AT_ONCE: Final = asyncio.Semaphore(4)
"""So many of them run beside each other."""


class Said(NamedTuple):
    """How a command ended: its exit code, and all that it wrote."""

    code: int
    text: str


class Shell:
    """Somebody's shell, with a server to talk to."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._address = client.service_client.config.target_host
        self._folder = folder
        self._files = 0

    async def temporal(self, *words: str) -> Said:
        async with AT_ONCE:
            process = await asyncio.create_subprocess_exec(
                temporal_binary(),
                *words,
                "--address",
                self._address,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            written, _ = await process.communicate()
        return Said(process.returncode or 0, written.decode())

    async def signal(self, handle: WorkflowHandle[Any, Any], name: str, *inputs: str) -> Said:
        """Send a signal; ``inputs`` are the words that follow, such as ``--input {}``."""
        return await self.temporal("workflow", "signal", "-w", handle.id, "--name", name, *inputs)

    async def decide(self, handle: WorkflowHandle[Any, Any], *inputs: str) -> Said:
        """Send the update ``decide``, and wait for what it answers."""
        return await self.temporal(
            "workflow", "update", "execute", "-w", handle.id, "--name", "decide", *inputs
        )

    async def start(self, kind: str, workflow_id: str, *inputs: str, queue: str = "towpath") -> Said:
        return await self.temporal(
            "workflow", "start", "--type", kind, "-w", workflow_id, "-t", queue, *inputs
        )

    def file(self, content: str) -> str:
        """Write a file for ``--input-file``, which takes what no command line would."""
        self._files += 1
        path = self._folder / f"input-{self._files}.json"
        path.write_text(content, encoding="utf-8")
        return str(path)


async def replays(handle: WorkflowHandle[Any, Any]) -> bool:
    """Replay a history as a worker that has just come up would. Raises where it cannot."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=sandbox(),
        interceptors=[Doorkeeper()],
        data_converter=DATA_CONVERTER,
    )
    result = await replayer.replay_workflow(await handle.fetch_history())
    return result.replay_failure is None
