"""What a promotion's records come to, for whoever reads the evidence."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from domain.approval import Decision, Standing, standing
from domain.audit import Finding, Told, Vouched
from domain.outcome import Outcome
from domain.record import (
    JudgementRecord,
    OutcomeRecord,
    OverrideRecord,
    ProposalRecord,
    Record,
    RefusedRecord,
    RequestRecord,
)
from domain.terms import Request
from domain.trail_audit import Kept, found_of
from domain.value import Digest

RecordT = TypeVar("RecordT", bound=Record)


def tell_trail(
    kept: Kept, records: Sequence[Record], requester: Vouched, decisions: Sequence[Vouched]
) -> Told:
    """Return what a trail tells. ``records`` are its own, and before them those that it goes on from."""
    request = _last(records, RequestRecord)
    proposal = _last(records, ProposalRecord)
    outcome = _last(records, OutcomeRecord)
    last = kept.segments[-1].segment
    return Told(
        subject=kept.trail.subject,
        version=kept.trail.version,
        run=kept.trail.run,
        began=records[0].at if records else last.at,
        ended=outcome.at if outcome else last.at if kept.closed else None,
        outcome=outcome.outcome if outcome else "",
        why=outcome.why if outcome else "",
        requester=requester,
        reason=request.request.reason if request else "",
        release=proposal.matter.release if proposal else None,
        plans=tuple(one.matter.plan for one in _all(records, ProposalRecord)),
        quorums=proposal.policy.quorums if proposal else (),
        signed=proposal.policy.signed if proposal else False,
        decisions=tuple(decisions),
        found=tuple(
            f"{one.of}: {'; '.join(one.sentences)}"
            for one in _all(records, JudgementRecord)
            if not one.passed
        ),
        refused=tuple(str(one) for one in _all(records, RefusedRecord)),
        steered=tuple(
            f"{one.actor} said {one.did}{f': {one.comment}' if one.comment else ''}"
            for one in _all(records, OverrideRecord)
        ),
        records=len(records),
        lost=kept.lost,
        head=last.head,
        closed=kept.closed,
    )


def told_findings(
    kept: Kept,
    request: Request | None,
    proposals: Mapping[str, ProposalRecord],
    decisions: Sequence[Decision],
    told: Told,
) -> Iterator[Finding]:
    """Find a rejection that nobody who might reject it is proven to have said. Who let it in, its receipt proves."""
    if told.outcome != Outcome.REJECTED or request is None or not told.plans:
        return
    proposal = proposals[told.plans[-1]]
    if standing(proposal.policy, request.requester, told.plans[-1], decisions) is not Standing.REJECTED:
        yield found_of(kept.trail, f"it was rejected, and not by {proposal.policy}")


def unaccounted(told: Iterable[Told], done: Collection[Digest]) -> Iterator[Finding]:
    """Find records that say that something was let in, where no receipt does: anybody may have a promotion write.

    ``done`` are the plans that a receipt says were carried out, and not put back.
    """
    for one in told:
        if one.outcome == Outcome.PROMOTED and not any(plan in done for plan in one.plans):
            what = "its record says that it was promoted, and no receipt says so"
            yield Finding(subject=one.subject, version=one.version, turn=one.turn, what=what)


def _all(records: Sequence[Record], kind: type[RecordT]) -> list[RecordT]:
    return [record for record in records if isinstance(record, kind)]


def _last(records: Sequence[Record], kind: type[RecordT]) -> RecordT | None:
    return next(reversed(_all(records, kind)), None)
