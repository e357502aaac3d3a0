"""What is really done to an environment, and undone."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutError as TimedOut
from temporalio.exceptions import is_cancelled_exception

from workflows.doorkeeper import BadStartError, RefusedError, read_message, read_value

with workflow.unsafe.imports_passed_through():
    from activities.clearance import NOT_CLEARED
    from activities.effects import EffectActivities
    from activities.errands import AWAKE, STUCK, ErrandActivities, LaneMessage
    from domain.actor import Actor, Channel
    from domain.answer import Answer, Done, NotBegun, Stuck, Undone
    from domain.clearance import Cause, Refusal, Warrant
    from domain.doors import Does, Signal, Word, at_change
    from domain.drawing import outcome_of
    from domain.environment import Holding
    from domain.fence import Fence
    from domain.journal import Evidence, Settled
    from domain.names import OUTCOME, PHASE, Subject, effects_queue, lane_id, read_id
    from domain.order import Account, Call, Left, LookOrder, Performed, StepOrder
    from domain.outcome import Outcome, Phase
    from domain.plan import Deed, Plan, Step, put_back
    from domain.record import EffectRecord, JudgementRecord, OutcomeRecord, OverrideRecord
    from domain.status import ChangeStatus
    from domain.telling import tell_change
    from domain.terms import Proposal, Sealed, Story
    from domain.value import say_duration
    from workflows import patience
    from workflows.chronicle import Chronicle, publish
    from workflows.undisturbed import undisturbed


class Trouble(Exception):  # noqa: N818 - it is what the story calls it
    """The change cannot go on, and has to be undone. ``refusal`` where its environment did not let it in."""

    def __init__(self, why: str, outcome: Outcome = Outcome.ROLLED_BACK, refusal: Refusal | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.outcome = outcome
        self.refusal = refusal


class Looked(NamedTuple):
    """What a look at the health said."""

    passed: bool
    sentences: tuple[str, ...]


@workflow.defn
class ChangeWorkflow:
    """The critical section: a plan's steps one by one, health, soak, receipt; or everything put back."""

    def __init__(self) -> None:
        self._subject, self._turn = _about(workflow.info().workflow_id)
        self._warrant = Warrant.model_construct(asker="", turn=self._turn)
        self._proposal: Proposal | None = None
        self._begun: list[Deed] = []
        self._skipped: list[str] = []
        self._evidence: list[Sealed] = []
        self._act = 0
        self._began = workflow.now()
        self._paused = timedelta()
        self._held = False
        self._undoing = False
        self._said: Signal | None = None
        self._stuck_on: Fence | None = None
        self._log = Chronicle(Phase.PREPARING, self._details)

    # The story.

    @workflow.run
    async def run(self, warrant: Any = None, carried: Any = None) -> Answer:  # noqa: ANN401 - refused in words, not by type
        self._begin(warrant, carried)
        answer = await self._tell()
        return self._end(answer)

    async def _tell(self) -> Answer:
        try:
            proposal = await self._draw_up()
        except Trouble as trouble:
            return await self._not_begun(trouble)
        if unneeded := self._unneeded(proposal):
            return unneeded
        try:
            await self._walk(proposal.plan)
            await self._see_it_well(proposal)
            await self._soak(proposal)
            return await self._account_for_it(proposal)
        except Trouble as trouble:
            if trouble.refusal and not self._begun:
                return await self._not_begun(trouble)
            return await self._put_it_back(proposal, trouble)

    async def _put_it_back(self, proposal: Proposal, trouble: Trouble) -> Answer:
        """Undo what was begun, newest first; see that what is back is well; account for it."""
        self._log.record(JudgementRecord(at=workflow.now(), of="change", passed=False, sentences=(trouble.why,)))
        self._undoing = True
        undo = put_back(proposal.plan, self._begun)
        await self._walk(undo)
        self._evidence.clear()
        await self._see_it_well(proposal.but(plan=undo))
        outcome = Outcome.SETTLED_BY_HAND if self._skipped else trouble.outcome
        left = await self._leave_receipt(Settled.UNDONE, outcome, trouble.why)
        return Undone(turn=self._turn, outcome=outcome, why=trouble.why, after=left.after)

    async def _account_for_it(self, proposal: Proposal) -> Answer:
        await self._unless_held()
        self._stop_if_cancelled()
        outcome = Outcome.SETTLED_BY_HAND if self._skipped else outcome_of(self._warrant.request.story)
        left = await self._leave_receipt(Settled.DONE, outcome, proposal.request.reason)
        return Done(turn=self._turn, outcome=outcome, after=left.after, evidence=left.evidence)

    async def _walk(self, plan: Plan) -> None:
        for step in plan.steps:
            self._act += 1
            fence = Fence(turn=self._turn, act=self._act)
            await (self._do(step, fence) if step.may_give_up else self._undo(step, fence))

    # Its chapters.

    async def _draw_up(self) -> Proposal:
        """Take the proposal that was approved, or have one drawn up where nobody needed to approve any."""
        if self._warrant.proposal is None:
            self._log.enter(Phase.PREPARING, "its plan")
            try:
                sealed = await workflow.execute_activity_method(
                    EffectActivities.draw_up,
                    self._warrant.request,
                    task_queue=self._queue,
                    start_to_close_timeout=patience.DRAWING_UP,
                    heartbeat_timeout=patience.HEARTBEAT,
                    retry_policy=patience.TRY_SOON,
                    summary=f"draw up the {self._warrant.request.story} of {self._subject}",
                )
            except (ActivityError, asyncio.CancelledError) as failure:
                raise _trouble(failure) from failure
            self._warrant = self._warrant.but(proposal=sealed)
        if self._warrant.proposal is None:
            message = "A change needs a proposal."
            raise BadStartError(message)
        self._proposal = Proposal.model_validate_json(self._warrant.proposal.body)
        return self._proposal

    def _unneeded(self, proposal: Proposal) -> Answer | None:
        if proposal.refusals:
            refusal = Refusal(cause=Cause.FORBIDDEN, why="; ".join(proposal.refusals))
            return NotBegun(turn=self._turn, refusal=refusal)
        if proposal.nothing_to_do:
            return Done(turn=self._turn, outcome=Outcome.NOTHING_TO_DO, evidence=(proposal.nothing_to_do,))
        return None

    async def _do(self, step: Step, fence: Fence) -> None:
        """Do a step that may give up. It is noted first: a deed that dies halfway needs undoing too."""
        await self._unless_held()
        if not self._begun:
            self._began = workflow.now()
        self._log.enter(Phase.DEPLOYING, str(step))
        self._begun.append(Deed(step=step, fence=fence))
        left = self._budget_left()
        try:
            performed = await workflow.execute_activity_method(
                EffectActivities.perform,
                StepOrder(warrant=self._warrant, step=step, act=fence.act),
                task_queue=self._queue,
                start_to_close_timeout=left,
                schedule_to_close_timeout=left,
                heartbeat_timeout=patience.HEARTBEAT,
                retry_policy=patience.TRY_WITHIN_BUDGET if step.repeatable else patience.TRY_ONCE,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"{step} [fence {fence}]",
            )
        except (ActivityError, asyncio.CancelledError) as failure:
            trouble = _trouble(failure)
            if trouble.refusal and not _is_journaled(failure):
                self._begun.pop()
            raise trouble from failure
        self._note(fence, performed)
        self._stop_if_cancelled()

    async def _undo(self, step: Step, fence: Fence) -> None:
        """Undo a step, for ever: until it is undone, or a person says to leave it."""
        order = StepOrder(warrant=self._warrant, step=step, act=fence.act)
        while True:
            self._log.enter(Phase.UNDOING, str(step))
            undoing = workflow.start_activity_method(
                EffectActivities.perform,
                order,
                task_queue=self._queue,
                start_to_close_timeout=patience.UNDOING,
                heartbeat_timeout=patience.HEARTBEAT,
                retry_policy=patience.NEVER_GIVE_UP if step.repeatable else patience.TRY_ONCE,
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"undo: {step} [fence {fence}]",
            )
            why = await self._outcome_of_undo(undoing)
            if why is None:
                self._note(fence, undoing.result())
                return
            said = await self._ask_person(f"{step} could not be undone: {why}", fence, undoing)
            if said is None:
                continue
            undoing.cancel()
            await workflow.wait_condition(undoing.done)
            if undoing.done() and not undoing.cancelled() and undoing.exception() is None:
                self._note(fence, undoing.result())
                return
            if said is Signal.SKIP:
                self._skipped.append(step.component)
                return

    async def _see_it_well(self, proposal: Proposal) -> None:
        """Check the health of what should stand there now. What is sick after an undo needs a person."""
        while proposal.terms.health and proposal.plan.steps:
            self._log.enter(Phase.CHECKING_HEALTH, "the health checks")
            looked = await self._look(EffectActivities.check_health, proposal.plan.after, self._budget_for(proposal))
            if looked.passed:
                self._stop_if_cancelled()
                return
            why = "; ".join(looked.sentences)
            if _goes_forward(proposal.plan):
                raise Trouble(f"it is not healthy: {why}")
            self._evidence.clear()
            if await self._ask_person(f"what was put back is not healthy: {why}", None, None) is Signal.SKIP:
                self._skipped.extend(step.component for step in proposal.plan.steps)
                return

    async def _soak(self, proposal: Proposal) -> None:
        soak = proposal.terms.soak
        if not soak:
            return
        self._log.enter(Phase.SOAKING, f"{say_duration(soak)} of good health")
        began = workflow.now()
        looked = await self._look(EffectActivities.soak, proposal.plan.after, soak + patience.UNDOING)
        self._paused += workflow.now() - began
        if not looked.passed:
            raise Trouble(f"it turned sick while it soaked: {'; '.join(looked.sentences)}")
        self._stop_if_cancelled()

    async def _look(self, verb: Any, expected: Mapping[str, Holding], within: timedelta) -> Looked:  # noqa: ANN401 - a verb
        order = LookOrder(warrant=self._warrant, expected=dict(expected), since=workflow.now())
        looking = workflow.start_activity_method(
            verb,
            order,
            task_queue=self._queue,
            start_to_close_timeout=within,
            schedule_to_close_timeout=within if self._is_forward() else None,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"is {self._subject} well?",
        )
        try:
            sealed = await (looking if self._is_forward() else undisturbed(looking))
        except (ActivityError, asyncio.CancelledError) as failure:
            if self._is_forward():
                raise _trouble(failure) from failure
            return Looked(passed=False, sentences=(_trouble(failure).why,))
        self._evidence.append(sealed)
        evidence = Evidence.model_validate_json(sealed.body)
        record = JudgementRecord(at=workflow.now(), of=evidence.kind, passed=evidence.passed, sentences=evidence.sentences)
        self._log.record(record)
        return Looked(evidence.passed, evidence.sentences)

    async def _leave_receipt(self, settled: Settled, outcome: Outcome, why: str) -> Left:
        account = Account(
            warrant=self._warrant,
            settled=settled,
            outcome=outcome,
            deeds=tuple(self._begun),
            skipped=tuple(dict.fromkeys(self._skipped)),
            evidence=tuple(self._evidence),
            healthy=not self._skipped,
            why=why,
            records=self._log.chain.head,
            began=self._began,
        )
        leaving = workflow.start_activity_method(
            EffectActivities.leave_receipt,
            account,
            task_queue=self._queue,
            start_to_close_timeout=patience.LEAVING_RECEIPT,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.NEVER_GIVE_UP,
            summary=f"leave the receipt of turn {self._turn}",
        )
        try:
            left = await undisturbed(leaving)
        except ActivityError as failure:
            raise _trouble(failure) from failure
        if not left.lane_listens:
            await self._wake_lane()
        return left

    async def _not_begun(self, trouble: Trouble) -> Answer:
        """Nothing was touched. Where nobody may be listening any more, a lane is woken to hear of it."""
        refusal = trouble.refusal or Refusal(cause=Cause.GONE, why=trouble.why)
        if refusal.cause is Cause.GONE:
            await self._wake_lane()
        return NotBegun(turn=self._turn, refusal=refusal)

    async def _wake_lane(self) -> None:
        await self._tell_lane(LaneMessage(subject=self._subject, verb=AWAKE))

    async def _say_stuck(self, *, stuck: bool) -> None:
        """Have the lane marked unsettled for as long as a person is needed."""
        self._log.show()
        publish({PHASE: self._log.phase})
        content = Stuck(turn=self._turn, stuck=stuck).model_dump(mode="json")
        await self._tell_lane(LaneMessage(subject=self._subject, verb=STUCK, content=content))

    async def _tell_lane(self, message: LaneMessage) -> None:
        waking = workflow.start_local_activity_method(
            ErrandActivities.ask_lane,
            message,
            start_to_close_timeout=patience.ERRAND,
            retry_policy=patience.TRY_SOON,
        )
        await undisturbed(waking)

    # Waiting for people.

    async def _unless_held(self) -> None:
        """Stop here while somebody holds the change, for as long as the terms allow."""
        if not self._held or self._proposal is None:
            return
        since, before = workflow.now(), self._log.phase
        self._log.enter(Phase.HELD, "somebody to resume it", f"towpath resume {self._subject.service} …")
        try:
            limit = self._proposal.terms.hold_limit
            await workflow.wait_condition(lambda: not self._held, timeout=limit, timeout_summary="held")
        except TimeoutError:
            raise Trouble(f"it was held for longer than {say_duration(self._proposal.terms.hold_limit)}") from None
        except asyncio.CancelledError as cancel:
            raise _trouble(cancel) from cancel
        self._paused += workflow.now() - since
        self._log.enter(before)

    async def _outcome_of_undo(self, undoing: "asyncio.Task[Performed]") -> str | None:
        """Wait for an undo for as long as nobody needs to be called. None: it is undone; else why it is not."""
        waiting = asyncio.create_task(
            workflow.wait_condition(undoing.done, timeout=patience.CALL_A_PERSON_AFTER, timeout_summary="undo")
        )
        try:
            await undisturbed(waiting)
        except TimeoutError:
            return f"it has been tried for {say_duration(patience.CALL_A_PERSON_AFTER)}, and is being tried on"
        failure = undoing.exception()
        return _trouble(failure).why if failure else None

    async def _ask_person(
        self, why: str, fence: Fence | None, meanwhile: "asyncio.Task[Performed] | None"
    ) -> Signal | None:
        """Call a person and wait: for what they say, or for the undo to succeed after all (None)."""
        self._said, self._stuck_on = None, fence
        verbs = f"{self._subject.service} --environment {self._subject.environment} --by you@example.com"
        remedy = f"towpath retry {verbs}\ntowpath skip {verbs}"
        self._log.enter(Phase.STUCK, why, remedy)
        await self._say_stuck(stuck=True)
        call = Call(
            subject=self._subject,
            headline=f"{self._subject} is unsettled: {why}",
            remedy=remedy,
            key=f"{workflow.info().workflow_id}/{self._act}",
        )
        calling = workflow.start_activity_method(
            ErrandActivities.call_person,
            call,
            start_to_close_timeout=patience.ERRAND,
            retry_policy=patience.NEVER_GIVE_UP,
            summary=f"call a person: {self._subject} is unsettled",
        )
        waiting = asyncio.create_task(workflow.wait_condition(lambda: self._said is not None or _succeeded(meanwhile)))
        await undisturbed(waiting)
        calling.cancel()
        self._stuck_on = None
        self._log.enter(Phase.UNDOING)
        await self._say_stuck(stuck=False)
        return self._said

    # Its doors.

    @workflow.signal(description='Hold before the next step. Input: {"by": "you@example.com", "comment": ""}')
    def hold(self, raw: RawValue) -> None:
        self._hear(Signal.HOLD, raw)
        self._held = True

    @workflow.signal(description='Go on. Input: {"by": "you@example.com", "comment": ""}')
    def resume(self, raw: RawValue) -> None:
        self._hear(Signal.RESUME, raw)
        self._held = False

    @workflow.signal(description='Try what is stuck again. Input: {"by": "you@example.com", "comment": ""}')
    def retry(self, raw: RawValue) -> None:
        self._hear(Signal.RETRY, raw)
        self._said = Signal.RETRY

    @workflow.signal(description='Leave what is stuck as it is. Input: {"by": "you@example.com", "comment": "why"}')
    def skip(self, raw: RawValue) -> None:
        self._hear(Signal.SKIP, raw)
        self._said = Signal.SKIP

    @workflow.signal(dynamic=True, description="Anything else is refused")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        message = "a change takes hold, resume, retry and skip; decisions go to its promotion"
        raise RefusedError(message)

    @workflow.query
    def status(self) -> ChangeStatus:
        return ChangeStatus(
            story=self._warrant.request.story if self._proposal else Story.PROMOTION,
            subject=self._subject,
            turn=self._turn,
            version=self._proposal.plan.version if self._proposal else "",
            phase=self._log.phase,
            since=self._log.since,
            waits_for=self._log.waits_for,
            remedy=self._log.remedy,
            stuck_on=self._stuck_on,
            refused=self._log.refused,
            records=self._log.chain.records,
            head=self._log.chain.head,
        )

    def refused(self, door: str, why: str) -> None:
        self._log.refuse(door, why)

    def _hear(self, signal: Signal, raw: RawValue) -> None:
        word = read_message(raw, Word)
        does, why = at_change(Phase.HELD if self._held and signal is Signal.RESUME else self._log.phase, signal)
        if does is Does.REFUSE:
            raise RefusedError(why)
        actor = Actor(name=word.by, channel=Channel.SIGNAL)
        self._log.record(OverrideRecord(at=workflow.now(), actor=actor, did=signal, comment=word.comment))

    # What it is made of.

    @property
    def _queue(self) -> str:
        return effects_queue(self._subject.environment)

    def _begin(self, warrant: object, carried: object) -> None:
        """Check how it was started: only a lane starts a change, under its own turn, with nothing carried by hand."""
        service, environment, turn = read_id(workflow.info().workflow_id, "change", 3)
        if carried is not None or not turn.isdecimal():
            message = "A change is started by its lane, with a warrant and nothing else."
            raise BadStartError(message)
        self._warrant = read_value(warrant, Warrant)
        subject = Subject(service=service, environment=environment)
        if (self._warrant.request.subject, self._warrant.turn) != (subject, int(turn)):
            message = f"The warrant is for turn {self._warrant.turn} of {self._warrant.request.subject}, not for {turn} of {subject}."
            raise BadStartError(message)
        parent = workflow.info().parent
        if parent is None or parent.workflow_id != lane_id(subject):
            message = f"A change of {subject} is started by its lane, {lane_id(subject)}, and by nobody else."
            raise BadStartError(message)
        self._subject, self._turn = subject, self._warrant.turn
        self._log.show()

    def _end(self, answer: Answer) -> Answer:
        outcome = Outcome.REFUSED if isinstance(answer, NotBegun) else answer.outcome
        why = answer.refusal.why if isinstance(answer, NotBegun) else ""
        self._log.record(OutcomeRecord(at=workflow.now(), outcome=outcome, why=why))
        self._log.enter(Phase.ENDED)
        publish({PHASE: Phase.ENDED, OUTCOME: outcome})
        return answer

    def _is_forward(self) -> bool:
        return self._proposal is not None and self._proposal.is_forward and not self._undoing

    def _note(self, fence: Fence, performed: Performed) -> None:
        self._log.record(EffectRecord(at=workflow.now(), fence=fence, did=performed.did))

    def _budget_left(self) -> timedelta:
        if self._proposal is None:
            return patience.UNDOING
        left = self._proposal.terms.budget - (workflow.now() - self._began - self._paused)
        if left <= timedelta():
            raise Trouble(f"its budget of {say_duration(self._proposal.terms.budget)} is spent")
        return left

    def _budget_for(self, proposal: Proposal) -> timedelta:
        return self._budget_left() if _goes_forward(proposal.plan) else patience.UNDOING

    def _stop_if_cancelled(self) -> None:
        """A deed that finishes in spite of a cancel swallows it (sdk-python#620): ask after every step."""
        reason = workflow.cancellation_reason()
        if reason is not None and self._is_forward():
            raise Trouble(reason or "it was cancelled", Outcome.CANCELLED)

    def _details(self) -> str:
        return tell_change(self.status())


