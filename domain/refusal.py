"""Why an effect is not let in, and what of that is final: what is forbidden stays so, for the rest something helps."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.gate import OnFreeze
from domain.outcome import Outcome
from domain.value import Value


class Cause(StrEnum):
    """Why an effect was not cleared, and so what may help."""

    VOID = "void"
    """The approval no longer fits: draw up a new plan and ask people again."""
    GATE = "gate"
    """A gate is closed: wait for it to open."""
    GONE = "gone"
    """Whoever asked no longer asks."""
    FORBIDDEN = "forbidden"
    """This warrant opens nothing, now or later."""
    UNANSWERED = "unanswered"
    """Nobody could be asked: try again."""
    SUPERSEDED = "superseded"
    """A newer promotion took its place in the lane."""
    BUSY = "busy"
    """The lane lets nobody wait: ask when it is free."""


class Refusal(Value):
    """An effect was not cleared: the cause and a sentence."""

    cause: Cause
    why: str
    remedy: str = ""
    """For a gate: the command that opens it."""
    planned: bool = False
    """For a gate: it opens by itself, and nobody has to be asked."""
    opens: datetime | None = None
    """When a planned gate opens; None where that is further away than can be seen."""
    newer: int = 0
    """A turn that is not as the lane believes, where there is one: it has to recall."""


_ENDS: Final = {
    Cause.GONE: Outcome.CANCELLED,
    Cause.UNANSWERED: Outcome.CANCELLED,
    Cause.SUPERSEDED: Outcome.SUPERSEDED,
}


def end_by(cause: Cause) -> Outcome:
    """Return how a promotion ends by it: a closed gate it waits for, and a void plan is drawn up anew."""
    return _ENDS.get(cause, Outcome.REFUSED)


def is_waited_for(refusal: Refusal | None, on_freeze: OnFreeze) -> bool:
    """Tell whether a change under way waits until it may go on, as its terms want it; else it is undone."""
    return refusal is not None and refusal.cause is Cause.GATE and on_freeze is OnFreeze.HOLD


def forbidden(why: str) -> Refusal:
    return Refusal(cause=Cause.FORBIDDEN, why=f"This warrant opens nothing: {why}.")
