"""A release asks to be let into an environment."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ASK, ErrandActivities, Hearing, LaneMessage, ThawRequest
    from domain.actor import Actor, Channel
    from domain.answer import Answer, Done, NotBegun, Undone
    from domain.approval import Standing
    from domain.doors import say_too_late
    from domain.drawing import say_plan
    from domain.gate import say_observing
    from domain.names import (
        ACTOR,
        ENVIRONMENT,
        OUTCOME,
        PHASE,
        RELEASE,
        SERVICE,
        STORY,
        effects_queue,
    )
    from domain.order import order_drawing
    from domain.outcome import Outcome, Phase
    from domain.record import JudgementRecord, OutcomeRecord, OverrideRecord, ProposalRecord, RequestRecord
    from domain.refusal import Cause, Refusal, end_by
    from domain.statement import matter_of
    from domain.status import Report
    from domain.terms import EscalationTerms, Proposal, Story
    from domain.value import say_duration
    from workflows import patience
    from workflows.chronicle import publish
    from workflows.doorkeeper import read_request, read_value, why_cancelled
    from workflows.emergency import alarm_for, until_delivered
    from workflows.errand import errand
    from workflows.promotion_doors import Carried, Ending, PromotionDoors
    from workflows.silence import notice_silence
    from workflows.steering import wants_new_run
    from workflows.undisturbed import heed_cancel


SAYS_LOST: Final = "says-lost"
"""A patch: a promotion whose change was lost and put back said of that only how healthy was what stood before."""
RECORDED_LATER: Final = "heard-later"
"""A patch: an older run that was refused by a worker which came late left its record open."""


# A proposal that does not parse has to fail the workflow: a task that fails would hold the lane for ever.
@workflow.defn(failure_exception_types=[ValidationError])
class PromotionWorkflow(PromotionDoors):
    """A release asks to enter: terms and plan, validation, approval; then its lane has the change made."""

    # The story.

    @workflow.run
    async def run(self, request: Any = None, carried: Any = None) -> Report:
        self._begin(request, carried)
        self._books.begin()
        try:
            ending = await self._tell()
        except (asyncio.CancelledError, ActivityError) as stop:
            ending = await self._stopped(stop)
        self._ending = ending
        await until_delivered(self._alarm)
        report = self._end(ending)
        if not (self._is_unrecorded or (ending.answer and ending.answer.recorded)):
            await self._books.close()
        return report

    async def _tell(self) -> Ending:
        while True:
            proposal = self._proposal or await self._draw_up()
            if ending := self._judged(proposal):
                return ending
            self._alarm = self._alarm or alarm_for(proposal)
            match await self._wait_for_approval(proposal):
                case Standing.REJECTED:
                    return self._turned_down()
                case Standing.PENDING:
                    return Ending(outcome=Outcome.EXPIRED, why="nobody decided in time, and silence is a no")
                case Standing.GRANTED if proposal.terms.observe_only:
                    return self._only_observed(proposal)
                case Standing.GRANTED:
                    answer = await self._have_it_made()
            if ending := await self._heed(answer):
                return ending

    async def _heed(self, answer: Answer) -> Ending | None:
        """It was done, or undone; or nothing was touched, and then it is for us to wait, ask again, or end."""
        match answer:
            case NotBegun() if self._is_turned_down():
                return self._turned_down()
            case Done():
                return Ending(outcome=answer.outcome, why=self._what_was_found(answer), answer=answer)
            case Undone():
                return Ending(outcome=answer.outcome, why=answer.why, answer=answer)
            case NotBegun(refusal=Refusal(cause=Cause.GATE) as closed):
                await self._wait_for_gate(closed)
                return None
            case NotBegun(refusal=Refusal(cause=Cause.VOID, why=why)):
                self._draw_up_anew(why)
                return None
            case NotBegun(refusal=Refusal(cause=cause, why=why)):
                return Ending(outcome=end_by(cause), why=why)

    async def _stopped(self, stop: BaseException) -> Ending:
        """Somebody cancelled. What is under way is undone first, and its outcome is ours."""
        if isinstance(stop, ActivityError) and not is_cancelled_exception(stop):
            raise stop
        self._stopping = True
        why = why_cancelled() or "cancelled"
        somebody = Actor(name="somebody who cancelled the workflow", channel=Channel.ENGINE)
        self._log.record(OverrideRecord(at=workflow.now(), actor=somebody, did="cancel", comment=why))
        if self._log.phase is not Phase.IN_LANE:
            return Ending(outcome=Outcome.CANCELLED, why=why)
        await self._send(self._withdraw(why))
        match await self._follow():
            case Done(outcome=Outcome.PROMOTED | Outcome.NOTHING_TO_DO) as done:
                return Ending(outcome=done.outcome, why="the cancel came too late: it was done", answer=done)
            case Done() as settled:
                return Ending(outcome=settled.outcome, why=self._what_was_found(settled), answer=settled)
            case Undone() as undone:
                return Ending(outcome=undone.outcome, why=undone.why, answer=undone)
            case NotBegun():
                return Ending(outcome=Outcome.CANCELLED, why=why)

    # Its chapters.

    async def _draw_up(self) -> Proposal:
        """Have the environment's own worker draw up terms and plan; say so where nobody does."""
        self._log.enter(Phase.PREPARING, f"the terms of {self._subject.environment}")
        queue = effects_queue(self._subject.environment)
        piece = self._books.piece()
        drawing = workflow.start_activity_method(
            EffectActivities.draw_up,
            order_drawing(self._asked, piece),
            task_queue=queue,
            start_to_close_timeout=patience.DRAWING_UP,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            summary=f"draw up terms and plan for {self._version} in {self._subject.environment}",
        )
        try:
            await workflow.wait_condition(drawing.done, timeout=patience.NOTICE_AFTER)
        except TimeoutError:
            await notice_silence(self._log, ErrandActivities.why_silent, self._id, queue)
            heed_cancel()
        self._sealed = await drawing
        self._books.kept(piece)
        self._proposal = Proposal.model_validate_json(self._sealed.text)
        self._note_proposal(self._proposal)
        return self._proposal

    def _judged(self, proposal: Proposal) -> Ending | None:
        """The validation: refused with every reason at once, or nothing to do, or go on."""
        refusals = proposal.refusals
        self._note_judgement("validation", *(refusals or proposal.notes), passed=not refusals)
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
        self._log.enter(Phase.WAITING_FOR_APPROVAL, str(approval.escalated(self._escalated)))
        publish({PHASE: Phase.WAITING_FOR_APPROVAL})
        since = self._waiting_since = self._waiting_since or workflow.now()
        for escalation in approval.escalate[self._escalated :]:
            if escalation.after >= approval.wait:
                break
            if not await self._decided_until(proposal, since + escalation.after):
                self._escalate(proposal, escalation)
        await self._decided_until(proposal, since + approval.wait)
        return self._standing(proposal)

    async def _decided_until(self, proposal: Proposal, deadline: datetime) -> bool:
        with suppress(TimeoutError):
            await self._wait_until(
                lambda: self._standing(proposal) is not Standing.PENDING, deadline, "approval"
            )
        return self._standing(proposal) is not Standing.PENDING

    def _escalate(self, proposal: Proposal, escalation: EscalationTerms) -> None:
        """Nobody has decided for too long: more people may."""
        self._escalated += 1
        waited = say_duration(escalation.after)
        self._note_judgement("escalation", f"after {waited}, {escalation} may decide too", passed=True)
        approval = proposal.terms.approval.escalated(self._escalated)
        self._log.enter(Phase.WAITING_FOR_APPROVAL, str(approval))

    def _draw_up_anew(self, why: str) -> None:
        """What was approved no longer fits: people see a new plan before anything happens."""
        self._note_judgement("clearance", why, passed=False)
        self._proposal, self._waiting_since, self._escalated = None, None, 0

    async def _have_it_made(self) -> Answer:
        """Ask the lane, and follow until it answers."""
        self._number += 1
        self._has_news = False
        self._log.enter(
            Phase.IN_LANE, f"its turn in the lane of {self._subject}", f"towpath status {self._id}"
        )
        self._is_published = False
        self._sent = self._ask()
        self._mark = self._sent.mark
        await self._send(self._message(ASK, self._sent))
        return await self._follow()

    async def _follow(self) -> Answer:
        """Wait for the lane's answer, and pass on what people say to the change meanwhile. No deadline runs here."""
        while True:
            # A cancel that came while something was being sent has not been raised anywhere.
            if workflow.cancellation_reason() is not None and not self._stopping:
                raise asyncio.CancelledError
            await self._wait_for_word()
            while self._outbox:
                await self._send(self._outbox.pop(0))
            if self._has_news and (answer := await self._ask_back()):
                return answer

    async def _wait_for_word(self) -> None:
        """Wait for the lane or for people. A short stay in the lane is not published: that would cost the most."""
        patiently = None if self._is_published else patience.PUBLISH_AFTER
        try:
            await workflow.wait_condition(
                lambda: self._has_news or bool(self._outbox), timeout=patiently, timeout_summary="in the lane"
            )
        except TimeoutError:
            self._is_published = True
            publish({PHASE: Phase.IN_LANE})

    async def _ask_back(self) -> Answer | None:
        """Believe the lane's own word only. Where it has none, the news was false, or the lane forgot us."""
        self._has_news = False
        hearing = Hearing(subject=self._subject, asker=self._id, number=self._number, ask=self._mark)
        if told := await errand(ErrandActivities.hear_lane, hearing, "what does the lane say?"):
            return told.answer
        self.refused("told", f"the lane of {self._subject} says nothing of the kind")
        for message in self._said_to_lane():
            await self._send(message)
        return None

    async def _wait_for_gate(self, closed: Refusal) -> None:
        """A gate was closed when the change was to begin. Whoever closed it tells us when it opens."""
        self._note_judgement("clearance", closed.why, passed=False)
        self._log.enter(Phase.WAITING_FOR_GATE, closed.why, closed.remedy)
        publish({PHASE: Phase.WAITING_FOR_GATE})
        self._gate_opened = False
        if closed.planned:
            await self._wait_for_opening(closed.opens)
            return
        request = ThawRequest(environment=self._subject.environment, asker=self._id)
        if await errand(ErrandActivities.hear_of_thaw, request, "be told when the gate opens"):
            heed_cancel()
            await workflow.wait_condition(lambda: self._gate_opened or self._is_turned_down())

    async def _wait_for_opening(self, opens: datetime | None) -> None:
        opens = opens or workflow.now() + patience.LOOK_AGAIN
        left = max(opens - workflow.now(), timedelta()) + patience.CLOCKS_DIFFER
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._gate_opened or self._is_turned_down(),
                timeout=left,
                timeout_summary="the gate opens",
            )

    def _only_observed(self, proposal: Proposal) -> Ending:
        """All was judged and nothing is done: what the effect would refuse is not even asked for."""
        why = f"{say_observing(self._subject.environment)}. It would have been: {say_plan(proposal.plan)}"
        return Ending(outcome=Outcome.NOTHING_TO_DO, why=why)

    def _turned_down(self) -> Ending:
        return Ending(outcome=Outcome.REJECTED, why=self._who_rejected())

    def _what_was_found(self, done: Done) -> str:
        """What the checks said; of a change that was lost, that; and of a rejection that came too late, that it did."""
        found = "; ".join(done.evidence)
        if done.outcome is Outcome.ROLLED_BACK and workflow.patched(SAYS_LOST):
            found = f"its change was lost, and what that had begun was put back: {found}"
        if not self._is_turned_down():
            return found
        self.refused("reject", f"{self._who_rejected()}. {say_too_late(self._subject)}")
        return f"{found}; {self._who_rejected()}, when the change had begun".removeprefix("; ")

    # Its beginning and its end.

    def _begin(self, request: object, carried: object) -> None:
        """Check how it was started: its id and the request agree."""
        self._request = read_request(request, "promotion")
        if carried is not None:
            self._carry_on(read_value(carried, Carried))
        else:
            self._log.record(RequestRecord(at=workflow.now(), request=self._request))

    def _carry_on(self, carried: Carried) -> None:
        self._sealed = carried.sealed
        self._proposal = Proposal.model_validate_json(carried.sealed.text)
        self._decisions = carried.decisions
        self._number = carried.number
        self._asked_at = carried.asked_at or self._asked_at
        self._waiting_since, self._escalated = carried.waiting_since, carried.escalated
        self._log.remember(carried.memory)

    def _end(self, ending: Ending) -> Report:
        self._log.record(OutcomeRecord(at=workflow.now(), outcome=ending.outcome, why=ending.why))
        was_silent = self._log.phase is Phase.NO_WORKER
        # A worker that came later, and has drawn up the terms, keeps the record too.
        self._is_unrecorded = was_silent and not (self._proposal and workflow.patched(RECORDED_LATER))
        self._log.enter(Phase.ENDED)
        publish(
            {
                SERVICE: self._subject.service,
                ENVIRONMENT: self._subject.environment,
                STORY: Story.PROMOTION,
                RELEASE: self._version,
                ACTOR: self._asked.actor.name,
                PHASE: Phase.ENDED,
                OUTCOME: ending.outcome,
            }
        )
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

    # Waiting and asking.

    async def _wait_until(self, ready: Callable[[], bool], deadline: datetime, what: str) -> None:
        """Wait, across as many runs as it takes, until it is ready; ``TimeoutError`` past the deadline."""
        left = max(deadline - workflow.now(), timedelta())
        await workflow.wait_condition(
            lambda: ready() or (wants_new_run() and not self._checking), timeout=left, timeout_summary=what
        )
        if not ready() and self._sealed and self._waiting_since:
            carried = Carried(
                sealed=self._sealed,
                decisions=self._decisions,
                number=self._number,
                asked_at=self._asked_at,
                escalated=self._escalated,
                waiting_since=self._waiting_since,
                memory=self._log.memory,
            )
            workflow.continue_as_new(args=[self._asked, carried])

    async def _send(self, message: LaneMessage) -> None:
        await errand(ErrandActivities.ask_lane, message, f"{message.verb}: the lane of {self._subject}")

    def _note_judgement(self, of: str, *sentences: str, passed: bool) -> None:
        record = JudgementRecord(at=workflow.now(), of=of, passed=passed, sentences=sentences)
        self._log.record(record)

    def _note_proposal(self, proposal: Proposal) -> None:
        matter, policy = matter_of(proposal), self._policy(proposal)
        self._log.record(ProposalRecord(at=workflow.now(), matter=matter, policy=policy))
