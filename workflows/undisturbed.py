"""Finishing what was begun, whatever is cancelled meanwhile."""

import asyncio
from typing import TypeVar

ResultT = TypeVar("ResultT")


async def undisturbed(task: "asyncio.Task[ResultT]") -> ResultT:
    """Wait for a task to its end. A cancel that arrives meanwhile is not lost: ask ``cancellation_reason``.

    A workflow is cancelled once, by cancelling whatever its main coroutine waits for; the shield keeps that from
    the task, and the loop waits on.
    """
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
        except Exception:  # noqa: BLE001 - raised below, as the task's own
            break
    return task.result()
