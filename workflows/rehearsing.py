"""The rehearsal: what was placed is put back, and seen to be back, before it is placed for good."""

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from domain.names import PHASE
    from domain.order import LookOrder
    from domain.outcome import Phase
    from domain.plan import Plan, put_back
    from domain.rehearsal import Rehearsal
    from domain.terms import Sealed
    from workflows import patience
    from workflows.chronicle import publish
    from workflows.troubles import FAILURES, Trouble, trouble_with
    from workflows.way_back import WayBack

FAILED: Final = "its undo failed in rehearsal"


class Rehearsing(WayBack):
    """How a change proves its own undo. What cannot be undone here is never let any further."""

    async def _rehearse(self, plan: Plan) -> None:
        """See that it stands, put all of it back, and see that what was there before is there again, and well."""
        self._log.enter(Phase.REHEARSING, "what was placed to be seen well")
        publish({PHASE: Phase.REHEARSING})
        placed = await self._look("is all placed, and well?")
        if not (seen := _read(placed)).passed:
            message = f"it is not healthy: {'; '.join(seen.sentences)}"
            raise Trouble(message)
        await self._undo_once(plan)
        self._log.enter(Phase.REHEARSING, "what was put back to be seen well")
        self._rehearsed = await self._look("is all put back, and well?", placed)
        seen = _read(self._rehearsed)
        self._note_judgement("rehearsal", str(seen), *seen.sentences, passed=seen.passed)
        if not seen.passed:
            message = f"{FAILED}: what was put back is not well: {'; '.join(seen.sentences)}"
            raise Trouble(message)
        # Each walk has the whole budget: what went before the second one is not counted.
        self._paused = workflow.now() - self._began

    async def _undo_once(self, plan: Plan) -> None:
        """Put back, newest first. An undo that took a person has not been proven, whatever came of it."""
        self._undone_once = True
        self._undo_phase, self._helped = Phase.REHEARSING, ""
        try:
            await self._walk_back(put_back(plan, self._begun))
        finally:
            self._undo_phase = Phase.UNDOING
        self._begun = [deed for deed in self._begun if not deed.step.can_be_undone]
        if self._helped:
            message = f"{FAILED}: {self._helped}"
            raise Trouble(message)

    async def _look(self, question: str, placed: Sealed | None = None) -> Sealed:
        looking = workflow.start_activity_method(
            EffectActivities.look,
            LookOrder(warrant=self._warrant, placed=placed),
            task_queue=self._queue,
            start_to_close_timeout=patience.UNDOING,
            schedule_to_close_timeout=patience.UNDOING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"rehearse {self._subject}: {question}",
        )
        try:
            return await looking
        except FAILURES as failure:
            raise trouble_with(failure) from failure


def _read(sealed: Sealed) -> Rehearsal:
    return Rehearsal.model_validate_json(sealed.body)
