"""The corner where trust is made: nothing touches an environment that has not come through here."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.archive import Archive
from activities.around import Around
from activities.attempts import overlooked
from activities.bookkeeping import Bookkeeping
from activities.gatehouse import Gatehouse
from activities.ports import BadSealError, Deed, Observation, Target, Undone
from activities.previewing import why_otherwise
from activities.proving import Proving
from activities.releases import Brought, ReleaseRefusedError, bring
from activities.reviews import Reviewing
from activities.tools import Tools
from activities.transcribing import say
from activities.turns import CLOCKS_APART, Turns
from domain.answer import answer_of
from domain.approval import Policy
from domain.attempt import Kind
from domain.clearance import judge, judge_undo
from domain.emergency import glass_of, overriders_of
from domain.environment import Holding, Placement, same
from domain.fence import Fence
from domain.gate import Freeze, Pin, Quarantine
from domain.gatekeeping import used
from domain.journal import Entry, LetIn, Receipt, called_off
from domain.logbook import met
from domain.names import Subject, change_id
from domain.order import StepOrder
from domain.override import Override, Overriders
from domain.permission import why_may_not
from domain.plan import Step, Undo
from domain.refusal import Cause, Refusal
from domain.rehearsal import acts
from domain.roles import Door
from domain.statement import asked_by, matter_of
from domain.terms import Proposal, Request
from domain.turn import of_another, out_of_line
from domain.urgency import NO_GLASS, Glass, Urgency
from domain.warrant import Facts, Warrant, up_to_date

NOT_CLEARED = "NotCleared"
OUTRANKED = "Outranked"
OVER = "Over"


class Cleared(NamedTuple):
    """A deed that may be done. ``done_before`` is set where an earlier attempt has done it already."""

    target: Target
    deed: Deed
    done_before: bool
    is_waited_for: bool = False
    """Whether the next wave waits until it is well."""


def not_cleared(refusal: Refusal, *, journaled: bool) -> ApplicationError:
    """Return what a refused effect fails with: final, unless somebody merely did not answer.

    A refusal is a verdict and no mishap: the worker logs it in a line, without a trace, and counts it as no failure.
    """
    return ApplicationError(
        refusal.why,
        refusal,
        journaled,
        type=NOT_CLEARED,
        non_retryable=refusal.cause is not Cause.UNANSWERED,
        category=ApplicationErrorCategory.BENIGN,
    )


def over(receipt: Receipt) -> ApplicationError:
    """Return what an effect of a turn that has its receipt fails with: that receipt is the change's answer."""
    why = f"turn {receipt.turn} has its receipt: it is over"
    return ApplicationError(
        why, answer_of(receipt), type=OVER, non_retryable=True, category=ApplicationErrorCategory.BENIGN
    )


