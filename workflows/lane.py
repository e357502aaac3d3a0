"""The lane of a service in an environment: one change at a time, and nothing before what is unsettled."""

import asyncio
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities, WaitersOrder
    from activities.labels import search_attributes
    from domain.answer import Answer, Ask, Done, NotBegun, answer_of
    from domain.fence import milliseconds
    from domain.hints import temporal
    from domain.journal import Recollection
    from domain.lane import LaneState, Running, ended, lost, next_change, recalled
    from domain.names import (
        ENGINE_QUEUE,
        ENVIRONMENT,
        PHASE,
        RELEASE,
        SERVICE,
        STORY,
        Subject,
        change_id,
        effects_queue,
        read_id,
    )
    from domain.order import Call
    from domain.outcome import Outcome, Phase
    from domain.rehearsal import acts
    from domain.terms import Proposal
    from domain.warrant import Warrant
    from domain.workflow_types import CHANGE
    from workflows import patience
    from workflows.calling import call_person
    from workflows.doorkeeper import BadStartError, RefusedError, explain, read_value
    from workflows.errand import errand
    from workflows.lane_doors import Carried
    from workflows.lane_inbox import LaneInbox
    from workflows.steering import wants_new_run
    from workflows.undisturbed import undisturbed


_ANSWER: Final[TypeAdapter[Answer]] = TypeAdapter(Answer)
RECALLS_AGAIN: Final = "recalls-again"
"""A patch: a past that was answered with a failure ended the lane for good."""


