"""What a store did not take yet: remembered in order, and tried again until it does."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from temporalio import activity

from activities.ports import SealError, StoreError
from domain.value import Value

ItemT = TypeVar("ItemT", bound=Value)
PATIENCE: Final = 5.0
"""Seconds that a write is waited for."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
MOST: Final = 200
"""So many wait at most; what comes beyond that is in the log alone."""


class Owing(Generic[ItemT]):
    """Writes now or later. Whoever adds something waits for one write at most, and never where the last one failed.

    What is owed goes with its worker: each that could not be written is told in the log, with all that it says.
    """

    def __init__(self, what: str, write: Callable[[ItemT], Awaitable[None]]) -> None:
        self._what = what
        self._write = write
        self._writing = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None
        self.items: list[ItemT] = []
        """What is not written, oldest first."""

    async def add(self, *items: ItemT) -> None:
        """Write these after all that is owed already."""
        room = max(MOST - len(self.items), 0)
        self.items += items[:room]
        for one in items[room:]:
            self._warn(one, f"{MOST} are waiting for the store already, and this is not remembered")
        async with self._writing:
            if not self._is_waiting:
                await self._settle()

    async def settle(self) -> None:
        """Try at once to write what is owed."""
        async with self._writing:
            await self._settle()

    async def _settle(self) -> None:
        while self.items:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._write(self.items[0])
            except (StoreError, SealError, TimeoutError) as error:
                self._warn(self.items[0], str(error) or f"the store took longer than {PATIENCE:.0f} seconds")
                if not self._is_waiting:
                    self._later = asyncio.create_task(self._keep_trying())
                return
            self.items.pop(0)

    @property
    def _is_waiting(self) -> bool:
        return self._later is not None and not self._later.done()

    async def _keep_trying(self) -> None:
        pause = FIRST_PAUSE
        while self.items:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            await self.settle()

    def _warn(self, item: ItemT, why: str) -> None:
        extra = {"what": self._what, "why": why, "owed": len(self.items), "item": item.canonical()}
        activity.logger.warning("not_written_yet", extra=extra)
