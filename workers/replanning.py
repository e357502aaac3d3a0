"""Having those who wait at an environment's gates ask again, where what keeps them shut has changed unheard.

They know when a window opens, or a planned freeze ends, by the configuration as it was when they asked: only whoever
reads that on the environment's behalf can notice that it says something else. And of a thaw they hear from the
environment's workflow: where somebody ended that, or took its word, nobody tells them.
"""

from datetime import timedelta
from typing import Final, NamedTuple

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import ask_status
from activities.clock import SystemClock
from activities.errands import GATE_OPENED
from activities.ports import Notifier, Settings
from domain.configuration import Configuration
from domain.gate import Freeze, Pin
from domain.names import ENVIRONMENT, PHASE, Subject, environment_id
from domain.outcome import Phase
from domain.status import EnvironmentStatus
from domain.windows import Schedule
from domain.workflow_types import RUNNING_HERE
from workers.rounds import Rounds

EVERY: Final = timedelta(seconds=15)

log = structlog.get_logger(__name__)


class Shut(NamedTuple):
    """What keeps an environment's gates shut: what is planned for each service, and what somebody has said."""

    planned: dict[str, Schedule]
    freeze: Freeze | None = None
    pins: dict[str, Pin] = {}


async def keep_replanning(
    client: Client, settings: Settings, environment: str, notifier: Notifier, every: timedelta = EVERY
) -> None:
    """Have those who wait ask again when something else keeps them. Ends by being cancelled."""
    look = Replanning(client, settings, environment).look
    await Rounds(f"what keeps the gates of {environment} shut", "replanning_blind", notifier).keep(
        look, every, at_once=True
    )


class Replanning:
    """What kept an environment's gates shut the last time; nothing is known of the time before the first look."""

    def __init__(self, client: Client, settings: Settings, environment: str) -> None:
        self._client = client
        self._settings = settings
        self._environment = environment
        self._known: Shut | None = None
        self._is_new = True
        self._asked: tuple[str, int] = ("", 0)
        self._status: EnvironmentStatus | None = None

    async def look(self) -> None:
        """Tell everybody who waits there when it is something else, and those who came just then."""
        configuration = self._settings.about(environment=self._environment)
        holds = await self._remembered()
        found = Shut(
            _planned(configuration, self._environment),
            holds.freeze if holds else None,
            dict(holds.pins) if holds else {},
        )
        was_new, self._is_new = self._is_new, found != self._known
        if was_new or self._is_new:
            here = f"{RUNNING_HERE} AND {ENVIRONMENT}='{self._environment}'"
            async for row in self._client.list_workflows(f"{here} AND {PHASE}='{Phase.WAITING_FOR_GATE}'"):
                await self._ask_again(row.id)
        self._known = found

    async def _remembered(self) -> EnvironmentStatus | None:
        """Return what the environment's workflow keeps shut; one that is not there keeps nothing.

        It is asked only when something has happened to it.
        """
        handle = self._client.get_workflow_handle(environment_id(self._environment))
        try:
            seen = await handle.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None
        if seen.status is not WorkflowExecutionStatus.RUNNING:
            return None
        happened = (seen.run_id, seen.history_length)
        if happened != self._asked and (status := await ask_status(handle, EnvironmentStatus)):
            self._asked, self._status = happened, status
        return self._status.at(SystemClock().now()) if self._status else None

    async def _ask_again(self, workflow_id: str) -> None:
        log.info("asks_again", workflow=workflow_id, environment=self._environment)
        try:
            await self._client.get_workflow_handle(workflow_id).signal(GATE_OPENED, {})
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                raise


def _planned(configuration: Configuration, environment: str) -> dict[str, Schedule]:
    subjects = (Subject(service=name, environment=environment) for name in configuration.services)
    return {one.service: configuration.schedule(one) for one in subjects}
