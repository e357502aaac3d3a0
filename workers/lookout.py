"""A lookout for lanes that promotions wait for, and that do nothing: nobody else would ever notice.

A change that outlives its lane wakes a new one, and a lane whose change is lost settles it. Where somebody terminated
both, only the promotions that wait for them are left, and those hold no clock. And where somebody took a task of the
lane's, and answered it with nothing, it rests as one does that has nothing to do.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable
from activities.errands import AWAKE, lane_message
from activities.ports import Notifier
from domain.names import PHASE, STORY, MisnamedWorkflowError, Subject, lane_id, read_id
from domain.outcome import Phase
from domain.workflow_types import RUNNING_HERE
from workers.idling import is_at_rest, nudge
from workers.rounds import Rounds

EVERY: Final = timedelta(seconds=15)
"""Twice this is less than a lane waits for its past to be recalled before it calls a person."""
WAITING: Final = f"{RUNNING_HERE} AND {STORY}='promotion' AND {PHASE}='{Phase.IN_LANE}'"
_RUNNING: Final = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING

log = structlog.get_logger(__name__)


async def keep_lookout(client: Client, notifier: Notifier, every: timedelta = EVERY) -> None:
    """Wake, now and then, the lanes that promotions wait for and that do nothing. Ends by being cancelled."""
    await Rounds("lanes that are waited for", "lookout_blind", notifier).keep(Lookout(client).look, every)


class Lookout:
    """Which lanes were found at rest the last time, though a promotion waits for them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._resting: set[Subject] = set()

    async def look(self) -> None:
        """Begin the lanes that are not there, and wake those that were at rest the last time, too."""
        resting: set[Subject] = set()
        for subject, waiting in (await self._waited_for()).items():
            try:
                if await self._is_resting(subject):
                    resting.add(subject)
                    if subject in self._resting:
                        await self._wake(subject, waiting)
            except RPCError as error:
                if not is_unreadable(error):  # it is there until it is ended for that
                    raise
        self._resting = resting

    async def _is_resting(self, subject: Subject) -> bool:
        """Tell whether a lane does nothing; begin it where there is none."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=lane_id(subject))
        )
        try:
            found = await self._client.workflow_service.describe_workflow_execution(request, retry=False)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            found = None
        if found and found.workflow_execution_info.status == _RUNNING:
            return is_at_rest(found)
        log.warning("lane_woken", service=subject.service, environment=subject.environment)
        await lane_message(self._client, subject, AWAKE, {})
        return False

    async def _wake(self, subject: Subject, waiting: Sequence[str]) -> None:
        log.warning("lane_nudged", service=subject.service, environment=subject.environment)
        for workflow_id in (lane_id(subject), *waiting):
            await nudge(self._client, workflow_id)

    async def _waited_for(self) -> dict[Subject, list[str]]:
        """Return what running promotions wait in the lane for, and which promotions."""
        found: dict[Subject, list[str]] = {}
        async for row in self._client.list_workflows(WAITING):
            with suppress(MisnamedWorkflowError):  # whoever started it has chosen what it says of itself
                service, environment, _ = read_id(row.id, "promotion")
                found.setdefault(Subject(service=service, environment=environment), []).append(row.id)
        return found
