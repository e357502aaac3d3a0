from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actor import Actor
from domain.approval import Decision, Verdict
from domain.fence import Fence
from domain.outcome import Outcome, Phase
from domain.record import (
    GENESIS,
    RECORD,
    Chain,
    DecisionRecord,
    EffectRecord,
    JudgementRecord,
    OutcomeRecord,
    OverrideRecord,
    PhaseRecord,
    Record,
    RefusedRecord,
    first_broken,
    refusals,
)
from tests.domain.strategies import NOON, digest

ANA = Actor(name="ana")
DECISION = Decision(actor=ANA, verdict=Verdict.APPROVE, intent=digest("plan"), at=NOON)
KINDS: tuple[Record, ...] = (
    PhaseRecord(at=NOON, phase=Phase.PREPARING),
    DecisionRecord(at=NOON, decision=DECISION),
    JudgementRecord(at=NOON, of="health", passed=True, sentences=("200 from http://localhost/",)),
    EffectRecord(at=NOON, fence=Fence(turn=7, act=1), did="placed 2.0"),
    OverrideRecord(at=NOON, actor=ANA, did="hold"),
    RefusedRecord(at=NOON, door="approve", why="it names another plan"),
    OutcomeRecord(at=NOON, outcome=Outcome.PROMOTED),
)
EDITED: tuple[Record, ...] = (
    PhaseRecord(at=NOON, phase=Phase.PREPARING, why="for a reason"),
    DecisionRecord(at=NOON, decision=DECISION.but(verdict=Verdict.REJECT)),
    JudgementRecord(at=NOON, of="health", passed=False, sentences=("200 from http://localhost/",)),
    EffectRecord(at=NOON, fence=Fence(turn=7, act=2), did="placed 2.0"),
    OverrideRecord(at=NOON, actor=ANA.but(name="bo"), did="hold"),
    RefusedRecord(at=NOON, door="reject", why="it names another plan"),
    OutcomeRecord(at=NOON, outcome=Outcome.ROLLED_BACK),
)
records = st.lists(st.sampled_from(KINDS), min_size=1, max_size=6)
places = st.integers(0, 5)


def chained(records: Sequence[Record]) -> Chain:
    chain = Chain()
    for record in records:
        chain = chain.with_record(record)
    return chain


def is_found(kept_head: str, forged: Chain) -> bool:
    """Whether somebody who kept the head would see that a chain is not the one that they saw."""
    return first_broken(forged) is not None or forged.head != kept_head


@given(records=records)
def test_a_chain_holds_what_was_recorded_in_order(records: list[Record]) -> None:
    """Each record holds the hash of the one before, and nothing else about it has changed."""
    chain = chained(records)

    assert first_broken(chain) is None
    assert [record.but(previous=GENESIS) for record in chain.records] == records
    assert [record.previous for record in chain.records] == [
        GENESIS,
        *(r.link for r in chain.records[:-1]),
    ]
    assert chain.head == chain.records[-1].link


@given(records=records, at=places)
def test_an_edited_record_is_found_at_the_next_one_or_by_the_head(records: list[Record], at: int) -> None:
    """Also when nothing but one word of it was edited."""
    chain, at = chained(records), at % len(records)
    record = chain.records[at]
    edited = EDITED[KINDS.index(record.but(previous=GENESIS))].but(previous=record.previous)

    forged = chain.but(records=(*chain.records[:at], edited, *chain.records[at + 1 :]))

    assert first_broken(forged) == (at + 1 if at + 1 < len(records) else None)
    assert is_found(chain.head, forged)


@given(records=records, at=places)
def test_a_removed_record_is_found(records: list[Record], at: int) -> None:
    """The first, the last, or one in the middle."""
    chain, at = chained(records), at % len(records)

    assert is_found(chain.head, chain.but(records=(*chain.records[:at], *chain.records[at + 1 :])))


