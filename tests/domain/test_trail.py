"""Trails and ledgers: what is whole is found whole, and nothing can be changed in them unnoticed."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approval import Policy
from domain.names import Subject
from domain.outcome import Outcome
from domain.record import Chain, OutcomeRecord, ProposalRecord, Record, RefusedRecord, RequestRecord
from domain.statement import Matter
from domain.terms import Request
from domain.trail import (
    ENDED,
    Closed,
    DisagreementError,
    Page,
    Piece,
    Segment,
    Trail,
    next_segment,
    page_after,
    tail,
)
from domain.trail_audit import Kept, KeptPage, KeptSegment, cross_findings, ledger_findings, trail_findings
from tests.domain.strategies import NOON, digest
from tests.domain.test_record import ANA, KINDS, chained

SHOP = Subject(service="shop", environment="production")
EVERY: tuple[Record, ...] = (
    RequestRecord(at=NOON, request=Request(subject=SHOP, version="1.0", actor=ANA)),
    ProposalRecord(
        at=NOON,
        matter=Matter(
            promotion="promotion/shop/production/1.0",
            environment="production",
            release=digest("release"),
            plan=digest("plan"),
            nonce="n",
        ),
        policy=Policy(quorum=1, approvers=("bo",), valid=timedelta(days=1)),
    ),
    *KINDS,
)
stories = st.lists(st.sampled_from(EVERY), min_size=1, max_size=8)
cuts = st.lists(st.integers(0, 8), max_size=4)


def trail(version: str = "1.0", run: str = "run-1") -> Trail:
    return Trail(subject=SHOP, version=version, run=run)


def sealed(segment: Segment) -> KeptSegment:
    return KeptSegment(segment, segment.digest())


def kept_in(story: Sequence[Record], cuts: Sequence[int], of: Trail) -> list[KeptSegment]:
    """Keep a story as a promotion does: a piece at a time, some of them twice, the last one closed."""
    chain, found = chained(story), list[KeptSegment]()
    for cut in [*sorted(cuts), len(story)]:
        so_far = Chain(records=chain.records[:cut])
        piece = tail(so_far, ENDED if cut >= len(story) else "")
        last = found[-1] if found else None
        segment = next_segment(of, piece, last.segment if last else None, last.digest if last else None, NOON)
        found += [sealed(segment)] if segment else []
    return found


def booked(*events: Trail | Closed) -> list[KeptPage]:
    pages: list[KeptPage] = []
    for event in events:
        newest = pages[-1] if pages else None
        page = page_after(newest.page if newest else None, newest.digest if newest else None, event, NOON)
        assert page
        pages.append(KeptPage(page, page.digest()))
    return pages


def closing(kept: Sequence[KeptSegment]) -> Closed:
    last = kept[-1]
    return Closed(
        trail=last.segment.trail,
        count=last.segment.end,
        head=last.segment.head,
        segment=last.digest,
        how=last.segment.closed,
    )


def what_is_wrong(segments: Sequence[KeptSegment], pages: Sequence[KeptPage]) -> list[str]:
    """Return what an audit finds in a store with these segments and pages."""
    runs: dict[Trail, list[KeptSegment]] = {}
    for one in sorted(segments, key=lambda one: one.segment.first):
        runs.setdefault(one.segment.trail, []).append(one)
    trails = {of: Kept(of, tuple(found)) for of, found in runs.items()}
    found = [*ledger_findings(SHOP, pages), *cross_findings(SHOP, pages, trails)]
    for kept in trails.values():
        found += trail_findings(kept, [other for other in trails.values() if other is not kept])
    return [str(finding) for finding in found]


@given(story=stories, cuts=cuts, other=stories)
def test_what_is_whole_is_found_whole(story: list[Record], cuts: list[int], other: list[Record]) -> None:
    """However a story was cut into segments, closed or still open."""
    first = kept_in(story, cuts, trail())
    second = kept_in(other, [1], trail("2.0"))

    pages = booked(trail(), trail("2.0"), closing(first), closing(second))

    assert [record for one in first for record in one.segment.records] == list(chained(story).records)
    assert what_is_wrong([*first, *second], pages) == []
    assert what_is_wrong([*first, *second], pages[:3]) == []


@given(
    story=stories, cuts=cuts, at=st.integers(0, 7), how=st.sampled_from(["edit", "remove", "swap", "insert"])
)
def test_no_record_is_changed_unnoticed(story: list[Record], cuts: list[int], at: int, how: str) -> None:
    """Edited, removed, exchanged with its neighbour, or put in, at every position, even by who could seal it anew."""
    kept = kept_in(story, cuts, trail())
    pages = booked(trail(), closing(kept))
    place = at % len(story)
    at_segment = next(i for i, one in enumerate(kept) if one.segment.first <= place < one.segment.end)
    segment = kept[at_segment].segment
    records = list(segment.records)
    within = place - segment.first
    match how:
        case "edit":
            records[within] = RefusedRecord(at=NOON, previous=records[within].previous, door="x", why="y")
        case "remove":
            del records[within]
        case "swap":
            records[within : within + 2] = reversed(records[within : within + 2])
        case _:
            records.insert(within, RefusedRecord(at=NOON, door="x", why="y"))
    forged = segment.but(records=tuple(records))
    if forged.records == segment.records:
        return

    store = [*kept[:at_segment], sealed(forged), *kept[at_segment + 1 :]]

    assert what_is_wrong(store, pages)


@given(story=stories, cuts=cuts, at=st.integers(0, 7))
def test_no_segment_is_missing_unnoticed(story: list[Record], cuts: list[int], at: int) -> None:
    """Neither the first, nor one in between, nor the last, nor all of them."""
    kept = kept_in(story, cuts, trail())
    pages = booked(trail(), closing(kept))
    at %= len(kept)

    assert what_is_wrong([*kept[:at], *kept[at + 1 :]], pages)
    assert what_is_wrong(kept[:at], pages)
    assert what_is_wrong([], pages)


@given(story=stories, at=st.integers(0, 3))
def test_no_page_is_missing_unnoticed_but_the_newest(story: list[Record], at: int) -> None:
    """The newest is known to receipts, and to whoever kept its digest."""
    first, second = kept_in(story, [1], trail()), kept_in(story, [], trail("2.0"))
    pages = booked(trail(), trail("2.0"), closing(first), closing(second))
    store = [*first, *second]
    at %= len(pages) - 1
    exchanged = [*pages]
    exchanged[at], exchanged[at + 1] = pages[at + 1], pages[at]

    assert what_is_wrong(store, [*pages[:at], *pages[at + 1 :]])
    assert what_is_wrong(store, exchanged)
    assert what_is_wrong(store, pages[:1])


def test_an_edit_of_the_time_is_found_where_something_comes_after() -> None:
    """The time is in no record's hash, and in the text that the next segment and the ledger are bound to."""
    kept = kept_in(EVERY, [2, 4], trail())
    pages = booked(trail(), closing(kept))
    for place, one in enumerate(kept):
        later = [record.but(at=NOON + timedelta(hours=1)) for record in one.segment.records]
        forged = sealed(one.segment.but(records=tuple(later)))

        assert what_is_wrong([*kept[:place], forged, *kept[place + 1 :]], pages), place


