"""What every signal does in every phase: ● it is taken, → passed on to the change, or why it is refused."""

import pytest
from pydantic import ValidationError

from domain.doors import LARGEST_MESSAGE, Does, FreezeWord, Signal, Word, at_change, at_promotion
from domain.outcome import Phase

TAKEN, PASSED_ON = "●", "→"
NO_PLAN = "there is no plan to decide on yet; wait until it is shown, or cancel it"
LET_IN = "it has been let in already; cancel it to have it undone"
APPROVED = "it has been approved already; until its change begins it can still be rejected"
WAITING = "nothing is under way yet; cancel it instead"
NOT_HELD = "nothing is held"
NOT_STUCK = "nothing is stuck"
A_GATE = "a gate is not skipped; wait for it to open"
NOT_HERE = "decisions go to the promotion, not to its change"
HELD = "it is held already"
AN_UNDO = "an undo is never held"
OVER = "it has ended"

Row = tuple[str, str, str, str, str, str]
SIGNALS: tuple[str, ...] = ("approve", "reject", "hold", "resume", "retry", "skip")
FOLLOWED: Row = (LET_IN, LET_IN, PASSED_ON, PASSED_ON, PASSED_ON, PASSED_ON)
UNDER_WAY: Row = (NOT_HERE, NOT_HERE, TAKEN, NOT_HELD, NOT_STUCK, NOT_STUCK)
ENDED: Row = (OVER, OVER, OVER, OVER, OVER, OVER)

AT_PROMOTION: dict[str, Row] = {
    "preparing": (NO_PLAN, NO_PLAN, WAITING, NOT_HELD, NOT_STUCK, NOT_STUCK),
    "no worker": (NO_PLAN, NO_PLAN, WAITING, NOT_HELD, NOT_STUCK, NOT_STUCK),
    "waiting for approval": (TAKEN, TAKEN, WAITING, NOT_HELD, NOT_STUCK, NOT_STUCK),
    "waiting for a gate": (TAKEN, TAKEN, WAITING, NOT_HELD, TAKEN, A_GATE),
    "in the lane": (APPROVED, TAKEN, PASSED_ON, PASSED_ON, PASSED_ON, PASSED_ON),
    "deploying": FOLLOWED,
    "checking health": FOLLOWED,
    "rehearsing": FOLLOWED,
    "soaking": FOLLOWED,
    "held": FOLLOWED,
    "undoing": FOLLOWED,
    "stuck": FOLLOWED,
    "walking": FOLLOWED,
    "idle": FOLLOWED,
    "busy": FOLLOWED,
    "unsettled": FOLLOWED,
    "ended": ENDED,
}
AT_CHANGE: dict[str, Row] = {
    "preparing": UNDER_WAY,
    "no worker": UNDER_WAY,
    "waiting for approval": UNDER_WAY,
    "waiting for a gate": (NOT_HERE, NOT_HERE, TAKEN, NOT_HELD, TAKEN, A_GATE),
    "in the lane": UNDER_WAY,
    "deploying": UNDER_WAY,
    "checking health": UNDER_WAY,
    "rehearsing": UNDER_WAY,
    "soaking": UNDER_WAY,
    "held": (NOT_HERE, NOT_HERE, HELD, TAKEN, NOT_STUCK, NOT_STUCK),
    "undoing": (NOT_HERE, NOT_HERE, AN_UNDO, NOT_HELD, NOT_STUCK, NOT_STUCK),
    "stuck": (NOT_HERE, NOT_HERE, AN_UNDO, NOT_HELD, TAKEN, TAKEN),
    "walking": UNDER_WAY,
    "idle": UNDER_WAY,
    "busy": UNDER_WAY,
    "unsettled": UNDER_WAY,
    "ended": ENDED,
}


def cell(said: str) -> tuple[Does, str]:
    return {TAKEN: (Does.TAKE, ""), PASSED_ON: (Does.PASS_ON, "")}.get(said, (Does.REFUSE, said))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("signal", Signal)
def test_a_promotion_does_with_a_signal_what_the_table_says(phase: Phase, signal: Signal) -> None:
    """No phase leaves a signal without an answer, and every refusal has a sentence."""
    expected = AT_PROMOTION[phase][SIGNALS.index(signal)]

    assert at_promotion(phase, signal) == cell(expected)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("signal", Signal)
def test_a_change_does_with_a_signal_what_the_table_says(phase: Phase, signal: Signal) -> None:
    """Likewise for the change, which only the lane speaks to."""
    expected = AT_CHANGE[phase][SIGNALS.index(signal)]

    assert at_change(phase, signal) == cell(expected)


def test_no_decision_is_taken_once_a_change_is_let_in_or_over() -> None:
    """Approvals open the way in, and nothing else."""
    taken = {phase for phase in Phase if at_promotion(phase, Signal.APPROVE)[0] is Does.TAKE}

    assert taken == {Phase.WAITING_FOR_APPROVAL, Phase.WAITING_FOR_GATE}
    assert not any(at_change(phase, Signal.APPROVE)[0] is Does.TAKE for phase in Phase)


def test_a_word_names_who_says_it() -> None:
    """A comment may be left out, a name may not, and neither is without end."""
    assert Word.model_validate({"by": " ana "}, extra="forbid") == Word(by="ana")
    for wrong in ({}, {"by": ""}, {"by": "ana", "comment": "x" * 2001}, {"by": "ana", "coment": ""}):
        with pytest.raises(ValidationError):
            Word.model_validate(wrong, extra="forbid")


def test_a_freeze_has_a_reason_and_may_have_an_end() -> None:
    """Whoever finds an environment frozen can read why."""
    frozen = FreezeWord.model_validate({"by": "ana", "reason": "holidays", "lasts": "2h"})

    assert frozen.lasts
    assert frozen.lasts.total_seconds() == 7200
    with pytest.raises(ValidationError):
        FreezeWord.model_validate({"by": "ana", "reason": ""})


@pytest.mark.parametrize(
    ("lasts", "why"), [("0s", "0s is no time"), ("", "“” is not a dur"), (True, "true is not a duration")]
)
def test_a_freeze_for_no_time_is_none_for_ever(lasts: object, why: str) -> None:
    """It was one without an end, or for a second."""
    with pytest.raises(ValidationError, match=why):
        FreezeWord.model_validate({"by": "ana@example.com", "reason": "why", "lasts": lasts})


def test_what_doors_read_stays_below_what_a_server_takes() -> None:
    """A message that is read can also be remembered and shown."""
    assert LARGEST_MESSAGE == 16384
