"""Why a change cannot go on."""

import asyncio
from typing import Annotated

from pydantic import Field, TypeAdapter
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from activities.refusing import NOT_CLEARED, OVER
    from domain.answer import Done, Undone
    from domain.outcome import Outcome
    from domain.refusal import Refusal

_SAID: TypeAdapter[Done | Undone] = TypeAdapter(Annotated[Done | Undone, Field(discriminator="said")])
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


class Over(Exception):
    """The change has its receipt already, of an earlier run or attempt: that is its answer."""

    def __init__(self, answer: Done | Undone) -> None:
        super().__init__("its receipt was left before")
        self.answer = answer


def trouble_with(failure: BaseException) -> Trouble:
    """Say why an activity did not succeed: an ``ActivityError`` says only that it failed, its cause knows why.

    Raises ``Over`` where the change has its receipt already.
    """
    if is_cancelled_exception(failure):
        return cancelled()
    cause = failure.cause if isinstance(failure, ActivityError) else failure
    match cause:
        case ApplicationError(type=type_, details=[refusal, journaled]) if type_ == NOT_CLEARED:
            judged = Refusal.model_validate(refusal)
            return Trouble(judged.why, refusal=judged, touched=bool(journaled))
        case ApplicationError(type=type_, details=[answer]) if type_ == OVER:
            raise Over(_SAID.validate_python(answer)) from failure
        case TimedOut():
            last = f": {_said(cause.cause)}" if cause.cause else ""
            return Trouble(f"it took too long{last}")
        case ApplicationError(message=message):
            return Trouble(message)
        case _:
            return Trouble(str(cause))


def _said(cause: BaseException) -> str:
    return cause.message if isinstance(cause, ApplicationError) else str(cause)


def cancelled() -> Trouble:
    return Trouble(workflow.cancellation_reason() or "it was cancelled", Outcome.CANCELLED)