def test_a_record_that_is_replayed_at_another_time_is_the_same_record() -> None:
    """A worker that takes over may tell a time otherwise: what was kept of it stands, and the rest follows on."""
    told = chained(EVERY)
    again = Chain()
    for record in EVERY:
        again = again.with_record(record.but(at=NOON + timedelta(seconds=3)))
    first = next_segment(trail(), tail(Chain(records=told.records[:4])), None, None, NOON)
    assert first

    rest = next_segment(trail(), tail(again, ENDED), first, first.digest(), NOON)

    assert rest
    assert rest.first == 4
    assert what_is_wrong([sealed(first), sealed(rest)], booked(trail())) == []


@pytest.mark.parametrize("dropped", [1, 3])
def test_records_that_were_let_go_are_counted(dropped: int) -> None:
    """What a flood pushed out before it could be kept is said to be missing, and is no finding."""
    chain = chained(EVERY)
    first = next_segment(trail(), tail(Chain(records=chain.records[:2])), None, None, NOON)
    assert first
    left = chain.keeping(len(EVERY) - 2 - dropped).but(written=2)

    rest = next_segment(trail(), tail(left, ENDED), first, first.digest(), NOON)

    assert rest
    assert (rest.lost, rest.first) == (dropped, 2 + dropped)
    assert what_is_wrong([sealed(first), sealed(rest)], booked(trail())) == []


