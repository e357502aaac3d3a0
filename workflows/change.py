"""What is really done to an environment, and undone."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import AWAKE, ErrandActivities
    from domain.answer import Answer, Done, NotBegun, Undone
    from domain.doors import Signal
    from domain.drawing import outcome_of
    from domain.fence import Fence
    from domain.journal import Settled
    from domain.names import OUTCOME, PHASE, Subject, lane_id, read_id
    from domain.order import Account, Left, StepOrder, order_drawing
    from domain.outcome import Outcome, Phase
    from domain.plan import Deed, Plan, Step, put_back, say_staying
    from domain.record import OutcomeRecord, steered
    from domain.refusal import Cause, Refusal, is_waited_for
    from domain.rehearsal import again, rehearses
    from domain.terms import Proposal, Sealed
    from domain.value import say_duration
    from domain.warrant import Warrant
    from workflows import patience
    from workflows.chronicle import publish
    from workflows.doorkeeper import BadStartError, read_value
    from workflows.rehearsing import Rehearsing
    from workflows.silence import notice_silence
    from workflows.troubles import FAILURES, Over, Trouble, cancelled, trouble_with
    from workflows.undisturbed import heed_cancel, undisturbed
    from workflows.waiting import Waiting
    from workflows.waves import side_by_side


ORPHANS_END: Final = "orphans-end"
"""A patch: an older settlement whose lane was gone called a person, and kept the next lane from settling."""


# A proposal that does not parse has to fail the workflow: a task that fails would hold the lane for ever.
@workflow.defn(failure_exception_types=[ValidationError])
class ChangeWorkflow(Waiting, Rehearsing):
    """The critical section: a plan's steps one by one, health, soak, receipt; or everything put back."""

    # The story.

    @workflow.run
    async def run(self, warrant: Any = None, _: Any = None) -> Answer:
        self._begin(warrant)
        try:
            answer = await self._tell()
        except Over as over:
            answer = over.answer
        return self._end(answer)

    async def _tell(self) -> Answer:
        try:
            proposal = await self._draw_up()
        except Trouble as trouble:
            return await self._not_begun(trouble)
        if unneeded := self._unneeded(proposal):
            return unneeded
        try:
            await (self._walk if proposal.plan.goes_forward else self._walk_back)(proposal.plan)
            if rehearses(proposal.terms, proposal.plan):
                await self._rehearse(proposal.plan)
                self._stop_if_cancelled()
                await self._walk(again(proposal.plan))
            await self._soak()
            return await self._account_for_it(proposal)
        except Trouble as trouble:
            if trouble.refusal and not self._has_begun:
                return await self._not_begun(trouble)
            return await self._put_it_back(proposal, trouble)

    async def _account_for_it(self, proposal: Proposal) -> Answer:
        """It was done: see that it is well, and leave the receipt."""
        await self._unless_held()
        left = await self._conclude(
            proposal.plan, Settled.DONE, outcome_of(proposal.request.story), proposal.request.reason
        )
        outcome = Outcome.SETTLED_BY_HAND if self._skipped else outcome_of(proposal.request.story)
        return Done(
            turn=self._turn, outcome=outcome, after=left.after, evidence=left.evidence, recorded=left.recorded
        )

    async def _put_it_back(self, proposal: Proposal, trouble: Trouble) -> Answer:
        """Undo what was begun, newest first; see that what is back is well, and leave the receipt of that."""
        if workflow.cancellation_reason() is not None:
            trouble = cancelled()  # also where its worker was cut off, and the deed ended in silence
        self._undoing = True
        self._note_judgement("change", trouble.why, passed=False)
        undo = put_back(proposal.plan, self._begun)
        await self._walk_back(undo)
        why = trouble.why + say_staying(self._begun)
        left = await self._conclude(undo, Settled.UNDONE, trouble.outcome, why)
        outcome = Outcome.SETTLED_BY_HAND if self._skipped else trouble.outcome
        return Undone(turn=self._turn, outcome=outcome, why=why, after=left.after, recorded=left.recorded)

    async def _walk(self, plan: Plan) -> None:
        """Go wave by wave; what is in one wave is done side by side."""
        for wave in plan.waves:
            works = [partial(self._do, deed.step, deed.fence) for deed in self._numbered(wave)]
            await side_by_side(works, self._at_once(wave))

    # Its chapters.

    async def _draw_up(self) -> Proposal:
        """Take the proposal that was approved, or have one drawn up where nobody needed to approve any."""
        sealed = self._warrant.proposal
        while sealed is None:
            self._log.enter(Phase.PREPARING, "its plan")
            drawing = workflow.start_activity_method(
                EffectActivities.draw_up,
                order_drawing(self._warrant.request),
                task_queue=self._queue,
                start_to_close_timeout=patience.DRAWING_UP,
                heartbeat_timeout=patience.HEARTBEAT,
                retry_policy=patience.TRY_SOON,
                summary=f"draw up the {self._warrant.request.story} of {self._subject}",
            )
            try:
                await self._notice_silence(drawing)
                sealed = await drawing
            except FAILURES as failure:
                trouble = trouble_with(failure)
                if self._warrant.request.may_give_up or (trouble.is_gone and workflow.patched(ORPHANS_END)):
                    raise trouble from failure
                await self._ask_person(f"its settlement could not be drawn up: {trouble.why}")
            else:
                self._given = self._warrant.but(proposal=sealed)
        self._proposal = Proposal.model_validate_json(sealed.text)
        return self._proposal

    async def _notice_silence(self, drawing: asyncio.Task[Sealed]) -> None:
        """Where the environment does not answer, find out why, and say so."""
        try:
            await workflow.wait_condition(drawing.done, timeout=patience.NOTICE_AFTER)
        except TimeoutError:
            here = workflow.info().workflow_id
            await notice_silence(self._log, ErrandActivities.why_silent, here, self._queue)
            if self._warrant.request.may_give_up:
                heed_cancel()

    def _unneeded(self, proposal: Proposal) -> Answer | None:
        if proposal.refusals:
            refusal = Refusal(cause=Cause.FORBIDDEN, why="; ".join(proposal.refusals))
            return NotBegun(turn=self._turn, refusal=refusal)
        if proposal.nothing_to_do:
            return Done(turn=self._turn, outcome=Outcome.NOTHING_TO_DO, evidence=(proposal.nothing_to_do,))
        return None

    async def _do(self, step: Step, fence: Fence) -> None:
        """Do a step that may give up. What is under way waits for a gate that has closed, where the terms say so."""
        while closed := await self._try(step, fence):
            await self._wait_for_gate(closed)

    async def _try(self, step: Step, fence: Fence) -> Refusal | None:
        """Do a step once. It is noted first: a deed that dies halfway needs undoing too."""
        await self._unless_held()
        if not self._has_begun:
            self._began = workflow.now()
        left = self._budget_left()
        self._log.enter(Phase.DEPLOYING, str(step))
        deed = Deed(step=step, fence=fence)
        if deed not in self._begun:
            self._begun.append(deed)
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
        except FAILURES as failure:
            trouble = trouble_with(failure)
            if not trouble.touched:
                self._begun.remove(deed)
            elif step.is_pivot:
                self._unsure.append(step.berth)
            if self._has_begun and is_waited_for(trouble.refusal, self._terms.on_freeze):
                return trouble.refusal
            raise trouble from failure
        self._note(deed, performed)
        self._stop_if_cancelled()
        return None

    async def _conclude(self, plan: Plan, settled: Settled, outcome: Outcome, why: str) -> Left:
        """See that what stands there is well, and leave the receipt. What is sick after an undo needs a person."""
        while True:
            self._log.enter(Phase.CHECKING_HEALTH, "the health checks")
            account = Account(
                warrant=self._warrant,
                settled=settled,
                outcome=Outcome.SETTLED_BY_HAND if self._skipped else outcome,
                skipped=tuple(dict.fromkeys(self._skipped)),
                words=tuple(self._words),
                unsure=tuple(self._unsure),
                soak=self._soaked,
                cut=self._cut,
                rehearsal=self._rehearsed,
                why=why,
                records=self._log.chain.head,
                steered=steered(self._log.chain.records),
                began=self._began,
            )
            left = await self._look_and_leave(account, plan)
            self._note_judgement("health", *left.evidence, passed=left.well)
            if left.well:
                if not left.lane_listens:
                    await self._tell_lane(AWAKE)
                return left
            sick = "; ".join(left.evidence)
            if plan.goes_forward:
                message = f"it is not healthy: {sick}"
                raise Trouble(message)
            if await self._ask_person(f"what was put back is not well: {sick}") is Signal.SKIP:
                self._skipped.extend(step.berth for step in plan.steps)

    async def _look_and_leave(self, account: Account, plan: Plan) -> Left:
        within = self._budget_left() + patience.LEAVING_RECEIPT if plan.goes_forward else patience.UNDOING
        concluding = workflow.start_activity_method(
            EffectActivities.conclude,
            account,
            task_queue=self._queue,
            start_to_close_timeout=within,
            schedule_to_close_timeout=within if plan.goes_forward else None,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON if plan.goes_forward else patience.NEVER_GIVE_UP,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"is {self._subject} well? Then leave the receipt of turn {self._turn}",
        )
        try:
            return await (concluding if plan.goes_forward else undisturbed(concluding))
        except FAILURES as failure:
            if plan.goes_forward:
                raise trouble_with(failure) from failure
            return Left(well=False, evidence=(trouble_with(failure).why,))

    async def _not_begun(self, trouble: Trouble) -> Answer:
        """Nothing was touched. Where nobody may be listening any more, a lane is woken to hear of it."""
        refusal = trouble.refusal or Refusal(cause=Cause.GONE, why=trouble.why)
        if refusal.cause is Cause.GONE:
            await self._tell_lane(AWAKE)
        return NotBegun(turn=self._turn, refusal=refusal)

    # What it is made of.

    def _begin(self, warrant: object) -> None:
        """Check how it was started: by its lane, and under its own turn."""
        service, environment, turn = read_id(workflow.info().workflow_id, "change")
        given = read_value(warrant, Warrant)
        subject = Subject(service=service, environment=environment)
        if (given.request.subject, given.turn) != (subject, int(turn)):
            message = (
                f"The warrant is for turn {given.turn} of {given.request.subject}, not {turn} of {subject}."
            )
            raise BadStartError(message)
        parent = workflow.info().parent
        if parent is None or parent.workflow_id != lane_id(subject):
            message = f"A change of {subject} is started by its lane, {lane_id(subject)}, and by nobody else."
            raise BadStartError(message)
        self._given = given

    def _end(self, answer: Answer) -> Answer:
        outcome = Outcome.REFUSED if isinstance(answer, NotBegun) else answer.outcome
        why = answer.refusal.why if isinstance(answer, NotBegun) else ""
        self._log.record(OutcomeRecord(at=workflow.now(), outcome=outcome, why=why))
        self._log.enter(Phase.ENDED)
        publish({PHASE: Phase.ENDED, OUTCOME: outcome})
        return answer

    @property
    def _has_begun(self) -> bool:
        """Tell whether anything was done to the environment, even if all of it is put back by now."""
        return bool(self._begun) or self._undone_once

    def _at_once(self, wave: Sequence[Step]) -> int:
        fleet = self._terms.fleets.get(wave[0].component)
        return fleet.parallel if fleet else 1

    def _budget_left(self) -> timedelta:
        """How long until the budget is spent, which counts neither holds nor soak."""
        left = self._terms.budget - (workflow.now() - self._began - self._paused)
        if left <= timedelta():
            message = f"its budget of {say_duration(self._terms.budget)} is spent"
            raise Trouble(message)
        return left
