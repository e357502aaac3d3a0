"""Looking for changes that nobody accounts for, and that their lanes take for ended, or have forgotten.

A change whose last activity somebody completed by hand says that it is over, and has left no receipt. A lane that was
terminated together with its change knows of neither. Both are in the store, for whoever looks.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.archive import Archive
from activities.asking import ask_status
from activities.attempts import Attempts
from activities.errands import AWAKE, lane_message
from activities.ports import Notifier
from activities.tools import Tools
from domain.answer import Awake
from domain.attempt import SAYS, Kind, say_unaccounted
from domain.attempt_telling import Tried
from domain.logbook import Attempt, Doer
from domain.names import Subject, change_id, lane_id
from domain.status import LaneStatus
from workers.rounds import Rounds

EVERY: Final = timedelta(minutes=2)
LONGEST: Final = timedelta(minutes=10)
BLIND: Final = timedelta(minutes=5)
LOOK_TWICE: Final = timedelta(seconds=10)
"""A change that has just begun, or just ended, is in the store and in its lane at slightly different moments."""

log = structlog.get_logger(__name__)


async def keep_reckoning(
    client: Client,
    tools: Tools,
    notifier: Notifier,
    attempts: Attempts | None = None,
    every: timedelta = EVERY,
) -> None:
    """Tell the lanes of an environment, now and then, of turns that they do not know to be open. Ends by a cancel."""

    async def look() -> None:
        await reckon(client, tools, attempts=attempts)

    what = f"changes of {tools.environment} that left no receipt"
    await Rounds(what, "not_reckoned", notifier, longest=LONGEST, blind=BLIND).keep(look, every)


async def reckon(
    client: Client, tools: Tools, twice: timedelta = LOOK_TWICE, attempts: Attempts | None = None
) -> None:
    """Look once. A lane that is told settles the turn before all else, and so puts back what it did."""
    seen = {subject: await _forgotten(client, tools, subject) for subject in _subjects(tools)}
    if not any(seen.values()):
        return
    await asyncio.sleep(twice.total_seconds())
    for subject, turn in seen.items():
        if turn and turn == await _forgotten(client, tools, subject):
            log.error("unaccounted", service=subject.service, environment=subject.environment, turn=turn)
            if attempts:
                attempts.note(_unaccounted(tools, subject, turn)._replace(namespace=client.namespace))
            await lane_message(client, subject, AWAKE, Awake(turn=turn, lost=True).model_dump(mode="json"))


def _unaccounted(tools: Tools, subject: Subject, turn: int) -> Tried:
    attempt = Attempt(
        at=tools.clock.now(),
        environment=subject.environment,
        subject=subject,
        what=f"{SAYS[Kind.UNACCOUNTED]} (conclude)",
        by=Doer(workflow_id=change_id(subject, turn)),
        why=say_unaccounted(subject, turn),
    )
    return Tried(Kind.UNACCOUNTED, attempt)


def _subjects(tools: Tools) -> Iterator[Subject]:
    configuration = tools.configuration()
    for service in configuration.services:
        subject = Subject(service=service, environment=tools.environment)
        if configuration.place(subject):
            yield subject


async def _forgotten(client: Client, tools: Tools, subject: Subject) -> int:
    """Return the newest turn that was begun, has no receipt, and that no lane is at; 0 where there is none."""
    archive = Archive(tools.store, tools.seals)
    begun = await archive.journal_turns(subject)
    turn = max(set(begun) - set(await archive.receipt_turns(subject)), default=0)
    return turn if turn and not await _is_at(client, subject, turn) else 0


async def _is_at(client: Client, subject: Subject, turn: int) -> bool:
    """Tell whether its lane is busy, or knows better: one that nobody answers for is asked later."""
    handle = client.get_workflow_handle(lane_id(subject))
    try:
        if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
            return False
        status = await ask_status(handle, LaneStatus)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return status is None or status.turn is not None or bool(status.unsettled) or turn > status.last_turn
