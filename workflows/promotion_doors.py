"""What people, lane and environment may say to a promotion, and what it shows of itself."""

from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.doorkeeper import NotBegunError, PosedError, RefusedError, read_message, read_value
from workflows.steering import ABANDON, Steered

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ASK, STEER, WITHDRAW, LaneMessage
    from domain.actor import Actor, Channel, Proof
    from domain.answer import Ask, Done, Order, Told, Undone, Withdrawal
    from domain.approval import (
        DecideWord,
        Decision,
        DecisionWord,
        Policy,
        Standing,
        Verdict,
        standing,
        why_not_counted,
        why_posed,
    )
    from domain.doors import Does, Signal, Word, at_promotion
    from domain.names import Subject, effects_queue, names_in, promotion_id
    from domain.order import ProofOrder
    from domain.outcome import Outcome, Phase
    from domain.record import DecisionRecord
    from domain.saying import Saying, steering
    from domain.signature import Signature
    from domain.statement import decision_statement, matter_of
    from domain.status import PromotionStatus
    from domain.telling import tell_promotion
    from domain.terms import Proposal, Request, Sealed
    from domain.value import Value, short
    from workflows import patience
    from workflows.bookkeeper import Bookkeeper
    from workflows.calling import Ringing
    from workflows.chronicle import Chronicle, Memory
    from workflows.guard import Guard, refuse_if_unheard


class Ending(Value):
    """How the story ends, and why."""

    outcome: Outcome
    why: str = ""
    answer: Done | Undone | None = None


class Carried(Value):
    """What a promotion takes along when it goes on in a new run."""

    sealed: Sealed
    decisions: tuple[Decision, ...]
    number: int
    asked_at: datetime | None = None
    escalated: int = 0
    waiting_since: datetime
    memory: Memory


