"""The corner where trust is made: nothing touches an environment that has not come through here."""

from datetime import datetime
from typing import NamedTuple

from temporalio.exceptions import ApplicationError

from activities.archive import Archive
from activities.around import Around
from activities.bookkeeping import Bookkeeping
from activities.gatehouse import Gatehouse
from activities.inquiry import Before, Inquiry
from activities.ports import (
    BadSealError,
    Deed,
    Observation,
    Target,
    TargetRefusalError,
    TargetTroubleError,
    Undone,
)
from activities.previewing import why_otherwise
from activities.refusing import not_cleared, over
from activities.releases import Brought, ReleaseRefusedError, bring
from activities.reviews import Reviewing
from activities.tools import Tools
from activities.transcribing import say
from activities.turns import Turns
from domain.attempt import Kind
from domain.clearance import judge, judge_undo
from domain.environment import Holding, Placement, same
from domain.fence import Fence
from domain.gatekeeping import used
from domain.journal import Entry, called_off
from domain.names import Subject, change_id
from domain.order import StepOrder
from domain.plan import Step, Undo
from domain.refusal import Cause, Refusal
from domain.rehearsal import acts
from domain.statement import asked_by
from domain.terms import Proposal, Request
from domain.turn import of_another, out_of_line
from domain.warrant import Warrant


class Cleared(NamedTuple):
    """A deed that may be done. ``done_before`` is set where an earlier attempt has done it already."""

    target: Target
    deed: Deed
    done_before: bool
    is_waited_for: bool = False
    """Whether the next wave waits until it is well."""


