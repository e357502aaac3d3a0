"""What takes a process of its own: to be weighed, killed, or started cold. Reported, and held to no bar."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

from temporalio.client import Client, WorkflowHandle

from domain.approval import DecisionWord
from domain.outcome import Outcome, Phase
from domain.status import PromotionStatus
from domain.value import short
from tests.bench.figures import Figure
from tests.bench.worker import DEPLOYING, READY, yard
from tests.bench.yard import APPROVER
from workers.server import embedded, free_port, temporal_binary
from workflows.reaching import reach

PARKED: Final = 200
KILLED: Final = 20
STARTS: Final = 5

Handle = WorkflowHandle[Any, Any]


async def memory(client: Client, folder: Path) -> Sequence[Figure]:
    """Weigh a worker before and after it is given promotions that wait for their approval."""
    async with _worker(client, folder) as worker:
        await _parked(client, folder, "1.0.0", KILLED)
        before = await _resident(worker)
        await _parked(client, folder, "1.0.1", PARKED)
        after = await _resident(worker)
    return [
        Figure("worker memory, with few promotions", before / 1024, "MiB"),
        Figure("worker memory per waiting promotion", (after - before) / PARKED, "KiB"),
    ]


async def worker_killed(client: Client, folder: Path) -> Sequence[Figure]:
    """Kill -9 a worker while promotions wait, and one in the middle of deploys; another is started at once."""
    async with _worker(client, folder) as worker:
        waiting = await _parked(client, folder, "2.0.0", KILLED)
        approvals = [await _approval(handle) for handle in waiting]
        began = await _kill(worker)
        async with _worker(client, folder):
            await _approve(waiting, approvals)
            after_wait = await _all_promoted(waiting, began)

    async with _worker(client, folder, "hang") as worker:
        deploying = await _parked(client, folder, "2.0.1", KILLED)
        await _approve(deploying, [await _approval(handle) for handle in deploying])
        for _ in deploying:
            await _hear(worker, DEPLOYING)
        began = await _kill(worker)
        async with _worker(client, folder):
            after_deploy = await _all_promoted(deploying, began)
    return [
        Figure(f"worker killed, {KILLED} waiting: all approved and promoted after", after_wait, "s"),
        Figure(f"worker killed, {KILLED} deploying: all promoted after", after_deploy, "s"),
    ]


async def server_killed(folder: Path) -> Sequence[Figure]:
    """Kill -9 the server on its file while promotions wait, and start it again on that file."""
    database, port = folder / "temporal.db", free_port()
    async with embedded(temporal_binary(), database, port=port) as server:
        client = await reach(server.address)
        async with _worker(client, folder):
            waiting = await _parked(client, folder, "3.0.0", KILLED)
            approvals = [await _approval(handle) for handle in waiting]
            os.kill(await _own_child(f"--port {port} "), signal.SIGKILL)
            began = perf_counter()
            async with embedded(temporal_binary(), database, port=port):
                await _approve(waiting, approvals)
                back = await _all_promoted(waiting, began)
    return [Figure(f"server killed, {KILLED} waiting: all approved and promoted after", back, "s")]


async def commands() -> Sequence[Figure]:
    """Start the command line cold, beside the least that any client of Temporal has to load."""
    towpath = Path(sys.executable).with_name("towpath")
    ours = [await _seconds(str(towpath), "--help") for _ in range(STARTS)]
    least = [await _seconds(sys.executable, "-c", "import temporalio.client") for _ in range(STARTS)]
    return [
        Figure("towpath --help", median(ours), "s"),
        Figure("python -c 'import temporalio.client'", median(least), "s"),
    ]


@asynccontextmanager
async def _worker(client: Client, folder: Path, *how: str) -> AsyncIterator[Process]:
    address = client.service_client.config.target_host
    command = ["-m", "tests.bench.worker", address, str(folder), *how]
    worker = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )
    try:
        await _hear(worker, READY)
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def _hear(worker: Process, line: bytes) -> None:
    assert worker.stdout
    assert await worker.stdout.readline() == line, "the worker ended"


async def _kill(worker: Process) -> float:
    """Kill it, and return when."""
    worker.kill()
    await worker.wait()
    return perf_counter()


async def _parked(client: Client, folder: Path, version: str, count: int) -> Sequence[Handle]:
    """Start promotions, and return when all wait for approval."""
    built = yard(client, folder)
    await built.make(version)
    handles = [await built.start(subject, version) for subject in built.subjects[:count]]
    await asyncio.gather(*(_until(handle, Phase.WAITING_FOR_APPROVAL) for handle in handles))
    return handles


async def _until(handle: Handle, phase: Phase) -> PromotionStatus:
    async for _ in handle.fetch_history_events(wait_new_event=True):
        status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
        if status.phase is phase:
            return status
    raise AssertionError(f"{handle.id} never stood in {phase}")


async def _approval(handle: Handle) -> DecisionWord:
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    assert status.intent
    return DecisionWord(by=APPROVER, plan=short(status.intent))


async def _approve(handles: Sequence[Handle], approvals: Sequence[DecisionWord]) -> None:
    for handle, approval in zip(handles, approvals, strict=True):
        await handle.signal("approve", approval)


async def _all_promoted(handles: Sequence[Handle], since: float) -> float:
    reports = await asyncio.gather(*(handle.result() for handle in handles))
    assert {report.outcome for report in reports} == {Outcome.PROMOTED}
    return perf_counter() - since


async def _resident(process: Process) -> float:
    """Return the memory of a process, in KiB."""
    return float(await _output("ps", "-o", "rss=", "-p", str(process.pid)))


async def _own_child(told: str) -> int:
    """Return the id of the process that this one started with these words on its command line."""
    rows = (await _output("ps", "-ww", "-o", "pid=,ppid=,args=", "-A")).splitlines()
    mine = [row.split(None, 2) for row in rows if told in row]
    (pid,) = [int(pid) for pid, parent, _ in mine if int(parent) == os.getpid()]
    return pid


async def _seconds(*command: str) -> float:
    began = perf_counter()
    await _output(*command)
    return perf_counter() - began


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, command
    return said.decode()
