"""A worker in a process of its own, to be weighed and killed.

``python -m tests.bench.worker ADDRESS FOLDER [hang]``; with ``hang`` no deploy of it ever ends.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final, Literal

from temporalio.client import Client

from tests.bench.yard import Yard, place_of
from workflows.reaching import reach

SERVICES: Final = 50
ENVIRONMENTS: Final = 4
READY: Final = b"ready\n"
DEPLOYING: Final = b"deploying\n"


def yard(client: Client, folder: Path) -> Yard:
    return Yard(client, folder, SERVICES, ENVIRONMENTS)


async def work(address: str, folder: Path, *, hang: bool) -> None:
    client = await reach(address)
    async with yard(client, folder) as built:
        if hang:
            built.world.slow.update({place_of(subject): _Hanging() for subject in built.subjects})
        _say(READY)
        await asyncio.Event().wait()


class _Hanging(asyncio.Event):
    """Never happens; says when somebody begins to wait for it."""

    async def wait(self) -> Literal[True]:
        _say(DEPLOYING)
        return await super().wait()


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), hang="hang" in sys.argv))
