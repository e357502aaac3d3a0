"""Looking in rounds, beside the workers: what fails once is tried again, and what goes on failing is told.

Whoever reaches the server may leave in it whatever makes a look fail. A look that ended over it, or hung, would be
missed by nobody: it goes on, and a person is called.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import uuid4

import structlog
from temporalio.service import RPCError

from activities.calls import is_away
from activities.mistakes import BrokenConfigurationError
from activities.ports import Alarm, Notifier
from workers.witnessing import OF_THE_ENGINE

LONGEST: Final = timedelta(minutes=2)
"""A round that takes longer is given up: something in it does not answer."""
BLIND: Final = timedelta(minutes=2)
"""A person is called when every round has failed for so long."""

log = structlog.get_logger(__name__)


class Rounds:
    """Rounds of one look: ``what`` it looks for, in a few words, and the ``event`` of the log where it cannot."""

    def __init__(
        self,
        what: str,
        event: str,
        notifier: Notifier,
        *,
        longest: timedelta = LONGEST,
        blind: timedelta = BLIND,
    ) -> None:
        self._what = what
        self._event = event
        self._notifier = notifier
        self._longest = longest.total_seconds()
        self._blind = blind.total_seconds()
        self._since: float | None = None
        self._times = 0
        self._nonce = uuid4()
        self._is_told = False
        self._said = ""

    async def keep(
        self, look: Callable[[], Awaitable[None]], every: timedelta, *, at_once: bool = False
    ) -> None:
        """Look, now and then. Ends by being cancelled."""
        if not at_once:
            await asyncio.sleep(every.total_seconds())
        while True:
            try:
                async with asyncio.timeout(self._longest):
                    await look()
            # Whatever it is, it may have been put there, and is no reason to look no more.
            except Exception as error:  # noqa: BLE001
                await self._note(error)
            else:
                self._since, self._is_told, self._said = None, False, ""
            await asyncio.sleep(every.total_seconds())

    async def _note(self, error: Exception) -> None:
        why = str(error) or f"it took longer than {self._longest:.0f} s"
        if why != self._said:  # it looks again soon: the same is said once
            log.warning(self._event, why=why)
        self._said = why
        if isinstance(error, BrokenConfigurationError) or (isinstance(error, RPCError) and is_away(error)):
            return  # that is told elsewhere, or there is nobody to ask
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
            self._times += 1
        if self._is_told or now - self._since < self._blind:
            return
        try:
            await self._notifier.call(self._alarm(why))
        except Exception as unheard:  # noqa: BLE001 - likewise
            log.warning(self._event, why=f"nobody could be called: {unheard}")
        else:
            self._is_told = True

    def _alarm(self, why: str) -> Alarm:
        return Alarm(
            OF_THE_ENGINE,
            f"The engine cannot look for {self._what}: {why[:300]}",
            "It goes on trying. See docs/how-to/recover.md (the engine is blind): towpath doctor",
            f"blind/{self._event}/{self._nonce}/{self._times}",
        )
