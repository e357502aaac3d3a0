"""What keeps a process of ours going: one for each folder, an eye on its server, a free port, and a signal to stop."""

import asyncio
import contextlib
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clients.cli.terminal import say
from clients.trouble import NoServerError, UsageError
from domain.outcome import Exit
from workers.settings import Surroundings

if TYPE_CHECKING:
    from temporalio.client import Client

PULSE: Final = 2.0
"""Seconds between two looks at the embedded server."""
DIED: Final = "The Temporal server has died. Nothing is lost: start again with `towpath up`."
MISSED: Final = 3
"""Looks without an answer after which it is taken for dead."""


async def until_stopped(client: "Client", stop: asyncio.Event) -> Exit:
    """Wait for a signal, with an eye on the server: without it nothing here is of use."""
    missed = 0
    while missed < MISSED:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PULSE)
        if stop.is_set():
            say("Stopping: what is being done is finished first, for at most 10 s.")
            return Exit.DONE
        missed = 0 if await _beats(client) else missed + 1
    raise NoServerError(DIED)


async def is_alive(client: "Client") -> bool:
    """Ask the server once, however many workers end and cancel this meanwhile."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            return await _beats(client)


async def _beats(client: "Client") -> bool:
    from temporalio.service import RPCError

    try:
        return await asyncio.wait_for(client.service_client.check_health(retry=False), PULSE)
    except (RPCError, RuntimeError, TimeoutError):
        return False


@contextmanager
def alone(place: Surroundings) -> Generator[None]:
    """Hold this folder for one ``up``. Raises ``UsageError`` where another has it."""
    import fcntl

    from clients.connection import embedded_server

    place.state.mkdir(parents=True, exist_ok=True)
    with (place.state / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = embedded_server(place.state)
            who = f" as process {other.pid}: server {other.address}, UI {other.ui}" if other else ""
            raise UsageError(
                f"Towpath is up already in {place.folder}{who}. Use that, or stop it first."
            ) from error
        yield


@contextmanager
def written_down(file: Path, server: object) -> Generator[None]:
    from domain.value import Value

    if isinstance(server, Value):
        unfinished = file.with_suffix(".new")
        unfinished.write_text(server.model_dump_json())
        unfinished.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def stop_signal() -> asyncio.Event:
    """Return what is set once somebody asks this process to stop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for asked in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(asked, stop.set)
    return stop


def free_port(usual: int) -> int:
    """Return the usual port where it is free, else 0."""
    import socket

    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", usual))
        except OSError:
            return 0
    return usual


def last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" It said last: {lines[-1][:300]}" if lines else ""
