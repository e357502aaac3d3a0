"""What the turns of a lane have left in the store, and so whether another may begin."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import takewhile
from typing import Final

from activities.archive import Archive
from activities.attempts import caught
from activities.remembering import Remembered
from domain.approval import Policy
from domain.attempt import Kind, say_unaccounted
from domain.fence import milliseconds
from domain.journal import Receipt
from domain.names import Subject, change_id
from domain.refusal import Cause, Refusal, forbidden
from domain.statement import asked_by
from domain.terms import Proposal, Request, Story
from domain.value import short
from domain.warrant import Warrant

CLOCKS_APART: Final = timedelta(minutes=5)
"""So much may a worker's clock differ from that which turns are made by."""


class Turns:
    """Judges by receipts and journals alone, whatever workflows say."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._intents = Remembered[tuple[Subject, int], str]()

    async def why_not_due(self, proposal: Proposal, due: int, *, begins: bool) -> Refusal | None:
        """Judge by the receipts that stand: an approval lets one change in, and nothing begins over a lost one."""
        closed = await self._archive.receipt_turns(proposal.plan.subject)
        refusal = await self._carried_out(proposal, due, closed)
        if refusal is None and begins:
            refusal = await self.left_open(proposal.plan.subject, due, closed)
        return refusal

    async def _carried_out(self, proposal: Proposal, due: int, closed: Sequence[int]) -> Refusal | None:
        """An approval lets one change in: a promotion that is reset to after it has to ask people again.

        So does one whose turn is older than one that is over, as after a rollback without the engine.
        """
        if closed and closed[0] > due:
            why = f"turn {closed[0]} came after turn {due} and is over: somebody was here without the engine"
            return Refusal(cause=Cause.VOID, why=why, newer=closed[0])
        why = await self.done_before(proposal, closed)
        return Refusal(cause=Cause.VOID, why=why) if why else None

    async def done_before(self, proposal: Proposal, closed: Sequence[int]) -> str:
        """Say in which turn a plan was carried out already, or nothing where in none."""
        subject, intent = proposal.plan.subject, proposal.plan.intent
        since = milliseconds(proposal.drawn_up - CLOCKS_APART)
        for turn in takewhile(lambda turn: turn >= since, closed):
            if await self._intent_of(subject, turn) == intent:
                return f"plan {short(intent)} was carried out before, in turn {turn}"
        return ""

    async def _intent_of(self, subject: Subject, turn: int) -> str:
        """Return which plan a receipt is about; it was written once, and need not be read again."""
        known = self._intents.of((subject, turn))
        if known is None:
            receipt = await self._archive.receipt(subject, turn)
            if receipt is None:
                return ""
            known = receipt.intent or ""
            self._intents.note((subject, turn), known)
        return known

    async def since_asked(self, request: Request) -> list[Receipt]:
        """Return the receipts that came since a request was signed: what it asked for, it asked for once."""
        if request.signature is None:
            return []
        since = milliseconds(request.signature.at - CLOCKS_APART)
        closed = await self._archive.receipt_turns(request.subject)
        turns = takewhile(lambda turn: turn >= since, closed)
        found = [await self._archive.receipt(request.subject, turn) for turn in turns]
        return [receipt for receipt in found if receipt]

    async def settled_before(self, request: Request) -> str:
        """Say that the turn of a settlement is accounted for, and so not to be undone by it; nothing of what is not."""
        if request.story is not Story.SETTLEMENT or request.of is None:
            return ""
        receipt = await self._archive.receipt(request.subject, request.of)
        return f"turn {request.of} has its receipt, and is not to be settled" if receipt else ""

    async def asked_before(self, warrant: Warrant, policy: Policy) -> Refusal | None:
        """Where nobody has to approve, a signed request is all that lets a change in: it lets one in, and no second."""
        request, subject = warrant.request, warrant.request.subject
        asked = asked_by(request)
        if asked is None or request.signature is None or not policy.signed or policy.quorums:
            return None
        since = milliseconds(request.signature.at - CLOCKS_APART)
        for turn, numbers in (await self._archive.journal_turns(subject)).items():
            if turn == warrant.turn or turn < since:
                continue
            if any(entry.asked == asked for entry in await self._archive.entries(subject, turn, numbers)):
                return forbidden(
                    f"its request was carried out before, in turn {turn}; ask again, and sign that"
                )
        return None

    async def left_open(self, subject: Subject, due: int, closed: Sequence[int]) -> Refusal | None:
        """Nothing begins over a change that is not accounted for, whatever its lane was told: it is settled first.

        Its own word is no receipt: somebody may have completed its last activity by hand.
        """
        lost = max(set(await self._archive.journal_turns(subject)) - {*closed, due}, default=0)
        if not 0 < lost < due:
            return None
        caught(Kind.UNACCOUNTED, say_unaccounted(subject, lost), by=change_id(subject, lost))
        why = f"{say_unaccounted(subject, lost)}: it is settled first"
        return Refusal(cause=Cause.VOID, why=why, newer=lost)
