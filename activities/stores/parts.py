"""Big files in a bucket: in parts of their own, so that an upload that broke off goes on where it stopped.

Each part is an object below ``.parts/<key>``, and the last thing written is a short index under the key itself:
until it stands, the file does not. A key is made of its content's digest, so a part that stands is the part that
would be sent. A store's own multipart uploads would not do: what they hold is lost with the process that knew
their number, each kind of store has them in another way, and some lose a file that several send at once.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from activities.ports import Progress
from activities.stores.objects import Objects

ROOM: Final = ".parts"
PART: Final = 8 << 20
"""What is no larger goes up as one object, in one request."""

_AT_ONCE: Final = 4
_MARK: Final = b'{"towpath_parts":'
_LONGEST_INDEX: Final = 200
"""Shorter than any artifact, so that no artifact passes for an index."""


class _Index(NamedTuple):
    size: int
    part: int

    @property
    def parts(self) -> int:
        return -(-self.size // self.part)

    def length(self, number: int) -> int:
        return min(self.part, self.size - number * self.part)


async def send(objects: Objects, key: str, file: Path, progress: Progress) -> None:
    """Write a file under a key where none stands; what an earlier try has sent is not sent again."""
    if await objects.stands(key):
        return
    size = (await asyncio.to_thread(file.stat)).st_size
    if size <= PART:
        await objects.put(key, await asyncio.to_thread(file.read_bytes))
        progress(size)
        return
    index = _Index(size, PART)
    with await asyncio.to_thread(file.open, "rb") as opened:
        await _send_parts(objects, key, index, opened, progress)
    text = json.dumps({"towpath_parts": 1, **index._asdict()}, separators=(",", ":"))
    await objects.put(key, text.encode())


async def _send_parts(
    objects: Objects, key: str, index: _Index, opened: BinaryIO, progress: Progress
) -> None:
    there = await objects.sizes(_room(key))
    missing = [
        number
        for number in range(index.parts)
        if there.get(_part(key, index, number)) != index.length(number)
    ]
    done = index.size - sum(index.length(number) for number in missing)
    progress(done)
    waiting = iter(missing)

    async def carry() -> None:
        nonlocal done
        for number in waiting:
            content = await asyncio.to_thread(
                os.pread, opened.fileno(), index.length(number), number * index.part
            )
            await objects.put(_part(key, index, number), content)
            done += len(content)
            progress(done)

    try:
        async with asyncio.TaskGroup() as carriers:
            for _ in range(_AT_ONCE):
                carriers.create_task(carry())
    except* Exception as failures:
        # They fail together, for one reason: the first says it.
        raise failures.exceptions[0] from failures


async def receive(objects: Objects, key: str) -> AsyncIterator[bytes]:
    """Read what ``send`` has written, or anything else. Raises ``NotInStoreError``."""
    first = True
    async for piece in objects.stream(key):
        index = _read(piece) if first else None
        first = False
        if index is None:
            yield piece
            continue
        for number in range(index.parts):
            async for content in objects.stream(_part(key, index, number)):
                yield content


async def discard(objects: Objects, key: str) -> None:
    """Remove a file, then its parts; also those that an upload left which was never finished."""
    await objects.remove(key)
    for part in await objects.names(_room(key)):
        await objects.remove(part)


def _read(piece: bytes) -> _Index | None:
    if len(piece) > _LONGEST_INDEX or not piece.startswith(_MARK):
        return None
    said = json.loads(piece)
    return _Index(said["size"], said["part"])


def _room(key: str) -> str:
    return f"{ROOM}/{key}"


def _part(key: str, index: _Index, number: int) -> str:
    return f"{_room(key)}/{index.part}/{number:06d}"
