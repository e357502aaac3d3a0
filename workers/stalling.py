"""A look for what stands still though nothing fails, so that nobody would notice.

Whoever reaches the server can lead the engine's queue to a worker deployment of their own, which need not exist, or
pin a workflow to one, pause an activity, which then has no time-out, or lead it to a queue that nobody serves.
"""

from datetime import timedelta
from typing import Final

from temporalio.client import Client

from activities.ports import Alarm, Clock, Notifier
from activities.queues import led_away
from domain.hints import temporal
from domain.kinds import ENVIRONMENT_WORKFLOW, LANE, PROMOTION, RUNNING_HERE
from domain.names import ENGINE_QUEUE, effects_queue
from workers.rounds import Rounds
from workers.standstill import CHANGES, PAUSED, Still, find_pinned, find_rows, find_still
from workers.witnessing import OF_THE_ENGINE, about

EVERY: Final = timedelta(seconds=20)
OTHERS: Final = f"{RUNNING_HERE} AND WorkflowType IN ('{LANE}', '{PROMOTION}', '{ENVIRONMENT_WORKFLOW}')"
OTHERS_EVERY: Final = 15
"""There are many of them, and few do anything: five minutes are soon enough."""
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
            for still in await find_pinned(self._client):
                await self._call_about(still)
        finally:  # what keeps one from being seen keeps nobody from the others
            await self._look_at_workflows()

    async def _look_at_queue(self, queue: str) -> None:
        why = await led_away(self._client, queue)
        if not why:
            self._told.pop(queue, None)
            return
        headline, remedy = f"Nobody serves the queue “{queue}”", f"Nothing on it goes on: {why}"
        await self._call(queue, Alarm(OF_THE_ENGINE, headline, remedy, f"led/{queue}/{why}"))

    async def _look_at_workflows(self) -> None:
        seldom = [OTHERS] if self._rounds % OTHERS_EVERY == 0 else []
        self._rounds += 1
        rows = {
            row.run_id: row
            for query in (CHANGES, PAUSED, *seldom)
            for row in await find_rows(self._client, query)
        }
        for queue in sorted({effects_queue(about(row.id).environment) for row in rows.values()}):
            await self._look_at_queue(queue)
        async for still in find_still(self._client, list(rows.values()), self._clock.now()):
            await self._call_about(still)

    async def _call_about(self, still: Still) -> None:
        command = temporal("describe", still.workflow_id, self._client.namespace)
        remedy = f"See docs/how-to/recover.md (a change stands still):\n{command}"
        key = f"{still.run_id}/{still.why}"
        headline = f"{still.workflow_id}: {still.why}"
        await self._call(key, Alarm(about(still.workflow_id), headline, remedy, key))

    async def _call(self, key: str, alarm: Alarm) -> None:
        if key in self._told:
            return
        await self._notifier.call(alarm)
        self._told[key] = None
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
