"""A worker in a process of its own, to be weighed and killed: ``python -m tests.bench.worker ADDRESS FOLDER [hang]``."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from temporalio.client import Client

from tests.bench.yard import Yard, place_of
from workflows.wire import DATA_CONVERTER

SERVICES: Final = 50
ENVIRONMENTS: Final = 4
READY: Final = b"ready\n"


def yard(client: Client, folder: Path) -> Yard:
    return Yard(client, folder, SERVICES, ENVIRONMENTS)


async def work(address: str, folder: Path, *, hang: bool) -> None:
    client = await Client.connect(address, data_converter=DATA_CONVERTER)
    async with yard(client, folder) as built:
        if hang:
            built.world.slow.update({place_of(subject): asyncio.Event() for subject in built.subjects})
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2]), hang="hang" in sys.argv))
