"""A release asks to be let into an environment."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from workflows.doorkeeper import BadStartError, RefusedError, read_message, read_value

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ASK, STEER, WITHDRAW, ErrandActivities, LaneMessage, ThawRequest
    from domain.actor import Actor, Channel
    from domain.answer import Answer, Ask, Done, NotBegun, Order, Told, Undone, Withdrawal
    from domain.approval import Answer as Said
    from domain.approval import DecideAnswer, Decision, Policy, Standing, Verdict, standing, why_not_counted
    from domain.clearance import Cause, Refusal
    from domain.doors import Does, Signal, Word, at_promotion
    from domain.names import (
        ACTOR,
        ENVIRONMENT,
        OUTCOME,
        PHASE,
        RELEASE,
        SERVICE,
        STORY,
        Subject,
        effects_queue,
        promotion_id,
        read_id,
    )
    from domain.outcome import Outcome, Phase
    from domain.record import DecisionRecord, JudgementRecord, OutcomeRecord, OverrideRecord
    from domain.status import PromotionStatus, Report
    from domain.telling import tell_promotion
    from domain.terms import Proposal, Request, Sealed, Story
    from domain.value import Value, short
    from workflows import patience
    from workflows.chronicle import Chronicle, Memory, publish
    from workflows.undisturbed import undisturbed


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
    waiting_since: datetime
    memory: Memory


@workflow.defn
class PromotionWorkflow:
    """A release asks to enter: terms and plan, validation, approval; then its lane has the change made."""

    def __init__(self) -> None:
        names = workflow.info().workflow_id.split("/")
        service, environment, version = (*names[1:4], "", "", "")[:3]
        self._subject = Subject.model_construct(service=service, environment=environment)
        self._version = version
        self._request: Request | None = None
        self._sealed: Sealed | None = None
        self._proposal: Proposal | None = None
        self._decisions: tuple[Decision, ...] = ()
        self._rejected: Actor | None = None
        self._number = 0
        self._waiting_since: datetime | None = None
        self._answer: Answer | None = None
        self._orders: list[LaneMessage] = []
        self._gate_opened = False
        self._stopping = False
        self._ending: Ending | None = None
        self._log = Chronicle(Phase.PREPARING, self._details)

    # The story.

    @workflow.run
    async def run(self, request: Any = None, carried: Any = None) -> Report:  # noqa: ANN401 - refused in words, not by type
        self._begin(request, carried)
        try:
            ending = await self._tell()
        except (asyncio.CancelledError, ActivityError) as stop:
            ending = await self._stopped(stop)
        return self._end(ending)

    async def _tell(self) -> Ending:
        while True:
            proposal = self._proposal or await self._draw_up()
            if proposal is None:
                return Ending(outcome=Outcome.REJECTED, why=self._who_rejected())
            if ending := self._judged(proposal):
                return ending
            match await self._wait_for_approval(proposal):
                case Standing.REJECTED:
                    return Ending(outcome=Outcome.REJECTED, why=self._who_rejected())
                case Standing.PENDING:
                    return Ending(outcome=Outcome.EXPIRED, why="nobody decided in time, and silence is a no")
                case Standing.GRANTED:
                    answer = await self._have_it_made(proposal)
            match answer:
                case Done():
                    return Ending(outcome=answer.outcome, why="; ".join(answer.evidence), answer=answer)
                case Undone():
                    return Ending(outcome=answer.outcome, why=answer.why, answer=answer)
                case NotBegun(refusal=refusal):
                    if ending := await self._face(refusal):
                        return ending

    async def _face(self, refusal: Refusal) -> Ending | None:
        """Nothing was touched: wait for the gate, draw up a new plan, or end."""
        self._log.record(JudgementRecord(at=workflow.now(), of="clearance", passed=False, sentences=(refusal.why,)))
        match refusal.cause:
            case Cause.GATE:
                return await self._wait_for_gate(refusal.why)
            case Cause.VOID:
                self._proposal, self._waiting_since = None, None
                return None
            case Cause.GONE | Cause.UNANSWERED:
                return Ending(outcome=Outcome.CANCELLED, why=refusal.why)
            case Cause.FORBIDDEN:
                return Ending(outcome=Outcome.REFUSED, why=refusal.why)

    async def _stopped(self, stop: BaseException) -> Ending:
        """Somebody cancelled. What is under way is undone first, and its outcome is ours."""
        if isinstance(stop, ActivityError) and not is_cancelled_exception(stop):
            raise stop
        self._stopping = True
        why = workflow.cancellation_reason() or "cancelled"
        self._log.record(OverrideRecord(at=workflow.now(), actor=_somebody(), did="cancel", comment=why))
        if self._log.phase is not Phase.IN_LANE:
            return Ending(outcome=Outcome.CANCELLED, why=why)
        await self._ask_lane(WITHDRAW, Withdrawal(asker=self._id, number=self._number, reason=why))
        answer = await self._follow()
        match answer:
            case Done():
                return Ending(outcome=answer.outcome, why="the cancel came too late: it was done", answer=answer)
            case Undone():
                return Ending(outcome=answer.outcome, why=answer.why, answer=answer)
            case NotBegun():
                return Ending(outcome=Outcome.CANCELLED, why=why)

    # Its chapters.

    async def _draw_up(self) -> Proposal | None:
        """Have the environment's own worker draw up terms and plan; say so where it has none. None: rejected before."""
        self._log.enter(Phase.PREPARING, f"the terms of {self._subject.environment}")
        queue = effects_queue(self._subject.environment)
        drawing = workflow.start_activity_method(
            EffectActivities.draw_up,
            self._asked,
            task_queue=queue,
            start_to_close_timeout=patience.DRAWING_UP,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            summary=f"draw up terms and plan for {self._version} in {self._subject.environment}",
        )
        await self._unless_rejected(drawing, patience.NOTICE_AFTER)
        if not drawing.done() and not await self._polled(queue):
            self._log.enter(
                Phase.NO_WORKER,
                f"a worker for {self._subject.environment}: nobody asks {queue} for work",
                f"towpath worker --environments {self._subject.environment}",
            )
            publish({PHASE: Phase.NO_WORKER})
        await self._unless_rejected(drawing, None)
        if not drawing.done():
            drawing.cancel()
            return None
        self._sealed = drawing.result()
        self._proposal = Proposal.model_validate_json(self._sealed.body)
        return self._proposal

    def _judged(self, proposal: Proposal) -> Ending | None:
        """The validation: refused with every reason at once, or nothing to do, or go on."""
        refusals = proposal.refusals
        self._log.record(
            JudgementRecord(at=workflow.now(), of="validation", passed=not refusals, sentences=refusals or proposal.notes)
        )
        if refusals:
            return Ending(outcome=Outcome.REFUSED, why="; ".join(refusals))
        if proposal.nothing_to_do:
            return Ending(outcome=Outcome.NOTHING_TO_DO, why=proposal.nothing_to_do)
        return None

    async def _wait_for_approval(self, proposal: Proposal) -> Standing:
        verdict = self._standing(proposal)
        if verdict is not Standing.PENDING:
            return verdict
        approval = proposal.terms.approval
        waiting_since = self._waiting_since or workflow.now()
        self._waiting_since = waiting_since
        who = ", ".join(approval.approvers) or "nobody, since its groups are empty"
        self._log.enter(Phase.WAITING_FOR_APPROVAL, f"{approval.quorum} of: {who}")
        publish({PHASE: Phase.WAITING_FOR_APPROVAL})
        try:
            await self._wait_until(
                lambda: self._standing(proposal) is not Standing.PENDING, waiting_since + approval.wait, "approval"
            )
        except TimeoutError:
            return Standing.PENDING
        return self._standing(proposal)

    async def _have_it_made(self, proposal: Proposal) -> Answer:
        """Ask the lane, and follow until it answers."""
        self._number += 1
        self._answer = None
        self._log.enter(Phase.IN_LANE, f"its turn in the lane of {self._subject}", f"towpath status {self._id}")
        publish({PHASE: Phase.IN_LANE})
        await self._ask(proposal)
        return await self._follow()

    async def _ask(self, proposal: Proposal) -> None:
        ask = Ask(
            asker=self._id,
            number=self._number,
            intent=proposal.plan.intent,
            request=self._asked,
            proposal=self._sealed,
            decisions=self._decisions,
        )
        await self._ask_lane(ASK, ask)

    async def _follow(self) -> Answer:
        """Wait for the lane's answer, passing on what people say to the change meanwhile. No clock runs here."""
        while self._answer is None:
            # A cancel that came while something was being sent has not been raised anywhere.
            if workflow.cancellation_reason() is not None and not self._stopping:
                raise asyncio.CancelledError
            await workflow.wait_condition(lambda: self._answer is not None or bool(self._orders))
            while self._orders:
                await self._send(self._orders.pop(0))
        return self._answer

    async def _wait_for_gate(self, why: str) -> Ending | None:
        """A gate was closed when the change was to begin. Whoever closed it tells us when it opens."""
        self._log.enter(Phase.WAITING_FOR_GATE, why, f"towpath thaw {self._subject.environment} --by you@example.com")
        publish({PHASE: Phase.WAITING_FOR_GATE})
        self._gate_opened = False
        request = ThawRequest(environment=self._subject.environment, asker=self._id)
        heard = await workflow.execute_local_activity_method(
            ErrandActivities.hear_of_thaw,
            request,
            start_to_close_timeout=patience.ERRAND,
            retry_policy=patience.TRY_SOON,
        )
        if heard:
            await workflow.wait_condition(lambda: self._gate_opened or self._rejected is not None)
        return Ending(outcome=Outcome.REJECTED, why=self._who_rejected()) if self._rejected else None

    # Its doors.

    @workflow.signal(description='Let it in. Input: {"by": "you@example.com", "comment": "", "plan": "first 8 of the plan"}')
    def approve(self, raw: RawValue) -> None:
        self._decide(Verdict.APPROVE, read_message(raw, Said), Channel.SIGNAL)

    @workflow.signal(description='Do not let it in. Input: {"by": "you@example.com", "comment": "why", "plan": "first 8"}')
    def reject(self, raw: RawValue) -> None:
        self._decide(Verdict.REJECT, read_message(raw, Said), Channel.SIGNAL)

    @workflow.update(
        description='Approve or reject, and hear what comes of it. Input: {"by": "…", "decision": "approve", "plan": "…"}'
    )
    def decide(self, raw: RawValue) -> str:
        said = read_message(raw, DecideAnswer)
        self._decide(said.decision, said, Channel.UPDATE)
        return f"{said.decision} by {said.by} of plan {said.plan} is taken"

    @decide.validator
    def _may_decide(self, raw: RawValue) -> None:
        try:
            said = read_message(raw, DecideAnswer)
            self._check(Signal(said.decision.value), said)
        except RefusedError as error:
            raise ApplicationError(str(error), type="Refused", non_retryable=True) from error

    @workflow.signal(description='Hold the change before its next step. Input: {"by": "you@example.com", "comment": ""}')
    def hold(self, raw: RawValue) -> None:
        self._steer(Signal.HOLD, read_message(raw, Word))

    @workflow.signal(description='Let a held change go on. Input: {"by": "you@example.com", "comment": ""}')
    def resume(self, raw: RawValue) -> None:
        self._steer(Signal.RESUME, read_message(raw, Word))

    @workflow.signal(description='Try what is stuck again. Input: {"by": "you@example.com", "comment": ""}')
    def retry(self, raw: RawValue) -> None:
        self._steer(Signal.RETRY, read_message(raw, Word))

    @workflow.signal(description='Leave what is stuck as it is. Input: {"by": "you@example.com", "comment": "why"}')
    def skip(self, raw: RawValue) -> None:
        self._steer(Signal.SKIP, read_message(raw, Word))

    @workflow.signal(description="For the lane: its answer")
    def told(self, raw: RawValue) -> None:
        told = read_value(workflow.payload_converter().from_payload(raw.payload, Any), Told)
        if self._log.phase is not Phase.IN_LANE or told.number != self._number:
            message = f"nothing with number {told.number} was asked of the lane"
            raise RefusedError(message)
        self._answer = told.answer

    @workflow.signal(description="For a newborn lane: it does not know who waited for the one before")
    def ask_again(self, _: RawValue) -> None:
        if self._log.phase is Phase.IN_LANE and self._proposal:
            ask = Ask(
                asker=self._id,
                number=self._number,
                intent=self._proposal.plan.intent,
                request=self._asked,
                proposal=self._sealed,
                decisions=self._decisions,
            )
            self._orders.append(self._message(ASK, ask))

    @workflow.signal(description="For the environment: the gate is open")
    def gate_opened(self, _: RawValue) -> None:
        self._gate_opened = True

    @workflow.signal(dynamic=True, description="Anything else is refused")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        message = f"there is no signal of this name; these there are: {', '.join(Signal)}"
        raise RefusedError(message)

    @workflow.query
    def status(self) -> PromotionStatus:
        proposal = self._proposal
        ending = self._ending
        return PromotionStatus(
            subject=self._subject,
            version=self._version,
            phase=self._log.phase,
            since=self._log.since,
            waits_for=self._log.waits_for,
            remedy=self._log.remedy,
            request=self._request,
            proposal=proposal,
            intent=proposal.plan.intent if proposal else None,
            decisions=self._decisions,
            refused=self._log.refused,
            number=self._number,
            turn=ending.answer.turn if ending and ending.answer else None,
            outcome=ending.outcome if ending else None,
            why=ending.why if ending else "",
            records=self._log.chain.records,
            head=self._log.chain.head,
        )

    def refused(self, door: str, why: str) -> None:
        self._log.refuse(door, why)

    def _decide(self, verdict: Verdict, said: Said, channel: Channel) -> None:
        """Take a decision, in whatever phase decisions are taken; judged here for comfort, at the effect for real."""
        self._check(Signal(verdict.value), said)
        actor = Actor(name=said.by, channel=channel)
        if self._proposal is None:
            self._rejected = actor
            return
        decision = Decision(
            actor=actor,
            verdict=verdict,
            intent=self._proposal.plan.intent,
            at=workflow.now(),
            comment=said.comment,
        )
        self._decisions = (*self._decisions, decision)
        self._log.record(DecisionRecord(at=workflow.now(), decision=decision))
        if verdict is Verdict.REJECT:
            self._rejected = actor

    def _check(self, signal: Signal, said: Said) -> None:
        does, why = at_promotion(self._log.phase, signal)
        if does is Does.REFUSE:
            raise RefusedError(why)
        if self._proposal is None or self._request is None:
            return
        intent = self._proposal.plan.intent
        if why := why_not_counted(self._policy(self._proposal), self._request.actor, said, intent):
            raise RefusedError(why)
        mine = Actor(name=said.by)
        votes = [vote for vote in self._decisions if vote.intent == intent and vote.actor.is_same_person(mine)]
        if votes and votes[-1].verdict == signal.value:
            message = f"{said.by} has said so already"
            raise RefusedError(message)

    def _steer(self, signal: Signal, word: Word) -> None:
        does, why = at_promotion(self._log.phase, signal)
        match does:
            case Does.REFUSE:
                raise RefusedError(why)
            case Does.TAKE:
                self._gate_opened = True
            case Does.PASS_ON:
                order = Order(signal=signal, by=word.by, comment=word.comment, asker=self._id)
                self._orders.append(self._message(STEER, order))
        actor = Actor(name=word.by, channel=Channel.SIGNAL)
        self._log.record(OverrideRecord(at=workflow.now(), actor=actor, did=signal, comment=word.comment))

    # What it is made of.

    @property
    def _id(self) -> str:
        return promotion_id(self._subject, self._version)

    @property
    def _asked(self) -> Request:
        if self._request is None:
            message = "A promotion that has not begun was asked what it asks for."
            raise BadStartError(message)
        return self._request

    def _begin(self, request: object, carried: object) -> None:
        """Check how it was started: the id says what it is about, the request must agree, nothing is carried by hand."""
        service, environment, version = read_id(workflow.info().workflow_id, "promotion", 3)
        self._subject, self._version = Subject(service=service, environment=environment), version
        asked = read_value(request, Request)
        if (asked.story, asked.subject, asked.version) != (Story.PROMOTION, self._subject, version):
            message = (
                f"The request is for {asked.version or 'no version'} of {asked.subject} ({asked.story}), "
                f"and the workflow id for {version} of {self._subject}."
            )
            raise BadStartError(message)
        if carried is not None and not workflow.info().continued_run_id:
            message = "State is carried over from an earlier run only, never by hand. Start it with the request alone."
            raise BadStartError(message)
        self._request = asked
        if carried is not None:
            self._carry_on(read_value(carried, Carried))
        self._log.show()

    def _carry_on(self, carried: Carried) -> None:
        self._sealed = carried.sealed
        self._proposal = Proposal.model_validate_json(carried.sealed.body)
        self._decisions = carried.decisions
        self._number = carried.number
        self._waiting_since = carried.waiting_since
        self._log.remember(carried.memory)

    def _end(self, ending: Ending) -> Report:
        self._ending = ending
        self._log.record(OutcomeRecord(at=workflow.now(), outcome=ending.outcome, why=ending.why))
        self._log.enter(Phase.ENDED)
        publish(self._attributes() | {PHASE: Phase.ENDED, OUTCOME: ending.outcome})
        return Report(
            subject=self._subject,
            version=self._version,
            outcome=ending.outcome,
            why=ending.why,
            turn=ending.answer.turn if ending.answer else None,
            after=ending.answer.after if ending.answer else {},
            evidence=ending.answer.evidence if isinstance(ending.answer, Done) else (),
            head=self._log.chain.head,
        )

    def _attributes(self) -> dict[str, str]:
        return {
            SERVICE: self._subject.service,
            ENVIRONMENT: self._subject.environment,
            STORY: Story.PROMOTION,
            RELEASE: self._version,
            ACTOR: self._asked.actor.name,
        }

    async def _wait_until(self, ready: Any, deadline: datetime, what: str) -> None:  # noqa: ANN401 - a condition
        """Wait, across as many runs as it takes, until it is ready or the deadline has passed (``TimeoutError``)."""
        left = max(deadline - workflow.now(), timedelta())
        await workflow.wait_condition(lambda: ready() or self._is_long(), timeout=left, timeout_summary=what)
        if not ready():
            self._go_on_in_a_new_run()

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() > patience.LONGEST_HISTORY

    def _go_on_in_a_new_run(self) -> None:
        if self._sealed is None or self._waiting_since is None:
            return
        carried = Carried(
            sealed=self._sealed,
            decisions=self._decisions,
            number=self._number,
            waiting_since=self._waiting_since,
            memory=self._log.memory,
        )
        workflow.continue_as_new(args=[self._asked, carried])

    async def _unless_rejected(self, task: asyncio.Task[Sealed], timeout: timedelta | None) -> None:
        try:
            await workflow.wait_condition(lambda: task.done() or self._rejected is not None, timeout=timeout)
        except TimeoutError:
            return

    async def _polled(self, queue: str) -> bool:
        pollers = await workflow.execute_local_activity_method(
            ErrandActivities.who_polls,
            queue,
            start_to_close_timeout=patience.ERRAND,
            retry_policy=patience.TRY_SOON,
        )
        return pollers > 0

    async def _ask_lane(self, verb: str, content: Value) -> None:
        await self._send(self._message(verb, content))

    async def _send(self, message: LaneMessage) -> None:
        await undisturbed(
            workflow.start_local_activity_method(
                ErrandActivities.ask_lane,
                message,
                start_to_close_timeout=patience.ERRAND,
                retry_policy=patience.TRY_SOON,
                summary=f"{message.verb} the lane of {self._subject}",
            )
        )

    def _message(self, verb: str, content: Value) -> LaneMessage:
        return LaneMessage(subject=self._subject, verb=verb, content=content.model_dump(mode="json"))

    def _policy(self, proposal: Proposal) -> Policy:
        approval = proposal.terms.approval
        return Policy(quorum=approval.quorum, approvers=approval.approvers, valid=approval.valid)

    def _standing(self, proposal: Proposal) -> Standing:
        return standing(self._policy(proposal), self._asked.actor, proposal.plan.intent, self._decisions)

    def _who_rejected(self) -> str:
        votes = [vote for vote in self._decisions if vote.verdict is Verdict.REJECT]
        if votes:
            return f"{votes[-1].actor} rejected plan {short(votes[-1].intent)}: {votes[-1].comment or 'no reason given'}"
        return f"{self._rejected} rejected it before there was a plan" if self._rejected else "rejected"

    def _details(self) -> str:
        return tell_promotion(self.status())


def _somebody() -> Actor:
    return Actor(name="somebody who cancelled the workflow", channel=Channel.ENGINE)
