"""What a finished change leaves, and what is remembered when there is no lane to ask."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.archive import Archive
from activities.attempts import caught
from activities.bookkeeping import Bookkeeping
from activities.clearance import Clearing
from activities.finishing import to_the_end
from activities.gatehouse import Gatehouse
from activities.health import Verdict, look_until_well
from activities.ports import TargetRefusalError
from activities.refusing import not_cleared, over
from activities.tools import Tools
from activities.transcribing import transcribed
from domain.accounting import (
    astray,
    judge_end,
    judge_end_of_undo,
    should_stand,
    told_to_stand,
    write_up,
)
from domain.attempt import Kind
from domain.environment import Holding, Unknown, same
from domain.fence import Fence
from domain.journal import Entry, Evidence, Receipt, Recollection, Settled
from domain.logbook import TidingsNote
from domain.names import ENVIRONMENT, SERVICE, Subject, change_id
from domain.order import Account, Left
from domain.plan import Step, Verb
from domain.refusal import Cause, Refusal
from domain.rehearsal import Rehearsal, judge_rehearsal
from domain.soak import judge_soak
from domain.terms import Proposal, Story, TargetTerms
from domain.turn import never_done
from domain.warrant import Facts
from domain.workflow_types import CHANGE

TRIES_IN_SILENCE: Final = 7
"""So often a way back is tried, within about a minute, before a person has to hear of it."""


class Receipts:
    """Leaves receipts for one environment, and recalls them."""

    def __init__(
        self,
        tools: Tools,
        archive: Archive,
        clearing: Clearing,
        books: Bookkeeping,
        gatehouse: Gatehouse,
    ) -> None:
        self._tools = tools
        self._archive = archive
        self._clearing = clearing
        self._books = books
        self._gatehouse = gatehouse

    async def conclude(self, account: Account) -> Left:
        """Look, then write the receipt, once. Once it is being written, a cancel comes too late.

        A way back is tried for ever, but not in silence: after a minute of tries that all failed, the last one's
        reason is what is not well.
        """
        proposal = self._clearing.unseal(account.warrant)
        try:
            return await self._conclude(account, proposal)
        except ApplicationError as error:
            if error.non_retryable or not _is_endless(account, proposal):
                raise
            why = error.message
        except Exception as error:
            if not _is_endless(account, proposal):
                raise
            why = str(error) or type(error).__name__
        return Left(well=False, evidence=(f"it could not be looked at, or its receipt not be left: {why}",))

    async def _conclude(self, account: Account, proposal: Proposal) -> Left:
        if standing := await self._archive.receipt(proposal.plan.subject, account.warrant.turn):
            if standing.settled is not account.settled:
                raise over(standing)
            return Left(well=True, after=dict(standing.after), evidence=standing.evidence)
        journal = await self._clearing.journal(proposal, account.warrant.turn)
        if account.settled is Settled.DONE and (undone := never_done(proposal, journal)):
            caught(Kind.EVIDENCE, undone)
        expected = should_stand(account, proposal, journal)
        async with transcribed(
            self._tools, proposal.plan.subject, account.warrant.turn, "health", "look whether it is well"
        ):
            verdict = await look_until_well(self._tools, proposal, expected)
        if not verdict.passed:
            return Left(well=False, evidence=verdict.sentences)
        return await to_the_end(self._leave(account, proposal, journal, verdict))

    async def _leave(
        self, account: Account, proposal: Proposal, journal: Sequence[Entry], verdict: Verdict
    ) -> Left:
        facts = await self._clearing.inquiry.hear(account.warrant, proposal, gates=False)
        if not facts.asking:
            await self._books.close_strays(proposal.plan.subject)
        refusal = self._judge(account, proposal, journal, facts)
        refusal = refusal or await self._judge_words(account, proposal)
        if refusal is None and account.warrant.request.story is Story.ADOPTION:
            turns, turn = self._clearing.turns, account.warrant.turn
            refusal = await turns.left_open(proposal.plan.subject, turn, facts.closed)
        if refusal:
            raise not_cleared(refusal, journaled=True)
        done = account.settled is Settled.DONE
        if untrue := await self._untrue(account, proposal, journal):
            return Left(well=False, evidence=untrue)
        before = await self._archive.newest_of(proposal.plan.subject, facts.closed)
        known = (before.paper.after if before else {}) | told_to_stand(account, proposal, journal)
        after = await self._what_stands(proposal, known, account.skipped)
        if done and (lost := astray(proposal, after, account.skipped)):
            return Left(well=False, evidence=lost)
        if not (done or journal or facts.open_turn == account.warrant.turn):
            # Nothing was begun, and no lane knows of the turn: there is nothing to account for.
            return Left(well=True, after=after, lane_listens=facts.lane_listens)
        await self._note_words(account, facts)
        newest = await self._books.page(proposal.plan.subject)
        written = write_up(account, proposal, journal, facts.now)
        receipt = written.but(
            proven=verdict.proven,
            evidence=(*verdict.sentences, *written.evidence),
            after=after,
            let_in=await self._clearing.inquiry.let_in(account.warrant, proposal, journal),
            ledger=newest.digest if newest else None,
            logbook=await self._books.log_page(),
            rehearsed=self._rehearsal(account) if done else None,
        )
        if receipt.story is Story.SETTLEMENT and receipt.of is not None:
            await self._close_lost(receipt, receipt.of)
            before = None
        left = await self._archive.write_receipt(receipt, before)
        return Left(
            well=True,
            after=dict(left.after),
            evidence=left.evidence,
            lane_listens=facts.lane_listens,
            recorded=await self._books.close_by(left, facts, newest),
        )

    async def _note_words(self, account: Account, facts: Facts) -> None:
        """Note what people said to the change, where this worker has not heard it before it counted."""
        subject = account.warrant.request.subject
        if not self._tools.configuration(subject.service).is_guarded(subject.environment, subject.service):
            of = change_id(subject, account.warrant.turn)
            notes = (TidingsNote(of=of, record=one, at=facts.now) for one in account.steered)
            await self._books.note(*notes)

    def _judge(
        self, account: Account, proposal: Proposal, journal: Sequence[Entry], facts: Facts
    ) -> Refusal | None:
        warrant = account.warrant
        last_deed = max((entry.at for entry in journal), default=None)
        if account.settled is Settled.UNDONE:
            return judge_end_of_undo(warrant, proposal, facts)
        environment = proposal.plan.subject.environment
        soak = self._archive.unseal(account.soak, environment, Evidence) if account.soak else None
        return (
            judge_end(warrant, proposal, facts)
            or judge_rehearsal(proposal, warrant.turn, self._rehearsal(account))
            or judge_soak(proposal, warrant.turn, soak, account.cut, last_deed)
        )

    def _rehearsal(self, account: Account) -> Rehearsal | None:
        """Return what a worker of this environment saw of the undo, where it was rehearsed."""
        seen, environment = account.rehearsal, account.warrant.request.subject.environment
        return self._archive.unseal(seen, environment, Rehearsal) if seen else None

    async def _judge_words(self, account: Account, proposal: Proposal) -> Refusal | None:
        """What a person is said to have wished is asked of their word: to leave something undone, or to adopt."""
        subject, request = proposal.plan.subject, account.warrant.request
        why = ""
        if account.skipped and self._tools.configuration(subject.service).is_guarded(
            subject.environment, subject.service
        ):
            why = await self._gatehouse.why_not_skipped(subject, account.warrant.turn, account.words)
        if request.story is Story.ADOPTION:
            asked = await self._clearing.turns.since_asked(request)
            why = why or await self._gatehouse.admit(request, asked, drawn_up=proposal.drawn_up)
        return Refusal(cause=Cause.FORBIDDEN, why=f"No receipt is left of this: {why}.") if why else None

    async def _close_lost(self, settlement: Receipt, turn: int) -> None:
        """Leave the receipt that a lost change did not: it was undone, or made after all where it went back."""
        why = f"its change was lost, and put back in turn {settlement.turn}"
        subject = settlement.subject
        journaled = (await self._archive.journal_turns(subject)).get(turn, [])
        begun = [entry for entry in await self._archive.entries(subject, turn, journaled) if not entry.void]
        going_back = next((entry for entry in begun if entry.step.of), None)
        asked = next((entry.let_in.request for entry in begun if entry.let_in), None)
        lost = settlement.but(
            turn=turn,
            story=going_back.story if going_back else Story.PROMOTION,
            settled=Settled.DONE if going_back else Settled.UNDONE,
            of=going_back.step.of.turn if going_back and going_back.step.of else None,
            why=why,
            version=asked.version if asked else settlement.version,
            actor=asked.actor if asked else settlement.actor,
            reason=asked.reason if asked else settlement.reason,
            deeds=(),  # what a settlement without the engine journaled is its own
            journaled=tuple(entry.fence.act for entry in begun),
            intent=next((entry.intent for entry in begun if entry.intent), None),
            records=None,
            let_in=None,
            request=None,
            words=(),
        )
        await self._archive.write_receipt(lost)

    async def recall(self, subject: Subject) -> Recollection:
        """Remember, from store and targets alone. An earlier lane's change that still runs is waited for first."""
        await self._outlive_strays(activity.client(), subject)
        await self._books.close_strays(subject)
        closed = await self._archive.receipt_turns(subject)
        journals = await self._archive.journal_turns(subject)
        newest = await self._archive.newest_receipts(subject, 1)
        held, fences = await self._look(subject)
        turns = [*closed, *journals, *(fence.turn for fence in fences)]
        return Recollection(
            subject=subject,
            newest=newest[0] if newest else None,
            open=await self._archive.open_turns(subject, closed),
            highest=max(turns, default=0),
            held=held,
        )

    async def _outlive_strays(self, client: Client, subject: Subject) -> None:
        """Wait for every change that an earlier lane left running: an undo among them leaves no journal."""
        closed = set(await self._archive.receipt_turns(subject))
        journals = await self._archive.journal_turns(subject)
        strays = {change_id(subject, turn) for turn in journals if turn not in closed}
        running = (
            f"WorkflowType='{CHANGE}' AND ExecutionStatus='Running' "
            f"AND {SERVICE}='{subject.service}' AND {ENVIRONMENT}='{subject.environment}'"
        )
        strays |= {found.id async for found in client.list_workflows(running)}
        for stray in sorted(strays):
            await _until_ended(client, stray)

    async def _look(self, subject: Subject) -> tuple[dict[str, Holding], list[Fence]]:
        configuration = self._tools.configuration(subject.service)
        place = configuration.place(subject)
        held: dict[str, Holding] = {}
        fences: list[Fence] = []
        for berth, terms in (place.targets if place else {}).items():
            try:
                seen = await self._tools.target(terms, subject, berth).observe()
            except TargetRefusalError as refusal:
                held[berth] = Unknown(why=str(refusal))
                continue
            held[berth] = seen.capture.holding
            fences += [seen.fence] if seen.fence else []
        return held, fences

    async def _what_stands(
        self, proposal: Proposal, known: Mapping[str, Holding], skipped: Sequence[str]
    ) -> dict[str, Holding]:
        """Look at every berth of the environment, not only at what the plan was about.

        Of a target that cannot show it, what is ``known`` is written.
        """
        steps = {step.berth: step for step in proposal.plan.steps}
        berths = [name for name in (steps | proposal.terms.targets) if name not in skipped]
        seen = await asyncio.gather(
            *(self._stands(proposal, name, steps.get(name), known) for name in berths)
        )
        left = {berth: Unknown(why="a person said to skip its undo") for berth in skipped}
        return dict(zip(berths, seen, strict=True)) | left

    async def _stands(
        self, proposal: Proposal, berth: str, step: Step | None, known: Mapping[str, Holding]
    ) -> Holding:
        terms = await self._terms(proposal, step) if step else proposal.terms.targets[berth]
        if terms is None:
            return Unknown(why="it has no target any more")
        target = self._tools.target(terms, proposal.plan.subject, berth)
        if not target.repeatable:
            return known.get(berth, Unknown(why="its target cannot show it"))
        try:
            return (await target.observe()).capture.holding
        except TargetRefusalError as refusal:
            return Unknown(why=str(refusal))

    async def _untrue(
        self, account: Account, proposal: Proposal, journal: Sequence[Entry]
    ) -> tuple[str, ...]:
        """Say what is not so of what a change says that it did: whatever it was told, anybody may have told it."""
        if account.settled is Settled.UNDONE:
            return await self._not_undone(account, journal)
        undone = never_done(proposal, journal)
        return (undone,) if undone else ()

    async def _not_undone(self, account: Account, journal: Sequence[Entry]) -> tuple[str, ...]:
        """Say which deeds of a change that was undone still stand: its undo may have been answered by anybody."""
        last = {entry.step.berth: entry for entry in sorted(journal, key=lambda entry: entry.fence.act)}
        undone = [
            entry
            for berth, entry in last.items()
            if berth not in account.skipped and entry.step.can_be_undone
        ]
        seen = await asyncio.gather(*(self._standing(entry) for entry in undone))
        return tuple(
            f"{entry.step.berth} should be back on {entry.capture.holding}, and deed {entry.fence} stands there yet"
            for entry, stands in zip(undone, seen, strict=True)
            if stands
        )

    async def _standing(self, entry: Entry) -> bool:
        """Tell whether it is still this deed that stands there, and not what was captured, nor somebody else's."""
        target = self._tools.target(entry.target, entry.subject, entry.step.berth)
        if not target.repeatable:
            return False
        try:
            seen = await target.observe()
        except TargetRefusalError:
            return False
        held = seen.capture.holding
        is_own = (seen.fence is None or seen.fence == entry.fence) and same(entry.step.after, held)
        return is_own and not same(entry.capture.holding, held)

    async def _terms(self, proposal: Proposal, step: Step) -> TargetTerms | None:
        """What is undone is looked at where it was done, even if the configuration has moved since."""
        entry: Entry | None = None
        if step.verb is Verb.RESTORE and step.of:
            entry = await self._archive.entry(proposal.plan.subject, step.of.turn, step.of.act)
        targets: Mapping[str, TargetTerms] = proposal.terms.targets
        return entry.target if entry and not entry.void else targets.get(step.berth)


def _is_endless(account: Account, proposal: Proposal) -> bool:
    """Tell whether this has been tried for a minute, and would be for ever."""
    goes_back = account.settled is Settled.UNDONE or not proposal.plan.goes_forward
    return goes_back and activity.in_activity() and activity.info().attempt >= TRIES_IN_SILENCE


async def _until_ended(client: Client, workflow_id: str) -> None:
    handle = client.get_workflow_handle(workflow_id)
    try:
        if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            await handle.result()
    except WorkflowFailureError:
        return
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
