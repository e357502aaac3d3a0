"""What a soak is worth: for the change that it belongs to, and for the environment that comes after."""

from datetime import timedelta

import pytest

from domain.actor import Actor
from domain.environment import Holding, Placement
from domain.journal import Evidence, Receipt, Settled, Soaked
from domain.outcome import Outcome
from domain.release import Component, Kind, Release
from domain.soak import judge_soak, proves_the_way
from domain.terms import LaneTerms, Proposal, Story
from tests.domain.strategies import NOON, digest
from tests.domain.test_clearance import PROPOSAL, SUBJECT, TERMS, TURN

SOAKING = PROPOSAL.but(terms=TERMS.but(soak=timedelta(minutes=10)))
YIELDING = PROPOSAL.but(terms=SOAKING.terms.but(lane=LaneTerms(yields=True)))
EVIDENCE = Evidence(subject=SUBJECT, turn=TURN, passed=True, proven=True, at=NOON)
STALE = EVIDENCE.but(turn=TURN - 1)
CUT = "its soak was cut short after 2m of 10m, for 3.0, asked for by bo"


@pytest.mark.parametrize(
    ("proposal", "evidence", "cut", "is_done"),
    [
        (PROPOSAL, None, "", True),
        (SOAKING, EVIDENCE, "", True),
        (SOAKING, None, "", False),
        (SOAKING, STALE, "", False),
        (SOAKING, EVIDENCE.but(passed=False), "", False),
        (SOAKING, None, CUT, False),
        (YIELDING, None, CUT, True),
        (YIELDING, None, "", False),
        (YIELDING, EVIDENCE, "", True),
        (YIELDING, STALE, CUT, False),
    ],
)
def test_a_soak_is_cut_short_only_where_the_sealed_terms_say_that_it_yields(
    proposal: Proposal, evidence: Evidence | None, cut: str, *, is_done: bool
) -> None:
    """And what a change says of it in place of evidence never makes up for evidence that is not its own."""
    assert (judge_soak(proposal, TURN, evidence, cut) is None) is is_done


def release(version: str) -> Release:
    site = Component(name="site", kind=Kind.CONTENT, artifact=digest(version), size=1, files=1)
    return Release(service="shop", version=version, components=(site,), created=NOON)


def holds(version: str) -> dict[str, Holding]:
    one = release(version)
    return {"site": Placement(version=version, release=one.digest(), artifact=one.components[0].artifact)}


def receipt(version: str, soaked: Soaked = Soaked.NONE, story: Story = Story.PROMOTION) -> Receipt:
    """The receipt of a change after which this version stood."""
    return Receipt(
        subject=SUBJECT,
        turn=1,
        story=story,
        settled=Settled.DONE,
        outcome=Outcome.PROMOTED,
        version=version,
        release=release(version).digest() if story is Story.PROMOTION else None,
        before={},
        after=holds(version),
        soaked=soaked,
        cut=CUT if soaked is Soaked.CUT else "",
        actor=Actor(name="ana"),
        began=NOON,
        ended=NOON,
    )


FULL_2, CUT_2 = receipt("2.0", Soaked.FULL), receipt("2.0", Soaked.CUT)
BACK_TO_2 = receipt("2.0", story=Story.ROLLBACK)
ADOPTED_2 = receipt("2.0", story=Story.ADOPTION)
UNDONE_3 = receipt("3.0").but(settled=Settled.UNDONE, after=holds("2.0"))


@pytest.mark.parametrize(
    ("receipts", "why"),
    [
        ((), "has never held 2.0"),
        ((FULL_2, CUT_2), ""),
        ((receipt("2.0"),), ""),
        ((receipt("3.0"), FULL_2), "holds site 3.0"),
        ((FULL_2.but(healthy=False),), "was not healthy"),
        ((CUT_2, FULL_2), CUT),
        ((BACK_TO_2, receipt("3.0"), FULL_2), ""),
        ((BACK_TO_2, receipt("3.0"), CUT_2), CUT),
        ((UNDONE_3, CUT_2), CUT),
        ((ADOPTED_2, CUT_2), CUT),
        ((ADOPTED_2,), ""),
    ],
)
def test_what_a_release_proves_is_how_it_soaked_when_it_was_let_in(
    receipts: tuple[Receipt, ...], why: str
) -> None:
    """Whatever was done and undone since: putting back and looking make a soak no longer than it was."""
    said = proves_the_way(release("2.0"), "staging", receipts)

    assert why in said
    assert bool(why) == bool(said)


def test_a_soak_that_was_cut_short_is_told_with_what_helps() -> None:
    """By whom it was cut, and the command after which it soaks anew."""
    said = proves_the_way(release("2.0"), "staging", (CUT_2,))

    assert "asked for by bo" in said
    assert said.endswith("and it soaks anew: towpath promote shop 2.0 staging")
