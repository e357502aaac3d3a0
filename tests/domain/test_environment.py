from hypothesis import given

from domain.environment import Holding, Placement, Unknown, same
from tests.domain.strategies import holdings, placements


@given(one=holdings, other=holdings)
def test_two_holdings_are_the_same_exactly_when_their_content_is_known_and_equal(
    one: Holding, other: Holding
) -> None:
    """Release and artifact count; who put it there, and when, does not; the unknown is like nothing."""
    known = [holding for holding in (one, other) if not isinstance(holding, Unknown)]
    contents = {(held.release, held.artifact) if isinstance(held, Placement) else None for held in known}

    assert same(one, other) == (len(known) == 2 and len(contents) == 1)
    assert same(one, other) == same(other, one)


@given(placement=placements)
def test_a_placement_is_the_same_whoever_put_it_there_whenever(placement: Placement) -> None:
    """Restored content is equal although its fence is newer."""
    assert same(placement, placement.but(fence=None, since=None))


def test_what_is_unknown_is_not_even_the_same_as_itself() -> None:
    """Nobody can say that two things nobody has seen are equal."""
    assert not same(Unknown(), Unknown())
