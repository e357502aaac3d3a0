"""Telling environments' workflows that their workers want to hear what people say there."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import ask_status
from activities.labels import search_attributes
from activities.ports import Notifier, Settings
from domain.names import ENGINE_QUEUE, ENVIRONMENT, STORY, environment_id
from domain.status import EnvironmentStatus
from domain.workflow_types import ENVIRONMENT_WORKFLOW
from workers.rounds import Rounds

EVERY: Final = timedelta(seconds=30)
GUARD: Final = "guard"

log = structlog.get_logger(__name__)


async def keep_guarding(
    client: Client,
    settings: Settings,
    environments: Sequence[str],
    notifier: Notifier,
    every: timedelta = EVERY,
) -> None:
    """See, now and then, that those of these environments are guarded which the configuration says are.

    What an environment was told outlives its worker, though not its own end by an attacker's hand. Ends by being
    cancelled.
    """

    async def look() -> None:
        for name in environments:
            if settings.about(environment=name).guards(name) and not await is_guarded(client, name):
                await guard(client, name)

    what = f"whether {', '.join(environments)} is guarded"
    await Rounds(what, "not_guarded", notifier).keep(look, every, at_once=True)


async def is_guarded(client: Client, environment: str) -> bool:
    """Ask an environment's workflow. One that cannot be asked now is asked later, and told nothing meanwhile."""
    handle = client.get_workflow_handle(environment_id(environment))
    try:
        if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
            return False
        status = await ask_status(handle, EnvironmentStatus)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return status is None or status.guarded


async def guard(client: Client, environment: str) -> None:
    """Have an environment's workflow ask its worker about every word; one that is not there is born of it."""
    await client.start_workflow(
        ENVIRONMENT_WORKFLOW,
        id=environment_id(environment),
        task_queue=ENGINE_QUEUE,
        start_signal=GUARD,
        start_signal_args=[{}],
        static_summary=f"The environment {environment}",
        search_attributes=search_attributes({ENVIRONMENT: environment, STORY: "environment"}),
    )
    log.info("guarded", environment=environment)
