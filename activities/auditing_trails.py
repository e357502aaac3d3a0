"""Reading trails and ledgers as an auditor does: every segment, every page, and every signature in them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from activities.archive import Archive
from activities.auditing_papers import in_order, read_paper
from activities.ports import Signers, Store
from domain.actor import Proof
from domain.approval import Decision
from domain.audit import Finding, Told, Vouched
from domain.names import LEDGERS, TRAILS, Subject, is_identifier
from domain.record import DecisionRecord, ProposalRecord, Record, RequestRecord
from domain.statement import decision_statement, request_statement
from domain.terms import Request
from domain.trail import Page, Segment, Trail
from domain.trail_audit import (
    Kept,
    KeptPage,
    KeptSegment,
    cross_findings,
    is_continued,
    ledger_findings,
    trail_findings,
    whole_story,
)
from domain.trail_telling import tell_trail, told_findings
from domain.value import Digest

PaperT = TypeVar("PaperT", Segment, Page)
AT_ONCE: Final = 8
"""How many promotions, or receipts, are looked at at the same time."""


class Shelf(NamedTuple):
    """What is kept of one lane: its ledger, and the trails of its promotions."""

    pages: tuple[KeptPage, ...]
    trails: Mapping[Trail, Kept]
    told: tuple[Told, ...]
    findings: tuple[Finding, ...]

    @property
    def by_version(self) -> Mapping[str, list[Kept]]:
        return _by_version(self.trails)

    @property
    def digests(self) -> frozenset[Digest]:
        """What stands for the pages of its ledger."""
        return frozenset(one.digest for one in self.pages)


class TrailAuditor:
    """Checks what promotions have recorded, by the public keys and the people in a configuration folder."""

    def __init__(self, store: Store, archive: Archive, signers: Signers) -> None:
        self._store = store
        self._archive = archive
        self._signers = signers

    async def subjects(self, service: str, environment: str) -> set[Subject]:
        """Return every lane that has records, a ledger or a journal. Raises ``StoreError`` as the store does."""
        found: set[Subject] = set()
        for room in (TRAILS, LEDGERS, "journal"):
            for key in await self._store.list(f"{room}/{service}" if service else room):
                _, *names = key.split("/")
                if len(names) > 2 and all(map(is_identifier, names[:2])) and environment in {"", names[1]}:
                    found.add(Subject(service=names[0], environment=names[1]))
        return found

    async def shelf(self, subject: Subject) -> Shelf:
        """Return what is kept of a lane, and whatever does not hold."""
        findings: list[Finding] = []
        pages = await self._pages(subject, findings)
        trails = await self._trails(subject, findings)
        findings += [*ledger_findings(subject, pages), *cross_findings(subject, pages, trails)]
        told: list[Told] = []
        stories: list[tuple[Kept, Sequence[Record]]] = []
        runs = _by_version(trails)
        for kept in trails.values():
            others = [other for other in runs[kept.trail.version] if other is not kept]
            findings += trail_findings(kept, others)
            if kept.segments and not is_continued(kept, others):
                stories.append((kept, whole_story(kept, others)))
        for first in range(0, len(stories), AT_ONCE):
            looks = [self._told(kept, story) for kept, story in stories[first : first + AT_ONCE]]
            for one, found in await asyncio.gather(*looks):
                told.append(one)
                findings += found
        return Shelf(tuple(pages), trails, tuple(told), tuple(findings))

    async def _pages(self, subject: Subject, findings: list[Finding]) -> list[KeptPage]:
        keys = await self._store.list(f"{LEDGERS}/{subject.service}/{subject.environment}")
        found = [await self._read(key, subject, "", Page, findings) for key in in_order(keys)]
        return [KeptPage(*one) for one in found if one]

    async def _trails(self, subject: Subject, findings: list[Finding]) -> dict[Trail, Kept]:
        runs: dict[Trail, list[str]] = {}
        for key in await self._store.list(f"{TRAILS}/{subject.service}/{subject.environment}"):
            _, _, _, *names = key.removesuffix(".json").split("/")
            if len(names) == len(("version", "run", "first")) and all(map(is_identifier, names)):
                runs.setdefault(Trail(subject=subject, version=names[0], run=names[1]), []).append(key)
            else:
                what = f"“{key}” is not where any record is kept: it was put in"
                findings.append(Finding(subject=subject, what=what))
        trails: dict[Trail, Kept] = {}
        for trail, keys in runs.items():
            found = [
                await self._read(key, subject, trail.version, Segment, findings) for key in in_order(keys)
            ]
            trails[trail] = Kept(trail, tuple(KeptSegment(*one) for one in found if one))
        return trails

    async def _read(
        self, key: str, subject: Subject, version: str, kind: type[PaperT], findings: list[Finding]
    ) -> tuple[PaperT, str] | None:
        kept = await read_paper(self._archive, key, subject.environment, kind)
        if isinstance(kept, str):
            findings.append(Finding(subject=subject, version=version, what=kept))
            return None
        return kept.paper, kept.digest

    async def _told(self, kept: Kept, records: Sequence[Record]) -> tuple[Told, list[Finding]]:
        """Return what a trail tells, with every signature in it looked at anew."""
        request = next((one.request for one in records if isinstance(one, RequestRecord)), None)
        requester = await self._requester(request)
        proposals = {one.matter.plan: one for one in records if isinstance(one, ProposalRecord)}
        decisions = [
            await self._decision(one.decision, proposals)
            for one in records
            if isinstance(one, DecisionRecord)
        ]
        told = tell_trail(kept, records, requester, [vouched for _, vouched in decisions])
        proven = [decision for decision, _ in decisions]
        return told, list(told_findings(kept, request, proposals, proven, told))

    async def _requester(self, request: Request | None) -> Vouched:
        if request is None:
            return Vouched(name="somebody", unproven="its records do not say who")
        signature = request.signature
        why = "it was not signed"
        if signature:
            statement = request_statement(request, signature)
            why = await self._signers.why_not(statement, signature.ssh, signature.at)
        return Vouched(name=request.actor.name, unproven=why)

    async def _decision(
        self, decision: Decision, proposals: Mapping[str, ProposalRecord]
    ) -> tuple[Decision, Vouched]:
        signature, proposal = decision.signature, proposals.get(decision.intent)
        why = "it was not signed" if signature is None else "its records do not say what it was about"
        if signature and proposal:
            statement = decision_statement(proposal.matter, decision, signature)
            why = await self._signers.why_not(statement, signature.ssh, signature.at)
        vouched = Vouched(
            name=decision.actor.name,
            verdict=decision.verdict,
            comment=decision.comment,
            at=signature.at if signature else decision.at,
            unproven=why,
        )
        proof = Proof.NONE if why else Proof.SSH_SIGNATURE
        return decision.but(actor=decision.actor.but(proof=proof)), vouched


def _by_version(trails: Mapping[Trail, Kept]) -> dict[str, list[Kept]]:
    found: dict[str, list[Kept]] = {}
    for trail, kept in trails.items():
        found.setdefault(trail.version, []).append(kept)
    return found
