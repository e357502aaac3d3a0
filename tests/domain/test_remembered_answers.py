"""What a lane remembers of its answers, and what whoever withdraws is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.answer import NotBegun, Told, Withdrawal, answer_withdrawal, remember
from domain.refusal import Cause, Refusal

ASKER = "promotion/shop/dev/1.0.0"


def told(number: int = 1, why: str = "it was busy", ask: str = "") -> Told:
    return Told(number=number, answer=NotBegun(turn=0, refusal=Refusal(cause=Cause.BUSY, why=why)), ask=ask)


@pytest.mark.parametrize("waited", [True, False])
@pytest.mark.parametrize("number", [None, 1, 2])
def test_what_was_answered_stands_exactly_when_it_answers_that_ask_and_that_waits_no_more(
    number: int | None, *, waited: bool
) -> None:
    """A withdrawal is looked into for a while, and the change it is about may end well meanwhile."""
    before = None if number is None else told(number)
    withdrawal = Withdrawal(asker=ASKER, number=2, reason="changed my mind")

    answer = answer_withdrawal(withdrawal, before, waited=waited)

    stands = number == withdrawal.number and not waited
    gone = NotBegun(turn=0, refusal=Refusal(cause=Cause.GONE, why="changed my mind"))
    assert answer == (before if stands else Told(number=2, answer=gone))


@given(
    askers=st.lists(st.sampled_from([f"promotion/shop/dev/{n}" for n in range(6)]), min_size=1, max_size=12),
    most=st.integers(1, 6),
    fits=st.integers(0, 6),
    short=st.integers(0, 1),
)
def test_the_newest_answers_are_remembered_as_far_as_they_fit(
    askers: list[str], most: int, fits: int, short: int
) -> None:
    """The newest always: whoever asks back for it has just been told that it is there."""
    one = len(told().canonical())
    known: dict[str, Told] = {}
    for asker in askers:
        known = remember(known, asker, told(), most=most, size=fits * one - short)

    newest_first = list(dict.fromkeys(reversed(askers)))
    assert list(reversed(known)) == newest_first[: max(1, min(most, fits - short))]


def test_what_another_ask_of_the_same_name_and_number_was_told_stays_by_its_mark() -> None:
    """Anybody can ask in another's name; whose answer it is, the mark tells."""
    known = remember({}, ASKER, told(why="made up", ask="forged"), most=9, size=9_999)

    known = remember(known, ASKER, told(why="its own", ask="own"), most=9, size=9_999)

    assert {key: one.ask for key, one in known.items()} == {"forged": "forged", ASKER: "own"}
