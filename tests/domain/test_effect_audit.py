"""Judging again, years later, whether a promotion might begin when it did, and whose words went around an undo."""

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.actor import Actor, Proof
from domain.approval import Decision, Policy, Verdict
from domain.audit import Vouched, approval_findings
from domain.clearance import judge
from domain.doors import Signal, Word
from domain.effect_audit import began_at, effect_findings, late, skip_findings, wish_findings
from domain.fence import Fence
from domain.gatekeeping import used
from domain.journal import Capture, Entry, LetIn, Receipt, Settled
from domain.names import change_id
from domain.outcome import Outcome
from domain.override import Override, Overriders
from domain.plan import Deed
from domain.saying import Saying, steering
from domain.signature import Signature, WordSignature, out_of_time
from domain.terms import Story, TargetTerms
from domain.urgency import Waivable
from domain.windows import Schedule
from tests.domain.strategies import NOON
from tests.domain.test_clearance import FACTS, HOLIDAYS, LATER, PLACE, PLAN, PROPOSAL, REQUEST, SUBJECT, TURN
from tests.domain.test_clearance import WARRANT as ASKED

HOUR = timedelta(hours=1)
hours = st.integers(0, 4).map(lambda count: NOON + count * HOUR)
PAST = Override(
    by=Actor(name="di", proof=Proof.SSH_SIGNATURE),
    service="shop",
    gates=(Waivable.FREEZES,),
    reason="it burns",
    since=NOON,
    lasts=HOUR,
)


def said_by(name: str, verdict: Verdict, at: datetime, lasts: int) -> Decision:
    """Return a proven decision whose signature lasts for so many hours."""
    return Decision(
        actor=Actor(name=name, proof=Proof.SSH_SIGNATURE),
        verdict=verdict,
        intent=PLAN.intent,
        at=at,
        signature=Signature(at=at, expires=at + lasts * HOUR, ssh=""),
    )


decisions = st.lists(
    st.builds(
        said_by,
        st.sampled_from(["bo", "cy"]),
        st.sampled_from([Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT]),
        hours,
        st.integers(1, 3),
    ),
    max_size=3,
).map(tuple)
overrides = st.builds(
    Override,
    by=st.sampled_from(["di", "eve"]).map(lambda name: Actor(name=name, proof=Proof.SSH_SIGNATURE)),
    service=st.just("shop"),
    gates=st.sets(st.sampled_from(Waivable), min_size=1).map(tuple),
    reason=st.just("it burns"),
    since=hours,
    lasts=st.integers(1, 3).map(lambda count: count * HOUR),
)
schedules = st.builds(
    Schedule, windows=st.sampled_from([(), ((LATER,),)]), freezes=st.sampled_from([(), (HOLIDAYS,)])
)
WHO = Overriders(people=("di",), longest=3 * HOUR, signed=True)


UNSIGNED = LetIn(request=REQUEST, decisions=(), policy=Policy(quorum=0, approvers=(), valid=HOUR), nonce="1")


def papers(let_in: LetIn, entry: Entry) -> Receipt:
    return Receipt(
        subject=SUBJECT,
        turn=TURN,
        story=Story.PROMOTION,
        settled=Settled.DONE,
        outcome=Outcome.PROMOTED,
        version="2.0",
        release=PLAN.release,
        before={},
        after={},
        deeds=(Deed(step=PLACE, fence=Fence(turn=TURN, act=1)),),
        actor=REQUEST.actor,
        intent=PLAN.intent,
        overridden=entry.overridden,
        let_in=let_in,
        began=NOON,
        ended=NOON + 5 * HOUR,
    )


def begun(let_in: LetIn, **changes: object) -> Entry:
    return Entry(
        subject=SUBJECT,
        fence=Fence(turn=TURN, act=1),
        step=PLACE,
        steps=2,
        target=TargetTerms(target="directory"),
        capture=Capture(holding=PLACE.before),
        let_in=let_in,
        at=NOON,
    ).but(**changes)


@given(
    said=decisions,
    quorum=st.integers(0, 2),
    valid=st.integers(0, 2),
    schedule=schedules,
    one=overrides,
    now=hours,
)
@example(
    said=(said_by("bo", Verdict.APPROVE, NOON, 3),),
    quorum=1,
    valid=1,
    schedule=Schedule(),
    one=PAST,
    now=NOON + 2 * HOUR,
)
def test_the_auditor_finds_exactly_what_the_effect_would_not_have_let_in(
    *, said: tuple[Decision, ...], quorum: int, valid: int, schedule: Schedule, one: Override, now: datetime
) -> None:
    """Whatever people had said by then, and however long that counted: both judge by the same rules."""
    policy = Policy(quorum=quorum, approvers=("bo", "cy"), valid=valid * HOUR, signed=True)
    facts = FACTS.but(
        now=now,
        policy=policy,
        schedule=schedule,
        overriders=WHO,
        overrides=(one,),
        begins=True,
        pin=None,
        freeze=None,
    )
    timely = tuple(
        decision.but(actor=decision.actor.but(proof=Proof.NONE))
        if decision.signature and out_of_time(decision.signature, facts.now)
        else decision
        for decision in said
    )
    let_in = LetIn(
        request=REQUEST, decisions=said, policy=policy, nonce="1", schedule=schedule, overriders=WHO
    )
    entry = begun(let_in, at=now, overridden=used(PROPOSAL, facts))
    receipt = papers(let_in, entry)

    refused = judge(ASKED.but(decisions=timely), PLACE, facts)
    in_time = [decision for decision in said if not late(let_in, decision, began_at([entry]))]
    found = [
        *approval_findings(receipt, Vouched(name="ana"), in_time, ()),
        *effect_findings(receipt, [entry], in_time, receipt.overridden),
    ]

    assert bool(found) == bool(refused), (found, refused)


