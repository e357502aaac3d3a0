"""Keeping the server's list readable: what cannot be listed hides whatever is listed with it, and is deleted."""

from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.client import Client

from activities.ports import Alarm, Clock, Notifier
from domain.attempt import Kind
from domain.workflow_types import OURS
from workers.blinding import can_list, delete_unlistable
from workers.witnessing import OF_THE_ENGINE
from workflows.doorkeeper import Sighting, Witness

UNLISTABLE: Final = "it was started with what nobody can list, such as a memo nested too deeply"
DELETING: Final = timedelta(seconds=5)
"""So long the server has for what it was asked to delete."""
BLIND: Final = 4
"""A person is called when it could not be listed so many rounds in a row."""

log = structlog.get_logger(__name__)


class Sight:
    """Whether all that is ours can be listed, and for how long it could not."""

    def __init__(self, client: Client, notifier: Notifier, witness: Witness, clock: Clock) -> None:
        self._client = client
        self._notifier = notifier
        self._witness = witness
        self._clock = clock
        self._deleting_until = clock.now()
        self._blind = 0

    async def keep_of_late(self, since: datetime) -> None:
        """Keep in sight what was begun since then, and all where that was hidden the last time."""
        late = f"({OURS}) AND StartTime >= '{utc(since)}'"
        await self._keep(OURS if self._blind else late)

    async def keep_all(self) -> None:
        """Keep in sight all there is, whenever it was begun."""
        await self._keep(OURS)

    async def _keep(self, query: str) -> None:
        now = self._clock.now()
        if now < self._deleting_until:
            return
        if await can_list(self._client, query):
            self._blind = 0
            return
        self._blind += 1
        namespace = self._client.namespace
        if self._blind == BLIND:
            await self._notifier.call(_blindness(namespace, now))
        for begun in await delete_unlistable(self._client, OURS, now, UNLISTABLE):
            self._deleting_until = self._clock.now() + DELETING
            started = utc(begun)
            log.error("unlistable_deleted", started=started, namespace=namespace)
            why = f"{UNLISTABLE}; started at {started}"
            self._witness(Sighting(Kind.UNREADABLE, "list", why, "", "", "", namespace))


def utc(moment: datetime) -> str:
    """Write a moment as queries have it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _blindness(namespace: str, now: datetime) -> Alarm:
    return Alarm(
        OF_THE_ENGINE,
        f"The engine cannot list what runs in the namespace “{namespace}”",
        "A workflow there was started with what nobody can read, and the server has not deleted it. Until it is gone, "
        "nobody is told of what happens, and a lane that was terminated is not woken. See docs/how-to/recover.md "
        f"(the engine is blind):\ntemporal batch list -n {namespace}",
        f"blind/{namespace}/{utc(now)}",
    )
