"""Finishing what was begun, whatever is cancelled meanwhile."""

import asyncio
from typing import Final, TypeVar

from temporalio import workflow

ResultT = TypeVar("ResultT")
HEEDS_CANCELS: Final = "heeds-cancels"
"""A patch: a cancel that came in mid-errand was never heard of again by whoever waited next."""


async def undisturbed(task: "asyncio.Task[ResultT]") -> ResultT:
    """Wait for a task to its end. A cancel that arrives meanwhile is raised nowhere: ``heed_cancel`` raises it.

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


def heed_cancel() -> None:
    """Raise ``CancelledError`` where whoever calls was cancelled before: call it before a wait that may be long."""
    here = asyncio.current_task()
    if here is not None and here.cancelling() and workflow.patched(HEEDS_CANCELS):
        raise asyncio.CancelledError
