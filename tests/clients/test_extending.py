"""The page on targets, checks and channels of one's own, followed to the letter."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from domain.outcome import Exit
from tests.clients.conftest import CommandLine
from workers.server import free_port

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = ("activities", "clients", "domain", "workers", "workflows", "docs", "tests")
PAGE: Final = (ROOT / "docs/how-to/extend.md").read_text()
BLOCK: Final = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    language: str
    title: str
    text: str


BLOCKS: Final = [Block(*found) for found in BLOCK.findall(PAGE)]


def apply(block: Block, folder: Path) -> None:
    """Write a file, or make an edit of one: its context must stand there as the page shows it."""
    file = folder / block.title
    if block.language != "diff":
        assert not file.exists(), f"{block.title} is there already"
        file.write_text(block.text)
        return
    lines = block.text.splitlines()
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines)
    text = file.read_text()
    assert text.count(before) == 1, f"{block.title} does not read as the page shows it"
    file.write_text(text.replace(before, after))


def test_a_target_and_a_check_of_ones_own_keep_what_all_must(tmp_path: Path) -> None:
    """In a copy of the repository, with what the page shows, the commands of the page pass."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for block in BLOCKS:
        if block.title.startswith(("activities/", "docs/", "tests/")):
            apply(block, tmp_path)
    suites = re.findall(r"^\.venv/bin/python (-m pytest (\S+) -k (\S+))$", PAGE, re.MULTILINE)

    wanted = " or ".join(kind for _, _, kind in suites)

    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(file for _, file, _ in suites),
            "-k",
            wanted,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )

    assert [kind for _, _, kind in suites] == ["pointer", "complaint"]
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", ran.stdout)[0]) > 20


@pytest.mark.processes
async def test_a_channel_of_ones_own_is_told(offline: CommandLine) -> None:
    """The page's web server takes the notice that the page's command sends."""
    port = str(free_port())
    for block in BLOCKS:
        if block.title in {"pager.py", "towpath.yaml"}:
            (offline.folder / block.title).write_text(block.text.replace("9009", port))
    (offline.folder / "environments").mkdir()
    (offline.folder / "services").mkdir()
    (command,) = re.findall(r"^towpath (notify .*)$", PAGE, re.MULTILINE)
    pager = await asyncio.create_subprocess_exec(
        sys.executable, "pager.py", port, cwd=offline.folder, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _until_open(int(port))
        ran = await offline.type(*command.split())
    finally:
        pager.terminate()
        await pager.wait()

    assert ran.code == Exit.DONE, ran.said
    assert (offline.folder / "told.txt").read_text().startswith("info: Towpath: a test\n")


async def _until_open(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