class Clearing:
    """Judges, captures, seals and journals for one environment."""

    def __init__(
        self, tools: Tools, archive: Archive, books: Bookkeeping, gatehouse: Gatehouse, around: Around
    ) -> None:
        self._tools = tools
        self._archive = archive
        self.turns = Turns(archive)
        self._gatehouse = gatehouse
        self._around = around
        self.inquiry = Inquiry(tools, archive, books, gatehouse, around)
        self._reviewing = Reviewing(tools, archive)

    def unseal(self, warrant: Warrant) -> Proposal:
        """Return the warrant's proposal. Raises the refusal where its seal is not this environment's."""
        if warrant.proposal is None:
            why = "This warrant opens nothing: it carries no terms."
            refusal = Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.WARRANT)
            raise not_cleared(refusal, journaled=False)
        try:
            return self._archive.unseal(warrant.proposal, self._tools.environment, Proposal)
        except BadSealError as error:
            refusal = Refusal(cause=Cause.FORBIDDEN, why=f"This warrant opens nothing: {error}.")
            raise not_cleared(refusal, journaled=False) from error

    async def deed(self, order: StepOrder, step: Step) -> Cleared:
        """Clear one forward step: recall, judge, capture, seal, journal. Raises ``NotCleared``.

        A second attempt finds the journal entry of the first: what was captured then stays the capture.
        """
        proposal = self.unseal(order.warrant)
        subject = proposal.plan.subject
        fence = Fence(turn=order.warrant.turn, act=order.act)
        terms = proposal.terms.targets[step.berth]
        target = self._tools.target(terms, subject, step.berth)
        entry = await self._archive.entry(subject, fence.turn, fence.act)
        seen = await target.observe()
        is_waited_for = proposal.plan.is_waited_for(step)
        if entry and not entry.void and _stands(step.after, seen, fence):
            deed = await self._deed(order.warrant, entry, step.after)
            return Cleared(target, deed, done_before=True, is_waited_for=is_waited_for)

        first = entry if order.act == 1 else await self._archive.entry(subject, fence.turn, 1)
        warrant, facts = await self.inquiry.of_deed(order, step, proposal, Before(entry, first, seen))
        refusal = out_of_line(proposal, step, order.act, first, entry) or judge(warrant, step, facts)
        if refusal is None and entry is None:
            refusal = await self.turns.why_not_due(proposal, fence.turn, begins=facts.begins)
        if refusal is None and facts.begins:
            refusal = await self.turns.asked_before(order.warrant, facts.policy)
        if refusal:
            raise await self._refused(refusal, subject, fence.turn, journaled=entry is not None)

        if entry is None and (why := await why_otherwise(self._tools, target, subject, step)):
            refusal = Refusal(cause=Cause.VOID, why=why)
            raise await self._refused(refusal, subject, fence.turn, journaled=False)

        draft = Entry(
            subject=subject,
            fence=fence,
            step=step,
            steps=acts(proposal.terms, proposal.plan),
            target=terms,
            capture=seen.capture,
            story=order.warrant.request.story,
            intent=proposal.plan.intent,
            asked=asked_by(order.warrant.request),
            overridden=used(proposal, facts),
            let_in=await self.inquiry.began_by(warrant, proposal, facts),
            at=facts.now,
        )
        await self._reviewing.note(order.warrant, proposal, facts)
        written = entry or await self._archive.write_entry(draft)
        if written.void:
            refusal = Refusal(
                cause=Cause.FORBIDDEN, why=f"Deed {fence} of {subject} was called off before it began."
            )
            raise not_cleared(refusal, journaled=True)
        deed = await self._deed(order.warrant, written, step.after)
        return Cleared(target, deed, done_before=False, is_waited_for=is_waited_for)

    async def journal(self, proposal: Proposal, turn: int) -> list[Entry]:
        """Return what was really begun in this turn, by this plan. Raises ``NotCleared`` where another one began it."""
        numbers = range(1, max(acts(proposal.terms, proposal.plan), 1) + 1)
        entries = await self._archive.entries(proposal.plan.subject, turn, numbers)
        if refusal := next(filter(None, (of_another(proposal, entry) for entry in entries)), None):
            raise not_cleared(refusal, journaled=True)
        return [entry for entry in entries if not entry.void]

    async def last_deed(self, proposal: Proposal, turn: int) -> datetime:
        """Return when the turn's newest deed was begun. Raises ``NotCleared`` where this plan has none in it."""
        entries = await self.journal(proposal, turn)
        if not entries:
            why = f"Turn {turn} of {proposal.plan.subject} has not begun, so there is nothing to watch."
            raise not_cleared(Refusal(cause=Cause.FORBIDDEN, why=why), journaled=False)
        return max(entry.at for entry in entries)

    async def undo(self, order: StepOrder, subject: Subject, of: Fence) -> Cleared | None:
        """Clear the undo of one deed, from its sealed capture. None: it never happened, and now never will."""
        facts = await self.inquiry.of_undo(order.warrant, subject, of)
        refusal = judge_undo(subject, order.warrant.turn, of, facts)
        if refusal := refusal or await self._not_asked_for(order, subject, of):
            raise await self._refused(refusal, subject, order.warrant.turn, journaled=True)
        entry = await self._archive.entry(subject, of.turn, of.act)
        if entry is None:
            await self._need_nothing_of(of, order, subject)
            entry = await self._archive.write_entry(called_off(subject, of, facts.now))
        if entry.void:
            return None
        fence = Fence(turn=order.warrant.turn, act=order.act)
        target = self._tools.target(entry.target, subject, entry.step.berth)
        held = entry.capture.holding
        deed = await self._deed(order.warrant, entry, held, fence)
        if target.undo is Undo.COMMAND:
            deed = deed._replace(undoes=await self._undone(entry))
        return Cleared(target, deed, done_before=_stands(held, await target.observe(), fence))

    async def _need_nothing_of(self, of: Fence, order: StepOrder, subject: Subject) -> None:
        """Raise ``BadSealError`` where the target bears a deed that the journal knows nothing of.

        What is not in the journal has never begun, unless somebody has taken it out, or the store is another one. A
        target that cannot be looked at says nothing against that.
        """
        terms = self.unseal(order.warrant).terms.targets.get(order.step.berth)
        if terms is None:
            return
        try:
            seen = await self._tools.target(terms, subject, order.step.berth).observe()
        except (TargetRefusalError, TargetTroubleError):
            return
        if seen.fence == of:
            raise BadSealError(
                f"{order.step.berth} bears deed {of}, and its entry is not in the journal of {subject}: the release "
                "store is another one than before, or somebody has taken that out. Put it back, and it is undone"
            )

    async def _not_asked_for(self, order: StepOrder, subject: Subject, of: Fence) -> Refusal | None:
        """Say why another turn's deeds are not to be undone by this, where people have to be known for that.

        A rollback is somebody's wish, and a settlement the lane's; either has this undo in a plan sealed for it.
        """
        configuration = self._tools.configuration(subject.service)
        guarded = configuration.is_guarded(subject.environment, subject.service)
        if not guarded or of.turn == order.warrant.turn or self._around.is_offline:
            return None
        proposal = self.unseal(order.warrant)
        if proposal.request != order.warrant.request or order.step not in proposal.plan.steps:
            why = f"This warrant opens nothing: no plan was sealed for it that undoes turn {of.turn}."
            return Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.WARRANT)
        asked = await self.turns.since_asked(proposal.request)
        why = await self._gatehouse.admit(proposal.request, asked, drawn_up=proposal.drawn_up)
        why = why or await self.turns.settled_before(proposal.request)
        why = why or await self.turns.done_before(proposal, await self._archive.receipt_turns(subject))
        return Refusal(cause=Cause.FORBIDDEN, why=f"This warrant opens nothing: {why}.") if why else None

    async def settling(self, request: Request) -> None:
        """Clear a settlement, which calls off deeds as it is drawn up: only the lane's open change may.

        One whose lane is gone, or has another turn open, has nobody to settle for: the next lane settles anew.
        """
        word = await self._around.word(request.subject, Warrant(asker="", turn=0, request=request))
        if word.open_turn is None:
            caller = self._around.workflow_id
            why = f"The lane of {request.subject} has not given “{caller}” a turn to settle anything."
            is_posing = word.taken is not None and caller == change_id(request.subject, word.taken)
            cause = Cause.FORBIDDEN if is_posing else Cause.GONE
            refusal = Refusal(cause=Cause.UNANSWERED if word.unanswered else cause, why=why)
            raise not_cleared(refusal, journaled=False)

    async def _refused(
        self, refusal: Refusal, subject: Subject, turn: int, *, journaled: bool
    ) -> ApplicationError:
        receipt = await self._archive.receipt(subject, turn)
        return over(receipt) if receipt else not_cleared(refusal, journaled=journaled)

    async def _deed(self, warrant: Warrant, entry: Entry, after: Holding, fence: Fence | None = None) -> Deed:
        brought, component = Brought(None), entry.step.component
        if isinstance(after, Placement):
            service = entry.subject.service
            brought = await bring(self._tools.store, service, component, after, self._tools.cache)
        return Deed(
            subject=entry.subject,
            component=component,
            fence=fence or entry.fence,
            after=after,
            artifact=brought.file,
            image=brought.image,
            capture=entry.capture,
            said=say,
            asker=warrant.asker,
            actor=str(warrant.request.actor),
            promised="" if fence else entry.step.change or "",
        )

    async def _undone(self, entry: Entry) -> Undone | None:
        """Return what an undo takes away, where it was a release; without its artifact where that is gone."""
        away, subject = entry.step.after, entry.subject
        if not isinstance(away, Placement):
            return None
        try:
            brought = await bring(
                self._tools.store, subject.service, entry.step.component, away, self._tools.cache
            )
        except ReleaseRefusedError:
            return Undone(away, None)
        return Undone(away, brought.file, brought.image)


def _stands(wanted: Holding, seen: Observation, fence: Fence) -> bool:
    return seen.fence == fence and same(wanted, seen.capture.holding)
