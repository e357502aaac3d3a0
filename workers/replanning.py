"""Having those who wait for a planned moment ask again, where somebody has planned it anew.

They know when a window opens, or a planned freeze ends, by the configuration as it was when they asked. Only whoever
reads that on the environment's behalf can notice that it says something else.
"""

from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.errands import GATE_OPENED
from activities.ports import Notifier, Settings
from domain.configuration import Configuration
from domain.names import ENVIRONMENT, PHASE, Subject
from domain.outcome import Phase
from domain.windows import Schedule
from domain.workflow_types import RUNNING_HERE
from workers.rounds import Rounds

EVERY: Final = timedelta(seconds=15)
Schedules = dict[str, Schedule]
"""Service → what is planned for it in the environment."""

log = structlog.get_logger(__name__)


async def keep_replanning(
    client: Client, settings: Settings, environment: str, notifier: Notifier, every: timedelta = EVERY
) -> None:
    """Have those who wait ask again when another schedule holds in their environment. Ends by being cancelled."""
    look = Replanning(client, settings, environment).look
    await Rounds(f"what is planned in {environment}", "replanning_blind", notifier).keep(
        look, every, at_once=True
    )


class Replanning:
    """What was planned in an environment the last time; nothing is known of the time before the first look."""

    def __init__(self, client: Client, settings: Settings, environment: str) -> None:
        self._client = client
        self._settings = settings
        self._environment = environment
        self._known: Schedules | None = None
        self._is_new = True

    async def look(self) -> None:
        """Tell everybody who waits at a gate there when something else is planned, and those who came just then."""
        found = _schedules(self._settings.about(environment=self._environment), self._environment)
        was_new, self._is_new = self._is_new, found != self._known
        if not (was_new or self._is_new):
            return
        here = f"{RUNNING_HERE} AND {ENVIRONMENT}='{self._environment}'"
        async for row in self._client.list_workflows(f"{here} AND {PHASE}='{Phase.WAITING_FOR_GATE}'"):
            await self._ask_again(row.id)
        self._known = found

    async def _ask_again(self, workflow_id: str) -> None:
        log.info("asks_again", workflow=workflow_id, environment=self._environment)
        try:
            await self._client.get_workflow_handle(workflow_id).signal(GATE_OPENED, {})
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                raise


def _schedules(configuration: Configuration, environment: str) -> Schedules:
    subjects = (Subject(service=name, environment=environment) for name in configuration.services)
    return {one.service: configuration.schedule(one) for one in subjects}
