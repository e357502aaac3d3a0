"""What a rehearsal proves: for the change that it belongs to, and for the plans of environments that come after."""

from datetime import timedelta

import pytest

from domain.environment import Absent, Placement
from domain.fence import Fence
from domain.journal import standing
from domain.plan import Deed, Step, Undo, put_back
from domain.rehearsal import (
    PutBack,
    Rehearsal,
    Scene,
    Seen,
    acts,
    again,
    judge_rehearsal,
    rehearses,
    say_ahead,
    say_seen,
    unproven,
    untried,
)
from tests.domain.strategies import NOON, digest
from tests.domain.test_clearance import PLAN, PROPOSAL, SUBJECT, TERMS, TURN

SITE = Step.model_validate(
    {
        "component": "site",
        "target": "directory",
        "verb": "place",
        "before": {"held": "absent"},
        "after": {
            "held": "release",
            "version": "2.0",
            "release": digest("2.0"),
            "artifact": digest("site 2.0"),
        },
        "undo": "restore",
        "fenced": True,
        "repeatable": True,
    }
)
SCHEMA = SITE.but(component="schema", undo=Undo.PIVOT)
MIXED = PLAN.but(steps=(SCHEMA, SITE))
REHEARSING = PROPOSAL.but(terms=TERMS.but(rehearse=True))
ONCE = PutBack(berth="site", away=SITE.after, back=Absent())
SEEN = Rehearsal(
    subject=SUBJECT, turn=TURN, intent=PLAN.intent, scene=Scene.PUT_BACK, passed=True, undone=(ONCE,), at=NOON
)


@pytest.mark.parametrize(
    ("evidence", "is_done"),
    [
        (SEEN, True),
        (None, False),
        (SEEN.but(passed=False), False),
        (SEEN.but(turn=TURN - 1), False),
        (SEEN.but(intent=digest("another plan")), False),
        (SEEN.but(scene=Scene.PLACED), False),
        (SEEN.but(subject=SUBJECT.but(environment="dev")), False),
    ],
)
def test_a_change_is_done_only_with_evidence_of_its_own_rehearsal(
    evidence: Rehearsal | None, *, is_done: bool
) -> None:
    """That of another turn, plan, place or scene is none; where nothing is rehearsed none is asked for."""
    assert (judge_rehearsal(REHEARSING, TURN, evidence) is None) is is_done
    assert judge_rehearsal(PROPOSAL, TURN, evidence) is None


def test_what_cannot_be_undone_is_done_once() -> None:
    """Its acts are the deeds, the undos of what can be undone, and those deeds again."""
    terms = TERMS.but(rehearse=True)

    assert again(MIXED).steps == (SITE,)
    assert acts(terms, MIXED) == 2 + 1 + 1
    assert acts(TERMS, MIXED) == 2
    assert acts(terms, PLAN) == 3 * len(PLAN.steps)
    assert not rehearses(terms, PLAN.but(steps=(SCHEMA,)))


def test_what_only_puts_back_is_never_rehearsed() -> None:
    """A rollback or settlement by terms that rehearse is itself the undo."""
    back = put_back(MIXED, [Deed(step=SITE, fence=Fence(turn=TURN, act=1))])

    assert not rehearses(TERMS.but(rehearse=True), back)


def test_a_pivot_and_what_nobody_can_see_is_not_proven() -> None:
    """The receipt says of each why."""
    blind = SITE.but(component="flags", repeatable=False)
    told = untried(PLAN.but(steps=(SCHEMA, SITE, blind)), {"site": Absent(), "schema": SCHEMA.after})

    assert set(told) == {"schema", "flags"}
    assert "pivot" in told["schema"]
    assert "cannot show" in told["flags"]


def test_approvers_are_told_what_was_rehearsed_and_what_was_not() -> None:
    """A proof is of the very content: the same component with another artifact was not rehearsed."""
    assert isinstance(SITE.after, Placement)
    fixed = SITE.but(after=SITE.after.but(artifact=digest("site 2.0.1")))
    way = [Seen("staging", (SEEN,))]

    assert list(say_seen((SITE,), way)) == [str(SEEN)]
    assert str(SEEN).startswith(
        f"undo rehearsed in {SUBJECT.environment}, {NOON:%Y-%m-%d %H:%M} UTC: site 2.0 ("
    )
    assert list(say_seen((fixed, SCHEMA), way)) == [
        "not rehearsed in staging: the undo of site, for no receipt there tells of it",
        "not rehearsed in staging: the undo of schema, for it is a pivot, and a pivot is never rehearsed",
    ]


def test_one_environment_before_is_enough() -> None:
    """Every step needs a proof, each from wherever it was undone; the newest is told."""
    newer = SEEN.but(at=NOON + timedelta(days=1))
    way = [Seen("dev", ()), Seen("staging", (newer, SEEN))]

    assert unproven((SITE,), way) == ()
    assert list(say_seen((SITE,), way[1:])) == [str(newer)]
    assert unproven((SITE, SITE.but(component="flags")), way) == (
        "the undo of flags was not rehearsed in dev or staging",
    )
    assert unproven((SITE,), []) == ("the undo of site was not rehearsed in any environment before",)


def test_of_a_pivot_no_proof_is_asked() -> None:
    """It has no undo: it is approved as what it is."""
    assert unproven((SCHEMA,), []) == ()


def test_a_plan_says_what_will_be_rehearsed() -> None:
    """With a pivot unmistakably, and of pivots alone that nothing is."""
    assert list(say_ahead((SITE,))) == ["its undo is rehearsed here: it is placed, put back and placed again"]
    assert "schema cannot be undone, is not rehearsed" in next(iter(say_ahead((SCHEMA, SITE))))
    assert list(say_ahead((SCHEMA,))) == ["its undo is not rehearsed: schema cannot be undone"]
    assert list(say_ahead(())) == []


def test_of_what_was_placed_twice_the_last_deed_stands() -> None:
    """What a rehearsal put back is not undone again; a pivot's only deed stays."""
    deeds = [
        Deed(step=step, fence=Fence(turn=TURN, act=act)) for act, step in ((1, SCHEMA), (2, SITE), (4, SITE))
    ]

    assert [deed.fence.act for deed in standing(deeds)] == [1, 4]
