"""What an effect is judged by, gathered where it is about to happen, by this worker's own eyes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from activities.archive import Archive
from activities.around import Around
from activities.attempts import overlooked
from activities.bookkeeping import Bookkeeping
from activities.gatehouse import Gatehouse
from activities.ports import BadSealError, Observation
from activities.proving import Proving
from activities.refusing import not_cleared
from activities.releases import ReleaseRefusedError
from activities.tools import Tools
from activities.turns import CLOCKS_APART
from domain.actor import Proof
from domain.approval import Decision, Policy
from domain.emergency import glass_of, overriders_of
from domain.environment import Holding
from domain.fence import Fence
from domain.gate import Freeze, Pin, Quarantine
from domain.journal import Entry, LetIn
from domain.logbook import met
from domain.names import Subject
from domain.order import StepOrder
from domain.override import Override, Overriders
from domain.permission import why_may_not
from domain.plan import Step
from domain.refusal import Cause, Refusal
from domain.roles import Door
from domain.statement import matter_of
from domain.terms import Proposal, Request
from domain.trail import Piece
from domain.urgency import NO_GLASS, Glass, Urgency
from domain.warrant import Facts, Warrant, up_to_date


class Before(NamedTuple):
    """What is there before a deed: its entry in the journal, that of the turn's first, and what the target shows."""

    entry: Entry | None
    first: Entry | None
    seen: Observation

    @property
    def is_first(self) -> bool:
        """Tell whether nothing of its turn was ever begun."""
        return self.entry is None and (self.first is None or self.first.void)


