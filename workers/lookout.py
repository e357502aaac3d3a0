"""A lookout for lanes that somebody terminated together with their change: nobody else would ever notice.

A change that outlives its lane wakes a new one, and a lane whose change is lost settles it. Where both are gone, only
the promotions that wait for them are left, and those hold no clock.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable
from activities.errands import AWAKE, lane_message
from activities.ports import Notifier
from domain.names import PHASE, STORY, MisnamedWorkflowError, Subject, lane_id, read_id
from domain.outcome import Phase
from domain.workflow_types import RUNNING_HERE
from workers.rounds import Rounds

EVERY: Final = timedelta(seconds=30)
WAITING: Final = f"{RUNNING_HERE} AND {STORY}='promotion' AND {PHASE}='{Phase.IN_LANE}'"

log = structlog.get_logger(__name__)


async def keep_lookout(client: Client, notifier: Notifier, every: timedelta = EVERY) -> None:
    """Wake, now and then, the lanes that promotions wait for and that are not there. Ends by being cancelled."""

    async def look() -> None:
        for subject in await _waited_for(client):
            if not await _is_there(client, subject):
                log.warning("lane_woken", service=subject.service, environment=subject.environment)
                await lane_message(client, subject, AWAKE, {})

    await Rounds("lanes that are waited for", "lookout_blind", notifier).keep(look, every)


async def _waited_for(client: Client) -> list[Subject]:
    """Return what running promotions wait in the lane for, each once."""
    names: set[tuple[str, ...]] = set()
    async for row in client.list_workflows(WAITING):
        with suppress(MisnamedWorkflowError):  # whoever started it has chosen what it says of itself
            names.add(read_id(row.id, "promotion")[:2])
    return [Subject(service=service, environment=environment) for service, environment in sorted(names)]


async def _is_there(client: Client, subject: Subject) -> bool:
    try:
        description = await client.get_workflow_handle(lane_id(subject)).describe()
    except RPCError as error:
        if is_unreadable(error):
            return True  # until it is ended for that
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return description.status is WorkflowExecutionStatus.RUNNING
