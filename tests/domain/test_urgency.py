"""Shorter ways in: who may take them, past what, and who looks at it afterwards."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actor import Actor
from domain.approval import Policy
from domain.approval_written import Approval, Hotfix
from domain.clearance import judge
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile, Organisation, ServiceEnvironment, ServiceFile
from domain.emergency import glass_of
from domain.gate import Freeze
from domain.gatekeeping import judge_gates, passed
from domain.refusal import Cause
from domain.review import Broken, ReviewWord, why_no_review
from domain.signature import Signature
from domain.statement import request_statement
from domain.urgency import NO_GLASS, BreakGlass, Glass, Urgency, Waivable, why_not_urgent
from domain.windows import Schedule
from tests.domain.strategies import NOON, digest
from tests.domain.test_clearance import (
    FACTS,
    FROZEN,
    HOLIDAYS,
    LATER,
    PIN,
    PLACE,
    PROPOSAL,
    REQUEST,
    SUBJECT,
    WARRANT,
)

BURNS = REQUEST.but(urgency=Urgency.BREAK_GLASS, reason="it burns")
GLASS = Glass(breakers=("ana", "eve"), reviewers=("ana", "bo"), skips=(Waivable.WINDOWS, Waivable.FREEZES))
ALONE = FACTS.but(
    proposal=PROPOSAL.but(request=BURNS),
    policy=Policy(quorum=0, approvers=(), valid=timedelta()),
    glass=GLASS,
)
UNAPPROVED = WARRANT.but(request=BURNS, decisions=())
SIGNATURE = Signature(at=NOON, expires=NOON, ssh="")


def test_whoever_may_break_the_glass_needs_nobodys_approval() -> None:
    """Past a freeze, a planned one, and outside of windows, where the environment says so."""
    closed = ALONE.but(
        freeze=FROZEN, schedule=Schedule(windows=((LATER,),), freezes=(HOLIDAYS,)), begins=True
    )

    assert judge(UNAPPROVED, PLACE, ALONE) is None
    assert judge(UNAPPROVED, PLACE, closed) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"glass": NO_GLASS}, "nobody may break the glass in production"),
        (
            {"glass": GLASS.but(breakers=("eve",))},
            "ana may not break the glass in production; those who may: eve",
        ),
        ({"proposal": PROPOSAL.but(request=BURNS.but(reason=" "))}, "says why"),
        (
            {"unproven_request": "it is not signed", "policy": ALONE.policy.but(signed=True)},
            "not proven theirs",
        ),
    ],
)
def test_a_broken_glass_is_judged_at_the_effect(changes: dict[str, object], sentence: str) -> None:
    """By the environment's own configuration: who is not in the role, or not proven to be, opens nothing."""
    facts = ALONE.but(**changes)
    assert facts.proposal

    refusal = judge(UNAPPROVED.but(request=facts.proposal.request), PLACE, facts)

    assert refusal
    assert refusal.cause is Cause.FORBIDDEN
    assert sentence in refusal.why


@given(past=st.sets(st.sampled_from(Waivable)), urgency=st.sampled_from(Urgency))
def test_gates_hold_exactly_where_nothing_lets_past_them(past: set[Waivable], urgency: Urgency) -> None:
    """A broken glass goes past those that are named, a hotfix past none; a pin holds for all."""
    request = BURNS.but(urgency=urgency)
    facts = ALONE.but(proposal=PROPOSAL.but(request=request), glass=GLASS.but(skips=tuple(past)), begins=True)
    warrant = UNAPPROVED.but(request=request)
    goes_past = past if urgency is Urgency.BREAK_GLASS else set[Waivable]()

    def is_closed(**gates: object) -> bool:
        return (
            refusal := judge(warrant, PLACE, facts.but(**gates))
        ) is not None and refusal.cause is Cause.GATE

    assert is_closed(freeze=FROZEN) == (Waivable.FREEZES not in goes_past)
    assert is_closed(shut=(FROZEN,)) == (Waivable.FREEZES not in goes_past)
    assert is_closed(schedule=Schedule(freezes=(HOLIDAYS,))) == (Waivable.FREEZES not in goes_past)
    assert is_closed(schedule=Schedule(windows=((LATER,),))) == (Waivable.WINDOWS not in goes_past)
    assert is_closed(pin=PIN)
    assert not is_closed(freeze=Freeze(by=Actor(name="cy"), reason="", since=NOON, until=NOON))