class Inquiry:
    """Gathers the facts of one environment's effects, and who let promotions in."""

    def __init__(
        self, tools: Tools, archive: Archive, books: Bookkeeping, gatehouse: Gatehouse, around: Around
    ) -> None:
        self._tools = tools
        self._archive = archive
        self._books = books
        self._gatehouse = gatehouse
        self._around = around
        self._proving = Proving(tools.signers, tools.clock)

    async def of_deed(
        self, order: StepOrder, step: Step, proposal: Proposal, before: Before
    ) -> tuple[Warrant, Facts]:
        """Gather all that a forward deed is judged by, and the warrant with the proofs that were found.

        What people said, as far as it is met here, is noted.
        """
        subject = proposal.plan.subject
        configuration = self._tools.configuration(subject.service)
        observed = {} if before.entry else await self._observe_all(proposal, order.act, step, before.seen)
        heard = await self.hear(order.warrant, proposal)
        overriders = overriders_of(configuration, subject)
        facts = heard.but(
            policy=self._policy(proposal),
            glass=self._glass(proposal),
            overriders=overriders,
            overrides=await self._proven_overrides(overriders, heard.overrides),
            observed=observed,
            observes=configuration.observes(subject),
            schedule=configuration.schedule(subject),
            begins=before.is_first,
            rules=configuration.rules(subject) if configuration.place(subject) else (),
            quarantine=await self._quarantine(proposal),
            shut=await self._shut(subject),
            not_permitted=self._not_permitted(order.warrant.request),
        )
        await self._books.note(*met(facts))
        return await self._proven(up_to_date(order.warrant, facts), proposal, facts)

    async def of_undo(self, warrant: Warrant, subject: Subject, of: Fence) -> Facts:
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

    async def hear(self, warrant: Warrant, proposal: Proposal, *, gates: bool = True) -> Facts:
        """Gather in one read what lane, asker, environment, store and clock say; needs no configuration.

        What the asker has recorded until now is kept at once where ``gates`` matter: no deed is done before it is.
        """
        subject = proposal.plan.subject
        word = await self._around.word(subject, warrant, gates=gates)
        told = word.promotion
        trail, piece = (told.trail, told.piece) if told else (None, Piece())
        if trail and gates:
            await self._books.keep_told(trail, piece)
        closed = await self._archive.receipt_turns(subject)
        return Facts(
            now=self._tools.clock.now(),
            workflow_id=self._around.workflow_id,
            environment=self._tools.environment,
            proposal=proposal,
            open_turn=word.open_turn,
            lane_listens=word.lane_listens,
            has_receipt=warrant.turn in closed,
            closed=tuple(closed),
            asking=word.asking,
            freeze=word.freeze,
            pin=word.pin,
            unanswered=word.unanswered,
            trail=trail,
            piece=piece,
            decisions=word.decisions,
            overrides=word.overrides,
            tidings=word.tidings,
        )

    def _policy(self, proposal: Proposal) -> Policy:
        """Return who decides now, by this worker's own configuration; for what is not in it, nobody can.

        How much is at stake, and since when people are asked, is what was sealed with the plan.
        """
        subject, risk = proposal.plan.subject, proposal.risk.level if proposal.risk else None
        configuration = self._tools.configuration(subject.service)
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
        subject = proposal.plan.subject
        return glass_of(self._tools.configuration(subject.service), subject) if broken else NO_GLASS

    def _asks_for_signed_releases(self) -> bool:
        environment = self._tools.configuration().environments.get(self._tools.environment)
        return environment is not None and environment.signed_releases

    async def _proven(self, warrant: Warrant, proposal: Proposal, facts: Facts) -> tuple[Warrant, Facts]:
        """Return both with the proofs that this worker finds itself, where its configuration asks for any."""
        if self._asks_for_signed_releases() and proposal.release:
            facts = facts.but(unproven_release=await self._proving.release(proposal.release, again=True))
        if not facts.policy.signed:
            return warrant, facts
        found = await self._proving.looked_at(matter_of(proposal), warrant.decisions)
        why = await self._proving.request(warrant.request, proposal.drawn_up)
        facts = facts.but(unproven_request=why, in_vain=_in_vain(found, proposal))
        return warrant.but(decisions=tuple(one for one, _ in found)), facts

    async def _proven_overrides(
        self, who: Overriders, overrides: tuple[Override, ...]
    ) -> tuple[Override, ...]:
        if who.signed:
            return await self._proving.overrides(self._tools.environment, overrides)
        return tuple(one.but(by=one.by.but(proof=Proof.NONE)) for one in overrides)

    async def let_in(self, warrant: Warrant, proposal: Proposal, journal: Sequence[Entry]) -> LetIn | None:
        """Return who let a promotion in: as its first deed was judged, else as this worker finds it now.

        None for what nobody has to let in.
        """
        if not proposal.is_forward:
            return None
        written = next((entry.let_in for entry in journal if entry.let_in), None)
        if written:
            return written
        proven = warrant.but(decisions=await self._looked_at(warrant, proposal))
        return self._judged_by(proven, proposal, self._policy(proposal), self._glass(proposal))

    async def _looked_at(self, warrant: Warrant, proposal: Proposal) -> tuple[Decision, ...]:
        """Return the decisions with their proofs. Nobody is called for what is looked at again."""
        with overlooked():
            return tuple(await self._proving.decisions(matter_of(proposal), warrant.decisions))

    def _judged_by(self, proven: Warrant, proposal: Proposal, policy: Policy, glass: Glass) -> LetIn:
        subject = proposal.plan.subject
        configuration = self._tools.configuration(subject.service)
        return LetIn(
            request=proven.request,
            decisions=proven.decisions,
            policy=policy,
            nonce=matter_of(proposal).nonce,
            glass=glass,
            schedule=configuration.schedule(subject),
            overriders=overriders_of(configuration, subject),
        )

    async def began_by(self, warrant: Warrant, proposal: Proposal, facts: Facts) -> LetIn | None:
        """Return what a promotion's first deed was judged by; it is kept with that deed, and with no other.

        Where decisions have to be signed, those of the warrant are proven already.
        """
        if not (facts.begins and proposal.is_forward):
            return None
        if not facts.policy.signed:
            warrant = warrant.but(decisions=await self._looked_at(warrant, proposal))
        return self._judged_by(warrant, proposal, facts.policy, facts.glass)

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
            self._tools.configuration(subject.service),
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


def _in_vain(found: Sequence[tuple[Decision, str]], proposal: Proposal) -> tuple[str, ...]:
    """Say of each decision on this plan that is not proven why it is not."""
    return tuple(
        f"what {one.actor.name} said does not count: {why}"
        for one, why in found
        if why and one.intent == proposal.plan.intent
    )