class Clearing:
    """Judges, captures, seals and journals for one environment."""

    def __init__(
        self, tools: Tools, archive: Archive, books: Bookkeeping, gatehouse: Gatehouse, around: Around
    ) -> None:
        self._tools = tools
        self._books = books
        self._archive = archive
        self.turns = Turns(archive)
        self._gatehouse = gatehouse
        self._around = around
        self._proving = Proving(tools.signers, tools.clock)
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

    async def hear(self, warrant: Warrant, proposal: Proposal, *, gates: bool = True) -> Facts:
        """Gather in one read what lane, asker, environment, store and clock say; needs no configuration.

        What the asker has recorded until now is kept at once: nothing is done before it is.
        """
        subject = proposal.plan.subject
        word = await self._around.word(subject, warrant, gates=gates)
        trail = await self._books.keep_told(word.promotion, is_needed=gates)
        return Facts(
            now=self._tools.clock.now(),
            workflow_id=self._around.workflow_id,
            environment=self._tools.environment,
            proposal=proposal,
            open_turn=word.open_turn,
            lane_listens=word.lane_listens,
            has_receipt=await self._archive.receipt(subject, warrant.turn) is not None,
            asking=word.asking,
            freeze=word.freeze,
            pin=word.pin,
            unanswered=word.unanswered,
            trail=trail,
            decisions=word.decisions,
            overrides=word.overrides,
            tidings=word.tidings,
        )

    def _policy(self, proposal: Proposal) -> Policy:
        """Return who decides now, by this worker's own configuration; for what is not in it, nobody can.

        How much is at stake, and since when people are asked, is what was sealed with the plan.
        """
        subject, risk = proposal.plan.subject, proposal.risk.level if proposal.risk else None
        configuration = self._tools.settings.current()
        if configuration.place(subject) is None or subject.environment not in configuration.environments:
            return Policy(quorum=1, approvers=(), valid=timedelta())
        approval = configuration.approval(
            subject, risk, pivots=bool(proposal.plan.pivots), urgency=proposal.request.urgency
        )
        waited = self._tools.clock.now() + CLOCKS_APART - proposal.drawn_up
        asked = approval.escalated(approval.due(waited))
        return asked.policy(proposal.release).but(windows=configuration.outlived(subject))

    def _glass(self, proposal: Proposal) -> Glass:
        """Return who may break the glass now, by this worker's own configuration, where that is asked for."""
        broken = proposal.request.urgency is Urgency.BREAK_GLASS
        return glass_of(self._tools.settings.current(), proposal.plan.subject) if broken else NO_GLASS

    def _asks_for_signed_releases(self) -> bool:
        environment = self._tools.settings.current().environments.get(self._tools.environment)
        return environment is not None and environment.signed_releases

    async def _proven(self, warrant: Warrant, proposal: Proposal, facts: Facts) -> tuple[Warrant, Facts]:
        """Return both with the proofs that this worker finds itself, where its configuration asks for any."""
        if self._asks_for_signed_releases() and proposal.release:
            facts = facts.but(unproven_release=await self._proving.release(proposal.release))
        if not facts.policy.signed:
            return warrant, facts
        decisions = await self._proving.decisions(matter_of(proposal), warrant.decisions)
        why = await self._proving.request(warrant.request, proposal.drawn_up)
        return warrant.but(decisions=decisions), facts.but(unproven_request=why)

    async def _proven_overrides(
        self, who: Overriders, overrides: tuple[Override, ...]
    ) -> tuple[Override, ...]:
        return await self._proving.overrides(self._tools.environment, overrides) if who.signed else overrides

    async def let_in(self, warrant: Warrant, proposal: Proposal, journal: Sequence[Entry]) -> LetIn | None:
        """Return who let a promotion in: as its first deed was judged, else as this worker finds it now.

        None for what nobody has to let in.
        """
        if not proposal.is_forward:
            return None
        written = next((entry.let_in for entry in journal if entry.let_in), None)
        return written or await self._judged_by(
            warrant, proposal, self._policy(proposal), self._glass(proposal)
        )

    async def _judged_by(self, warrant: Warrant, proposal: Proposal, policy: Policy, glass: Glass) -> LetIn:
        configuration, subject = self._tools.settings.current(), proposal.plan.subject
        matter = matter_of(proposal)
        with overlooked():
            decisions = await self._proving.decisions(matter, warrant.decisions)
        return LetIn(
            request=warrant.request,
            decisions=decisions,
            policy=policy,
            nonce=matter.nonce,
            glass=glass,
            schedule=configuration.schedule(subject),
            overriders=overriders_of(configuration, subject),
        )

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

        observed = {} if entry else await self._observe_all(proposal, order.act, step, seen)
        configuration = self._tools.settings.current()
        first = entry if order.act == 1 else await self._archive.entry(subject, fence.turn, 1)
        heard = await self.hear(order.warrant, proposal)
        facts = heard.but(
            policy=self._policy(proposal),
            glass=self._glass(proposal),
            overriders=overriders_of(configuration, subject),
            overrides=await self._proven_overrides(overriders_of(configuration, subject), heard.overrides),
            observed=observed,
            observes=configuration.observes(subject),
            schedule=configuration.schedule(subject),
            begins=entry is None and (first is None or first.void),
            rules=configuration.rules(subject) if configuration.place(subject) else (),
            quarantine=await self._quarantine(proposal),
            shut=await self._shut(subject),
            not_permitted=self._not_permitted(order.warrant.request),
        )
        await self._books.note(*met(facts))
        warrant, facts = await self._proven(up_to_date(order.warrant, facts), proposal, facts)
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
            let_in=await self._began_by(warrant, proposal, facts),
            at=facts.now,
        )
        await self._reviewing.note(order.warrant, proposal)
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

    async def _began_by(self, warrant: Warrant, proposal: Proposal, facts: Facts) -> LetIn | None:
        """Return what a promotion's first deed was judged by; it is kept with that deed, and with no other."""
        if not (facts.begins and proposal.is_forward):
            return None
        return await self._judged_by(warrant, proposal, facts.policy, facts.glass)

    async def _shut(self, subject: Subject) -> tuple[Freeze | Pin, ...]:
        """Return what proven words keep shut. Where they cannot be believed, nothing is cleared."""
        try:
            found = await self._gatehouse.shut(subject)
        except BadSealError as error:
            why = f"What was said of the gates of {subject} cannot be believed: {error}."
            raise not_cleared(Refusal(cause=Cause.FORBIDDEN, why=why), journaled=False) from error
        return tuple(gate for gate in found if gate)

    def _not_permitted(self, request: Request) -> str:
        subject = request.subject
        return why_may_not(
            self._tools.settings.current(),
            request.actor.name,
            Door.PROMOTE,
            subject.environment,
            subject.service,
        )

    async def _quarantine(self, proposal: Proposal) -> Quarantine | None:
        """Return what the store says of the release now. Where nobody can read that, it is not cleared."""
        service, version = proposal.plan.subject.service, proposal.plan.version
        try:
            return await self._gatehouse.quarantine(service, version)
        except ReleaseRefusedError as error:
            refusal = Refusal(cause=Cause.FORBIDDEN, why=str(error))
            raise not_cleared(refusal, journaled=False) from error

    async def undo(self, order: StepOrder, subject: Subject, of: Fence) -> Cleared | None:
        """Clear the undo of one deed, from its sealed capture. None: it never happened, and now never will."""
        facts = await self._undo_facts(order.warrant, subject, of)
        refusal = judge_undo(subject, order.warrant.turn, of, facts)
        if refusal := refusal or await self._not_asked_for(order, subject, of):
            raise await self._refused(refusal, subject, order.warrant.turn, journaled=True)
        entry = await self._archive.entry(subject, of.turn, of.act)
        entry = entry or await self._archive.write_entry(called_off(subject, of, facts.now))
        if entry.void:
            return None
        fence = Fence(turn=order.warrant.turn, act=order.act)
        target = self._tools.target(entry.target, subject, entry.step.berth)
        held = entry.capture.holding
        deed = await self._deed(order.warrant, entry, held, fence)
        if target.undo is Undo.COMMAND:
            deed = deed._replace(undoes=await self._undone(entry))
        return Cleared(target, deed, done_before=_stands(held, await target.observe(), fence))

    async def _not_asked_for(self, order: StepOrder, subject: Subject, of: Fence) -> Refusal | None:
        """Say why another turn's deeds are not to be undone by this, where people have to be known for that.

        A rollback is somebody's wish, and a settlement the lane's; either has this undo in a plan sealed for it.
        """
        configuration = self._tools.settings.current()
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
        """Clear a settlement, which calls off deeds as it is drawn up: only the lane's open change may."""
        workflow_id = self._around.workflow_id
        word = await self._around.word(request.subject, Warrant(asker="", turn=0, request=request))
        if word.open_turn is None or workflow_id != change_id(request.subject, word.open_turn):
            why = f"The lane of {request.subject} has not given “{workflow_id}” a turn to settle anything."
            cause = Cause.UNANSWERED if word.unanswered else Cause.FORBIDDEN
            raise not_cleared(Refusal(cause=cause, why=why), journaled=False)

    async def _refused(
        self, refusal: Refusal, subject: Subject, turn: int, *, journaled: bool
    ) -> ApplicationError:
        receipt = await self._archive.receipt(subject, turn)
        return over(receipt) if receipt else not_cleared(refusal, journaled=journaled)

    async def _undo_facts(self, warrant: Warrant, subject: Subject, of: Fence) -> Facts:
        """Ask nobody about a change's own deeds: its undo depends on nothing but the store and the target."""
        word = None if of.turn == warrant.turn else await self._around.word(subject, warrant)
        return Facts(
            now=self._tools.clock.now(),
            workflow_id=self._around.workflow_id,
            environment=self._tools.environment,
            proposal=None,
            open_turn=word.taken if word else None,
            has_receipt=await self._archive.receipt(subject, warrant.turn) is not None,
        )

    async def _observe_all(
        self, proposal: Proposal, act: int, step: Step, seen: Observation
    ) -> dict[str, Holding]:
        """Before the first deed everything is looked at, so that what has changed is found while nothing is touched."""
        others = [berth for berth in proposal.plan.before if berth != step.berth and act == 1]
        looks = await asyncio.gather(
            *(
                self._tools.target(proposal.terms.targets[berth], proposal.plan.subject, berth).observe()
                for berth in others
            )
        )
        observed = {berth: look.capture.holding for berth, look in zip(others, looks, strict=True)}
        return observed | {step.berth: seen.capture.holding}

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