class PromotionDoors(Steered):
    """A promotion's state, and the doors by which it changes from outside."""

    takes = "approve, reject, hold, resume, retry and skip"

    def __init__(self) -> None:
        service, environment, version = names_in(workflow.info().workflow_id, 3)
        self._subject = Subject.model_construct(service=service, environment=environment)
        self._version = version
        self._request: Request | None = None
        self._sealed: Sealed | None = None
        self._proposal: Proposal | None = None
        self._decisions: tuple[Decision, ...] = ()
        self._number = 0
        self._sent: Ask | None = None
        self._mark = ""
        self._asked_at = workflow.info().workflow_start_time
        self._waiting_since: datetime | None = None
        self._escalated = 0
        self._has_news = False
        self._is_published = False
        self._outbox: list[LaneMessage] = []
        self._gate_opened = False
        self._checking = 0
        self._guard = Guard()
        self._stopping = False
        self._withdrawal: Withdrawal | None = None
        self._alarm: Ringing | None = None
        self._ending: Ending | None = None
        self._is_unrecorded = False
        self._log = Chronicle(Phase.PREPARING)
        self._books = Bookkeeper(self._log, self._subject)

    @workflow.signal(
        description='Let it in. Input: {"by": "you@example.com", "comment": "", "plan": "its first 8 digits"}',
        unfinished_policy=ABANDON,
    )
    async def approve(self, raw: RawValue) -> None:
        await self._decide(Verdict.APPROVE, read_message(raw, DecisionWord), Channel.SIGNAL)

    @workflow.signal(
        description='Keep it out. Input: {"by": "you@example.com", "comment": "why", "plan": "its first 8 digits"}',
        unfinished_policy=ABANDON,
    )
    async def reject(self, raw: RawValue) -> None:
        await self._decide(Verdict.REJECT, read_message(raw, DecisionWord), Channel.SIGNAL)

    @workflow.update(
        description='Approve or reject, and hear at once. Input: {"by": "…", "decision": "approve", "plan": "…"}',
        unfinished_policy=ABANDON,
    )
    async def decide(self, raw: RawValue) -> str:
        said = read_message(raw, DecideWord)
        await self._decide(said.decision, said, Channel.UPDATE)
        taken = f"{said.decision} by {said.by} of plan {said.plan} is taken"
        return f"{taken}: it stays out, unless its change has begun" if self._is_under_way() else taken

    @decide.validator
    def _may_decide(self, raw: RawValue) -> None:
        try:
            said = read_message(raw, DecideWord)
            self._check(Signal(said.decision.value), said)
        except RefusedError as error:
            raise ApplicationError(str(error), type="Refused", non_retryable=True) from None

    @workflow.signal(description="For the lane: there is an answer. What it is, the lane is asked back")
    def told(self, raw: RawValue) -> None:
        told = read_value(workflow.payload_converter().from_payload(raw.payload), Told)
        if self._log.phase is not Phase.IN_LANE or told.number != self._number:
            message = f"nothing with number {told.number} was asked of the lane"
            raise RefusedError(message)
        self._has_news = True

    @workflow.signal(description="For a newborn lane: it does not know who waited for the one before")
    def ask_again(self, _: RawValue) -> None:
        is_to_be_said = any(order.verb == ASK for order in self._outbox)
        if self._log.phase is Phase.IN_LANE and not is_to_be_said:
            self._outbox += self._said_to_lane()

    @workflow.signal(description="For the environment: the gate is open")
    def gate_opened(self, _: RawValue) -> None:
        self._gate_opened = True

    @workflow.query
    def status(self) -> PromotionStatus:
        proposal, ending = self._proposal, self._ending
        return PromotionStatus(
            subject=self._subject,
            version=self._version,
            phase=self._phase,
            since=self._log.since,
            waits_for=self._log.waits_for,
            remedy=self._log.remedy,
            request=self._request,
            proposal=proposal,
            intent=proposal.plan.intent if proposal else None,
            decisions=self._decisions,
            refused=self._log.refused,
            number=self._number,
            escalated=self._escalated,
            turn=ending.answer.turn if ending and ending.answer else None,
            outcome=ending.outcome if ending else None,
            why=ending.why if ending else "",
            records=self._log.chain.records,
            head=self._log.chain.head,
            asked_at=self._asked_at,
            withdrawal=self._withdrawal,
            ask=self._mark,
            run=workflow.info().run_id,
            anchor=self._log.chain.anchor,
            dropped=self._log.chain.dropped,
            written=self._log.chain.written,
        )

    async def _steer(self, signal: Signal, word: Word) -> None:
        does, why = at_promotion(self._phase, signal)
        if does is Does.REFUSE:
            raise RefusedError(why)
        if does is Does.PASS_ON:
            self._pass_on(signal, word)
            return
        proof = await self._proof_of(steering(self._id, self._subject, signal, word))
        self._gate_opened = True
        self._note_override(signal, word, proof)

    def _pass_on(self, signal: Signal, word: Word) -> None:
        """Let the change judge it, and record it where it is not known at once whether that takes it."""
        order = Order(signal=signal, by=word.by, comment=word.comment, asker=self._id, signed=word.signed)
        self._outbox.append(self._message(STEER, order))
        if not self._is_guarded:
            self._note_override(signal, word)

    async def _proof_of(self, saying: Saying) -> Proof:
        return await self._guard.admit(saying) if self._is_guarded else Proof.NONE

    @property
    def _is_guarded(self) -> bool:
        return self._proposal is not None and self._proposal.terms.guarded

    async def _decide(self, verdict: Verdict, said: DecisionWord, channel: Channel) -> None:
        """Take a decision; judged here for comfort, at the effect for real."""
        self._check(Signal(verdict.value), said)
        proposal = self._proposal
        if proposal is None:
            return
        decision = Decision(
            actor=Actor(name=said.by, channel=channel),
            verdict=verdict,
            intent=proposal.plan.intent,
            at=workflow.now(),
            comment=said.comment,
            signature=said.signed,
        )
        if said.signed:
            decision = await self._proven(proposal, decision, said.signed)
            self._check(Signal(verdict.value), said)  # things may have moved on meanwhile
        self._decisions = (*self._decisions, decision)
        self._log.record(DecisionRecord(at=workflow.now(), decision=decision))
        if self._is_under_way() and self._is_turned_down():
            self._outbox.append(self._withdraw(spares_running=True))

    async def _proven(self, proposal: Proposal, decision: Decision, signature: Signature) -> Decision:
        """Have the environment's worker look at a signature, so that nobody waits on one that will not count."""
        if self._checking >= patience.CHECKED_AT_ONCE:
            message = "too many signatures are being looked at; sign again in a minute"
            raise RefusedError(message)
        piece = self._books.piece()
        order = ProofOrder(
            environment=self._subject.environment,
            statement=decision_statement(matter_of(proposal), decision, signature),
            signature=signature,
            records=piece,
        )
        self._checking += 1
        try:
            why = await workflow.execute_activity_method(
                EffectActivities.prove,
                order,
                task_queue=effects_queue(self._subject.environment),
                start_to_close_timeout=patience.PROVING,
                schedule_to_close_timeout=patience.HEARING,
                retry_policy=patience.TRY_SOON,
                summary=f"is that the signature of {decision.actor.name[:60]}?",
            )
        except ActivityError as failure:
            refuse_if_unheard(failure, order.environment, "looked at the signature; sign")
            raise
        finally:
            self._checking -= 1
        self._books.kept(piece)
        if why:
            raise RefusedError(why)
        return decision.but(actor=decision.actor.but(proof=Proof.SSH_SIGNATURE))

    def _check(self, signal: Signal, said: DecisionWord) -> None:
        does, why = at_promotion(self._phase, signal)
        if does is Does.REFUSE:
            raise RefusedError(why)
        if self._proposal is None or self._request is None:
            return
        intent = self._proposal.plan.intent
        policy, requester = self._policy(self._proposal), self._request.requester
        if why := why_not_counted(policy, requester, said, intent):
            kind = why_posed(policy, requester, said)
            raise PosedError(why, kind, said.by) if kind else RefusedError(why)
        mine = Actor(name=said.by)
        votes = [
            vote for vote in self._decisions if vote.intent == intent and vote.actor.is_same_person(mine)
        ]
        if votes and votes[-1].verdict == signal.value:
            message = f"{said.by} has said so already"
            raise RefusedError(message)

    @property
    def _phase(self) -> Phase:
        """Where it stands. What has ended takes no more words, also while it waits for its alarm to be heard."""
        return Phase.ENDED if self._ending else self._log.phase

    @property
    def _id(self) -> str:
        return promotion_id(self._subject, self._version)

    @property
    def _asked(self) -> Request:
        if self._request is None:
            message = "A promotion that has not begun was asked what it asks for."
            raise NotBegunError(message)
        return self._request

    def _ask(self) -> Ask:
        intent = self._proposal.plan.intent if self._proposal else ""
        return Ask(
            asker=self._id,
            number=self._number,
            intent=intent,
            request=self._asked,
            proposal=self._sealed,
            decisions=tuple(_to_show(vote) for vote in self._decisions if vote.intent == intent),
            since=self._asked_at,
            dated=workflow.now(),
            comes_back=self._number > 1,
        )

    def _withdraw(self, reason: str = "", *, spares_running: bool = False) -> LaneMessage:
        """Want the turn no more. The lane asks back, so that nobody else says it: that is remembered first."""
        self._withdrawal = Withdrawal(
            asker=self._id,
            number=self._number,
            reason=reason or self._who_rejected(),
            spares_running=spares_running,
        )
        return self._message(WITHDRAW, self._withdrawal)

    def _said_to_lane(self) -> list[LaneMessage]:
        """Return what a lane that knows nothing of us has to hear, in order."""
        # The very ask that it was sent: what people have said since, the effect asks for itself.
        ask = (self._sent or self._ask()).but(dated=workflow.now(), comes_back=True)
        asking = [self._message(ASK, ask)]
        return [*asking, self._message(WITHDRAW, self._withdrawal)] if self._withdrawal else asking

    def _message(self, verb: str, content: Value) -> LaneMessage:
        return LaneMessage(subject=self._subject, verb=verb, content=content.model_dump(mode="json"))

    def _policy(self, proposal: Proposal) -> Policy:
        return proposal.terms.approval.escalated(self._escalated).policy(proposal.release)

    def _standing(self, proposal: Proposal) -> Standing:
        return standing(self._policy(proposal), self._asked.requester, proposal.plan.intent, self._decisions)

    def _is_under_way(self) -> bool:
        return self._log.phase is Phase.IN_LANE

    def _is_turned_down(self) -> bool:
        return self._proposal is not None and self._standing(self._proposal) is Standing.REJECTED

    def _who_rejected(self) -> str:
        votes = [vote for vote in self._decisions if vote.verdict is Verdict.REJECT]
        if votes:
            why = votes[-1].comment or "no reason given"
            return f"{votes[-1].actor} rejected plan {short(votes[-1].intent)}: {why}"
        return "rejected"

    def details(self) -> str:
        return tell_promotion(self.status(), workflow.info().namespace)


def _to_show(vote: Decision) -> Decision:
    """What an effect judges a decision by: of the comment nothing, unless it was signed with the rest."""
    return vote if vote.signature else vote.but(comment="")
