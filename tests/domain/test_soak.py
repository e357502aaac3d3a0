"""What a soak is worth: for the change that it belongs to, and for the environment that comes after."""

from datetime import timedelta

import pytest

from domain.actor import Actor
from domain.environment import Holding, Placement
from domain.fence import Fence
from domain.journal import Evidence, Receipt, Settled, Soaked
from domain.outcome import Outcome
from domain.plan import Deed, Undo
from domain.release import Component, Kind, Release
from domain.soak import Soaking, go_on, judge_soak, proves_the_way
from domain.terms import LaneTerms, Proposal, Story
from tests.domain.strategies import NOON, digest
from tests.domain.test_clearance import PLACE, PROPOSAL, SUBJECT, TERMS, TURN

SOAKING = PROPOSAL.but(terms=TERMS.but(soak=timedelta(minutes=10)))
YIELDING = PROPOSAL.but(terms=SOAKING.terms.but(lane=LaneTerms(yields=True)))
EVIDENCE = Evidence(
    subject=SUBJECT,
    turn=TURN,
    passed=True,
    proven=True,
    intent=SOAKING.plan.intent,
    began=NOON,
    at=NOON + timedelta(minutes=10),
)
STALE = EVIDENCE.but(turn=TURN - 1)
EARLY = EVIDENCE.but(began=NOON - timedelta(seconds=1))
FOREIGN = EVIDENCE.but(intent=digest("a plan with no soak"))
CUT = "its soak was cut short after 2m of 10m, for 3.0, asked for by bo"


@pytest.mark.parametrize(
    ("proposal", "evidence", "cut", "is_done"),
    [
        (PROPOSAL, None, "", True),
        (SOAKING, EVIDENCE, "", True),
        (SOAKING, None, "", False),
        (SOAKING, STALE, "", False),
        (SOAKING, EARLY, "", False),
        (SOAKING, FOREIGN, "", False),
        (SOAKING, EVIDENCE.but(intent=None), "", False),
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
    assert (judge_soak(proposal, TURN, evidence, cut, NOON) is None) is is_done


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


@pytest.mark.parametrize(
    ("beat", "minutes"),
    [
        ("", 9),
        ("2026-01-05T12:05:00+00:00", 5),
        ("2000-01-01T00:00:00+00:00", 1),
        ("2999-01-01T00:00:00+00:00", 9),
        ("2026-01-05T12:05:00", 9),
        ("long ago", 9),
    ],
)
def test_a_heartbeat_is_believed_between_the_last_deed_and_now(beat: str, minutes: int) -> None:
    """Anybody can send one: it makes no soak shorter, and none that never ends."""
    last_deed, now = NOON + timedelta(minutes=1), NOON + timedelta(minutes=9)

    assert go_on([beat] if beat else [], last_deed, now).began == NOON + timedelta(minutes=minutes)
    assert go_on([beat, now.isoformat()], last_deed, now).began == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("beaten", "minutes"),
    [
        ("2026-01-05T12:09:00+00:00", 3),
        ("2026-01-05T12:07:00+00:00", 5),
        ("2026-01-05T12:03:00+00:00", 9),
        ("2000-01-01T00:00:00+00:00", 9),
        ("2999-01-01T00:00:00+00:00", 3),
        ("long ago", 3),
        ("", 3),
    ],
)
def test_what_nobody_has_watched_does_not_soak(beaten: str, minutes: int) -> None:
    """A worker that was away while the site was down found it well again, and called that a full soak."""
    last_deed, began, now = (NOON + timedelta(minutes=after) for after in (1, 3, 9))

    assert go_on([began.isoformat(), beaten], last_deed, now).began == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize("sick", [(), ("it answers 500",), ("one", "two")])
def test_whoever_goes_on_with_a_soak_knows_what_was_known(sick: tuple[str, ...]) -> None:
    """Since when it lasts, less what nobody has found well; and what was found sick."""
    last_deed, began, well, now = (NOON + timedelta(minutes=after) for after in (1, 3, 5, 9))

    known = go_on(Soaking(began, well, sick).beat(), last_deed, now)

    assert known == Soaking(NOON + timedelta(minutes=7), now, sick)


@pytest.mark.parametrize("seconds", [1, 3, 4, 5, 60])
def test_what_passes_while_whoever_watches_is_stopped_does_not_soak(seconds: int) -> None:
    """It is found out by the next who watches, or who judges; and counted once."""
    seen, later = Soaking(NOON, NOON), NOON + timedelta(seconds=seconds)
    seen.catch_up(NOON + timedelta(hours=1))  # nobody said that it is watched every second
    seen.watch(NOON)

    seen.catch_up(later)
    seen.watch(later)

    assert seen.began == (NOON if seconds <= 4 else later)


def test_what_only_stayed_when_its_change_was_put_back_opens_no_way() -> None:
    """What cannot be undone stands there yet, and nobody has found it good."""
    one = receipt("2.0")
    pivot = PLACE.but(after=holds("2.0")["site"], undo=Undo.PIVOT)
    stayed = one.but(settled=Settled.UNDONE, deeds=(Deed(step=pivot, fence=Fence(turn=1, act=1)),))

    assert proves_the_way(release("2.0"), "staging", [one]) == ""
    assert "only stayed in staging" in proves_the_way(release("2.0"), "staging", [stayed])
