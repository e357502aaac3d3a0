"""Who may let a service past windows and freezes, and for how long."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.actor import Actor, Proof
from domain.clearance import judge
from domain.gatekeeping import used
from domain.override import (
    Override,
    Overriders,
    OverrideWord,
    fitting,
    that_count,
    why_in_vain,
    why_void,
    word_of,
)
from domain.refusal import Cause
from domain.signature import Signature
from domain.statement import override_statement
from domain.urgency import Waivable
from domain.windows import Schedule
from tests.domain.strategies import NOON
from tests.domain.test_clearance import FACTS, FROZEN, HOLIDAYS, LATER, PIN, PLACE, PROPOSAL, WARRANT

HOUR = timedelta(hours=1)
WHO = Overriders(people=("cy", "di"), longest=4 * HOUR)
ONE = Override(
    by=Actor(name="CY"),
    service="shop",
    gates=(Waivable.WINDOWS, Waivable.FREEZES),
    reason="it burns",
    since=NOON,
    lasts=2 * HOUR,
)
CLOSED = FACTS.but(
    freeze=FROZEN,
    schedule=Schedule(windows=((LATER,),), freezes=(HOLIDAYS,)),
    begins=True,
    overriders=WHO,
)


@given(
    who=st.sampled_from(["cy", "eve", " Di"]),
    lasts=st.integers(1, 6),
    age=st.integers(0, 6),
    version=st.sampled_from(["", "2.0", "3.0"]),
    gates=st.sets(st.sampled_from(Waivable), min_size=1),
)
def test_gates_let_past_exactly_what_somebody_who_may_has_overridden(
    who: str, lasts: int, age: int, version: str, gates: set[Waivable]
) -> None:
    """In the role, not for longer than the role may, not after its end, for this release, and these gates alone."""
    one = ONE.but(by=Actor(name=who), lasts=lasts * HOUR, version=version, gates=tuple(gates))
    facts = CLOSED.but(now=NOON + HOUR, overrides=(one.but(since=NOON + HOUR - age * HOUR),))
    counts = who != "eve" and lasts <= 4 and age < lasts and version != "3.0"

    refusal = judge(WARRANT, PLACE, facts)

    assert (refusal is None) == (counts and len(gates) == len(Waivable))
    assert refusal is None or refusal.cause is Cause.GATE
    pinned = judge(WARRANT, PLACE, facts.but(pin=PIN))
    assert pinned
    assert pinned.cause is Cause.GATE


@pytest.mark.parametrize(
    ("one", "who", "sentence"),
    [
        (ONE, WHO, ""),
        (ONE, WHO.but(people=()), "those who may: nobody"),
        (ONE.but(lasts=5 * HOUR), WHO, "it is for 5h, and 4h is the longest here"),
        (ONE, WHO.but(signed=True), "overrides here are signed"),
        (ONE.but(by=Actor(name="cy", proof=Proof.SSH_SIGNATURE)), WHO.but(signed=True), ""),
        (ONE.but(since=NOON - 2 * HOUR), WHO, "it ended 2026-01-05 12:00 UTC"),
    ],
)
def test_what_does_not_count_says_why(one: Override, who: Overriders, sentence: str) -> None:
    """To whoever waits, in the sentence that the gate is closed with."""
    why = why_void(one, who, NOON)

    assert sentence in why
    assert bool(why) == bool(sentence)
    assert bool(that_count((one,), who, "2.0", NOON)) == (not why)


def test_a_closed_gate_names_the_overrides_that_do_not_count() -> None:
    """So that nobody wonders why theirs had no effect."""
    eve = ONE.but(by=Actor(name="eve"), since=NOON)

    refusal = judge(WARRANT, PLACE, CLOSED.but(now=NOON, overrides=(eve,)))

    assert refusal
    assert "the override by eve does not count: eve may not override gates here" in refusal.why


def test_an_override_is_used_only_where_a_gate_was_closed() -> None:
    """Each that counts stands in the receipt then, however many would have done."""
    two = ONE.but(by=Actor(name="di"))

    assert used(PROPOSAL, CLOSED.but(overrides=(ONE, two))) == (ONE, two)
    assert used(PROPOSAL, FACTS.but(overrides=(ONE, two), overriders=WHO)) == ()


def test_one_that_was_signed_long_ago_is_not_made_younger_by_sending_it_again() -> None:
    """Nor does a date that is still to come make it last longer."""
    signature = Signature(at=NOON - HOUR, expires=NOON + HOUR, ssh="")

    assert ONE.but(signature=signature).until == NOON + HOUR
    assert ONE.but(signature=signature.but(at=NOON + 9 * HOUR)).until == NOON + 2 * HOUR


def test_what_is_signed_names_place_gates_and_time() -> None:
    """Nothing of it can be exchanged."""
    signature = Signature(at=NOON, expires=NOON, ssh="")
    text = override_statement("production", word_of(ONE), signature).text
    others = [
        override_statement("staging", word_of(ONE), signature).text,
        *(
            override_statement("production", word_of(ONE.but(**change)), signature).text
            for change in (
                {"service": "other"},
                {"version": "2.0"},
                {"gates": (Waivable.WINDOWS,)},
                {"reason": "no"},
                {"lasts": HOUR},
            )
        ),
    ]

    assert len({text, *others}) == 1 + len(others)


def test_an_override_has_gates_a_reason_and_an_end() -> None:
    """Nothing is let past for ever."""
    good = {"by": "cy", "service": "shop", "gates": ["freezes"], "reason": "it burns", "lasts": "2h"}

    assert OverrideWord.model_validate(good, extra="forbid").lasts == 2 * HOUR
    wrongs: list[dict[str, object]] = [
        {"gates": []},
        {"gates": ["pins"]},
        {"reason": ""},
        {"lasts": None},
        {"until": "x"},
    ]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            OverrideWord.model_validate({**good, **wrong}, extra="forbid")


def test_an_override_lets_past_a_freeze_that_only_the_worker_remembers() -> None:
    """And past no pin, which is no freeze."""
    opened = FACTS.but(now=NOON + HOUR, overriders=WHO)

    assert judge(WARRANT, PLACE, opened.but(shut=(FROZEN,)))
    assert judge(WARRANT, PLACE, opened.but(shut=(FROZEN,), overrides=(ONE,))) is None
    assert judge(WARRANT, PLACE, opened.but(shut=(PIN,), overrides=(ONE,)))


def test_a_signed_override_is_no_mere_claim() -> None:
    """Nor is it proven before the worker has looked."""
    signature = Signature(at=NOON, expires=NOON, ssh="")

    assert "by CY (claimed, not proven) until" in str(ONE)
    assert "by CY (signed, to be proven at the deed) until" in str(ONE.but(signature=signature))
    assert "by CY until" in str(ONE.but(signature=signature, by=ONE.by.but(proof=Proof.SSH_SIGNATURE)))


@given(
    by=st.sampled_from(["cy", "eve", " Di"]),
    lasts=st.integers(1, 6),
    signs=st.booleans(),
    asked=st.booleans(),
)
def test_a_word_is_worth_sending_exactly_where_it_would_count(
    *, by: str, lasts: int, signs: bool, asked: bool
) -> None:
    """As far as its sender can know: that a signature is good, the worker finds out."""
    who = Overriders(people=WHO.people, longest=WHO.longest, signed=asked)
    proof = Proof.SSH_SIGNATURE if signs else Proof.NONE
    signature = Signature(at=NOON, expires=NOON, ssh="") if signs else None
    sent = ONE.but(by=Actor(name=by, proof=proof), lasts=lasts * HOUR, signature=signature)

    said = why_in_vain(word_of(sent).but(signed=signature), who)

    assert bool(said) == bool(why_void(sent, who, NOON))


def test_a_proven_override_takes_the_room_of_claims_and_never_that_of_a_proven_one() -> None:
    """A claim takes nobody's; the oldest claims go first, and no more of them than have to."""
    proven = ONE.but(by=Actor(name="cy", proof=Proof.SSH_SIGNATURE))
    claims = [ONE.but(reason=str(number)) for number in range(3)]
    room = sum(len(one.model_dump_json().encode()) for one in (proven, *claims))

    assert fitting((proven, *claims), claims[0], room) is None
    assert fitting((proven, *claims[:2]), claims[2], room) == (proven, *claims)
    assert fitting((*claims, proven), proven, room) == (*claims[2:], proven, proven)
    assert fitting((proven,), proven, len(proven.model_dump_json().encode())) is None
