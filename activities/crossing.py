"""What a walk has carried into the namespaces of its environments. Only the engine at home does so."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import (
    WorkflowIDConflictPolicy,
)
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.errands import Silence, WhySilent, why_silent_at
from activities.labels import search_attributes
from activities.spaces import Spaces, say_shut
from domain.names import (
    ACTOR,
    ENGINE_QUEUE,
    ENVIRONMENT,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    environment_of,
    promotion_id,
    way_id,
)
from domain.outcome import Phase
from domain.road import Waymark
from domain.status import Report
from domain.telling import tell_asked
from domain.terms import Request, Story
from domain.value import Value
from domain.workflow_types import PROMOTION, WAY

LOST: Final = "Lost"
WALK: Final = "walk"
"""The memo of a promotion: the run of the walk that started it."""
BEAT: Final = 1.0
"""Seconds between the heartbeats of whoever waits."""


class SetOut(Value):
    """What came of asking for a promotion."""

    joined: bool = False
    """It was under way already."""
    refusal: str = ""
    """Why it cannot be asked for."""


class CrossingActivities:
    """A walk's errands. All may run twice: what the first has started, the second finds."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces

    @activity.defn
    async def ask_way(self, request: Request) -> Waymark:
        """Have an environment say, where it lives, what lies before it; wait for that, however long."""
        subject, version = request.subject, request.version or ""
        client = self._spaces.of(subject.environment)
        names = {SERVICE: subject.service, ENVIRONMENT: subject.environment, STORY: "way", RELEASE: version}
        try:
            asking = await client.start_workflow(
                WAY,
                request,
                id=way_id(subject, version),
                task_queue=ENGINE_QUEUE,
                result_type=Waymark,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"What lies before {subject.environment}?",
                search_attributes=search_attributes(names),
            )
        except RPCError as error:
            if why := say_shut(client, subject.environment, error):
                return Waymark(environment=subject.environment, refusal=f"{why[0].upper()}{why[1:]}.")
            raise
        try:
            waymark: Waymark = await _end_of(asking)
        except asyncio.CancelledError:
            with suppress(RPCError):
                await asking.cancel(reason="nobody walks there any more")
            raise
        return waymark

    @activity.defn
    async def why_no_way(self, waiting: Silence) -> WhySilent | None:
        """Say why an environment has not answered which way leads there. None: it is at work."""
        environment = environment_of(waiting.queue)
        try:
            return await why_silent_at(self._spaces.of(environment), waiting)
        except RPCError as error:
            return WhySilent(text=f"its namespace does not answer: {error.message}", remedy="towpath doctor")

    @activity.defn
    async def set_out(self, request: Request) -> SetOut:
        """Ask for a promotion where its environment lives; where it is under way already, join it."""
        environment = request.subject.environment
        client = self._spaces.of(environment)
        try:
            return SetOut(joined=not await _promote(client, request))
        except RPCError as error:
            if why := say_shut(client, environment, error):
                return SetOut(refusal=why)
            raise

    @activity.defn
    async def join(self, promotion: str) -> Report:
        """Wait, however long, for the end of a promotion that runs: a long poll, and no event in its history.

        Changes nothing, so a second run waits on. Fails with ``Lost`` where it ends without an outcome.
        """
        client = self._spaces.having(promotion)
        report: Report = await _end_of(client.get_workflow_handle(promotion, result_type=Report))
        return report


async def _promote(client: Client, request: Request) -> bool:
    """Start a promotion in the name of whoever asked for the walk. False: it runs, and is not ours."""
    subject, version, walk = request.subject, request.version or "", activity.info().workflow_run_id
    workflow_id = promotion_id(subject, version)
    if await _started_by(walk, client.get_workflow_handle(workflow_id)):
        return True
    names = {
        SERVICE: subject.service,
        ENVIRONMENT: subject.environment,
        STORY: Story.PROMOTION,
        RELEASE: version,
        PHASE: Phase.PREPARING,
        ACTOR: request.actor.name,
    }
    try:
        await client.start_workflow(
            PROMOTION,
            request,
            id=workflow_id,
            task_queue=ENGINE_QUEUE,
            static_summary=f"{version} of {subject.service} → {subject.environment}",
            static_details=tell_asked(request.actor, request.reason),
            search_attributes=search_attributes(names),
            memo={WALK: walk},
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def _started_by(walk: str | None, promotion: WorkflowHandle[Any, Any]) -> bool:
    try:
        return bool(await (await promotion.describe()).memo_value(WALK, default="", type_hint=str) == walk)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False


async def _end_of(handle: WorkflowHandle[Any, Any]) -> Any:
    """Wait for a workflow's result, with heartbeats. Fails with ``Lost`` where it ends without one."""
    ended: asyncio.Task[Any] = asyncio.create_task(handle.result())
    leaving = asyncio.create_task(activity.wait_for_worker_shutdown())
    try:
        while not ended.done() and not leaving.done():
            await asyncio.wait((ended, leaving), timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
            activity.heartbeat()
        if not ended.done():
            raise ApplicationError(
                "this engine's worker leaves; another waits on", category=ApplicationErrorCategory.BENIGN
            )
        return await ended
    except WorkflowFailureError as failure:
        why = getattr(failure.cause, "message", None) or str(failure.cause)
        raise ApplicationError(why, type=LOST, non_retryable=True) from failure
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise ApplicationError("it is there no longer", type=LOST, non_retryable=True) from error
    finally:
        for task in (ended, leaving):
            task.cancel()