def test_what_the_journal_and_the_receipt_say_otherwise_is_found() -> None:
    """Another policy beside the deed than in the receipt, and an override that its signer never signed."""
    let_in = LetIn(
        request=REQUEST, decisions=(), policy=Policy(quorum=0, approvers=(), valid=HOUR), nonce="1"
    )
    past = let_in.but(overriders=WHO)
    entry = begun(past, overridden=(PAST,))
    unproven = PAST.but(by=PAST.by.but(proof=Proof.NONE))

    other = [*effect_findings(papers(let_in, entry), [begun(past)], (), ())]
    good = [*effect_findings(papers(past, entry), [entry], (), (PAST,))]
    forged = [*effect_findings(papers(past, entry), [entry], (), (unproven,))]

    assert "its journal says that others let it in" in str(other[0])
    assert not good
    assert "overrides here are signed" in str(forged[0])


SIGNED = Signature(at=NOON, expires=NOON + HOUR, ssh="")
WISH = REQUEST.but(story=Story.ROLLBACK, version=None, reason="it is slow", signature=SIGNED)
ROLLBACK = papers(
    LetIn(
        request=REQUEST,
        decisions=(),
        policy=Policy(quorum=0, approvers=(), valid=HOUR, signed=True),
        nonce="1",
    ),
    begun(LetIn(request=REQUEST, decisions=(), policy=Policy(quorum=0, approvers=(), valid=HOUR), nonce="1")),
).but(story=Story.ROLLBACK, of=3, let_in=None, reason="it is slow", signed=SIGNED, request=WISH)


@pytest.mark.parametrize(
    ("receipt", "unproven", "what"),
    [
        (ROLLBACK, "", ""),
        (ROLLBACK.but(request=WISH.but(signature=None), signed=None), "it was not signed", ""),
        (ROLLBACK, "it does not fit", "nothing proves that ana asked for it: it does not fit"),
        (ROLLBACK.but(signed=None), "", "the request in it is for something else"),
        (ROLLBACK.but(story=Story.ADOPTION), "", "the request in it is for something else"),
        (ROLLBACK.but(reason="another"), "", "the request in it is for something else"),
        (ROLLBACK.but(request=WISH.but(of=2)), "", "it was asked for of turn 2, and is about turn 3"),
    ],
)
def test_a_signed_wish_is_for_what_its_receipt_says(receipt: Receipt, unproven: str, what: str) -> None:
    """Or it is found; one that nobody had to sign is none."""
    assert what in "".join(map(str, wish_findings(receipt, unproven)))
    assert bool(what) == bool([*wish_findings(receipt, unproven)])


WORDSIGN = WordSignature(at=NOON, expires=NOON + HOUR, ssh="", nonce="0" * 32)
SKIP = steering(change_id(SUBJECT, TURN), SUBJECT, Signal.SKIP, Word(by="ana", signed=WORDSIGN))


@pytest.mark.parametrize(
    ("words", "unproven", "what"),
    [
        ((SKIP,), {}, ""),
        ((SKIP,), {0: "it does not fit"}, "nothing proves that ana said so: it does not fit"),
        ((SKIP.but(to=change_id(SUBJECT, 2)),), {}, "was meant for change/shop/production/2"),
        ((), {}, "nobody has said so"),
        ((SKIP, SKIP.but(to="another")), {}, ""),
    ],
)
def test_nothing_is_left_undone_that_nobody_proven_has_said_to(
    words: tuple[Saying, ...], unproven: dict[int, str], what: str
) -> None:
    """Where decisions are signed; of what was put back whole nobody had to say anything."""
    policy = Policy(quorum=0, approvers=(), valid=HOUR, signed=True)
    let_in = LetIn(request=REQUEST, decisions=(), policy=policy, nonce="1")
    receipt = papers(let_in, begun(let_in)).but(healthy=False, words=words)

    found = [*skip_findings(receipt, unproven)]

    assert what in "".join(map(str, found))
    assert bool(found) == bool(what)
    assert not [*skip_findings(receipt.but(healthy=True, words=()), {})]
    unsigned = let_in.but(policy=policy.but(signed=False))
    assert not [*skip_findings(receipt.but(let_in=unsigned, words=()), {})]
