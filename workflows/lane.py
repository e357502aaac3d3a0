"""The lane of a service in an environment: one change at a time, and nothing before what is unsettled."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ChildWorkflowError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

from workflows.change import ChangeWorkflow
from workflows.doorkeeper import BadStartError, RefusedError, read_message, read_value

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ErrandActivities, TellOrder, WaitersOrder
    from domain.answer import Answer, Ask, NotBegun, Order, Stuck, Told, Withdrawal, answer_of
    from domain.clearance import Cause, Refusal, Warrant
    from domain.doors import Signal, Word
    from domain.journal import Recollection
    from domain.lane import LaneState, Running, asked, ended, lost, next_change, recalled, withdrawn
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
    from domain.outcome import Phase
    from domain.status import LaneStatus
    from domain.telling import tell_lane
    from domain.terms import Proposal
    from domain.value import Value
    from workflows import patience
    from workflows.chronicle import Chronicle, Memory, publish
    from workflows.undisturbed import undisturbed


class Carried(Value):
    """What a lane takes along when it goes on in a new run."""

    lane: LaneState
    memory: Memory
    answers: dict[str, Told] = {}


@workflow.defn
class LaneWorkflow:
    """Queue and lock: hears who asks, runs one change as its child, settles what was lost, answers."""

    def __init__(self) -> None:
        _, service, environment, *_ = (*workflow.info().workflow_id.split("/"), "", "", "")
        subject = Subject.model_construct(service=service, environment=environment)
        self._lane = LaneState.model_construct(subject=subject)
        self._memory: Recollection | None = None
        self._heard: list[Ask | Withdrawal | Order] = []
        self._change: ChildWorkflowHandle[ChangeWorkflow, Answer] | None = None
        self._cancelled = ""
        self._answers: dict[str, Told] = {}
        self._log = Chronicle(Phase.IDLE, self._details)

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
            await self._hear()
            if self._change and self._change.done():
                await self._close(self._change)
            elif self._change is None and (begun := next_change(self._lane, workflow.now())):
                await self._begin_change(begun)
            elif self._is_quiet() and self._is_long():
                self._go_on_in_a_new_run()
            else:
                await workflow.wait_condition(self._has_something_to_do)

    async def _recall(self) -> None:
        """A newborn lane knows nothing: it asks the environment's worker, and those who waited for an earlier one."""
        memory = await self._recollect()
        self._lane = recalled(self._lane, memory)
        known = tuple(message.asker for message in self._heard if isinstance(message, Ask))
        await self._errand(
            ErrandActivities.call_waiters,
            WaitersOrder(subject=self._lane.subject, known=known),
            "call who waits",
        )

    async def _begin_change(self, lane: LaneState) -> None:
        if lane.running is None:
            return
        self._lane, running = lane, lane.running
        ask = running.ask
        warrant = Warrant(
            asker=ask.asker,
            turn=running.turn,
            request=ask.request,
            proposal=ask.proposal,
            decisions=ask.decisions,
        )
        subject = lane.subject
        self._publish()
        self._change = await workflow.start_child_workflow(
            ChangeWorkflow.run,
            args=[warrant],
            id=change_id(subject, running.turn),
            task_queue=ENGINE_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"{ask.request.story} of {ask.request.version or ''} {subject}".replace("  ", " "),
            search_attributes=search_attributes(
                {
                    SERVICE: subject.service,
                    ENVIRONMENT: subject.environment,
                    STORY: "deploy" if ask.request.story == "promotion" else ask.request.story,
                    RELEASE: ask.request.version or "",
                    PHASE: Phase.PREPARING,
                }
            ),
        )

    async def _close(self, change: ChildWorkflowHandle[ChangeWorkflow, Answer]) -> None:
        """The change has ended: free the lane and answer whoever asked; or find out what became of one that was lost."""
        running = self._lane.running
        self._change, self._cancelled = None, ""
        if running is None:
            return
        try:
            answer = await change
        except (ChildWorkflowError, asyncio.CancelledError):
            await self._lose(running)
            return
        self._lane, answered = ended(self._lane, answer)
        await self._tell(answered, answer)
        self._publish()

    async def _lose(self, running: Running) -> None:
        """A change ended without a word. If it left a receipt, that is its word; else it is settled before all else."""
        memory = await self._recollect()
        newest = memory.newest
        if newest and newest.turn == running.turn:
            answer = answer_of(newest)
            self._lane, answered = ended(self._lane, answer)
            await self._tell(answered, answer)
        else:
            self._lane = lost(self._lane, memory, _slots(running.ask))
        self._publish()

    # Hearing and telling.

    async def _hear(self) -> None:
        """Take what was said since, one at a time; the rules are the domain's."""
        while self._heard:
            message = self._heard.pop(0)
            match message:
                case Ask():
                    await self._hear_ask(message)
                case Withdrawal():
                    await self._hear_withdrawal(message)
                case Order():
                    await self._hear_order(message)
        running = self._lane.running
        if self._change and running and running.cancelling and not self._cancelled:
            self._cancelled = running.cancelling
            self._change.cancel(running.cancelling)

    async def _hear_ask(self, ask: Ask) -> None:
        newest = self._memory.newest if self._memory else None
        if newest and ask.intent and newest.intent == ask.intent:
            await self._tell((ask,), answer_of(newest))
        else:
            self._lane = asked(self._lane, ask)

    async def _hear_withdrawal(self, message: Withdrawal) -> None:
        waiting = tuple(ask for ask in self._lane.queue if ask.asker == message.asker)
        self._lane = withdrawn(self._lane, message.asker, message.reason)
        running = self._lane.running
        if running is None or all(ask.asker != message.asker for ask in (running.ask, *running.joined)):
            gone = Refusal(cause=Cause.GONE, why=message.reason or "it was withdrawn before its turn")
            number = waiting[-1].number if waiting else message.number
            told = Told(number=number, answer=NotBegun(turn=0, refusal=gone))
            await self._errand(
                ErrandActivities.tell, TellOrder(asker=message.asker, told=told), "let the asker go"
            )

    async def _hear_order(self, order: Order) -> None:
        running = self._lane.running
        if self._change is None or running is None:
            self.refused(order.signal, "no change is under way")
        elif order.asker and order.asker != running.ask.asker:
            self.refused(order.signal, f"the change that is under way was not asked for by {order.asker}")
        else:
            await self._change.signal(order.signal, Word(by=order.by, comment=order.comment))

    async def _tell(self, asks: Sequence[Ask], answer: Answer) -> None:
        for ask in asks:
            told = Told(number=ask.number, answer=answer)
            self._answers = dict([*self._answers.items(), (ask.asker, told)][-patience.REMEMBERED_ANSWERS :])
            if ask.asker.startswith("promotion/"):
                await self._errand(
                    ErrandActivities.tell, TellOrder(asker=ask.asker, told=told), f"answer {ask.asker}"
                )

    # Its doors.

    @workflow.signal(description="For a promotion or an operator's command: ask for a change")
    def ask(self, raw: RawValue) -> None:
        ask = self._read(raw, Ask)
        if ask.request.subject != self._lane.subject:
            message = f"it asks for a change of {ask.request.subject}"
            raise RefusedError(message)
        self._heard.append(ask)

    @workflow.signal(description="For whoever asked: ask no longer")
    def withdraw(self, raw: RawValue) -> None:
        self._heard.append(self._read(raw, Withdrawal))

    @workflow.signal(description="For a promotion: pass on what somebody says to its change")
    def steer(self, raw: RawValue) -> None:
        self._heard.append(self._read(raw, Order))

    @workflow.signal(description="For a change: it needs a person, or no longer does")
    def stuck(self, raw: RawValue) -> None:
        word = self._read(raw, Stuck)
        running = self._lane.running
        if running is None or running.turn != word.turn:
            message = f"turn {word.turn} is not open"
            raise RefusedError(message)
        self._lane = self._lane.but(running=running.but(stuck=word.stuck))
        self._publish()

    @workflow.signal(description="For a change whose lane was lost: be there")
    def awake(self, _: RawValue) -> None:
        self._log.show()

    @workflow.signal(
        description='Hold the change before its next step. Input: {"by": "you@example.com", "comment": ""}'
    )
    def hold(self, raw: RawValue) -> None:
        self._steer(Signal.HOLD, raw)

    @workflow.signal(description='Let a held change go on. Input: {"by": "you@example.com", "comment": ""}')
    def resume(self, raw: RawValue) -> None:
        self._steer(Signal.RESUME, raw)

    @workflow.signal(description='Try what is stuck again. Input: {"by": "you@example.com", "comment": ""}')
    def retry(self, raw: RawValue) -> None:
        self._steer(Signal.RETRY, raw)

    @workflow.signal(
        description='Leave what is stuck as it is. Input: {"by": "you@example.com", "comment": "why"}'
    )
    def skip(self, raw: RawValue) -> None:
        self._steer(Signal.SKIP, raw)

    @workflow.signal(dynamic=True, description="Anything else is refused")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        message = "a lane takes hold, resume, retry and skip; decisions go to the promotion"
        raise RefusedError(message)

    @workflow.query
    def status(self) -> LaneStatus:
        lane = self._lane
        return LaneStatus(
            subject=lane.subject,
            phase=lane.phase,
            turn=lane.running.turn if lane.running else None,
            last_turn=lane.last_turn,
            running=lane.running.ask if lane.running else None,
            queue=lane.queue,
            unsettled=lane.unsettled,
            held=lane.held,
            answers=self._answers,
            refused=self._log.refused,
        )

    def refused(self, door: str, why: str) -> None:
        self._log.refuse(door, why)

    def _steer(self, signal: Signal, raw: RawValue) -> None:
        word = read_message(raw, Word)
        self._heard.append(Order(signal=signal, by=word.by, comment=word.comment))

    def _read(self, raw: RawValue, model: type[Any]) -> Any:
        return read_value(workflow.payload_converter().from_payload(raw.payload, Any), model)

    # What it is made of.

    def _begin(self, subject: object, carried: object) -> None:
        service, environment = read_id(workflow.info().workflow_id, "lane", 2)
        if subject is not None:
            message = "A lane is started without input: its id says what it is the lane of."
            raise BadStartError(message)
        if carried is not None and not workflow.info().continued_run_id:
            message = (
                "State is carried over from an earlier run only, never by hand. Start the lane without input."
            )
            raise BadStartError(message)
        self._lane = LaneState(subject=Subject(service=service, environment=environment))
        if carried is not None:
            state = read_value(carried, Carried)
            self._lane, self._answers = state.lane, dict(state.answers)
            self._log.remember(state.memory)
        self._log.show()

    async def _recollect(self) -> Recollection:
        recalling = workflow.start_activity_method(
            EffectActivities.recall,
            self._lane.subject,
            task_queue=effects_queue(self._lane.subject.environment),
            start_to_close_timeout=patience.RECALLING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            summary=f"recall what was done to {self._lane.subject}",
        )
        self._memory = await undisturbed(recalling)
        return self._memory

    async def _errand(self, verb: Any, order: Value, summary: str) -> None:
        running = workflow.start_local_activity_method(
            verb,
            order,
            start_to_close_timeout=patience.ERRAND,
            retry_policy=patience.TRY_SOON,
            summary=summary,
        )
        await undisturbed(running)

    def _has_something_to_do(self) -> bool:
        idle = self._change is None
        return (
            bool(self._heard)
            or (idle and (bool(self._lane.queue) or bool(self._lane.unsettled) or self._is_long()))
            or (self._change is not None and self._change.done())
        )

    def _is_quiet(self) -> bool:
        return self._change is None and not self._heard and workflow.all_handlers_finished()

    def _is_long(self) -> bool:
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested()
            or info.get_current_history_length() > patience.LONGEST_HISTORY
        )

    def _go_on_in_a_new_run(self) -> None:
        carried = Carried(lane=self._lane, memory=self._log.memory, answers=self._answers)
        workflow.continue_as_new(args=[None, carried])

    def _publish(self) -> None:
        if self._lane.phase is not self._log.phase:
            self._log.enter(self._lane.phase)
            publish({PHASE: self._lane.phase})
        self._log.show()

    def _details(self) -> str:
        return tell_lane(self.status())


def search_attributes(values: Mapping[str, str]) -> TypedSearchAttributes:
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
        for name, value in values.items()
        if value
    ]
    return TypedSearchAttributes(pairs)


def _slots(ask: Ask) -> int:
    """How many deeds a lost change may have been about to do."""
    return len(Proposal.model_validate_json(ask.proposal.body).plan.steps) if ask.proposal else 0
