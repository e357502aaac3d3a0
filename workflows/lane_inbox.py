"""A lane's inbox, read one message at a time: who waits, who makes way, who is answered."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ASK, YIELD_SOAK, ErrandActivities, TellOrder
    from domain.answer import (
        Answer,
        Ask,
        NotBegun,
        Order,
        OwnWord,
        Told,
        Withdrawal,
        Yielding,
        answer_of,
        answer_withdrawal,
        remember,
    )
    from domain.attempt import Kind
    from domain.doors import Word
    from domain.lane import one_too_many
    from domain.names import effects_queue, is_promotion
    from domain.queueing import asked, rivals, withdrawn, without, yields_to
    from domain.refusal import Cause, Refusal
    from workflows import patience
    from workflows.asking_back import own_word
    from workflows.doorkeeper import RefusedError, see
    from workflows.errand import errand
    from workflows.lane_doors import LaneDoors
    from workflows.undisturbed import undisturbed


AT_ONCE: Final = timedelta(milliseconds=1)
CANCELS_LATER: Final = "cancels-later"
"""A patch: a rollback that came with the news that its change was terminated left the lane unable to go on."""
ONE_ROLLBACK: Final = "one-rollback"
"""A patch: of two who asked at once, each of whom knew of no other, both were heard, and two changes were undone."""


class LaneInbox(LaneDoors):
    """What becomes of each message; the rules are the domain's."""

    async def _read_inbox(self) -> None:
        """Take what was said since, one at a time."""
        while self._inbox:
            message = self._inbox.pop(0)
            match message:
                case Ask():
                    await self._take_ask(message)
                case Withdrawal():
                    await self._take_withdrawal(message)
                case Order():
                    await self._take_order(message)
        running = self._lane.running
        if self._change and running and running.cancelling and not self._cancelled:
            self._cancelled = running.cancelling
            await self._cancel(self._change, running.cancelling)
        await self._let_yield()

    async def _cancel(self, change: ChildWorkflowHandle[Any, object], why: str) -> None:
        """Cancel the change, unless it has just ended: to cancel one that was terminated fails the task for ever.

        What is heard first of one task are its messages, so that only the next one says whether the change has ended.
        """
        if workflow.patched(CANCELS_LATER):
            await undisturbed(asyncio.create_task(workflow.sleep(AT_ONCE, summary="has it just ended?")))
        if not change.done():
            change.cancel(why)

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

    async def _take_ask(self, ask: Ask) -> None:
        newest = self._memory.newest if self._memory else None
        receipt = newest if newest and ask.intent and newest.intent == ask.intent else None
        others = rivals(self._lane, ask)
        if (receipt or others) and not await self._is_own(ask):
            return
        for other in others:
            self._lane = without(self._lane, other)
        if receipt:
            await self._tell((ask,), answer_of(receipt))
        elif (why := one_too_many(self._lane, ask)) and workflow.patched(ONE_ROLLBACK):
            await self._tell((ask,), NotBegun(turn=0, refusal=Refusal(cause=Cause.BUSY, why=why)))
        elif why := await self._why_refused(ask):
            refusal = Refusal(cause=Cause.FORBIDDEN, why=why)
            await self._tell((ask,), NotBegun(turn=0, refusal=refusal))
        else:
            await self._line_up(ask)

    async def _line_up(self, ask: Ask) -> None:
        """Take an ask, and turn away whom it makes needless, once those whom they make way for have said so."""
        believed: list[Ask] = []
        while True:
            lane, turned_away = asked(self._lane, ask)
            newer = next((one.newer for one in turned_away if one.newer and one.newer not in believed), None)
            if newer is None:
                break
            if await self._is_own(newer):
                believed.append(newer)
            elif newer == ask:
                return
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

    async def _take_withdrawal(self, message: Withdrawal) -> None:
        waited = self._lane.waits(message.asker, message.number)
        self._lane = withdrawn(
            self._lane, message.asker, message.reason, spares_running=message.spares_running
        )
        if self._lane.has_begun(message.asker, message.number):
            return
        before = self._answers.get(message.asker)
        await self._answer(message.asker, answer_withdrawal(message, before, waited=waited))

    async def _take_order(self, order: Order) -> None:
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
        most, size = patience.REMEMBERED_ANSWERS, patience.REMEMBERED_BYTES
        self._answers = remember(self._answers, asker, told, most=most, size=size)
        if is_promotion(asker):
            await errand(ErrandActivities.tell, TellOrder(asker=asker, told=told), f"answer {asker}")
