"""Doing several things side by side, so many at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from workflows.troubles import Over, Trouble, cancelled

Work: TypeAlias = Callable[[], Awaitable[None]]


async def side_by_side(works: Sequence[Work], at_once: int) -> None:
    """Do all of these. Where one fails, those under way are cancelled and waited for, and no other begins.

    Raises what failed first. Nothing of it goes on any more by then: an undo never races its deed.
    """
    if len(works) == 1:
        await works[0]()
        return
    turns = asyncio.Semaphore(at_once)
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(_in_turn(work, turns))
    except ExceptionGroup as failed:
        raise _first(failed) from failed
    except asyncio.CancelledError as cancel:
        raise cancelled() from cancel


async def _in_turn(work: Work, turns: asyncio.Semaphore) -> None:
    async with turns:
        await work()


def _first(failed: ExceptionGroup) -> Exception:
    """Return what failed first, unless the whole change turned out to be over, or something is a bug."""
    others = [failure for failure in failed.exceptions if not isinstance(failure, Trouble)]
    over = [failure for failure in others if isinstance(failure, Over)]
    return (*over, *others, *failed.exceptions)[0]
