"""What is answered to whom, where several have asked in one name."""

from datetime import UTC, datetime

import pytest

from domain.actor import Actor
from domain.answer import Ask, NotBegun, OwnWord, Told, Withdrawal
from domain.names import Subject
from domain.outcome import Phase
from domain.refusal import Cause, Refusal
from domain.status import LaneStatus
from domain.terms import LanePolicy, LaneTerms, Request

SUBJECT = Subject(service="shop", environment="production")
NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
ASKER = "promotion/shop/production/1.0.0"
OWN = Ask(
    asker=ASKER,
    number=1,
    request=Request(subject=SUBJECT, version="1.0.0", actor=Actor(name="ana")),
    since=NOON,
)
FORGED = OWN.but(intent="sha256:another")


def told(number: int, mark: str) -> Told:
    return Told(
        number=number, ask=mark, answer=NotBegun(turn=0, refusal=Refusal(cause=Cause.GONE, why="gone"))
    )


def test_a_mark_is_of_what_is_asked_and_not_of_how_it_was_sent() -> None:
    """An ask that is sent again, and was read by a lane, has the mark that it had; any other has another."""
    again = OWN.but(dated=NOON, comes_back=True, lane=LaneTerms(policy=LanePolicy.REFUSE))

    assert Ask.model_validate_json(again.model_dump_json()).mark == OWN.mark
    assert len({OWN.mark, FORGED.mark, OWN.but(number=2).mark, OWN.but(since=None).mark}) == 4


@pytest.mark.parametrize("newest", [OWN, FORGED])
def test_an_asker_finds_the_answer_to_its_own_ask(newest: Ask) -> None:
    """Whichever of two in its name was answered last; of another number, or another mark alone, there is none."""
    other = FORGED if newest is OWN else OWN
    answers = {ASKER: told(1, newest.mark), other.mark: told(1, other.mark)}
    lane = LaneStatus(subject=SUBJECT, phase=Phase.IDLE, answers=answers)
    forged = lane.but(answers={ASKER: told(1, FORGED.mark)})

    assert lane.answer_to(ASKER, 1, OWN.mark) == told(1, OWN.mark)
    assert lane.answer_to(ASKER, 2, OWN.mark) is None
    assert forged.answer_to(ASKER, 1, OWN.mark) is None


def test_an_answer_without_a_mark_is_for_whatever_has_its_number() -> None:
    """To a withdrawal, or by an engine that does not mark its answers yet."""
    lane = LaneStatus(subject=SUBJECT, phase=Phase.IDLE, answers={ASKER: told(1, "")})

    assert lane.answer_to(ASKER, 1, OWN.mark) == told(1, "")
    assert lane.answer_to(ASKER, 2, OWN.mark) is None


@pytest.mark.parametrize(
    ("word", "has_asked", "belies"),
    [
        (OwnWord(number=1, since=NOON, mark=OWN.mark), True, False),
        (OwnWord(number=1, since=NOON), True, False),
        (OwnWord(number=1, since=NOON, mark=FORGED.mark), False, True),
        (OwnWord(number=1, since=NOON, mark=OWN.mark, waits=False), False, False),
        (OwnWord(number=0, since=NOON, waits=False), False, True),
        (OwnWord(number=2, since=NOON, mark=FORGED.mark), False, False),
        (OwnWord(open=False), False, False),
        (OwnWord(known=False), False, True),
    ],
)
def test_a_promotion_has_asked_what_it_waits_for(word: OwnWord, *, has_asked: bool, belies: bool) -> None:
    """What it never asked is belied; what was answered already, or asked before it asked anew, may come late."""
    assert (word.has_asked(OWN), word.belies(OWN)) == (has_asked, belies)


def test_what_was_never_asked_has_not_been_asked_under_number_0() -> None:
    """A promotion that has asked for nothing yet has asked for that no more than for anything else."""
    word = OwnWord(number=0, since=NOON)

    assert not word.has_asked(OWN.but(number=0))
    assert word.belies(OWN.but(number=0))


@pytest.mark.parametrize(
    ("word", "own", "belied"),
    [
        (OwnWord(withdrawal=Withdrawal(asker=ASKER)), True, False),
        (OwnWord(withdrawal=Withdrawal(asker="promotion/shop/production/2.0.0")), False, True),
        (OwnWord(), False, True),
        (OwnWord(open=False), False, False),
        (OwnWord(known=False), False, True),
    ],
)
def test_a_promotion_withdraws_for_itself_alone(word: OwnWord, *, own: bool, belied: bool) -> None:
    """What it says in another's name is no word of its own; one that has just ended may have said it."""
    assert (word.withdraws(ASKER) is not None) is own
    assert word.belies_withdrawal(ASKER) is belied
