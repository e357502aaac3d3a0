"""A turn does the deeds of one plan, each under its own number, and is accounted for by no other."""

import pytest

from domain.fence import Fence
from domain.journal import Capture, Entry, called_off
from domain.plan import Plan
from domain.terms import Proposal, TargetTerms
from domain.turn import judge_deeds, of_another, out_of_line
from tests.domain.strategies import NOON, digest
from tests.domain.test_clearance import OLD, PLACE, PLAN, PROPOSAL, SECOND, SUBJECT, TERMS, TURN

OTHER: Plan = PLAN.but(terms=digest("other terms"))


def entry(of: Plan | None, act: int = 1) -> Entry:
    return Entry(
        subject=SUBJECT,
        fence=Fence(turn=TURN, act=act),
        step=PLAN.steps[act - 1],
        steps=2,
        target=TargetTerms(target="directory"),
        capture=Capture(holding=OLD),
        intent=of.intent if of else None,
        at=NOON,
    )


@pytest.mark.parametrize(
    ("act", "first", "is_in_line"),
    [
        (1, None, True),
        (2, None, True),
        (2, entry(PLAN), True),
        (2, entry(None), True),
        (2, called_off(SUBJECT, Fence(turn=TURN, act=1), NOON), True),
        (0, None, False),
        (3, entry(PLAN), False),
        (-1, entry(PLAN), False),
        (2, entry(OTHER), False),
    ],
)
def test_a_deed_is_one_of_its_plan_and_of_the_plan_that_began_the_turn(
    act: int, first: Entry | None, *, is_in_line: bool
) -> None:
    """An entry by an older worker does not say by which plan it was; what was called off never was."""
    assert (out_of_line(PROPOSAL, PLACE, act, first, None) is None) is is_in_line


def test_what_was_captured_for_one_step_is_no_capture_for_another() -> None:
    """A second attempt is at the same step: another one would have nothing to be undone by."""
    noted = entry(PLAN)

    assert out_of_line(PROPOSAL, PLACE, 1, noted, noted) is None
    refusal = out_of_line(PROPOSAL, SECOND, 1, noted, noted)
    assert refusal
    assert f"deed {noted.fence} is “{PLACE}”" in refusal.why


def test_a_rehearsal_has_numbers_for_its_undo_and_its_second_time() -> None:
    """Placed, put back and placed again."""
    rehearsing: Proposal = PROPOSAL.but(terms=TERMS.but(rehearse=True))

    assert [out_of_line(rehearsing, PLACE, act, None, None) is None for act in (6, 7)] == [True, False]


def test_a_turn_that_another_plan_began_says_which() -> None:
    """By the digits that people have read."""
    refusal = of_another(PROPOSAL, entry(OTHER))

    assert refusal
    assert f"was begun by plan {OTHER.intent.removeprefix('sha256:')[:8]}" in refusal.why


def test_what_was_never_begun_was_not_done() -> None:
    """Each berth that something was to be placed on has a deed of its own."""
    both = [entry(PLAN), entry(PLAN, 2)]

    assert PLACE in PLAN.steps
    assert SECOND in PLAN.steps
    assert judge_deeds(PROPOSAL, both) is None
    refusal = judge_deeds(PROPOSAL, both[:1])
    assert refusal
    assert "db was never begun" in refusal.why
