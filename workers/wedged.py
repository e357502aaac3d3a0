"""A look for workflows that do not go on: nobody else would notice, and whoever waits for one would wait for ever.

The server marks a workflow whose task failed, or was not answered, five times in a row. What no worker can read is
ended here, so that whoever needs it goes on without it: a lane settles its change, a new lane or environment is begun.
Of anything else a person is told, once: it may well go on, with a worker whose code fits.

A worker that is handed what it cannot read takes it for a fault of the line, and asks less and less often: two hundred
of them would keep it from everything else long before the server has marked one. So what was begun not long ago is read
here too, once, and while it is new.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionId
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable
from activities.ports import Alarm, Clock, Notifier
from domain.attempt import Kind
from domain.hints import temporal
from domain.names import ENGINE_QUEUE, ENVIRONMENT, SERVICE, STORY, WEDGED
from workers.blinding import can_list, delete_unlistable
from workers.rounds import Rounds
from workers.witnessing import OF_THE_ENGINE, about
from workflows.doorkeeper import Sighting, Witness

EVERY: Final = timedelta(seconds=15)
LONGEST: Final = timedelta(minutes=10)
"""All there is may be much, and servers answer so many questions a second."""
UNREADABLE: Final = "its history holds what no worker can read, such as a failure nested too deeply"
SLEEPING: Final = "it was started to begin some other day, and nothing would wake it before"
ASLEEP: Final = timedelta(seconds=2)
UNLISTABLE: Final = "it was started with what nobody can list, such as a memo nested too deeply"
ALL_EVERY: Final = 240
"""So many rounds apart, an hour, and at first all there is is listed: what was begun long ago may change."""
DELETING: Final = timedelta(seconds=5)
"""So long the server has for what it was asked to delete."""
BLIND: Final = 4
"""A person is called when it could not be listed so many rounds in a row."""
_KINDS: Final = {
    "lane": ("LaneWorkflow", 2),
    "environment": ("EnvironmentWorkflow", 1),
    "change": ("ChangeWorkflow", 3),
    "promotion": ("PromotionWorkflow", 3),
}
_BY_ID: Final = " OR ".join(f"WorkflowId STARTS_WITH '{story}/'" for story in _KINDS)
_IN_OUR_WAY: Final = f"ExecutionStatus='Running' AND (TaskQueue='{ENGINE_QUEUE}' OR {_BY_ID})"
_BY_ATTRIBUTES: Final = " OR ".join(f"{name} IS NOT NULL" for name in (STORY, SERVICE, ENVIRONMENT))
OURS: Final = f"TaskQueue='{ENGINE_QUEUE}' OR {_BY_ATTRIBUTES} OR {_BY_ID}"
"""A query for whatever anybody of ours may list, whether it runs or not."""
ALONE: Final = 3
"""So many that are found at once have an alarm each; more of them share one."""
NAMED: Final = 5
AT_ONCE: Final = 8
NEWEST: Final = timedelta(seconds=15)
"""Most of what is begun has ended before it is this old, and is not read."""
OVERLAP: Final = timedelta(minutes=2)
"""A row appears in the list somewhat later than its workflow, and clocks differ."""
BEFORE: Final = timedelta(hours=1)
"""So far back a worker looks that has just begun."""

log = structlog.get_logger(__name__)


async def keep_ending_wedged(
    client: Client, notifier: Notifier, witness: Witness, clock: Clock, every: timedelta = EVERY
) -> None:
    """Look, now and then. Ends by being cancelled."""
    look = Wedged(client, notifier, witness, clock)
    rounds = Rounds("what does not go on", "wedged_unseen", notifier, longest=LONGEST)
    await rounds.keep(look.look_round, every)


class Wedged:
    """What did not go on when it was looked for, and who has been told of it."""

    def __init__(self, client: Client, notifier: Notifier, witness: Witness, clock: Clock) -> None:
        self._client = client
        self._notifier = notifier
        self._witness = witness
        self._clock = clock
        self._told: set[str] = set()
        self._since = clock.now() - BEFORE
        self._read: dict[str, datetime] = {}
        self._strangers: dict[str, WorkflowExecution] = {}
        self._deleting_until = clock.now()
        self._rounds = 0
        self._blind = 0

    async def look_round(self) -> None:
        """End what nobody can read; call a person for the rest. What could not be told is told the next time."""
        await self._keep_sight(OURS if self._blind else f"({OURS}) AND StartTime >= '{_utc(self._since)}'")
        try:
            await self._look()
        except RPCError as error:
            if not is_unreadable(error):
                raise
            await self._keep_sight(OURS)
        if self._rounds % ALL_EVERY == 0:
            await self._keep_sight(OURS)
        self._rounds += 1

    async def _look(self) -> None:
        try:
            await self._read_new()
        finally:  # one list that cannot be had keeps nobody from the other
            left = await self._end_unreadable([row async for row in self._client.list_workflows(WEDGED)])
        self._told &= {row.run_id for row in left} | self._strangers.keys()
        await self._tell(list(self._strangers.values()), _say_strange)
        await self._tell(left, _say_wedged)

    async def _keep_sight(self, query: str) -> None:
        """Delete what cannot be listed, since it hides the rest from whoever lists it; call where it stays."""
        now = self._clock.now()
        if now < self._deleting_until:
            return
        if await can_list(self._client, query):
            self._blind = 0
            return
        self._blind += 1
        if self._blind == BLIND:
            await self._notifier.call(_blindness(self._client.namespace))
        namespace = self._client.namespace
        for begun in await delete_unlistable(self._client, OURS, now, UNLISTABLE):
            self._deleting_until = self._clock.now() + DELETING
            log.error("unlistable_deleted", started=_utc(begun), namespace=namespace)
            why = f"{UNLISTABLE}; started at {_utc(begun)}"
            self._witness(Sighting(Kind.UNREADABLE, "list", why, "", "", "", namespace))

    async def _tell(self, rows: Sequence[WorkflowExecution], say: Callable[[str], str]) -> None:
        new = [row for row in rows if row.run_id not in self._told]
        for some in ([row] for row in new) if len(new) <= ALONE else [new]:
            await self._notifier.call(_alarm(some, say, self._client.namespace))
            self._told |= {row.run_id for row in some}

    async def _read_new(self) -> None:
        """Read what was begun since the last time, once each, and find what stands in the place of ours."""
        until = self._clock.now() - NEWEST
        query = f"{_IN_OUR_WAY} AND StartTime >= '{_utc(self._since)}'"
        all_new = [row async for row in self._client.list_workflows(query)]
        for row in all_new:
            if not _is_strange(row) and await self._sleeps(row):
                # What a cron begins is another run by the time that one is ended.
                await self._end(row, None, Kind.START, "start", SLEEPING)
        rows = [row for row in all_new if row.start_time < until]
        self._strangers |= {row.run_id: row for row in rows if _is_strange(row)}
        await self._end_unreadable([row for row in rows if row.run_id not in self._read])
        self._since = max(self._since, until - OVERLAP)
        self._read = {run: began for run, began in self._read.items() if began >= self._since}

    async def _end_unreadable(self, rows: Sequence[WorkflowExecution]) -> list[WorkflowExecution]:
        """End those that nobody can read, and return the others."""
        left: list[WorkflowExecution] = []
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            ended = await asyncio.gather(*map(self._ended, some))
            left += [row for row, gone in zip(some, ended, strict=True) if not gone]
        return left

    async def _ended(self, row: WorkflowExecution) -> bool:
        """End it where nobody can read it, and tell whether it is gone: it may have ended by itself."""
        try:
            # Once may be a fault of the line.
            if await is_readable(self._client, row) or await is_readable(self._client, row):
                self._read[row.run_id] = row.start_time
                return False
            await self._end(row, row.run_id, Kind.UNREADABLE, "history", UNREADABLE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                log.warning("wedged_unread", workflow=row.id, run=row.run_id, why=error.message)
                return False
        return True

    async def _sleeps(self, row: WorkflowExecution) -> bool:
        """Tell whether it is to begin some other day, by a delay or a cron: none of ours is, and no signal wakes it.

        What goes on as new is kept waiting by the server too, for a second at most; and so is a cron of a second.
        """
        waits = (row.execution_time or row.start_time) - row.start_time
        return waits > ASLEEP or (waits > timedelta() and await _has_cron(self._client, row))

    async def _end(self, row: WorkflowExecution, run: str | None, kind: Kind, door: str, why: str) -> None:
        """End this run, or whichever is the newest, and tell of it. What has ended by itself is not told of."""
        try:
            await self._client.get_workflow_handle(row.id, run_id=run).terminate(why)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return
        log.error("ended", workflow=row.id, run=row.run_id, why=why)
        self._witness(Sighting(kind, door, why, "", row.id, row.run_id, self._client.namespace))


async def _has_cron(client: Client, row: WorkflowExecution) -> bool:
    """Read in how it was begun whether it is begun again and again."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecutionId(workflow_id=row.id, run_id=row.run_id),
        maximum_page_size=1,
    )
    try:
        page = await client.workflow_service.get_workflow_execution_history(request, retry=False)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND or is_unreadable(error):
            return False  # it is gone, or is ended for that
        raise
    return any(
        event.workflow_execution_started_event_attributes.cron_schedule for event in page.history.events
    )


