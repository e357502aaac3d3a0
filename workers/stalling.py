"""A look for what stands still though nothing fails, so that nobody would notice.

Whoever reaches the server can close the namespace, slow a queue to nothing, lead it to a worker deployment of their
own, which need not exist, or pin a workflow to one, pause an activity, which then has no time-out, or lead it to a
queue that nobody serves. They can also take a task of a workflow's themselves, and answer it with nothing: what rests
by that is woken.
"""

from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client, WorkflowExecution

from activities.ports import Alarm, Clock, Notifier
from activities.queues import held_up, why_lost
from domain.hints import temporal
from domain.names import ENGINE_QUEUE, Subject, effects_queue
from domain.workflow_types import CHANGES, ENVIRONMENT_WORKFLOW, LANE, NOTICE, PROMOTION, RUNNING_HERE
from workers.idling import duty_of, is_at_rest, nudge
from workers.rounds import Rounds
from workers.standstill import PAUSED, Still, described, find_pinned, find_rows, find_still
from workers.witnessing import OF_THE_ENGINE, about

EVERY: Final = timedelta(seconds=20)
OTHERS: Final = f"{RUNNING_HERE} AND WorkflowType IN ('{LANE}', '{PROMOTION}', '{ENVIRONMENT_WORKFLOW}')"
NOTICES: Final = f"{RUNNING_HERE} AND WorkflowType='{NOTICE}'"
OTHERS_EVERY: Final = 15
"""There are many of them, and few do anything: five minutes are soon enough."""
LONGEST: Final = timedelta(minutes=10)

log = structlog.get_logger(__name__)


async def keep_seeing_stalled(
    client: Client, notifier: Notifier, clock: Clock, every: timedelta = EVERY
) -> None:
    """Look, now and then. Ends by being cancelled."""
    look = Stalled(client, notifier, clock)
    rounds = Rounds("what stands still", "stalled_unseen", notifier, longest=LONGEST)
    await rounds.keep(look.look_round, every)


class Stalled:
    """What stood still when it was looked for, since when, and what of it people were told of."""

    def __init__(self, client: Client, notifier: Notifier, clock: Clock) -> None:
        self._client = client
        self._notifier = notifier
        self._clock = clock
        self._rounds = 0
        self._since: dict[str, str] = {}
        self._told: set[str] = set()
        self._woken: set[str] = set()
        self._found: set[str] = set()

    async def look_round(self) -> None:
        """Call a person, once, for each thing that stands still. What could not be told is told the next time."""
        try:
            await self._look_at_namespace()
            await self._look_at_queue(ENGINE_QUEUE)
            for still in await find_pinned(self._client):
                await self._call_about(still)
        finally:  # what keeps one from being seen keeps nobody from the others
            await self._look_at_workflows()

    async def _look_at_workflows(self) -> None:
        looks_at_all = self._rounds % OTHERS_EVERY == 0
        self._rounds += 1
        rows = {
            row.run_id: row
            for query in (CHANGES, NOTICES, PAUSED, *([OTHERS] if looks_at_all else []))
            for row in await find_rows(self._client, query)
        }
        places = {about(row.id).environment for row in rows.values() if row.workflow_type != NOTICE}
        for queue in sorted(map(effects_queue, places)):
            await self._look_at_queue(queue)
        async for row, seen in described(self._client, list(rows.values())):
            for still in find_still(row, seen, self._clock.now()):
                await self._call_about(still)
            if is_at_rest(seen):
                await self._look_at_resting(row)
        if looks_at_all:
            self._forget_all_but_found()

    async def _look_at_namespace(self) -> None:
        if why := await why_lost(self._client):
            headline = f"Nothing can be begun in the namespace “{self._client.namespace}”"
            await self._call(f"closed/{self._client.namespace}", OF_THE_ENGINE, headline, why)

    async def _look_at_queue(self, queue: str) -> None:
        if why := await held_up(self._client, queue):
            headline = f"Nothing goes on that is on the queue “{queue}”"
            await self._call(f"held/{queue}/{why}", OF_THE_ENGINE, headline, f"See why: {why}")

    async def _look_at_resting(self, row: WorkflowExecution) -> None:
        """Wake, once, what should be doing something, and call a person where it does not go on by that."""
        duty = await duty_of(self._client, row)
        if duty is None:
            return
        key = f"{row.run_id}/{duty}"
        self._found.add(key)
        if key not in self._woken:
            self._woken.add(key)
            log.warning("nudged", workflow=row.id, run=row.run_id, duty=str(duty))
            await nudge(self._client, row.id)
        elif not duty.is_patient:
            await self._call_about(Still(row.id, row.run_id, f"it should be {duty}, and does nothing"))

    async def _call_about(self, still: Still) -> None:
        command = temporal("describe", still.workflow_id, self._client.namespace)
        remedy = f"See docs/how-to/recover.md (a change stands still):\n{command}"
        headline = f"{still.workflow_id}: {still.why}"
        await self._call(f"{still.run_id}/{still.why}", about(still.workflow_id), headline, remedy)

    async def _call(self, key: str, subject: Subject, headline: str, remedy: str) -> None:
        """Call once for as long as it lasts: what comes again, later, is told anew."""
        self._found.add(key)
        since = self._since.setdefault(key, self._clock.now().isoformat())
        if key not in self._told:
            await self._notifier.call(Alarm(subject, headline, remedy, f"{key}/{since}"))
            self._told.add(key)

    def _forget_all_but_found(self) -> None:
        """Forget what was not found for some minutes: what is found once more by then may never have been gone."""
        self._since = {key: since for key, since in self._since.items() if key in self._found}
        self._told &= self._found
        self._woken &= self._found
        self._found = set()
