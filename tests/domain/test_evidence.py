"""What an auditor reads: each sentence says what is meant, and no more than is known."""

from datetime import timedelta

from domain.actor import Actor
from domain.approval import Quorum, Verdict
from domain.audit import Account, Audit, Finding, Told, Vouched
from domain.evidence import MOST_DEEDS, tell_audit
from domain.names import Subject
from domain.review import Broken, Review
from domain.terms import Story
from domain.urgency import Urgency
from tests.domain.strategies import NOON, digest

SHOP = Subject(service="shop", environment="production")
ANA = Vouched(name="ana@example.com", unproven="it was not signed")
BO = Vouched(name="bo@example.com", verdict=Verdict.APPROVE, at=NOON, comment="# fine\n* by me")
PROMOTED = Account(
    subject=SHOP,
    turn=7,
    story=Story.PROMOTION,
    version="2.0",
    release=digest("2.0"),
    outcome="promoted",
    began=NOON,
    ended=NOON + timedelta(minutes=31),
    requester=ANA,
    reason="a feature",
    why="a feature",
    decisions=(BO,),
    quorum=1,
    approvers=("bo@example.com",),
    signed=True,
    deeds=("site: 1.0 → 2.0",),
    fingerprint=digest("receipt"),
)
ASKED = Told(
    subject=SHOP,
    version="3.0",
    run="run-1",
    began=NOON,
    requester=ANA,
    quorums=(Quorum(quorum=1, approvers=("bo@example.com",)),),
    records=2,
    head=digest("head"),
)


def test_a_change_is_told_from_who_asked_to_what_stands() -> None:
    """Its reason once, nobody's words as a heading, and what a proof is worth."""
    text = tell_audit(Audit(accounts=(PROMOTED,)))

    assert text.startswith("# Evidence\n\n1 receipt and 0 promotions are told of. Every seal")
    assert "All times are UTC." in text
    assert "## shop in production: 2.0 promoted\n" in text
    assert "Asked for by ana@example.com (claimed, not proven): a feature\n" in text
    assert text.count("a feature") == 1
    assert "by 1 of: bo@example.com (each by their own signature)\n" in text
    assert "    * bo@example.com said approve, 2026-01-05 12:00:00 UTC: # fine * by me\n" in text
    assert "* Done:\n    * site: 1.0 → 2.0\n" in text


def test_a_broken_glass_says_what_it_went_past() -> None:
    """Each gate has its line, and what people wrote there makes none of its own."""
    broken = Broken(
        subject=SHOP,
        turn=7,
        version="2.0",
        plan=digest("plan"),
        by=Actor(name="di"),
        reason="it burns",
        past=("production was frozen by ana: holidays\n* Done", "production was outside its windows"),
        at=NOON,
    )
    account = PROMOTED.but(urgency=Urgency.BREAK_GLASS, review=Review(broken=broken))

    text = tell_audit(Audit(accounts=(account,)))

    assert "    * It went past a gate that was shut: production was frozen by ana: holidays * Done\n" in text
    assert "    * It went past a gate that was shut: production was outside its windows\n" in text


def test_what_was_undone_or_left_undone_is_said() -> None:
    """And of which turn a rollback was; of hundreds of targets the first ones are written out."""
    many = tuple(f"site at {number}: 1.0 → 2.0" for number in range(MOST_DEEDS + 3))
    undone = PROMOTED.but(stood=False, outcome="rolled back", deeds=many)
    back = PROMOTED.but(story=Story.ROLLBACK, of=7, turn=8, outcome="rolled back", healthy=False)

    text = tell_audit(Audit(accounts=(undone, back)))
    nothing = tell_audit(Audit(accounts=(back.but(deeds=()),)))
    left = tell_audit(Audit(accounts=(undone.but(healthy=False),)))

    assert "* Done, and undone again:\n    * site at 0:" in text
    assert "    * and 3 more\n" in text
    assert "## shop in production: rollback of turn 7, rolled back\n" in text
    assert "* Done" not in nothing
    assert "* Done, and undone again in part:" in left
    assert "left undone, because a person said to" in nothing
    assert "**Something of it was left undone, because a person said to**" in text


def test_of_what_is_open_nothing_is_said_that_is_not_known() -> None:
    """It may be changing something right now; one that was rejected never did."""
    ended = {"ended": NOON + timedelta(hours=1), "closed": "it ended"}
    rejected, lost = ASKED.but(outcome="rejected", **ended), ASKED.but(**ended)

    assert "3.0 is still open" in tell_audit(Audit(promotions=(ASKED,)))
    assert "no receipt says yet that anything was changed" in tell_audit(Audit(promotions=(ASKED,)))
    assert "; nothing was changed by it" in tell_audit(Audit(promotions=(rejected,)))
    assert "; no receipt says that anything was changed" in tell_audit(Audit(promotions=(lost,)))


def test_a_report_says_what_it_is_about() -> None:
    """And what does not hold stands before all else."""
    finding = Finding(subject=SHOP, turn=7, what="it was altered")

    text = tell_audit(Audit(scope="release 2.0", accounts=(PROMOTED,), findings=(finding,)))

    assert "Told of: release 2.0.\n" in text
    assert "**1 of what was looked at does not hold.**" in text
    assert text.index("it was altered") < text.index("2.0 promoted")
