"""What a refusal comes to: an end, or a wait."""

import pytest

from domain.gate import OnFreeze
from domain.outcome import Outcome
from domain.refusal import Cause, Refusal, end_by, is_waited_for


@pytest.mark.parametrize("cause", Cause)
def test_whoever_no_longer_asks_was_not_refused(cause: Cause) -> None:
    """Nor was who could not be answered, or made way for a newer one; everything else is a refusal."""
    ends = {
        Cause.GONE: Outcome.CANCELLED,
        Cause.UNANSWERED: Outcome.CANCELLED,
        Cause.SUPERSEDED: Outcome.SUPERSEDED,
    }

    assert end_by(cause) is ends.get(cause, Outcome.REFUSED)


@pytest.mark.parametrize("cause", [None, *Cause])
@pytest.mark.parametrize("on_freeze", OnFreeze)
def test_a_change_under_way_waits_for_gates_alone_and_where_its_terms_say_hold(
    cause: Cause | None, on_freeze: OnFreeze
) -> None:
    """Whatever else stops it has it undone."""
    refusal = Refusal(cause=cause, why="x") if cause else None

    assert is_waited_for(refusal, on_freeze) == (cause is Cause.GATE and on_freeze is OnFreeze.HOLD)