SHUT: dict[str, tuple[dict[str, object], Waivable, str]] = {
    "a freeze": (
        {"freeze": FROZEN},
        Waivable.FREEZES,
        "was, since 2026-01-05 12:00 UTC, frozen by cy (claimed, not proven): holidays",
    ),
    "a remembered freeze": ({"shut": (FROZEN,)}, Waivable.FREEZES, "frozen by cy (claimed, not proven)"),
    "a planned freeze": (
        {"schedule": Schedule(freezes=(HOLIDAYS,))},
        Waivable.FREEZES,
        "was, since Mon 2026-01-05 13:00 UTC, frozen as planned until Tue 2026-01-06 00:00 UTC: holidays",
    ),
    "a window": (
        {"schedule": Schedule(windows=((LATER,),))},
        Waivable.WINDOWS,
        "production was outside its windows, of which the next opens",
    ),
}


@given(
    which=st.sets(st.sampled_from(sorted(SHUT))),
    skips=st.sets(st.sampled_from(Waivable)),
    urgency=st.sampled_from(Urgency),
)
def test_a_broken_glass_says_which_gates_it_went_past(
    which: set[str], skips: set[Waivable], urgency: Urgency
) -> None:
    """Those that would be shut to it otherwise, and no other: what a worker remembers too is said once."""
    proposal = PROPOSAL.but(request=BURNS.but(urgency=urgency))
    facts = ALONE.but(proposal=proposal, glass=GLASS.but(skips=tuple(skips)), begins=True)
    planned = Schedule(
        freezes=(HOLIDAYS,) if "a planned freeze" in which else (),
        windows=((LATER,),) if "a window" in which else (),
    )
    gates = {key: value for name in sorted(which) for key, value in SHUT[name][0].items()}
    facts = facts.but(**gates | {"schedule": planned})

    said = passed(proposal, facts)

    kinds = [SHUT[name][1] for name in which - ({"a remembered freeze"} if "a freeze" in which else set())]
    goes_past = skips if urgency is Urgency.BREAK_GLASS else set[Waivable]()
    assert len(said) == sum(kind in goes_past for kind in kinds)
    for name in which:
        if SHUT[name][1] in goes_past:
            assert any(SHUT[name][2] in one for one in said), (name, said)
    shut_without = judge_gates(proposal, facts.but(glass=facts.glass.but(skips=())))
    assert bool(said) <= (shut_without is not None)


def test_what_was_reviewed_before_gates_were_told_is_reviewed_still() -> None:
    """A review is of a digest: where no gate was passed, that is what it was before there was a word of gates."""
    told = BROKEN.but(past=("production was frozen",))

    assert "past" not in BROKEN.model_dump(mode="json")
    assert told.digest() != BROKEN.digest()
    assert Broken.model_validate_json(told.canonical()) == told


def configured(**floor: object) -> Configuration:
    four = Approval.model_validate({"quorum": 2, "from": ["all"], "also": [{"from": ["all"]}], "wait": "3d"})
    file = EnvironmentFile(environment="production", approval=four, soak=timedelta(hours=1))
    return Configuration(
        organisation=Organisation(groups={"all": ("ana", "bo", "cy"), "on-call": ("cy",)}),
        environments={"production": file.but(**floor)},
        services={
            "shop": ServiceFile.model_construct(
                service="shop", components={}, environments={"production": ServiceEnvironment()}
            )
        },
    )


