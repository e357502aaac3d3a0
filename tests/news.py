"""Waiting for what a workflow's history tells of."""

from collections.abc import AsyncIterator
from typing import Any

from temporalio.client import WorkflowHandle


async def news(handle: WorkflowHandle[Any, Any]) -> AsyncIterator[None]:
    """Yield at once, and whenever the history has grown, to its end: events that come together are one occasion."""
    pages = handle.fetch_history_events(wait_new_event=True)
    await pages.fetch_next_page()
    yield
    while pages.next_page_token:
        await pages.fetch_next_page()
        if pages.current_page:
            yield
