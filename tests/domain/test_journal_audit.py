"""Journals held against receipts."""

import pytest

from domain.audit import Paper
from domain.environment import Unknown
from domain.fence import Fence
from domain.journal import Entry, Settled
from domain.journal_audit import beside_findings, say_put_back, unaccounted_findings
from domain.names import Subject
from domain.plan import Deed, Verb
from domain.terms import Story
from tests.domain.strategies import digest
from tests.domain.test_effect_audit import UNSIGNED as LET_IN
from tests.domain.test_effect_audit import begun, papers

SHOP = Subject(service="shop", environment="production")


def entry(turn: int, act: int = 1, component: str = "site", **changes: object) -> Entry:
    one = begun(LET_IN, fence=Fence(turn=turn, act=act), **changes)
    return one.but(step=one.step.but(component=component))


@pytest.mark.parametrize(
    ("turn", "accounted", "void", "is_found"),
    [
        (5, {7}, False, True),
        (5, {5, 7}, False, False),
        (5, {7}, True, False),
        (9, {7}, False, False),
        (5, set(), False, False),
    ],
)
def test_what_was_begun_before_another_change_has_a_receipt(
    *, turn: int, accounted: set[int], void: bool, is_found: bool
) -> None:
    """What was begun last may be under way, and what was called off never was."""
    found = [*unaccounted_findings(SHOP, {turn: (entry(turn, void=void),)}, accounted)]

    assert bool(found) == is_found


@pytest.mark.parametrize(
    ("component", "void", "is_found"), [("site", False, False), ("db", False, True), ("db", True, False)]
)
def test_a_receipt_knows_every_deed_of_its_journal(*, component: str, void: bool, is_found: bool) -> None:
    """One of another component is beside it; what was called off is none."""
    first = entry(7)
    receipt = papers(LET_IN, first).but(turn=7, deeds=(Deed(step=first.step, fence=first.fence),))
    paper = Paper(
        receipt=receipt, fingerprint=digest("x"), entries=(first, entry(7, 2, component, void=void))
    )

    assert bool([*beside_findings(paper)]) == is_found
    assert not [*beside_findings(paper.but(receipt=receipt.but(deeds=())))]


@pytest.mark.parametrize(("journaled", "is_found"), [((), False), ((1, 3), False), ((1, 2, 3), True)])
def test_an_entry_that_was_taken_out_is_missed_also_where_a_later_one_stands(
    *, journaled: tuple[int, ...], is_found: bool
) -> None:
    """What a rehearsal placed first is no deed of the receipt, and it says by what the change was let in."""
    first, last = entry(7, 1), entry(7, 3)
    receipt = papers(LET_IN, first).but(turn=7, deeds=(Deed(step=last.step, fence=last.fence),))
    paper = Paper(receipt=receipt.but(journaled=journaled), fingerprint=digest("x"), entries=(first, last))

    assert bool([*beside_findings(paper)]) == is_found


def test_what_a_rollback_put_back_is_what_the_turn_that_it_undid_had_done() -> None:
    """Newest first; what was called off never was, and what stands there all the same is said."""
    journal = {7: (entry(7), entry(7, 2, "db"), entry(7, 3, "cache", void=True)), 8: (entry(8, 1, "web"),)}
    before = journal[7][0].step.before
    receipt = papers(LET_IN, entry(7)).but(
        turn=9,
        story=Story.ROLLBACK,
        settled=Settled.DONE,
        of=7,
        deeds=(),
        after={"site": before, "db": before},
    )
    skipped = receipt.but(after={"site": before, "db": Unknown()})

    assert say_put_back(receipt, journal) == (f"db: put back {before}", f"site: put back {before}")
    assert say_put_back(skipped, journal) == (
        f"db: {before} was to be put back, and what stood there at the end is unknown",
        f"site: put back {before}",
    )
    assert say_put_back(receipt.but(settled=Settled.UNDONE), journal) == ()
    assert say_put_back(receipt.but(of=None), journal) == ()
    assert say_put_back(receipt.but(of=6), journal) == ()


def test_what_settled_a_lost_rollback_put_back_what_that_was_to_undo() -> None:
    """A rollback without the engine has deeds of its own, which are undos: they are made after all."""
    done = entry(7)
    undo = done.step.but(verb=Verb.RESTORE, before=done.step.after, after=done.step.before, of=done.fence)
    journal = {7: (done, entry(7, 2, "db")), 8: (done.but(fence=Fence(turn=8, act=1), step=undo),)}
    receipt = papers(LET_IN, done).but(turn=9, story=Story.SETTLEMENT, settled=Settled.DONE, of=8, after={})

    assert say_put_back(receipt, journal) == (
        f"db: put back {done.step.before}",
        f"site: put back {done.step.before}",
    )
