"""What was begun not long ago, looked at once, and while it is new: by then it has done no harm yet.

A worker that is handed what it cannot read takes it for a fault of the line, and asks less and less often: two hundred
of them would keep it from everything else long before the server has marked one.
"""

from datetime import datetime, timedelta
from typing import Final

from temporalio.client import Client, WorkflowExecution

from activities.calls import begun
from activities.ports import Clock
from domain.names import ENGINE_QUEUE, MisnamedWorkflowError, read_id
from domain.workflow_types import IN_OUR_WAY, TYPE_OF
from workers.ending import Ending
from workers.sight import utc

NEWEST: Final = timedelta(seconds=15)
"""Most of what is begun has ended before it is this old, and is not read."""
OVERLAP: Final = timedelta(minutes=2)
"""A row appears in the list somewhat later than its workflow, and clocks differ."""
BEFORE: Final = timedelta(hours=1)
"""So far back a worker looks that has just begun."""
ASLEEP: Final = timedelta(seconds=2)


class Newcomers:
    """What has been seen of them, ``since`` when they are looked for, and which of them are ``strangers``."""

    def __init__(self, client: Client, ending: Ending, clock: Clock) -> None:
        self._client = client
        self._ending = ending
        self._clock = clock
        self._read: dict[str, datetime] = {}
        self.since = clock.now() - BEFORE
        self.strangers: dict[str, WorkflowExecution] = {}

    async def look(self) -> None:
        """End what sleeps or cannot be read, and find what stands in the place of ours."""
        until = self._clock.now() - NEWEST
        query = f"{IN_OUR_WAY} AND StartTime >= '{utc(self.since)}'"
        rows = [row async for row in self._client.list_workflows(query)]
        for row in rows:
            if not is_strange(row) and await self._sleeps(row):
                await self._ending.end_sleeping(row)
        settled = [row for row in rows if row.start_time < until]
        self.strangers |= {row.run_id: row for row in settled if is_strange(row)}
        left = await self._ending.end_unreadable([row for row in settled if row.run_id not in self._read])
        self._read |= {row.run_id: row.start_time for row in left.readable}
        self.since = max(self.since, until - OVERLAP)
        self._read = {run: began for run, began in self._read.items() if began >= self.since}

    async def _sleeps(self, row: WorkflowExecution) -> bool:
        """Tell whether it is to begin some other day, by a delay or a cron: none of ours is, and no signal wakes it.

        What goes on as new is kept waiting by the server too, for a second at most; and so is a cron of a second.
        """
        waits = (row.execution_time or row.start_time) - row.start_time
        if waits > ASLEEP or not waits:
            return waits > ASLEEP
        how = await begun(self._client, row.id, row.run_id)
        return how is not None and bool(how.cron_schedule)  # else it is gone, or is ended for that


def is_strange(row: WorkflowExecution) -> bool:
    """Tell whether it has the id of one of ours and is none: a person knows whether it is meant."""
    story, *_ = row.id.split("/")
    if story not in TYPE_OF:
        return False
    try:
        read_id(row.id, story)
    except MisnamedWorkflowError:
        return False
    return (row.workflow_type, row.task_queue) != (TYPE_OF[story], ENGINE_QUEUE)