def _about(workflow_id: str) -> tuple[Subject, int]:
    """What the id says it is about; whether that is so is judged when it begins."""
    _, service, environment, turn, *_ = (*workflow_id.split("/"), "", "", "", "")
    subject = Subject.model_construct(service=service, environment=environment)
    return subject, int(turn) if turn.isdecimal() else 0


def _goes_forward(plan: Plan) -> bool:
    return any(step.may_give_up for step in plan.steps)


def _succeeded(task: "asyncio.Task[Performed] | None") -> bool:
    return task is not None and task.done() and not task.cancelled() and task.exception() is None


def _trouble(failure: BaseException) -> Trouble:
    """Say why an activity failed: an ``ActivityError`` says only that it did, its cause knows why."""
    if is_cancelled_exception(failure):
        return Trouble(workflow.cancellation_reason() or "it was cancelled", Outcome.CANCELLED)
    cause = failure.cause if isinstance(failure, ActivityError) else failure
    match cause:
        case ApplicationError(type=type_, details=[refusal, *_]) if type_ == NOT_CLEARED:
            judged = Refusal.model_validate(refusal)
            return Trouble(judged.why, refusal=judged)
        case TimedOut():
            inner = cause.cause
            return Trouble(f"it took too long{f': {inner}' if inner else ''}")
        case _:
            return Trouble(str(cause))


def _is_journaled(failure: BaseException) -> bool:
    cause = failure.cause if isinstance(failure, ActivityError) else None
    return not (isinstance(cause, ApplicationError) and cause.type == NOT_CLEARED and list(cause.details[1:]) == [False])


