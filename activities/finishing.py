"""Work that is waited for to its end, even when nobody wants it any more: an undo must never race it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")
StillWanted = Callable[[], None]


class NoLongerWantedError(Exception):
    """Whoever asked for the work was cancelled."""


async def in_thread(work: Callable[[StillWanted], ResultT]) -> ResultT:
    """Run blocking work in a thread. A cancel makes ``still_wanted()`` raise in it; it is waited for."""
    cancelled = threading.Event()

    def still_wanted() -> None:
        if cancelled.is_set():
            raise NoLongerWantedError

    thread = asyncio.ensure_future(asyncio.to_thread(work, still_wanted))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        cancelled.set()
        await until_done(thread)
        raise


async def until_done(task: "asyncio.Future[Any]") -> None:
    """Wait for a task however it ends, and however often that is cancelled: the caller cancels next."""
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # seen: it is not reported as never retrieved


async def to_the_end(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Finish what was begun and return it, even when that is cancelled meanwhile: the cancel came too late."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await until_done(task)
        return task.result()
