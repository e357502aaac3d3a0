"""A look for workflows that do not go on: nobody else would notice, and whoever waits for one would wait for ever.

The server marks a workflow whose task failed, or was not answered, five times in a row. What no worker can read is
ended, so that whoever needs it goes on without it: a lane settles its change, a new lane or environment is begun. Of
anything else a person is told, once: it may well go on, with a worker whose code fits.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from activities.calls import is_unreadable
from activities.ports import Alarm, Clock, Notifier
from domain.hints import temporal
from domain.workflow_types import WEDGED
from workers.ending import Ending
from workers.newcomers import Newcomers
from workers.rounds import Rounds
from workers.sight import Sight
from workers.witnessing import about
from workflows.doorkeeper import Witness

EVERY: Final = timedelta(seconds=15)
LONGEST: Final = timedelta(minutes=10)
"""All there is may be much, and servers answer so many questions a second."""
ALL_EVERY: Final = 240
"""So many rounds apart, an hour, and at first all there is is listed: what was begun long ago may change."""
ALONE: Final = 3
"""So many that are found at once have an alarm each; more of them share one."""
NAMED: Final = 5


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
        self._sight = Sight(client, notifier, witness, clock)
        self._ending = Ending(client, witness)
        self._newcomers = Newcomers(client, self._ending, clock)
        self._told: set[str] = set()
        self._rounds = 0

    async def look_round(self) -> None:
        """End what nobody can read; call a person for the rest. What could not be told is told the next time."""
        await self._sight.keep_of_late(self._newcomers.since)
        try:
            await self._look()
        except RPCError as error:
            if not is_unreadable(error):
                raise
            await self._sight.keep_all()
        if self._rounds % ALL_EVERY == 0:
            await self._sight.keep_all()
        self._rounds += 1

    async def _look(self) -> None:
        try:
            await self._newcomers.look()
        finally:  # one list that cannot be had keeps nobody from the other
            rows = [row async for row in self._client.list_workflows(WEDGED)]
            left = await self._ending.end_unreadable(rows)
        wedged, strangers = left.readable + left.unread, self._newcomers.strangers
        self._told &= {row.run_id for row in wedged} | strangers.keys()
        await self._tell(list(strangers.values()), _say_strange)
        await self._tell(wedged, _say_wedged)

    async def _tell(self, rows: Sequence[WorkflowExecution], say: Callable[[str], str]) -> None:
        new = [row for row in rows if row.run_id not in self._told]
        for some in ([row] for row in new) if len(new) <= ALONE else [new]:
            await self._notifier.call(_alarm(some, say, self._client.namespace))
            self._told |= {row.run_id for row in some}


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
