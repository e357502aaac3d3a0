"""A rollback without the engine: what a change does to go back, by the same verbs, on a worker's own host.

Each undo has a sealed journal entry of its own first, so that a run which dies is found by the next one, or by the
lane, and is finished. Store and targets alone decide; nothing here asks a server.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from temporalio.exceptions import ApplicationError

from activities.archive import RECEIPTS_REMEMBERED as REMEMBERED
from activities.archive import Archive
from activities.around import Nobody
from activities.effects import EffectActivities
from activities.tools import Tools
from domain.actor import Channel
from domain.fence import Fence, is_too_far_ahead, next_turn
from domain.journal import Entry, OpenTurn, Settled, can_be_rolled_back
from domain.order import Account, StepOrder, order_drawing
from domain.outcome import Outcome
from domain.plan import Step
from domain.terms import Proposal, Request, Story
from domain.warrant import Warrant

TRIES: Final = 3
PAUSE: Final = 1.0
GOING_BACK: Final = frozenset({Story.ROLLBACK, Story.SETTLEMENT})

Say = Callable[[str], None]


class NotRolledBackError(Exception):
    """Nothing was touched, and it says why in a sentence."""


class Ended(NamedTuple):
    """Whether everything is back, well and accounted for; the turn, and what was found to be wrong."""

    settled: bool
    turn: int = 0
    faults: tuple[str, ...] = ()


class OfflineRollback:
    """Rolls one service back in one environment, from its receipts and journal."""

    def __init__(self, tools: Tools, request: Request, asker: str, say: Say) -> None:
        self._tools = tools
        self._archive = Archive(tools.store, tools.seals)
        self._request = request
        self._asker = asker
        self._say = say

    async def run(self, ring: Callable[[int], None]) -> Ended:
        """Settle what is open, newest first; where nothing is, undo the newest change that still stands.

        ``ring`` is called with each turn before its first deed, for the lane to be told of it. Raises
        ``NotRolledBackError``, and ``BadSealError`` and ``StoreError`` as the store does.
        """
        ended = Ended(settled=False)
        left = await self._left_open()
        if not left:
            return await self._gone_back_already() or await self._go(
                await self._fresh_turn(), self._request, ring
            )
        while left:
            ended = await self._settle(left[-1], ring)
            if not ended.settled:
                return ended
            still = await self._left_open()
            if len(still) >= len(left) and {turn.turn for turn in still} == {turn.turn for turn in left}:
                why = f"turn {left[-1].turn} is still open, though it was put back"
                return ended._replace(settled=False, faults=(why,))
            left = still
        return ended

    async def _gone_back_already(self) -> Ended | None:
        """A run that died after its receipt is run again by whoever saw it die: that undoes no second change."""
        newest, *_ = await self._archive.newest_receipts(self._request.subject, 1)
        if self._request.of is not None or newest.actor.channel is not Channel.OFFLINE:
            return None
        standing = can_be_rolled_back(await self._archive.newest_receipts(self._request.subject, REMEMBERED))
        self._say(
            f"It was rolled back already, by {newest.actor.name}, as turn {newest.turn}, at {newest.ended:%H:%M:%S %Z}."
        )
        if standing:
            self._say(f"To undo one change more, name it: --turn {standing[0].turn} ({standing[0].version}).")
        return Ended(settled=True, turn=newest.turn)

    async def _left_open(self) -> tuple[OpenTurn, ...]:
        subject = self._request.subject
        closed = await self._archive.receipt_turns(subject)
        left = await self._archive.open_turns(subject, closed)
        if not closed and not left:
            raise NotRolledBackError(
                f"The release store holds no receipt and no journal of {subject}, so there is nothing to roll "
                "back. Where something was promoted there before, see that the store named in towpath.yaml is "
                "the right one and can be reached from here."
            )
        return left

    async def _settle(self, lost: OpenTurn, ring: Callable[[int], None]) -> Ended:
        """Finish what an earlier run of this command left, or undo a change that died under way."""
        mine = [entry for entry in lost.entries if entry.story in GOING_BACK and entry.step.of]
        if mine and mine[0].step.of and await self._highest() == lost.turn:
            self._say(f"Turn {lost.turn} was begun without the engine, and is finished now.")
            again = self._request.but(story=mine[0].story, of=mine[0].step.of.turn)
            if ended := await self._try(lost.turn, again, ring):
                return ended
        self._say(f"Turn {lost.turn} was begun and has no receipt: what it did is settled first.")
        request = self._request.but(story=Story.SETTLEMENT, of=lost.turn)
        return await self._go(await self._fresh_turn(), request, ring)

    async def _go(self, turn: int, request: Request, ring: Callable[[int], None]) -> Ended:
        ended = await self._try(turn, request, ring)
        if ended is None:
            raise NotRolledBackError(
                f"There is nothing to roll back of {request.subject}: somebody was faster."
            )
        return ended

    async def _try(self, turn: int, request: Request, ring: Callable[[int], None]) -> Ended | None:
        """Draw up, undo every step whatever becomes of the others, look, and leave the receipt."""
        began = self._tools.clock.now()
        effects = EffectActivities(self._tools, Nobody(request.subject, turn))
        sealed = await effects.draw_up(order_drawing(request))
        proposal = Proposal.model_validate_json(sealed.text)
        if proposal.refusals:
            raise NotRolledBackError(f"{request.subject} is not rolled back: {'; '.join(proposal.refusals)}.")
        if proposal.nothing_to_do:
            return None
        ring(turn)
        warrant = Warrant(asker=self._asker, turn=turn, request=request, proposal=sealed)
        steps = proposal.plan.steps
        faults = await self._undo_all(effects, warrant, steps)
        if faults:
            return Ended(settled=False, turn=turn, faults=faults)
        self._say("Looking whether what was put back is well.")
        account = Account(
            warrant=warrant,
            settled=Settled.DONE,
            outcome=Outcome.ROLLED_BACK,
            why=request.reason,
            began=began,
        )
        left = await effects.conclude(account)
        for sentence in left.evidence:
            self._say(f"  {sentence}")
        if not left.well:
            return Ended(settled=False, turn=turn, faults=left.evidence)
        for component, holding in left.after.items():
            self._say(f"  {component} is now {holding}")
        return Ended(settled=True, turn=turn)

    async def _undo_all(
        self, effects: EffectActivities, warrant: Warrant, steps: Sequence[Step]
    ) -> tuple[str, ...]:
        faults: list[str] = []
        for act, step in enumerate(steps, start=1):
            self._say(f"[{act}/{len(steps)}] {step}")
            order = StepOrder(warrant=warrant, step=step, act=act)
            fault = await self._undo(effects, order, len(steps))
            self._say(f"  not done: {fault}" if fault else "  done")
            faults += [f"{step.berth}: {fault}"] if fault else []
        return tuple(faults)

    async def _undo(self, effects: EffectActivities, order: StepOrder, steps: int) -> str:
        """Undo one step, trying again where that may help; say why it could not be, or nothing."""
        tries = TRIES if order.step.repeatable else 1
        for left in reversed(range(tries)):
            try:
                if why := await self._journal(order, steps):
                    return why
                performed = await effects.perform(order)
            except ApplicationError as error:
                if error.non_retryable or not left:
                    return error.message
            except Exception as error:  # noqa: BLE001 - one undo that fails never stops the others
                if not left:
                    return str(error) or type(error).__name__
            else:
                self._say(f"  {performed.did}")
                return ""
            await asyncio.sleep(PAUSE)
        return "it was given up"

    async def _journal(self, order: StepOrder, steps: int) -> str:
        """Note the undo before it is done, once; say so where the engine has called it off meanwhile."""
        subject, turn, of = order.warrant.request.subject, order.warrant.turn, order.step.of
        done = await self._archive.entry(subject, of.turn, of.act) if of else None
        if done is None or done.void:
            return ""
        written = await self._archive.entry(subject, turn, order.act)
        if written is None:
            target = self._tools.target(done.target, subject, order.step.berth)
            seen = await target.observe()
            draft = Entry(
                subject=subject,
                fence=Fence(turn=turn, act=order.act),
                step=order.step,
                steps=steps,
                target=done.target,
                capture=seen.capture,
                story=order.warrant.request.story,
                at=self._tools.clock.now(),
            )
            written = await self._archive.write_entry(draft)
        return "the engine is back and has taken this over; see towpath status" if written.void else ""

    async def _fresh_turn(self) -> int:
        now = self._tools.clock.now()
        turn = next_turn(await self._highest(), now)
        if is_too_far_ahead(turn, now):
            raise NotRolledBackError(
                f"A turn at {self._request.subject} is more than a day ahead of this host's clock ({now.isoformat()}). "
                "Set the clock right, then try again."
            )
        return turn

    async def _highest(self) -> int:
        """The highest turn in the store and at every target that answers; one that does not is said."""
        subject = self._request.subject
        closed = await self._archive.receipt_turns(subject)
        journals = await self._archive.journal_turns(subject)
        place = self._tools.configuration(subject.service).place(subject)
        turns = [0, *closed, *journals]
        for berth, terms in (place.targets if place else {}).items():
            try:
                seen = await self._tools.target(terms, subject, berth).observe()
            except Exception as error:  # noqa: BLE001 - its undo is tried all the same
                self._say(f"{berth} cannot be looked at: {error}")
                continue
            turns += [seen.fence.turn] if seen.fence else []
        return max(turns)