def test_another_story_is_not_kept_over_what_is_there() -> None:
    """Whoever tells the first records otherwise is refused, and so are records that do not belong together."""
    first = next_segment(trail(), tail(chained(EVERY[:2])), None, None, NOON)
    assert first
    piece = tail(chained(EVERY))
    forged: dict[str, Piece] = {
        "another beginning": piece.but(anchor=digest("another")),
        "one is missing": piece.but(records=piece.records[1:]),
        "others put in": piece.but(records=(*piece.records[:1], *chained(KINDS[1:]).records)),
        "another story": tail(chained(KINDS)),
    }

    for what, story in forged.items():
        with pytest.raises(DisagreementError, match="records"):
            next_segment(trail(), story, first, first.digest(), NOON)
        assert what


def test_another_run_goes_on_where_the_one_before_had_got_to() -> None:
    """After it went on as new, or was reset: what it leans on has to be there, to the record."""
    chain = chained(EVERY)
    first = next_segment(trail(), tail(Chain(records=chain.records[:4])), None, None, NOON)
    goes_on = Chain(records=chain.records[3:], anchor=chain.records[2].link, dropped=3, written=3)
    second = next_segment(trail(run="run-2"), tail(goes_on, ENDED), None, None, NOON)
    assert first
    assert second
    both = [sealed(first), sealed(second)]
    pages = booked(trail(), trail(run="run-2"))

    assert what_is_wrong(both, pages) == []
    assert any("of an earlier run" in found for found in what_is_wrong(both[1:], pages))


def test_a_page_says_a_thing_once() -> None:
    """Whoever comes again finds it said."""
    opened = booked(trail())
    closed = closing(kept_in([OutcomeRecord(at=NOON, outcome=Outcome.REFUSED)], [], trail()))
    newest: Page = booked(trail(), closed)[-1].page

    assert page_after(opened[0].page, opened[0].digest, trail(), NOON) is None
    assert page_after(newest, None, closed, NOON) is None
    assert newest.open == ()


@given(story=stories, at=st.integers(0, 7), how=st.sampled_from(["edit", "remove", "swap"]))
def test_records_of_an_open_trail_hold_each_other(story: list[Record], at: int, how: str) -> None:
    """Also where its last segment was sealed anew: whatever is before the newest record is bound to it."""
    whole = chained([*story, RefusedRecord(at=NOON, door="the", why="last")])
    at %= len(story)
    records = list(whole.records)
    match how:
        case "edit":
            records[at] = RefusedRecord(at=NOON, previous=records[at].previous, door="x", why="y")
        case "remove":
            del records[at]
        case _:
            records[at : at + 2] = reversed(records[at : at + 2])
    segment = next_segment(trail(), tail(whole), None, None, NOON)
    assert segment

    assert what_is_wrong([sealed(segment.but(records=tuple(records)))], booked(trail()))


def test_a_segment_is_missed_where_the_next_was_bound_anew() -> None:
    """Its number tells, and its first record, even where only records that were let go are said to be between."""
    first, between, last = (one.segment for one in kept_in(EVERY, [2, 4], trail()))
    opened = booked(trail())
    rebound = last.but(before=first.digest())

    assert what_is_wrong([sealed(first), sealed(rebound)], opened)
    assert what_is_wrong([sealed(first), sealed(rebound.but(first=between.first))], opened)
    assert what_is_wrong([sealed(first), sealed(rebound.but(lost=len(between.records) - 1))], opened)


def test_a_page_that_was_written_anew_is_found() -> None:
    """The next page knows the text of the one before."""
    pages = booked(trail(), trail("2.0"))
    store = [*kept_in(EVERY, [], trail()), *kept_in(EVERY, [], trail("2.0"))]
    later = pages[0].page.but(at=NOON + timedelta(hours=1))

    assert what_is_wrong(store, [KeptPage(later, later.digest()), pages[1]])


@pytest.mark.timeout(30)
def test_ten_years_of_promotions_are_crossed_in_no_time() -> None:
    """Each is looked for once, and not among all the others: that took minutes."""
    trails = [trail(f"1.{number}") for number in range(5000)]
    kept = {
        one: Kept(one, (KeptSegment(part, digest(part.trail.version)),))
        for one in trails
        for part in [bare(one)]
    }
    events = [event for one in trails for event in (one, closing(kept[one].segments))]
    pages = [
        KeptPage(
            Page(
                subject=SHOP,
                number=number,
                opened=event if isinstance(event, Trail) else None,
                closed=event if isinstance(event, Closed) else None,
                at=NOON,
            ),
            digest("page"),
        )
        for number, event in enumerate(events, start=1)
    ]

    found = [*cross_findings(SHOP, pages, kept)]

    assert not found


def bare(of: Trail) -> Segment:
    return Segment(trail=of, first=0, anchor=digest("none"), closed=ENDED, at=NOON)
