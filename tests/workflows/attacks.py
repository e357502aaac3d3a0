"""What anybody can do who reaches Temporal's port, by the real program."""

import asyncio
from typing import Any

from temporalio.client import WorkflowHandle

from domain.value import Value
from tests.news import news
from tests.temporal_cli import Said, Shell


async def complete(shell: Shell, handle: WorkflowHandle[Any, Any], kind: str, result: Value | str) -> Said:
    """Complete an activity that waits or runs, as anybody can who reaches the port."""
    words = ("activity", "complete", "-w", handle.id, "--activity-id", await _pending(handle, kind))
    text = result if isinstance(result, str) else result.model_dump_json()
    return await shell.temporal(*words, "--result", text)


async def _pending(handle: WorkflowHandle[Any, Any], kind: str) -> str:
    """Wait for an activity to run, and return its id."""
    async with asyncio.timeout(20):
        async for _ in news(handle):
            for activity in (await handle.describe()).raw_description.pending_activities:
                if activity.activity_type.name == kind:
                    return activity.activity_id
    message = f"{kind} never ran"
    raise AssertionError(message)