HOTFIX = Hotfix.model_validate({"from": ["on-call"], "wait": "1h", "soak": "5m"})


def test_a_hotfix_takes_what_its_environment_says_of_it() -> None:
    """What is not said stays as it is on the usual way; without a word of it nobody can approve any."""
    usual = configured(hotfix=HOTFIX)
    short = usual.approval(SUBJECT, urgency=Urgency.HOTFIX)

    assert (short.quorum, short.approvers, short.also) == (1, ("cy",), ())
    assert short.wait == timedelta(hours=1)
    assert short.valid == usual.approval(SUBJECT).valid
    assert usual.soak(SUBJECT, Urgency.HOTFIX) == timedelta(minutes=5)
    assert usual.soak(SUBJECT) == timedelta(hours=1)
    assert configured(hotfix=Hotfix()).approval(SUBJECT, urgency=Urgency.HOTFIX).approvers == (
        "ana",
        "bo",
        "cy",
    )
    nobodys = configured().approval(SUBJECT, urgency=Urgency.HOTFIX)
    assert (nobodys.quorum, nobodys.approvers) == (1, ())


def test_those_who_approve_or_break_the_glass_review_it_where_nobody_else_is_named() -> None:
    """Each once."""
    glass = BreakGlass.model_validate({"from": ["on-call"], "skips": ["windows"]})

    found = glass_of(configured(break_glass=glass), SUBJECT)

    assert found == Glass(breakers=("cy",), reviewers=("ana", "bo", "cy"), skips=(Waivable.WINDOWS,))
    assert glass_of(configured(break_glass=glass.but(review=("on-call",))), SUBJECT).reviewers == ("cy",)
    assert glass_of(configured(), SUBJECT) == NO_GLASS
    assert configured(break_glass=glass).approval(SUBJECT, urgency=Urgency.BREAK_GLASS).quorums == ()


def test_a_shorter_way_says_why_and_has_to_be_there() -> None:
    """In a sentence that says what to do instead."""
    assert "has no shorter way in" in why_not_urgent(Urgency.HOTFIX, "dev", reason="fire", has_hotfix=False)
    assert "says why" in why_not_urgent(Urgency.HOTFIX, "dev", reason="", has_hotfix=True)
    assert not why_not_urgent(Urgency.HOTFIX, "dev", reason="fire", has_hotfix=True)
    assert not why_not_urgent(Urgency.USUAL, "dev", reason="", has_hotfix=False)


def test_the_way_in_is_signed_with_the_request() -> None:
    """A request for the usual way cannot be presented as one that breaks the glass; and reads as it always did."""
    usual, burns = (
        request_statement(one, SIGNATURE).text for one in (BURNS.but(urgency=Urgency.USUAL), BURNS)
    )

    assert "urgency" not in usual
    assert '"urgency":"break-glass"' in burns


BROKEN = Broken(
    subject=SUBJECT,
    turn=5,
    version="2.0",
    plan=digest("plan"),
    by=Actor(name="ana"),
    key="SHA256:ana",
    reason="it burns",
    at=NOON,
)


@pytest.mark.parametrize(
    ("word", "signed", "sentence"),
    [
        ({"by": "ANA "}, False, "nobody reviews what they did themselves"),
        ({"by": "bo", "signed": SIGNATURE.but(ssh="")}, False, ""),
        ({"by": "eve"}, False, "eve does not review here; those who may: ana, bo"),
        ({"by": "bo"}, True, "reviews here are signed"),
        ({"by": "bo"}, False, ""),
    ],
)
def test_a_review_is_somebody_elses_who_may(word: dict[str, object], signed: bool, sentence: str) -> None:  # noqa: FBT001 - a case
    """Whoever broke the glass does not close it, whatever name they write."""
    why = why_no_review(
        BROKEN, GLASS.but(signed=signed), ReviewWord.model_validate({**word, "comment": "seen"})
    )

    assert sentence in why
    assert bool(why) == bool(sentence)
