"""What it costs a worker to look at a signature, beside the bare program that looks at it. Reported, held to no bar."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Final

from activities.clock import SystemClock
from activities.proving import Proving
from activities.signers import OpenSshSigners
from domain.actor import Actor
from domain.names import Subject
from domain.terms import Request, Story
from tests.bench.figures import Figure
from tests.people import People

LOOKS: Final = 20
NAME: Final = "ana@example.com"


async def verification(folder: Path) -> Sequence[Figure]:
    """Weigh one verification in processor time, this process and its children together."""
    if shutil.which("ssh-keygen") is None:
        return []
    people = People(folder / "keys")
    people.allow(folder, {NAME: NAME})
    request = Request(
        story=Story.PROMOTION,
        subject=Subject(service="shop", environment="production"),
        version="1.0.0",
        actor=Actor(name=NAME),
    )
    signed = people.signer(NAME).sign_request(request)
    proving = Proving(OpenSshSigners(folder), SystemClock())

    async def look() -> None:
        why = await proving.request(signed)
        if why:
            raise AssertionError(why)

    async def start() -> None:
        process = await asyncio.create_subprocess_exec(
            *("ssh-keygen", "-l", "-f", str(people.key(NAME))), stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()

    ours, bare = await _cost(look), await _cost(start)
    return [
        Figure("CPU of a verification", ours * 1000, "ms"),
        Figure("CPU of a verification, in bare starts of ssh-keygen", ours / bare, "×"),
    ]


async def _cost(work: Callable[[], Awaitable[None]]) -> float:
    """Return the processor seconds that one takes."""
    before = _spent()
    for _ in range(LOOKS):
        await work()
    return (_spent() - before) / LOOKS


def _spent() -> float:
    used = (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
