"""What is drawn up for a wish to go back: never nothing in place of something, unless that is asked for by its turn."""

from itertools import product

import pytest

from domain.actor import Actor
from domain.drawing import draw_rollback
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence
from domain.journal import Receipt, Settled
from domain.names import Subject
from domain.outcome import Outcome
from domain.plan import Deed, Step, Undo, Verb
from domain.terms import Request, Story
from tests.domain.strategies import NOON, digest

SUBJECT = Subject(service="shop", environment="production")
TURN = 7
WAYS = ("new", "newer", "left alone", "taken away", "never there")
"""What a change may have done to one component."""


def placed(version: str) -> Placement:
    fence = Fence(turn=TURN, act=1)
    return Placement(version=version, release=digest(version), artifact=digest(version), fence=fence)


HELD: dict[str, tuple[Holding, Holding]] = {
    "new": (Absent(), placed("2.0")),
    "newer": (placed("1.0"), placed("2.0")),
    "left alone": (placed("1.0"), placed("1.0")),
    "taken away": (placed("1.0"), Absent()),
    "never there": (Absent(), Absent()),
}


def receipt_of(ways: tuple[str, ...]) -> Receipt:
    """The receipt of a change that did this to its components, in their order."""
    held = {f"part-{number}": HELD[way] for number, way in enumerate(ways)}
    deeds = [
        Deed(
            step=Step(
                component=name,
                target="directory",
                verb=Verb.PLACE,
                before=before,
                after=after,
                undo=Undo.RESTORE,
                fenced=True,
                repeatable=True,
            ),
            fence=Fence(turn=TURN, act=act),
        )
        for act, (name, (before, after)) in enumerate(held.items(), start=1)
        if before != after
    ]
    return Receipt(
        subject=SUBJECT,
        turn=TURN,
        story=Story.PROMOTION,
        settled=Settled.DONE,
        outcome=Outcome.PROMOTED,
        version="2.0",
        before={name: before for name, (before, _) in held.items()},
        after={name: after for name, (_, after) in held.items()},
        deeds=tuple(deeds),
        actor=Actor(name="ana"),
        began=NOON,
        ended=NOON,
    )


@pytest.mark.parametrize("of", [None, TURN])
def test_what_would_leave_nothing_is_refused_exactly_when_its_turn_is_not_named(of: int | None) -> None:
    """All that stands came with this change: a second rollback in a row emptied a place that somebody needed."""
    for ways in product(WAYS, repeat=3):
        request = Request(story=Story.ROLLBACK, subject=SUBJECT, actor=Actor(name="olga"), of=of)

        drawn = draw_rollback(request, [receipt_of(ways)])

        empties = "new" in ways and not set(ways) & {"newer", "left alone", "taken away"}
        assert bool(drawn.refusals) is (of is None and empties), ways
        assert bool(drawn.steps) is (
            not drawn.refusals and bool(set(ways) & {"new", "newer", "taken away"})
        ), ways
        assert all(f"--turn {TURN}" in why for why in drawn.refusals)
