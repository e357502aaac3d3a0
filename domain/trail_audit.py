"""What an auditor checks of trails and ledgers: that no record, no segment and no promotion is missing or altered."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from domain.audit import Finding
from domain.binding import Read, binding_faults
from domain.journal import Receipt
from domain.names import Subject
from domain.record import Chain as Records
from domain.record import DecisionRecord, ProposalRecord, Record, first_broken
from domain.trail import Closed, Page, Segment, Trail
from domain.value import Digest, short


class KeptSegment(NamedTuple):
    """A segment as it was read, and the digest of its text."""

    segment: Segment
    digest: Digest


KeptPage: TypeAlias = Read[Page]


class Kept(NamedTuple):
    """All that is kept of one trail, in order of its records."""

    trail: Trail
    segments: tuple[KeptSegment, ...]

    @property
    def records(self) -> tuple[Record, ...]:
        return tuple(record for one in self.segments for record in one.segment.records)

    @property
    def numbered(self) -> tuple[tuple[int, Record], ...]:
        return tuple(
            numbered
            for one in self.segments
            for numbered in enumerate(one.segment.records, start=one.segment.first)
        )

    @property
    def end(self) -> int:
        return self.segments[-1].segment.end if self.segments else 0

    @property
    def head(self) -> Digest | None:
        return self.segments[-1].segment.head if self.segments else None

    @property
    def closed(self) -> str:
        return self.segments[-1].segment.closed if self.segments else ""

    @property
    def lost(self) -> int:
        return sum(one.segment.lost for one in self.segments)


def ledger_findings(subject: Subject, pages: Sequence[KeptPage]) -> Iterator[Finding]:
    """Find pages that were taken out, put in, or exchanged. Of the newest only a receipt or a kept digest tells."""
    yield from (_found(subject, what) for what in binding_faults("its ledger", pages))


def trail_findings(kept: Kept, others: Sequence[Kept]) -> Iterator[Finding]:
    """Find records that were edited, taken out, moved or put in. ``others`` are the same promotion's other runs."""
    trail = kept.trail
    before: KeptSegment | None = None
    for one in kept.segments:
        yield from (found_of(trail, what) for what in _breaks(before, one.segment))
        before = one
    yield from _beginning(kept, others)


def _breaks(before: KeptSegment | None, segment: Segment) -> Iterator[str]:
    """Say where a segment does not follow on the one that is kept before it."""
    if segment.before != (before.digest if before else None):
        yield f"what is kept from record {segment.first} on does not follow on what is kept before"
    if before and segment.first != before.segment.end + segment.lost:
        yield f"of its records those from {before.segment.end} to {segment.first} are not there"
    if before and before.segment.closed:
        yield "it was closed, and has records after that"
    if before and not segment.lost and segment.anchor != before.segment.head:
        yield f"record {segment.first} is not bound to the one before"
    broken = first_broken(Records(records=segment.records, anchor=segment.anchor))
    if broken is not None:
        yield f"record {segment.first + broken} is not bound to the one before"


def _beginning(kept: Kept, others: Sequence[Kept]) -> Iterator[Finding]:
    """A trail begins at its first record, or goes on where another run of the same promotion had got to."""
    if not kept.segments:
        return
    first = kept.segments[0].segment
    if first.lost:
        return
    begins = first.first == 0 and first.anchor == Records().head
    if not begins and not any(_leads_to(other, first) for other in others):
        what = f"it goes on from record {first.first} of an earlier run, and that is not there"
        yield found_of(kept.trail, what)


def _leads_to(other: Kept, first: Segment) -> bool:
    return any(number + 1 == first.first and one.link == first.anchor for number, one in other.numbered)


def whole_story(kept: Kept, others: Sequence[Kept]) -> tuple[Record, ...]:
    """Return a trail's records, those of the runs before that it goes on from first."""
    if not kept.segments:
        return ()
    first = kept.segments[0].segment
    earlier = next((other for other in others if first.first and _leads_to(other, first)), None)
    if earlier is None:
        return kept.records
    rest = [other for other in others if other is not earlier]
    told = whole_story(earlier, rest)
    surplus = max(earlier.end - first.first, 0)
    return (*told[: len(told) - surplus], *kept.records)


def is_continued(kept: Kept, others: Sequence[Kept]) -> bool:
    """Tell whether another run of the promotion goes on from this one's last record."""
    return any(
        one.segments and one.segments[0].segment.anchor == kept.head and one.segments[0].segment.first
        for one in others
    )


def cross_findings(
    subject: Subject, pages: Sequence[KeptPage], trails: Mapping[Trail, Kept]
) -> Iterator[Finding]:
    """Find promotions that the ledger knows and that are not there, or are there and the ledger does not know."""
    opened = {one.page.opened: None for one in pages if one.page.opened}
    closed = [one.page.closed for one in pages if one.page.closed]
    for trail in opened:
        if trail not in trails or not trails[trail].segments:
            yield found_of(trail, "it was opened, and none of its records is there")
    for trail in trails:
        if trail not in opened:
            yield found_of(
                trail, "its lane's ledger does not know of it: it was put in, or the ledger was cut"
            )
    for one in closed:
        yield from _closing_findings(one, trails.get(one.trail))
    ended = frozenset(one.trail for one in closed)
    if pages and list(pages[-1].page.open) != [trail for trail in opened if trail not in ended]:
        yield _found(subject, "its ledger does not say rightly which records are still open")


def _closing_findings(closed: Closed, kept: Kept | None) -> Iterator[Finding]:
    if kept is None or not kept.segments:
        return
    if (kept.end, kept.head, kept.segments[-1].digest) != (closed.count, closed.head, closed.segment):
        what = f"it was closed with {closed.count} records, and they are not those that are there"
        yield found_of(closed.trail, what)


def receipt_findings(
    receipt: Receipt, pages: Collection[Digest], trails: Sequence[Kept]
) -> Iterator[Finding]:
    """Find receipts that know of a page, or of decisions, that are not there. ``trails`` are of its version."""
    if receipt.ledger is None:
        return
    if receipt.ledger not in pages:
        what = f"the page {short(receipt.ledger)} of the ledger, which it knows, is not there any more"
        yield _found(receipt.subject, what, receipt.turn)
    if receipt.let_in is None:
        return
    told = [kept for kept in trails if _proposed(kept, receipt.intent or "")]
    recorded = {
        (record.decision.actor.name, record.decision.verdict, record.decision.at)
        for kept in told
        for record in kept.records
        if isinstance(record, DecisionRecord)
    }
    for decision in receipt.let_in.decisions:
        if (decision.actor.name, decision.verdict, decision.at) not in recorded:
            what = f"{decision.actor.name} said {decision.verdict}, and no promotion's records say so"
            yield _found(receipt.subject, what, receipt.turn)


def _proposed(kept: Kept, intent: str) -> bool:
    return any(isinstance(one, ProposalRecord) and one.matter.plan == intent for one in kept.records)


def found_of(trail: Trail, what: str) -> Finding:
    return Finding(subject=trail.subject, version=trail.version, what=what)


def _found(subject: Subject, what: str, turn: int | None = None) -> Finding:
    return Finding(subject=subject, turn=turn, what=what)
