"""The lane of a service in an environment: one change at a time, and nothing before what is unsettled."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ChildWorkflowError, FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ASK, YIELD_SOAK, ErrandActivities, TellOrder, WaitersOrder
    from domain.answer import (
        Answer,
        Ask,
        Done,
        NotBegun,
        Order,
        OwnWord,
        Told,
        Withdrawal,
        Yielding,
        answer_of,
    )
    from domain.attempt import Kind
    from domain.doors import Word
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
    from domain.queueing import asked, rivals, withdrawn, without, yields_to
    from domain.refusal import Cause, Refusal
    from domain.rehearsal import acts
    from domain.terms import Proposal
    from domain.warrant import Warrant
    from workflows import patience
    from workflows.asking_back import own_word
    from workflows.change import ChangeWorkflow
    from workflows.doorkeeper import BadStartError, RefusedError, read_value, see
    from workflows.errand import errand
    from workflows.lane_doors import Carried, LaneDoors
    from workflows.steering import is_long
    from workflows.undisturbed import undisturbed


@workflow.defn
class LaneWorkflow(LaneDoors):
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
            await self._hear()
            if self._change and self._change.done():
                await self._close(self._change)
            elif self._change is None and not self._lane.recalled:
                await self._learn()
            elif begun := self._next_change():
                await self._begin_change(begun)
            elif self._change is None and not self._heard and self._may_go_on_anew():
                self._go_on_in_a_new_run()
            else:
                await workflow.wait_condition(self._has_something_to_do)

    async def _recall(self) -> None:
        """A newborn lane knows nothing: it asks the environment's worker, and those who waited for an earlier one."""
        memory = await self._recollect()
        self._lane = recalled(self._lane, memory)
        known = tuple(message.asker for message in self._heard if isinstance(message, Ask))
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
            ChangeWorkflow.run,
            args=[warrant],
            id=change_id(subject, running.turn),
            task_queue=ENGINE_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=" ".join(filter(None, (ask.request.story, ask.request.version, str(subject)))),
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
        try:
            self._change = await undisturbed(asyncio.create_task(starting))
        except (ChildWorkflowError, WorkflowAlreadyStartedError):
            await self._lose(running)

    async def _close(self, change: ChildWorkflowHandle[ChangeWorkflow, Answer]) -> None:
        """The change has ended: free the lane and answer whoever asked; or find out what became of it."""
        running = self._lane.running
        self._change, self._cancelled, self._yieldings = None, "", ()
        if running is None:
            return
        try:
            answer = await change
        except (ChildWorkflowError, asyncio.CancelledError):
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
        await self._let_yield()

    async def _let_yield(self) -> None:
        """Tell the change whom its soak makes way for, whenever that is another: nothing, where no terms say so."""
        while (newer := yields_to(self._lane)) and not await self._is_own(newer):
            pass
        said = str(newer) if newer else ""
        before = self._yieldings[-1] if self._yieldings else ""
        if self._change and said != before:
            self._yieldings = (*self._yieldings[-patience.REMEMBERED_YIELDINGS :], said)
            yielding = self._change.signal(YIELD_SOAK, Yielding(to=said))
            with suppress(FailureError):  # it has just ended
                await undisturbed(asyncio.create_task(yielding))

    async def _hear_ask(self, ask: Ask) -> None:
        newest = self._memory.newest if self._memory else None
        receipt = newest if newest and ask.intent and newest.intent == ask.intent else None
        others = rivals(self._lane, ask)
        if (receipt or others) and not await self._is_own(ask):
            return
        for other in others:
            self._lane = without(self._lane, other)
        if receipt:
            await self._tell((ask,), answer_of(receipt))
        elif why := await self._why_refused(ask):
            refusal = Refusal(cause=Cause.FORBIDDEN, why=why)
            await self._tell((ask,), NotBegun(turn=0, refusal=refusal))
        else:
            await self._line_up(ask)

    async def _line_up(self, ask: Ask) -> None:
        """Take an ask, and turn away whom it makes needless."""
        lane, turned_away = asked(self._lane, ask)
        while newer := next((one.newer for one in turned_away if one.newer), None):
            if await self._is_own(newer):
                lane, turned_away = asked(self._lane, ask)
                break
            if newer == ask:
                return
            lane, turned_away = asked(self._lane, ask)
        self._lane = lane
        for other, refusal, _ in turned_away:
            await self._tell((other,), NotBegun(turn=0, refusal=refusal))

    async def _is_own(self, ask: Ask) -> bool:
        """Tell whether a promotion has asked itself, before another makes way for it. What is made up is dropped."""
        if self._believed == ask:
            return True
        try:
            word = await own_word(ask.asker)
        except RefusedError:
            word = OwnWord(waits=False, number=ask.number + 1)  # as if it had asked anew: it is called back
        if word.has_asked(ask):
            self._believed = ask
            return True
        why = f"{ask.asker} does not say so itself"
        self._lane = without(self._lane, ask)
        self.refused(ASK, why)
        if word.belies(ask):
            see(Kind.SPEAKING, ASK, why, ask.asker)
        if word.open:  # what was made up may have stood in its place
            await errand(ErrandActivities.call_back, ask.asker, f"have {ask.asker[:100]} ask again")
        return False

    async def _why_refused(self, ask: Ask) -> str:
        """A rollback has what runs undone at once, so that whoever asks has to be known before."""
        running = self._lane.running
        sealed = running.ask.proposal if running and ask.is_rollback else None
        if sealed is None or not self._read_proposal(sealed).terms.guarded:
            return ""
        admitting = workflow.start_activity_method(
            EffectActivities.admit,
            ask.request,
            task_queue=effects_queue(self._lane.subject.environment),
            schedule_to_close_timeout=patience.PROVING,
            retry_policy=patience.TRY_SOON,
            summary=f"may {ask.request.actor.name[:60]} roll back {self._lane.subject}?",
        )
        try:
            return await undisturbed(admitting)
        except FailureError:
            return f"no worker of {self._lane.subject.environment} could say whether you may; ask again"

    async def _hear_withdrawal(self, message: Withdrawal) -> None:
        self._lane = withdrawn(
            self._lane, message.asker, message.reason, spares_running=message.spares_running
        )
        if not self._lane.has_begun(message.asker, message.number):
            gone = Refusal(cause=Cause.GONE, why=message.reason or "it was withdrawn before its turn")
            await self._answer(
                message.asker, Told(number=message.number, answer=NotBegun(turn=0, refusal=gone))
            )

    async def _hear_order(self, order: Order) -> None:
        running = self._lane.running
        if self._change is None or running is None:
            self.refused(order.signal, "no change is under way")
        elif order.asker and order.asker != running.ask.asker:
            self.refused(order.signal, f"the change that is under way was not asked for by {order.asker}")
        else:
            word = Word(by=order.by, comment=order.comment, signed=order.signed)
            try:
                await undisturbed(asyncio.create_task(self._change.signal(order.signal, word)))
            except FailureError:
                self.refused(order.signal, "the change has just ended")

    async def _tell(self, asks: Sequence[Ask], answer: Answer) -> None:
        for ask in asks:
            await self._answer(ask.asker, Told(number=ask.number, answer=answer, ask=ask.mark))

    async def _answer(self, asker: str, told: Told) -> None:
        """Remember the answer, for whoever asks back; a promotion is told that there is one."""
        others = _beside(self._answers, asker, told)
        self._answers = dict(_that_fit([*others, (asker, told)][-patience.REMEMBERED_ANSWERS :]))
        if asker.startswith("promotion/"):
            await errand(ErrandActivities.tell, TellOrder(asker=asker, told=told), f"answer {asker}")

    # What it is made of.

    def _begin(self, subject: object, carried: object) -> None:
        service, environment = read_id(workflow.info().workflow_id, "lane", 2)
        if subject is not None:
            message = "A lane is started without input: its id says what it is the lane of."
            raise BadStartError(message)
        if carried is not None and not workflow.info().continued_run_id:
            message = "State is carried over from an earlier run only. Start a lane without input."
            raise BadStartError(message)
        self._lane = LaneState(subject=Subject(service=service, environment=environment))
        if carried is not None:
            state = read_value(carried, Carried)
            self._lane, self._answers = state.lane, dict(state.answers)
            self._log.remember(state.memory)
        self._log.show()

    async def _recollect(self) -> Recollection:
        """Have the environment's worker remember, however long that takes; a person is called where it takes long."""
        subject = self._lane.subject
        recalling = workflow.start_activity_method(
            EffectActivities.recall,
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
        self._memory = await undisturbed(recalling)
        return self._memory

    def _call_person(self) -> None:
        """Nothing moves in this lane until its past is known; somebody should look why it is not."""
        subject = self._lane.subject
        why = f"what was done to {subject} cannot be recalled, so nothing moves there"
        remedy = (
            f"towpath doctor\n{temporal('describe', workflow.info().workflow_id, workflow.info().namespace)}"
        )
        self._log.enter(Phase.UNSETTLED, why, remedy)
        call = Call(subject=subject, headline=why, remedy=remedy, key=f"{workflow.info().workflow_id}/recall")
        _ = workflow.start_activity_method(
            ErrandActivities.call_person,
            call,
            start_to_close_timeout=patience.ERRAND,
            retry_policy=patience.NEVER_GIVE_UP,
            summary=f"call a person: {subject} cannot be recalled",
        )

    def _next_change(self) -> LaneState | None:
        return None if self._change else next_change(self._lane, workflow.now())

    def _has_something_to_do(self) -> bool:
        if self._change:
            return bool(self._heard) or self._change.done()
        return (
            bool(self._heard or self._lane.queue or self._lane.unsettled)
            or not self._lane.recalled
            or self._may_go_on_anew()
        )

    def _may_go_on_anew(self) -> bool:
        """What is being looked into would be lost with the run."""
        return is_long() and workflow.all_handlers_finished()

    def _go_on_in_a_new_run(self) -> None:
        carried = Carried(lane=self._lane, memory=self._log.memory, answers=self._answers)
        workflow.continue_as_new(args=[None, carried])


def search_attributes(values: Mapping[str, str]) -> TypedSearchAttributes:
    """Return search attributes of ours for a workflow to be started with; empty ones are left out."""
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), value)
        for name, value in values.items()
        if value
    ]
    return TypedSearchAttributes(pairs)


def _beside(answers: Mapping[str, Told], asker: str, told: Told) -> list[tuple[str, Told]]:
    """Return what is remembered beside a new answer: of the same number what another ask in that name was told."""
    others = {key: said for key, said in answers.items() if key not in {asker, told.ask}}
    before = answers.get(asker)
    if before and before.ask and before.number == told.number and told.ask not in {"", before.ask}:
        others[before.ask] = before
    return list(others.items())


def _that_fit(answers: Sequence[tuple[str, Told]]) -> list[tuple[str, Told]]:
    """Return the newest answers that fit into a status together; the newest always."""
    sizes = [len(told.canonical()) for _, told in answers]
    fits = [sum(sizes[index:]) <= patience.REMEMBERED_BYTES for index in range(len(answers))]
    return [one for one, fit in zip(answers, [*fits[:-1], True], strict=True) if fit]


def _slots(ask: Ask) -> int:
    """How many acts a lost change may have been about to take."""
    if ask.proposal is None:
        return 0
    proposal = Proposal.model_validate_json(ask.proposal.text)
    return acts(proposal.terms, proposal.plan)
