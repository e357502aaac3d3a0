"""The command line, as a person types it: in this process, or in one of its own where that matters."""

import asyncio
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from temporalio.client import Client

from clients.cli import run
from tests.town import Engine, Town

TOWPATH = Path(sys.executable).with_name("towpath")


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Everything it said, on one line whatever the width of the terminal."""
        return " ".join(f"{self.out}\n{self.err}".split())


class CommandLine:
    """Types commands for ana@example.com, who asks; bo and cy approve."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._capture = capture
        self._patch = patch
        for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "TOWPATH_"))]:
            patch.delenv(name)
        self.set(TOWPATH_BY="ana@example.com", TOWPATH_CONFIG=str(folder), HOME=str(folder), NO_COLOR="1")

    def set(self, **variables: str) -> None:
        """Set variables for what is typed from now on."""
        for name, value in variables.items():
            self._patch.setenv(name, value)

    async def type(self, *words: str) -> Ran:
        """Run a command in this process, beside the test's own loop."""
        self._capture.readouterr()
        code = await asyncio.to_thread(run, words)
        out, err = self._capture.readouterr()
        return Ran(code, out, err)

    async def start(self, *words: str, program: Path = TOWPATH) -> asyncio.subprocess.Process:
        """Start a command in a process of its own."""
        return await asyncio.create_subprocess_exec(
            str(program),
            *words,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *words: str, program: Path = TOWPATH) -> Ran:
        """Run a command in a process of its own, to its end."""
        return await ended(await self.start(*words, program=program))


async def ended(process: asyncio.subprocess.Process) -> Ran:
    """Wait for a process and return what it said."""
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def read_until(process: asyncio.subprocess.Process, mark: str) -> str:
    """Read what a process prints, until it has said this."""
    assert process.stdout
    said = ""
    async with asyncio.timeout(40):
        while mark not in said:
            line = await process.stdout.readline()
            assert line, f"it ended without saying “{mark}”: {said}{await _errors_of(process)}"
            said += line.decode()
    return said


async def _errors_of(process: asyncio.subprocess.Process) -> str:
    return (await process.stderr.read()).decode() if process.stderr else ""


@pytest.fixture
def offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """A command line in an empty folder, with no server to reach."""
    return CommandLine(tmp_path, capsys, monkeypatch)


@pytest.fixture
async def towpath(offline: CommandLine, client: Client, engine: Engine) -> CommandLine:
    """A command line that reaches the session's server."""
    assert engine.is_there
    offline.set(TEMPORAL_ADDRESS=client.service_client.config.target_host)
    return offline


def words(town: Town, version: str, environment: str) -> tuple[str, str, str]:
    """Name a promotion as people do."""
    return town.service, version, environment
