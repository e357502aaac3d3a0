"""What every signal does in every phase."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from domain.actor import PersonName
from domain.names import Identifier, Subject
from domain.outcome import Phase
from domain.signature import WordSignature
from domain.value import Duration, Value, some_time

NUDGE: Final = "nudge"
"""A signal of the engine's own, which says nothing."""
LARGEST_MESSAGE: Final = 16 * 1024
"""More bytes than this are refused at every door."""


class Signal(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    RESUME = "resume"
    RETRY = "retry"
    SKIP = "skip"


class Word(Value):
    """What a person writes for ``hold``, ``resume``, ``retry`` and ``skip``."""

    by: PersonName
    comment: Annotated[str, Field(max_length=2000)] = ""
    signed: WordSignature | None = None
    """By the person's own key, where the environment asks for it; ``--key`` makes it."""


Lasting = Annotated[Duration, some_time(", or leave it out for one without an end")]
"""How long what is shut stays shut."""


class FreezeWord(Value):
    """What a person writes for ``freeze``; ``lasts`` such as ``2h``, for ever where it is left out."""

    by: PersonName
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    lasts: Lasting | None = None
    signed: WordSignature | None = None


class PinWord(Value):
    """What a person writes for ``pin``; ``release`` is what the service holds, ``lasts`` as in a freeze."""

    by: PersonName
    service: Identifier
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    release: Annotated[str, Field(max_length=200)] = ""
    lasts: Lasting | None = None
    signed: WordSignature | None = None


class UnpinWord(Word):
    """What a person writes for ``unpin``."""

    service: Identifier


class Does(StrEnum):
    """What a door does with a signal: take it, pass it on to the change, or refuse it."""

    TAKE = "take"
    PASS_ON = "pass on"  # noqa: S105 - not that kind of pass
    REFUSE = "refuse"


Cell = Does | str
"""``TAKE`` or ``PASS_ON``; anything else is the sentence that it is refused with."""

_NOT_YET = "there is no plan to decide on yet; wait until it is shown, or cancel it"
_DECIDED = "it has been let in already; cancel it to have it undone"
_APPROVED = "it has been approved already; until its change begins it can still be rejected"
_NOT_STUCK = "nothing is stuck"
_NOT_HELD = "nothing is held"
_OVER = "it has ended"
_AN_UNDO = "an undo is never held"
_NOT_HERE = "decisions go to the promotion, not to its change"
_WAITING = "nothing is under way yet; cancel it instead"
_A_GATE = "a gate is not skipped; wait for it to open"

_UNDECIDED: Final[dict[Signal, Cell]] = {
    Signal.APPROVE: _NOT_YET,
    Signal.REJECT: _NOT_YET,
    Signal.HOLD: _WAITING,
    Signal.RESUME: _NOT_HELD,
    Signal.RETRY: _NOT_STUCK,
    Signal.SKIP: _NOT_STUCK,
}
_DECIDING: Final = _UNDECIDED | {Signal.APPROVE: Does.TAKE, Signal.REJECT: Does.TAKE}
_LET_IN: Final[dict[Signal, Cell]] = {
    Signal.APPROVE: _DECIDED,
    Signal.REJECT: _DECIDED,
    Signal.HOLD: Does.PASS_ON,
    Signal.RESUME: Does.PASS_ON,
    Signal.RETRY: Does.PASS_ON,
    Signal.SKIP: Does.PASS_ON,
}
_UNDER_WAY: Final[dict[Signal, Cell]] = {
    Signal.APPROVE: _NOT_HERE,
    Signal.REJECT: _NOT_HERE,
    Signal.HOLD: Does.TAKE,
    Signal.RESUME: _NOT_HELD,
    Signal.RETRY: _NOT_STUCK,
    Signal.SKIP: _NOT_STUCK,
}
_ENDED: Final[dict[Signal, Cell]] = dict.fromkeys(Signal, _OVER)

# Both tables have a row for every phase, so that no signal can meet one without an answer.
_PROMOTION: Final[dict[Phase, dict[Signal, Cell]]] = dict.fromkeys(Phase, _LET_IN) | {
    Phase.PREPARING: _UNDECIDED,
    Phase.NO_WORKER: _UNDECIDED,
    Phase.WAITING_FOR_APPROVAL: _DECIDING,
    Phase.WAITING_FOR_GATE: _DECIDING | {Signal.RETRY: Does.TAKE, Signal.SKIP: _A_GATE},
    Phase.IN_LANE: _LET_IN | {Signal.APPROVE: _APPROVED, Signal.REJECT: Does.TAKE},
    Phase.ENDED: _ENDED,
}
_CHANGE: Final[dict[Phase, dict[Signal, Cell]]] = dict.fromkeys(Phase, _UNDER_WAY) | {
    Phase.WAITING_FOR_GATE: _UNDER_WAY | {Signal.RETRY: Does.TAKE, Signal.SKIP: _A_GATE},
    Phase.HELD: _UNDER_WAY | {Signal.HOLD: "it is held already", Signal.RESUME: Does.TAKE},
    Phase.UNDOING: _UNDER_WAY | {Signal.HOLD: _AN_UNDO},
    Phase.STUCK: _UNDER_WAY | {Signal.HOLD: _AN_UNDO, Signal.RETRY: Does.TAKE, Signal.SKIP: Does.TAKE},
    Phase.ENDED: _ENDED,
}


def say_too_late(subject: Subject) -> str:
    """Say what a rejection comes to after the change has begun, and what takes the release out again."""
    back = f"towpath rollback {subject.service} {subject.environment}"
    return f"Its change had begun by then, so it was let finish; to take it out again: {back}"


def at_promotion(phase: Phase, signal: Signal) -> tuple[Does, str]:
    """Say what a promotion in this phase does with this signal, and why where it refuses."""
    return _answer(_PROMOTION[phase][signal])


def at_change(phase: Phase, signal: Signal) -> tuple[Does, str]:
    """Say what a change in this phase does with this signal, and why where it refuses."""
    return _answer(_CHANGE[phase][signal])


def _answer(cell: Cell) -> tuple[Does, str]:
    return (cell, "") if isinstance(cell, Does) else (Does.REFUSE, cell)
