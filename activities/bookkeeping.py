"""Keeping what promotions record of themselves: before each deed, at their end, and for those that ended in silence.

What deeds meet besides of people's words goes into the environment's logbook.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.archive import Archive, Kept
from activities.asking import ask_status
from activities.logbook import Logbook
from activities.ports import BadSealError
from activities.tools import Tools
from activities.trails import Trails
from domain.journal import Receipt
from domain.logbook import Note
from domain.names import ENVIRONMENT, SERVICE, MisnamedWorkflowError, Subject, promotion_id, read_id
from domain.record import OutcomeRecord
from domain.status import PromotionStatus
from domain.trail import ENDED, Page, Piece, Trail, by_receipt
from domain.value import Digest
from domain.warrant import Facts
from domain.workflow_types import PROMOTION

LAST_WORDS: Final = timedelta(hours=1)
"""A workflow that has ended and does not answer for so long after is not asked any more."""
AT_ONCE: Final = 20
"""How many promotions that ended in silence are closed at one time; the rest are the next one's."""

_ENDINGS: Final = {
    WorkflowExecutionStatus.COMPLETED: ENDED,
    WorkflowExecutionStatus.FAILED: "its workflow failed",
    WorkflowExecutionStatus.CANCELED: "its workflow was cancelled",
    WorkflowExecutionStatus.TERMINATED: "its workflow was terminated",
    WorkflowExecutionStatus.CONTINUED_AS_NEW: "it goes on in a new run",
    WorkflowExecutionStatus.TIMED_OUT: "its workflow timed out",
}
_GONE: Final = "its workflow is not on the server any more"
_SPEECHLESS: Final = "; it could not be asked for its last records"


class _Ending(NamedTuple):
    """How a workflow ended, and when, as far as the server still knows."""

    how: str
    at: datetime | None = None


