"""Why a change cannot go on."""

import asyncio
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TimedOut

with workflow.unsafe.imports_passed_through():
    from activities.refusing import NOT_CLEARED, OVER
    from domain.answer import Done, Undone
    from domain.names import read_id
    from domain.outcome import Outcome
    from domain.refusal import Cause, Refusal
    from workflows.doorkeeper import why_cancelled

ReadT = TypeVar("ReadT")
_REFUSED: TypeAdapter[Refusal] = TypeAdapter(Refusal)
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

    @property
    def is_gone(self) -> bool:
        """Tell whether nobody wants it done any more."""
        return self.refusal is not None and self.refusal.cause is Cause.GONE


class Over(Exception):
    """The change has its receipt already, of an earlier run or attempt: that is its answer."""

    def __init__(self, answer: Done | Undone) -> None:
        super().__init__("its receipt was left before")
        self.answer = answer


def trouble_with(failure: BaseException) -> Trouble:
    """Say why an activity did not succeed: an ``ActivityError`` says only that it failed, its cause knows why.

    Raises ``Over`` where the change has its receipt already. What nobody can read is a failure like any other: anybody
    who reaches the server may have an activity fail, and say with what.
    """
    if is_cancelled_exception(failure):
        return cancelled()
    cause = failure.cause if isinstance(failure, ActivityError) else failure
    match cause:
        case ApplicationError(type=type_, details=[refusal, journaled]) if type_ == NOT_CLEARED and (
            judged := _read(_REFUSED, refusal)
        ):
            return Trouble(judged.why, refusal=judged, touched=bool(journaled))
        case ApplicationError(type=type_, details=[said]) if (
            type_ == OVER and (answer := _read(_SAID, said)) and _is_of_this_turn(answer)
        ):
            raise Over(answer) from failure
        case TimedOut():
            last = f": {_said(cause.cause)}" if cause.cause else ""
            return Trouble(f"it took too long{last}")
        case ApplicationError(message=message):
            return Trouble(message)
        case _:
            return Trouble(str(cause))


def _read(kind: TypeAdapter[ReadT], said: object) -> ReadT | None:
    try:
        return kind.validate_python(said)
    except ValidationError:
        return None


def _is_of_this_turn(answer: Done | Undone) -> bool:
    _, _, turn = read_id(workflow.info().workflow_id, "change")
    return turn == str(answer.turn)


def _said(cause: BaseException) -> str:
    return cause.message if isinstance(cause, ApplicationError) else str(cause)


def cancelled() -> Trouble:
    return Trouble(why_cancelled() or "it was cancelled", Outcome.CANCELLED)
