"""Waiting for what no event tells of, such as another process's files."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

PATIENCE: Final = 60.0
BRIEFLY: Final = 0.02


async def until(look: Callable[[], Any]) -> Any:
    """Wait until a look returns something, and return that."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = look()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(BRIEFLY)