class Bookkeeping:
    """Keeps the trails of one environment's promotions, and notes what they meet."""

    def __init__(self, tools: Tools, archive: Archive, logbook: Logbook) -> None:
        self._tools = tools
        self._trails = Trails(tools.store, archive, tools.clock)
        self._logbook = logbook
        self._looked = set[Subject]()

    async def open_own(self, subject: Subject, piece: Piece) -> None:
        """Keep what this activity's promotion has sent along, and close the trails that ended in silence before it."""
        newest = await self.page(subject)
        await self.keep_own(piece, newest)
        await self.close_strays(subject, newest)

    async def keep_own(self, piece: Piece | None, newest: Kept[Page] | None = None) -> None:
        """Keep what the promotion that this activity runs for has sent along: its id and run are the server's word.

        A store that was tampered with is told in the log, and stops the next deed, not this.
        """
        trail = self._own_trail()
        if piece is None or trail is None:
            return
        try:
            await self._trails.keep(trail, piece, newest)
        except BadSealError as error:
            activity.logger.warning("records_not_kept", extra={"trail": str(trail), "why": str(error)})

    async def keep_told(self, trail: Trail, piece: Piece) -> None:
        """Keep what a promotion answered when it was asked before a deed.

        Raises ``BadSealError`` where what stands in the store is not to be believed. What puts back, or accounts for
        what was done, asks for nothing of the kind, and is never stopped by it.
        """
        await self._trails.keep(trail, piece)

    async def close_by(self, receipt: Receipt, facts: Facts, newest: Kept[Page] | None) -> bool:
        """Keep the rest of what the promotion that a receipt answers has recorded, and close it; tell whether it was.

        Its outcome is the receipt's. Where it was not done, the promotion closes it itself.
        """
        if facts.trail is None:
            return False
        how = by_receipt(receipt.turn)

        def outcome(previous: Digest) -> OutcomeRecord:
            return OutcomeRecord(
                at=receipt.ended, outcome=receipt.outcome, why=receipt.why, previous=previous
            )

        try:
            await self._trails.close(facts.trail, facts.piece, outcome, how, newest)
        except BadSealError:
            return False
        return True

    async def page(self, subject: Subject) -> Kept[Page] | None:
        """Return what stands for the ledger of a lane now; nothing where there is none that is to be believed."""
        try:
            return await self._trails.newest_page(subject)
        except BadSealError:
            return None

    async def note(self, *notes: Note) -> None:
        """Have something noted in the environment's logbook. Nothing fails because of it."""
        await self._logbook.note(*notes)

    async def log_page(self) -> Digest | None:
        """Return what stands for the logbook of the environment now; nothing where it has none, or not now."""
        return await self._logbook.newest()

    async def close_strays(self, subject: Subject, newest: Kept[Page] | None = None) -> None:
        """Close the trails of promotions that ended without closing them: terminated, failed, or cut off.

        What they had recorded last is asked of their histories, as long as those are kept. A second run closes what
        a first has not. Without an engine there is nobody to be asked.
        """
        if not activity.in_activity():
            return
        try:
            newest = newest or await self._trails.newest_page(subject)
            strays = await self._not_running(subject, newest.paper.open if newest else ())
            if subject not in self._looked:
                strays += await self._unheard(subject)
                self._looked.add(subject)
            await asyncio.gather(*(self._close(trail) for trail in strays[:AT_ONCE]))
        except (BadSealError, RPCError) as error:
            activity.logger.warning("trails_not_closed", extra={"lane": str(subject), "why": str(error)})

    async def _not_running(self, subject: Subject, known: tuple[Trail, ...]) -> list[Trail]:
        own = self._own_trail()
        others = [trail for trail in known if trail != own]
        if not others:
            return []
        query = (
            f"WorkflowType='{PROMOTION}' AND ExecutionStatus='Running' "
            f"AND {SERVICE}='{subject.service}' AND {ENVIRONMENT}='{subject.environment}'"
        )
        running = {found.run_id async for found in activity.client().list_workflows(query)}
        return [trail for trail in others if trail.run not in running]

    async def _unheard(self, subject: Subject) -> list[Trail]:
        """Return the promotions that ended while no worker was here, and so were never opened.

        Looked for once in the life of a worker: they can only have been while it was not there.
        """
        query = (
            f"WorkflowType='{PROMOTION}' AND ExecutionStatus!='Running' "
            f"AND {SERVICE}='{subject.service}' AND {ENVIRONMENT}='{subject.environment}'"
        )
        ended = [found async for found in activity.client().list_workflows(query, limit=AT_ONCE)]
        trails = [trail for found in ended if (trail := self._trail(found.id, found.run_id))]
        return [trail for trail in trails if not await self._trails.is_open(trail)]

    async def _close(self, trail: Trail) -> None:
        client = activity.client()
        ending = await _ending(client, trail)
        if ending is None:
            return
        handle = client.get_workflow_handle(promotion_id(trail.subject, trail.version), run_id=trail.run)
        status = None if ending.at is None else await ask_status(handle, PromotionStatus)
        if status is None and ending.at and self._tools.clock.now() < ending.at + LAST_WORDS:
            return
        piece = status.piece if status else await self._trails.end_of(trail)
        how = ending.how if status else f"{ending.how}{_SPEECHLESS}"
        await self._trails.keep(trail, piece.but(closed=how))

    def _own_trail(self) -> Trail | None:
        info = activity.info()
        return self._trail(info.workflow_id or "", info.workflow_run_id or "")

    def _trail(self, workflow_id: str, run: str) -> Trail | None:
        """Return the trail of a run; None where it is no promotion into this environment."""
        try:
            service, environment, version = read_id(workflow_id, "promotion")
        except MisnamedWorkflowError:
            return None
        if environment != self._tools.environment or not run:
            return None
        return Trail(subject=Subject(service=service, environment=environment), version=version, run=run)


async def _ending(client: Client, trail: Trail) -> _Ending | None:
    """Ask the server itself how a run ended; None where it runs."""
    handle = client.get_workflow_handle(promotion_id(trail.subject, trail.version), run_id=trail.run)
    try:
        seen = await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return _Ending(_GONE)
        raise
    how = _ENDINGS.get(seen.status) if seen.status else None
    return _Ending(how, seen.close_time) if how else None