@given(records=records, at=places, new=st.sampled_from(KINDS))
def test_an_inserted_record_is_found(records: list[Record], at: int, new: Record) -> None:
    """Also one that is linked properly to the one before it."""
    chain, at = chained(records), at % (len(records) + 1)
    linked = chained(chain.records[:at]).with_record(new).records[-1]

    assert is_found(chain.head, chain.but(records=(*chain.records[:at], linked, *chain.records[at:])))


@given(records=records, one=places, other=places)
def test_a_moved_record_is_found(records: list[Record], one: int, other: int) -> None:
    """Even two records that say the same cannot change places."""
    chain, one, other = chained(records), one % len(records), other % len(records)
    swapped = list(chain.records)
    swapped[one], swapped[other] = swapped[other], swapped[one]

    assert is_found(chain.head, chain.but(records=tuple(swapped))) == (one != other)


@given(records=records, start=places, length=st.integers(1, 6))
def test_a_chain_cut_short_anywhere_is_found(records: list[Record], start: int, length: int) -> None:
    """At its beginning, in its middle or at its end."""
    chain, start = chained(records), start % len(records)

    forged = chain.but(records=(*chain.records[:start], *chain.records[start + length :]))

    assert is_found(chain.head, forged)


@given(records=records, at=places)
def test_a_chain_written_anew_after_an_edit_has_another_head(records: list[Record], at: int) -> None:
    """Whoever can relink everything still cannot reach the head that was kept."""
    at %= len(records)
    forged = chained([*records[:at], EDITED[KINDS.index(records[at])], *records[at + 1 :]])

    assert first_broken(forged) is None
    assert forged.head != chained(records).head


@given(records=records, count=st.integers(0, 7), more=records)
def test_letting_old_records_go_keeps_the_head_and_the_proof(
    records: list[Record], count: int, more: list[Record]
) -> None:
    """What is kept can still be checked, the anchor standing for the rest, and the chain goes on from it."""
    chain = chained(records)

    kept = chain.keeping(count)

    assert kept.head == chain.head
    assert first_broken(kept) is None
    assert kept.records == chain.records[max(0, len(records) - count) :]
    assert kept.dropped + len(kept.records) == len(records)
    for record in more:
        chain, kept = chain.with_record(record), kept.with_record(record)
    assert kept.head == chain.head
    assert first_broken(kept.keeping(count)) is None
    assert kept.keeping(count).dropped == max(kept.dropped, len(records) + len(more) - count)


@given(records=records, count=st.integers(1, 5))
def test_another_anchor_is_found(records: list[Record], count: int) -> None:
    """What was let go cannot be exchanged for another past."""
    kept = chained(records).keeping(count)

    assert first_broken(kept.but(anchor=digest("another past"))) == 0


@pytest.mark.parametrize("record", KINDS)
def test_every_kind_of_record_reads_back_as_itself(record: Record) -> None:
    """From JSON, with its digest: an audit can be checked by whoever has the text."""
    again = RECORD.validate_json(record.model_dump_json())

    assert again == record
    assert again.digest() == record.digest()


def test_an_empty_chain_has_the_anchor_for_a_head() -> None:
    """Nothing was recorded, and that is verifiable too."""
    assert (Chain().head, first_broken(Chain())) == (GENESIS, None)


def test_refusals_are_those_records_in_order() -> None:
    """What was turned away at the doors can be shown alone."""
    second = RefusedRecord(at=NOON, door="hold", why="nothing is under way yet")

    assert refusals([*KINDS, second]) == [KINDS[5], second]


def test_a_refusal_names_who_it_claims_to_be_from_and_when_it_came() -> None:
    """One that an older version wrote names nobody, and hangs together with the rest as before."""
    named = RefusedRecord(at=NOON, door="hold", why="nothing is under way", claimed="bo")
    older = RECORD.validate_python(named.model_dump(exclude={"claimed"}))

    assert (
        str(named)
        == f"hold in the name of bo (claimed, not proven), {NOON:%Y-%m-%d %H:%M:%S} UTC: nothing is under way"
    )
    assert str(older) == f"hold, {NOON:%Y-%m-%d %H:%M:%S} UTC: nothing is under way"
    assert older.link == named.link
