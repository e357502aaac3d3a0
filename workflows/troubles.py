"""Why a change cannot go on."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from activities.clearance import NOT_CLEARED
    from domain.clearance import Refusal
    from domain.outcome import Outcome

FAILURES = (ActivityError, asyncio.CancelledError)
"""What a step's activity ends in when it does not succeed. Anything else is a bug, and waits for its mending."""


class Trouble(Exception):
    """The change cannot go on, and has to be undone. ``refusal`` where its environment did not let it in."""

    def __init__(
        self,
        why: str,
        outcome: Outcome = Outcome.ROLLED_BACK,
        refusal: Refusal | None = None,
        *,
        touched: bool = True,
    ) -> None:
        super().__init__(why)
        self.why = why
        self.outcome = outcome
        self.refusal = refusal
        self.touched = touched
        """False where it is certain that this step has not begun."""


def trouble_with(failure: BaseException) -> Trouble:
    """Say why an activity did not succeed: an ``ActivityError`` says only that it failed, its cause knows why."""
    if is_cancelled_exception(failure):
        return cancelled()
    cause = failure.cause if isinstance(failure, ActivityError) else failure
    match cause:
        case ApplicationError(type=type_, details=[refusal, journaled]) if type_ == NOT_CLEARED:
            judged = Refusal.model_validate(refusal)
            return Trouble(judged.why, refusal=judged, touched=bool(journaled))
        case TimedOut():
            last = f": {cause.cause}" if cause.cause else ""
            return Trouble(f"it took too long{last}")
        case _:
            return Trouble(str(cause))


def cancelled() -> Trouble:
    return Trouble(workflow.cancellation_reason() or "it was cancelled", Outcome.CANCELLED)
