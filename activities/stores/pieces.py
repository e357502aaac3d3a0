"""A file as it goes into a store: piece by piece, however large it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from activities.ports import Progress

PIECE: Final = 1 << 20


async def pieces(file: Path, progress: Progress) -> AsyncIterator[bytes]:
    """Yield a file's content, and tell how much of it has been handed over so far."""
    done = 0
    with await asyncio.to_thread(file.open, "rb") as opened:
        while piece := await asyncio.to_thread(opened.read, PIECE):
            yield piece
            done += len(piece)
            progress(done)