@workflow.defn
class LaneWorkflow(LaneInbox):
    """Queue and lock: hears who asks, runs one change as its child, settles what was lost, answers."""

    # The story.

    @workflow.run
    async def run(self, subject: Any = None, carried: Any = None) -> None:
        self._begin(subject, carried)
        while True:
            try:
                await self._tend()
            except asyncio.CancelledError:
                self.refused("cancel", "a lane is never cancelled; cancel the promotion that has it")

    async def _tend(self) -> None:
        if not self._lane.recalled:
            await self._recall()
        while True:
            await self._read_inbox()
            if self._change and self._change.done():
                await self._close(self._change)
            elif self._change is None and not self._lane.recalled:
                await self._learn()
            elif begun := self._next_change():
                await self._begin_change(begun)
            elif self._change is None and not self._inbox and self._may_go_on_anew():
                self._go_on_in_a_new_run()
            else:
                await workflow.wait_condition(self._has_something_to_do)

    async def _recall(self) -> None:
        """A newborn lane knows nothing: it asks the environment's worker, and those who waited for an earlier one."""
        memory = await self._recollect()
        self._lane = recalled(self._lane, memory)
        known = tuple(message.asker for message in self._inbox if isinstance(message, Ask))
        order = WaitersOrder(subject=self._lane.subject, known=known)
        await errand(ErrandActivities.call_waiters, order, "call whoever waits")

    async def _learn(self) -> None:
        """Somebody was here without the engine: what was known is not what stands there."""
        self._lane = recalled(self._lane, await self._recollect())
        self._show_phase()

    async def _begin_change(self, lane: LaneState) -> None:
        """Give the next ask its turn, and a change of its own that outlives even this lane."""
        if lane.running is None:
            return
        self._lane, running = lane, lane.running
        self._show_phase()
        ask, subject = running.ask, lane.subject
        warrant = Warrant(
            asker=ask.asker,
            turn=running.turn,
            request=ask.request,
            proposal=ask.proposal,
            decisions=ask.decisions,
        )
        starting = workflow.start_child_workflow(
            CHANGE,
            args=[warrant],
            id=change_id(subject, running.turn),
            task_queue=ENGINE_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=" ".join(filter(None, (ask.request.story, ask.request.version, str(subject)))),
            search_attributes=search_attributes(
                {
                    SERVICE: subject.service,
                    ENVIRONMENT: subject.environment,
                    STORY: ask.request.story.of_its_change,
                    RELEASE: ask.request.version or "",
                    PHASE: Phase.PREPARING,
                }
            ),
        )
        try:
            self._change = await undisturbed(asyncio.create_task(starting))
        except (ChildWorkflowError, WorkflowAlreadyStartedError):
            await self._lose(running)

    async def _close(self, change: ChildWorkflowHandle[Any, object]) -> None:
        """The change has ended: free the lane and answer whoever asked; or find out what became of it."""
        running = self._lane.running
        self._change, self._cancelled, self._yieldings = None, "", ()
        if running is None:
            return
        try:
            answer = _read_answer(await change)
        except (ChildWorkflowError, RefusedError, asyncio.CancelledError):
            await self._lose(running)
        else:
            await self._free(await self._true_answer(running, answer))

    async def _lose(self, running: Running) -> None:
        """A change ended without a word. If it left a receipt, that is its word; else it is settled before all else."""
        memory = await self._recollect()
        newest = memory.newest
        if newest and newest.turn == running.turn:
            await self._free(answer_of(newest))
        else:
            self._lane = lost(self._lane, memory, _slots(running.ask))
            self._show_phase()

    async def _free(self, answer: Answer) -> None:
        self._lane, answered = ended(self._lane, answer)
        if isinstance(answer, NotBegun) and answer.refusal.newer:
            self._lane = self._lane.but(recalled=False)
        await self._tell(answered, answer)
        self._show_phase()

    async def _true_answer(self, running: Running, answer: Answer) -> Answer:
        """A settlement that found a receipt after all: the receipt answers, for it says what became of the change."""
        found = isinstance(answer, Done) and answer.outcome is Outcome.NOTHING_TO_DO
        if not (found and running.is_settlement):
            return answer
        newest = (await self._recollect()).newest
        return answer_of(newest) if newest and newest.turn == running.ask.request.of else answer

    # What it is made of.

    def _begin(self, subject: object, carried: object) -> None:
        service, environment = read_id(workflow.info().workflow_id, "lane")
        if subject is not None:
            message = "A lane is started without input: its id says what it is the lane of."
            raise BadStartError(message)
        self._lane = LaneState(subject=Subject(service=service, environment=environment))
        if carried is not None:
            state = read_value(carried, Carried)
            self._lane, self._answers = state.lane, dict(state.answers)
            self._log.remember(state.memory)

    async def _recollect(self) -> Recollection:
        """Have the environment's worker remember, as often as it takes: no made up or broken answer ends a lane."""
        pause = patience.RECALL_AGAIN
        while True:
            try:
                self._memory = await self._remembered()
            except (ActivityError, RefusedError) as failure:
                if not workflow.patched(RECALLS_AGAIN):
                    raise
                if pause == patience.RECALL_AGAIN:
                    self._call_person()
                workflow.logger.warning("not_recalled", extra={"why": str(failure)})
                await undisturbed(asyncio.create_task(workflow.sleep(pause, summary="recall again")))
                pause = min(2 * pause, patience.CALL_A_PERSON_AFTER)
            else:
                return self._memory

    async def _remembered(self) -> Recollection:
        """Wait for what the environment's worker remembers; a person is called where it takes long."""
        subject = self._lane.subject
        recalling: asyncio.Task[object] = workflow.start_activity(
            "recall",
            subject,
            task_queue=effects_queue(subject.environment),
            start_to_close_timeout=patience.RECALLING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.NEVER_GIVE_UP,
            summary=f"recall what was done to {subject}",
        )
        waiting = workflow.wait_condition(
            recalling.done, timeout=patience.CALL_A_PERSON_AFTER, timeout_summary="recall"
        )
        try:
            await undisturbed(asyncio.create_task(waiting))
        except TimeoutError:
            self._call_person()
        return read_value(await undisturbed(recalling), Recollection)

    def _call_person(self) -> None:
        """Nothing moves in this lane until its past is known; somebody should look why it is not."""
        subject = self._lane.subject
        why = f"what was done to {subject} cannot be recalled, so nothing moves there"
        remedy = (
            f"towpath doctor\n{temporal('describe', workflow.info().workflow_id, workflow.info().namespace)}"
        )
        self._log.enter(Phase.UNSETTLED, why, remedy)
        key = f"{workflow.info().workflow_id}/recall/{milliseconds(workflow.now())}"
        call = Call(subject=subject, headline=why, remedy=remedy, key=key)
        _ = call_person(call, f"call a person: {subject} cannot be recalled")

    def _next_change(self) -> LaneState | None:
        return None if self._change else next_change(self._lane, workflow.now())

    def _has_something_to_do(self) -> bool:
        if self._change:
            return bool(self._inbox) or self._change.done()
        return (
            bool(self._inbox or self._lane.queue or self._lane.unsettled)
            or not self._lane.recalled
            or self._may_go_on_anew()
        )

    def _may_go_on_anew(self) -> bool:
        """What is being looked into would be lost with the run."""
        return wants_new_run() and workflow.all_handlers_finished()

    def _go_on_in_a_new_run(self) -> None:
        carried = Carried(lane=self._lane, memory=self._log.memory, answers=self._answers)
        workflow.continue_as_new(args=[None, carried])


def _read_answer(content: object) -> Answer:
    """Read what a change ended with. Raises ``RefusedError`` where nobody can: then no change of ours has said it."""
    try:
        return _ANSWER.validate_python(content)
    except ValidationError as error:
        raise RefusedError(explain(error)) from error


def _slots(ask: Ask) -> int:
    """How many acts a lost change may have been about to take."""
    if ask.proposal is None:
        return 0
    proposal = Proposal.model_validate_json(ask.proposal.text)
    return acts(proposal.terms, proposal.plan)