async def is_readable(client: Client, row: WorkflowExecution) -> bool:
    """Read its history as a worker would be given it: by the same library, which refuses the same."""
    request = GetWorkflowExecutionHistoryRequest(
        namespace=client.namespace,
        execution=WorkflowExecutionId(workflow_id=row.id, run_id=row.run_id),
    )
    try:
        while True:
            page = await client.workflow_service.get_workflow_execution_history(request, retry=False)
            if not page.next_page_token:
                return True
            request.next_page_token = page.next_page_token
    except RPCError as error:
        if is_unreadable(error):
            return False
        raise


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _is_strange(row: WorkflowExecution) -> bool:
    """Tell whether it has the id of one of ours and is none: a person knows whether it is meant."""
    story, *names = row.id.split("/")
    kind, parts = _KINDS.get(story, ("", 0))
    return len(names) == parts > 0 and (row.workflow_type, row.task_queue) != (kind, ENGINE_QUEUE)


def _say_wedged(name: str) -> str:
    return f"{name}: it fails at every attempt to go on"


def _say_strange(name: str) -> str:
    return f"{name}: a workflow of another kind, or on another queue, stands in its place"


def _alarm(rows: Sequence[WorkflowExecution], say: Callable[[str], str], namespace: str) -> Alarm:
    """Call for a person: of one workflow with its own name, of many with the first few."""
    first = rows[0]
    others = f" and {len(rows) - 1} others" if len(rows) > 1 else ""
    commands = "\n".join(temporal("describe", row.id, namespace) for row in rows[:NAMED])
    return Alarm(
        about(first.id),
        say(f"{first.id}{others}"),
        f"See why, and docs/how-to/recover.md (a workflow is wedged):\n{commands}",
        f"wedged/{first.run_id}",
    )


def _blindness(namespace: str) -> Alarm:
    return Alarm(
        OF_THE_ENGINE,
        f"The engine cannot list what runs in the namespace “{namespace}”",
        "A workflow there was started with what nobody can read, and the server has not deleted it. Until it is gone, "
        "nobody is told of what happens, and a lane that was terminated is not woken. See docs/how-to/recover.md "
        f"(the engine is blind):\ntemporal batch list -n {namespace}",
        f"blind/{namespace}",
    )
