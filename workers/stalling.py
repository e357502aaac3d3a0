"""A look for what stands still though nothing fails, so that nobody would notice.

Whoever reaches the server can lead the engine's queue to a worker deployment of their own, which need not exist, or
pin a workflow to one, pause an activity, which then has no time-out, or lead it to a queue that nobody serves. The
server says so of each.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import describe
from activities.effects import EffectActivities
from activities.ports import Alarm, Clock, Notifier
from activities.queues import led_away
from domain.hints import temporal
from domain.kinds import CHANGE, ENVIRONMENT_WORKFLOW, LANE, PROMOTION, RUNNING_HERE
from domain.names import ENGINE_QUEUE, effects_queue
from workers.rounds import Rounds
from workers.witnessing import OF_THE_ENGINE, about

EVERY: Final = timedelta(seconds=20)
SELDOM: Final = (LANE, PROMOTION, ENVIRONMENT_WORKFLOW)
"""There are many of them, and few do anything: five minutes are soon enough."""
SELDOM_EVERY: Final = 15
PINNED: Final = f"{RUNNING_HERE} AND TemporalWorkflowVersioningBehavior IS NOT NULL"
OVERDUE: Final = timedelta(minutes=2)
FAR: Final = timedelta(minutes=30)
"""Whatever of ours fails is tried again sooner."""
AT_ONCE: Final = 8
LONGEST: Final = timedelta(minutes=10)
REMEMBERED: Final = 10_000


async def keep_seeing_stalled(
    client: Client, notifier: Notifier, clock: Clock, every: timedelta = EVERY
) -> None:
    """Look, now and then. Ends by being cancelled."""
    look = Stalled(client, notifier, clock)
    rounds = Rounds("what stands still", "stalled_unseen", notifier, longest=LONGEST)
    await rounds.keep(look.look_round, every)


class Stalled:
    """What stood still when it was looked for, and what of it people were told of."""

    def __init__(self, client: Client, notifier: Notifier, clock: Clock) -> None:
        self._client = client
        self._notifier = notifier
        self._clock = clock
        self._rounds = 0
        self._told: dict[str, None] = {}

    async def look_round(self) -> None:
        """Call a person, once, for each thing that stands still. What could not be told is told the next time."""
        try:
            await self._look_at_queue(ENGINE_QUEUE)
            await self._look_at_pinned()
        finally:  # what keeps one from being seen keeps nobody from the others
            await self._look_at_workflows()

    async def _look_at_queue(self, queue: str) -> None:
        why = await led_away(self._client, queue)
        if not why:
            self._told.pop(queue, None)
            return
        headline, remedy = f"Nobody serves the queue “{queue}”", f"Nothing on it goes on: {why}"
        await self._call(queue, Alarm(OF_THE_ENGINE, headline, remedy, f"led/{queue}/{why}"))

    async def _look_at_pinned(self) -> None:
        try:
            rows = [row async for row in self._client.list_workflows(PINNED)]
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                return  # a server that is too old for it pins nothing
            raise
        for row in rows:
            await self._call_about(
                row, "it is pinned to a worker deployment, and none of our workers is of one"
            )

    async def _look_at_workflows(self) -> None:
        kinds = (CHANGE, *(SELDOM if self._rounds % SELDOM_EVERY == 0 else ()))
        self._rounds += 1
        query = f"{RUNNING_HERE} AND WorkflowType IN ({', '.join(map(repr, kinds))})"
        rows = [row async for row in self._client.list_workflows(query)]
        for queue in sorted({effects_queue(about(row.id).environment) for row in rows}):
            await self._look_at_queue(queue)
        for first in range(0, len(rows), AT_ONCE):
            await asyncio.gather(*map(self._look_at, rows[first : first + AT_ONCE]))

    async def _look_at(self, row: WorkflowExecution) -> None:
        seen = await describe(self._client, row.id, row.run_id)
        if seen is None:
            return  # it has ended, or is ended for that
        for pending in seen.pending_activities:
            kind = pending.activity_type.name
            does_effects = hasattr(EffectActivities, kind)
            queue = effects_queue(about(row.id).environment) if does_effects else ENGINE_QUEUE
            for why in _why_stalled(pending, queue, self._clock.now()):
                await self._call_about(row, f"its activity {kind} {why}")

    async def _call_about(self, row: WorkflowExecution, why: str) -> None:
        command = temporal("describe", row.id, self._client.namespace)
        remedy = f"See docs/how-to/recover.md (a change stands still):\n{command}"
        key = f"{row.run_id}/{why}"
        await self._call(key, Alarm(about(row.id), f"{row.id}: {why}", remedy, key))

    async def _call(self, key: str, alarm: Alarm) -> None:
        if key in self._told:
            return
        await self._notifier.call(alarm)
        self._told[key] = None
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]


def _why_stalled(pending: PendingActivityInfo, its_queue: str, now: datetime) -> Iterator[str]:
    """Say why an activity will not be done: none of ours is ever paused or led elsewhere, or late for long."""
    queue = pending.activity_options.task_queue.name
    if pending.paused:
        yield "is paused, and has no time-out while it is"
    elif queue and queue != its_queue:
        yield f"is led to the queue “{queue[:200]}”"
    elif pending.HasField("next_attempt_schedule_time") and (
        pending.next_attempt_schedule_time.ToDatetime(UTC) - now > FAR
    ):
        yield "is not tried again for a long time"
    elif pending.HasField("expiration_time"):
        late = now - pending.expiration_time.ToDatetime(UTC)
        if late > OVERDUE:
            yield "is long overdue, and nothing ends it"
