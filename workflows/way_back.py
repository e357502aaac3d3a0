"""The way back: undoing until it is undone, or a person says to leave it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import STUCK
    from domain.answer import Stuck
    from domain.doors import Signal
    from domain.fence import Fence
    from domain.names import PHASE
    from domain.order import Call, Performed, StepOrder
    from domain.outcome import Phase
    from domain.plan import Deed, Plan, Step
    from domain.record import EffectRecord
    from domain.value import say_duration
    from workflows import patience
    from workflows.calling import call_person
    from workflows.change_doors import ChangeDoors
    from workflows.chronicle import publish
    from workflows.troubles import trouble_with
    from workflows.undisturbed import undisturbed


_NAMED: Final = 5
"""So many undos are named in a status; of a large wave the first ones."""


class Undoing(NamedTuple):
    """An undo under way, and why a person is needed for it, where one is."""

    deed: Deed
    task: "asyncio.Task[Performed]"
    why: str = ""

    @property
    def done(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


class WayBack(ChangeDoors):
    """How a change puts back, and calls a person where it cannot."""

    async def _walk_back(self, plan: Plan) -> None:
        """Go back component by component: the one below is left alone until nothing stands on it any more."""
        for component in plan.components:
            await self._put_back([list(self._numbered(wave)) for wave in component.waves])

    async def _put_back(self, waves: Sequence[Sequence[Deed]]) -> None:
        """Undo one component everywhere, for ever: until it is undone, or a person says to leave it.

        One target that cannot be put back stops none of the others: all are tried before a person is called.
        """
        while waves:
            stuck = [one for wave in waves for one in await self._try_to_put_back(wave)]
            if not stuck:
                return
            why = "; ".join(f"{one.deed.step} could not be undone: {one.why}" for one in stuck)
            said = await self._ask_person(why, stuck[0].deed.fence, stuck)
            self._helped = why if said else self._helped
            for one in stuck:
                await _given_up(one.task)
            left = [one.deed for one in stuck if not self._note_if_done(one)]
            if said is Signal.SKIP:
                self._skipped.extend(deed.step.berth for deed in left)
                return
            waves = [left] if left else []

    async def _try_to_put_back(self, wave: Sequence[Deed]) -> list[Undoing]:
        """Undo a wave side by side; return what needs a person, which may still be tried on."""
        self._log.enter(self._undo_phase, "; ".join(str(deed.step) for deed in wave[:_NAMED]))
        undoings = [Undoing(deed, self._start_undo(deed)) for deed in wave]
        late = await self._wait_for(undoings)
        judged = [one._replace(why=late if not one.task.done() else _why(one.task)) for one in undoings]
        return [one for one in judged if one.why or not self._note_if_done(one)]

    def _start_undo(self, deed: Deed) -> "asyncio.Task[Performed]":
        step, fence = deed.step, deed.fence
        return workflow.start_activity_method(
            EffectActivities.perform,
            StepOrder(warrant=self._warrant, step=step, act=fence.act),
            task_queue=self._queue,
            start_to_close_timeout=patience.UNDOING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.NEVER_GIVE_UP if step.repeatable else patience.TRY_ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"undo: {step} [fence {fence}]",
        )

    async def _wait_for(self, undoings: Sequence[Undoing]) -> str:
        """Wait for a wave for as long as nobody needs to be called; say why that is over, or nothing."""
        patiently = patience.CALL_A_PERSON_AFTER
        try:
            await _wait_undisturbed(lambda: all(one.task.done() for one in undoings), patiently)
        except TimeoutError:
            return f"it has been tried for {say_duration(patiently)}, and is being tried on"
        return ""

    def _note_if_done(self, one: Undoing) -> bool:
        if one.done:
            self._note(one.deed, one.task.result())
        return one.done

    async def _ask_person(
        self, why: str, fence: Fence | None = None, meanwhile: Sequence[Undoing] = ()
    ) -> Signal | None:
        """Call a person and wait: for what they say, or for the undos to succeed after all (None)."""
        before = self._log.phase
        self._said, self._stuck_on = None, fence
        self._calls += 1
        remedy = f"{self._command('retry')}\n{self._command('skip')}"
        self._log.enter(Phase.STUCK, why, remedy)
        publish({PHASE: Phase.STUCK})
        await self._tell_lane(STUCK, Stuck(turn=self._turn, stuck=True))
        headline = f"{self._subject} is unsettled: {why}"
        key = f"{workflow.info().workflow_id}/{self._act}/{self._calls}"
        call = Call(subject=self._subject, headline=headline, remedy=remedy, key=key)
        _ = call_person(call, f"call a person: {self._subject} is unsettled")
        await _wait_undisturbed(lambda: self._said is not None or _all_done(meanwhile))
        self._stuck_on = None
        self._log.enter(before)
        await self._tell_lane(STUCK, Stuck(turn=self._turn, stuck=False))
        return self._said

    def _numbered(self, wave: Iterable[Step]) -> Iterator[Deed]:
        """Give each step of a wave its act: the fence that it is done under."""
        for step in wave:
            self._act += 1
            yield Deed(step=step, fence=Fence(turn=self._turn, act=self._act))

    def _note(self, deed: Deed, performed: Performed) -> None:
        is_one_of_many = self._proposal is not None and len(self._proposal.plan.steps) > 1
        did = f"{deed.step.berth}: {performed.did}" if is_one_of_many else performed.did
        self._log.record(EffectRecord(at=workflow.now(), fence=deed.fence, did=did))
        if performed.evidence:
            self._note_judgement(f"health of {deed.step.berth}", *performed.evidence, passed=True)


async def _wait_undisturbed(ready: Callable[[], bool], patiently: timedelta | None = None) -> None:
    await undisturbed(
        asyncio.create_task(workflow.wait_condition(ready, timeout=patiently, timeout_summary="undo"))
    )


async def _given_up(undoing: "asyncio.Task[Performed]") -> None:
    """Stop trying, and wait until it has stopped: a new try never races the old one."""
    undoing.cancel()
    await _wait_undisturbed(undoing.done)


def _why(undoing: "asyncio.Task[Performed]") -> str:
    failure = undoing.exception()
    return trouble_with(failure).why if failure else ""


def _all_done(undoings: Sequence[Undoing]) -> bool:
    return bool(undoings) and all(one.done for one in undoings)
