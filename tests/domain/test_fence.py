from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.fence import Fence, is_too_far_ahead, milliseconds, next_turn, read_fence
from tests.domain.strategies import NOON, fences, moments

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE = timedelta(milliseconds=1)


@given(one=fences, other=fences)
def test_a_fence_outranks_another_exactly_when_its_turn_or_then_its_act_is_higher(
    one: Fence, other: Fence
) -> None:
    """Of two fences one outranks, or they are equal; a fence never outranks itself."""
    assert one.outranks(other) == (one.turn > other.turn or (one.turn == other.turn and one.act > other.act))
    assert one.outranks(other) + other.outranks(one) + (one == other) == 1


@given(fence=st.builds(Fence, turn=st.integers(0, 2**62), act=st.integers(0, 999)))
def test_a_fence_reads_back_from_what_is_said_of_it(fence: Fence) -> None:
    """Also from a file that ends in a new line."""
    assert read_fence(str(fence)) == fence
    assert read_fence(f"{fence}\n") == fence


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".1", "1.2.3", "-1.0", "1.-2", "+1.0", "1_0.2", "1. 2", "a.b", "٣.1"]
)
def test_what_is_no_fence_is_refused(text: str) -> None:
    """A fence that is half understood would let a late write in."""
    with pytest.raises(ValueError, match="is not a fence"):
        read_fence(text)


@given(last=st.integers(0, 10), now=moments)
def test_the_next_turn_is_the_least_that_outranks_the_last_and_the_clock(last: int, now: datetime) -> None:
    """It grows with every change, and a lane that lost its memory still outranks by the clock."""
    clock = milliseconds(now)

    assert next_turn(last, now) == clock
    for before in (clock - 2, clock - 1, clock, clock + 1):
        turn = next_turn(before, now)
        assert turn == max(before + 1, clock)
        assert turn > before


@given(count=st.integers(0, 4_000_000_000_000), micros=st.integers(0, 999))
@example(count=2_197_361_009_601, micros=0)
def test_milliseconds_are_exact(count: int, micros: int) -> None:
    """No float takes one away: every millisecond since 1970 is told from its neighbours."""
    assert milliseconds(EPOCH + count * ONE + timedelta(microseconds=micros)) == count


@given(now=moments, off=st.integers(-2, 2))
def test_a_turn_is_too_far_ahead_exactly_when_it_is_over_a_day_ahead(now: datetime, off: int) -> None:
    """To the millisecond: a day is let through, a day and a millisecond is not."""
    a_day_ahead = milliseconds(now) + 24 * 60 * 60 * 1000

    assert is_too_far_ahead(a_day_ahead + off, now) == (off > 0)


def test_every_turn_given_at_a_time_is_let_in_at_that_time() -> None:
    """A lane's own turns never look like forged ones."""
    assert not is_too_far_ahead(next_turn(0, NOON), NOON)
