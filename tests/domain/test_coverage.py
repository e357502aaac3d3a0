"""What counts as covered, thing by thing."""

from datetime import timedelta

import pytest

from domain.actor import Actor
from domain.coverage import (
    Cover,
    Covered,
    Stands,
    Taker,
    cover_alarm,
    cover_health,
    cover_rollback,
    cover_undo,
    cover_worker,
    worst,
)
from domain.environment import Absent
from domain.journal import Receipt, Settled
from domain.names import Subject
from domain.outcome import Exit, Outcome
from domain.plan import Undo
from domain.terms import Story
from tests.domain.strategies import NOON

DEV = Subject(service="shop", environment="dev")


def receipt(story: Story = Story.PROMOTION, settled: Settled = Settled.DONE, **more: object) -> Receipt:
    return Receipt(
        subject=DEV,
        turn=7,
        story=story,
        settled=settled,
        outcome=Outcome.PROMOTED,
        before={"site": Absent()},
        after={"site": Absent()},
        actor=Actor(name="ana"),
        began=NOON,
        ended=NOON,
    ).but(**more)


BACK = receipt(Story.ROLLBACK, of=6)


@pytest.mark.parametrize(
    ("cover", "stands", "said"),
    [
        (cover_health(0, [receipt(proven=True)], "f"), Stands.MISSING, "none"),
        (cover_health(1, [], "f"), Stands.GOOD, "not asked yet"),
        (cover_health(1, [BACK, receipt(proven=True), receipt()], "f"), Stands.GOOD, "proving"),
        (cover_health(1, [receipt(), receipt(proven=True)], "f"), Stands.DOUBTFUL, "unproven"),
        (cover_alarm(routed=True), Stands.GOOD, "routed"),
        (cover_alarm(routed=False), Stands.MISSING, "none"),
        (cover_undo([], "f"), Stands.MISSING, "no target"),
        (cover_undo([Taker("a", Undo.RESTORE, fenced=True)], "f"), Stands.GOOD, "restore"),
        (cover_undo([Taker("a", Undo.COMMAND, fenced=False)], "f"), Stands.DOUBTFUL, "not fenced: a"),
        (
            cover_undo([Taker("a", Undo.COMMAND, fenced=False), Taker("b", Undo.PIVOT, fenced=True)], "f"),
            Stands.MISSING,
            "none: b",
        ),
        (cover_worker(2, "dev"), Stands.GOOD, "2"),
        (cover_worker(0, "dev"), Stands.MISSING, "none"),
        (cover_worker(None, "dev"), Stands.UNKNOWN, "unknown"),
        (cover_rollback([], DEV, NOON), Stands.MISSING, "never"),
        (cover_rollback([receipt()], DEV, NOON), Stands.MISSING, "never"),
        (cover_rollback([BACK.but(healthy=False)], DEV, NOON), Stands.MISSING, "never"),
        (cover_rollback([receipt(settled=Settled.UNDONE)], DEV, NOON), Stands.MISSING, "never"),
        (cover_rollback([receipt(), BACK], DEV, NOON + timedelta(days=3)), Stands.GOOD, "3d ago"),
        (cover_rollback([BACK], DEV, NOON + timedelta(days=91)), Stands.DOUBTFUL, "91d ago"),
    ],
)
def test_each_thing_is_judged(cover: Cover, stands: Stands, said: str) -> None:
    """What is not good says what to do about it; only what is good does not."""
    assert (cover.stands, cover.said) == (stands, said)
    assert bool(cover.remedy) == (stands is not Stands.GOOD)
    assert (cover.exit is Exit.DONE) == (stands in {Stands.GOOD, Stands.DOUBTFUL})


def test_the_worst_is_what_a_shell_is_told() -> None:
    """A server that is away hides more than a worker that is, and that more than a gap."""
    good = cover_alarm(routed=True)
    place = Covered(
        service="shop", environment="dev", health=good, alarm=good, undo=good, worker=good, rollback=good
    )
    gap, unserved = place.but(alarm=cover_alarm(routed=False)), place.but(worker=cover_worker(0, "dev"))
    unknown = place.but(worker=cover_worker(None, "dev"))

    assert worst([place]) is Exit.DONE
    assert worst([place, gap]) is Exit.UNCOVERED
    assert worst([gap, unserved]) is Exit.NOBODY_POLLS
    assert worst([gap, unserved, unknown]) is Exit.NO_SERVER
