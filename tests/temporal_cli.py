"""The real ``temporal`` program, as a person in a shell uses it; and what it sends, sent without starting it."""

import asyncio
import uuid
from pathlib import Path
from typing import Any, Final, NamedTuple

from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer

from domain.names import ENGINE_QUEUE
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


def written(*inputs: str) -> list[Payload]:
    """Return what the program makes of words such as ``--input {} --input-meta encoding=binary/plain``."""
    words = list(zip(inputs[::2], inputs[1::2], strict=True))
    meta = {"encoding": "json/plain"} | dict(
        said.split("=", 1) for flag, said in words if flag == "--input-meta"
    )
    metadata = {key: said.encode() for key, said in meta.items()}
    return [Payload(metadata=metadata, data=said.encode()) for flag, said in words if flag == "--input"]


async def send(handle: WorkflowHandle[Any, Any], client: Client, name: str, *inputs: str) -> None:
    """Signal as ``Shell.signal`` does: the same bytes, and no process for each."""
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            signal_name=name,
            input=Payloads(payloads=written(*inputs)),
            request_id=str(uuid.uuid4()),
        )
    )


async def begin(
    client: Client, kind: str, workflow_id: str, *inputs: str, queue: str = ENGINE_QUEUE
) -> WorkflowHandle[Any, Any]:
    """Start as ``Shell.start`` does: the same bytes, and no process for each."""
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_id=workflow_id,
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=queue),
            input=Payloads(payloads=written(*inputs)),
            request_id=str(uuid.uuid4()),
        )
    )
    return client.get_workflow_handle(workflow_id)


async def heard(handle: WorkflowHandle[Any, Any], name: str) -> list[list[Payload]]:
    """Return what came with each signal of a name, byte for byte; what comes in mid-task is written down after it."""
    while (await handle.describe()).raw_description.HasField("pending_workflow_task"):  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.05)
    history = await handle.fetch_history()
    signals = [event.workflow_execution_signaled_event_attributes for event in history.events]
    return [list(signal.input.payloads) for signal in signals if signal.signal_name == name]


async def started_with(handle: WorkflowHandle[Any, Any]) -> list[Payload]:
    """Return what a workflow was started with, byte for byte."""
    first = (await handle.fetch_history()).events[0]
    return list(first.workflow_execution_started_event_attributes.input.payloads)


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
