"""Reading the store as an auditor does: every receipt, every seal, every signature, and nothing from the server."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import ValidationError

from activities.archive import Archive, turns_with_receipts
from activities.auditing_journals import JournalAuditor, open_findings
from activities.auditing_logbooks import Log, LogbookAuditor
from activities.auditing_strays import StrayAuditor
from activities.auditing_trails import AT_ONCE, TrailAuditor
from activities.auditing_words import UNSIGNED, OnceSigners, WordAuditor
from activities.ports import NotInStoreError, SealError, Signers, Store
from activities.reviews import Reviews, why_review_is_forged
from domain.actor import Proof
from domain.approval import Decision
from domain.audit import (
    Account,
    Audit,
    Finding,
    Paper,
    Told,
    Vouched,
    approval_findings,
    chain_findings,
    matter_of_receipt,
    paper_findings,
    review_findings,
)
from domain.effect_audit import began_at, effect_findings, late
from domain.journal import Entry, LetIn, Receipt, Settled
from domain.journal_audit import beside_findings, left_findings, say_put_back
from domain.logbook_audit import named_page_findings
from domain.names import Subject, manifest_key, receipt_key
from domain.override import Override, word_of
from domain.release import Release
from domain.review import Review
from domain.statement import decision_statement, override_statement
from domain.terms import Sealed, Story
from domain.trail_audit import KeptPage, receipt_findings
from domain.trail_telling import unaccounted
from domain.urgency import Urgency
from domain.value import Digest, digest_of

MORE_LOOKS: Final = 3
"""How often what does not hold is looked for again."""


class _Looked(NamedTuple):
    """What was found of one lane."""

    subject: Subject
    accounts: tuple[Account, ...]
    told: tuple[Told, ...]
    findings: tuple[Finding, ...]
    pages: tuple[KeptPage, ...]


class Auditor:
    """Checks what the store says, by the public keys and the people in a configuration folder."""

    def __init__(self, store: Store, archive: Archive, signers: Signers) -> None:
        self._store = store
        self._archive = archive
        self._signers = signers = OnceSigners(signers)
        self._trails = TrailAuditor(store, archive, signers)
        self._logbooks = LogbookAuditor(store, archive, signers)
        self._reviews = Reviews(store, archive)
        self._words = WordAuditor(signers)
        self._journals = JournalAuditor(store, archive)
        self._strays = StrayAuditor(store, archive)

    async def audit(self, service: str, environment: str, head: str) -> Audit:
        """Return what was found, oldest first, of one service or environment, or of all.

        ``head`` is the digest of a receipt, or of a page of a ledger or logbook, that was there once. Raises
        ``StoreError`` as the store does.

        Papers are written while others are read: a record may be there that was closed with a receipt which came
        after receipts were listed. So what does not hold is looked for again, and told where it was seen twice.
        """
        seen: set[Finding] = set()
        found = await self._look(service, environment, head)
        for _ in range(MORE_LOOKS):
            if seen.issuperset(found.findings):
                break
            seen.update(found.findings)
            found = await self._look(service, environment, head)
        return found.but(findings=tuple(finding for finding in found.findings if finding in seen))

    async def _look(self, service: str, environment: str, head: str) -> Audit:
        there: dict[Subject, list[int]] = {}
        for subject, turn in sorted(
            await turns_with_receipts(self._store, service, environment), key=lambda one: one[1]
        ):
            there.setdefault(subject, []).append(turn)
        for subject in sorted(await self._trails.subjects(service, environment), key=str):
            there.setdefault(subject, [])
        names = {subject.environment for subject in there}
        names |= {name for name in await self._logbooks.environments() if environment in {"", name}}
        logs = {name: await self._logbooks.log(name) for name in sorted(names)}
        looked = [
            await self._lane(subject, turns, logs[subject.environment]) for subject, turns in there.items()
        ]
        found = _together(looked, logs, head)
        return found.but(
            notes=tuple(one for one in found.notes if not service or one.is_about(service)),
            findings=(*found.findings, *await self._strays.findings(service, environment, there)),
        )

    async def _lane(self, subject: Subject, turns: Sequence[int], log: Log) -> "_Looked":
        """Look at all that is kept of one lane: receipts, records, and the ledger that stands for those."""
        papers: list[Paper] = []
        accounts: list[Account] = []
        findings: list[Finding] = []
        journal = await self._journals.read(subject, AT_ONCE)
        findings += [*journal.findings, *open_findings(journal, subject, turns)]
        for first in range(0, len(turns), AT_ONCE):
            looks = [self._receipt(subject, turn, journal.entries) for turn in turns[first : first + AT_ONCE]]
            for paper, account, found in await asyncio.gather(*looks):
                papers += [paper] if paper else []
                accounts += [account] if account else []
                findings += found
        findings += chain_findings(subject, papers)
        shelf = await self._trails.shelf(subject)
        findings += shelf.findings
        pages, runs = shelf.digests, shelf.by_version
        for paper in papers:
            findings += named_page_findings(paper.receipt, log.pages)
            findings += receipt_findings(paper.receipt, pages, runs.get(paper.receipt.version or "", []))
        promoted = _turns_by_plan(papers)
        told = tuple(_with_turn(one, promoted) for one in shelf.told)
        findings += unaccounted(told, _plans_done(papers))
        findings += [finding for one in told for finding in left_findings(one, frozenset(turns))]
        return _Looked(subject, tuple(accounts), told, tuple(findings), shelf.pages)

    async def _receipt(
        self, subject: Subject, turn: int, entries: Mapping[int, tuple[Entry, ...]]
    ) -> tuple[Paper | None, Account | None, list[Finding]]:
        paper = await self._read(subject, turn, entries.get(turn, ()))
        if isinstance(paper, Finding):
            return None, None, [paper]
        account, found = await self._account(paper)
        account = account.but(deeds=account.deeds or say_put_back(paper.receipt, entries))
        return paper, account, [*paper_findings(paper), *beside_findings(paper), *found]

    async def _read(self, subject: Subject, turn: int, entries: tuple[Entry, ...]) -> Paper | Finding:
        try:
            receipt = await self._archive.receipt(subject, turn)
            if receipt is None:
                return Finding(
                    subject=subject, turn=turn, what="its receipt went away while it was looked for"
                )
            content = await self._store.read(receipt_key(subject, turn))
            sealed = Sealed.model_validate_json(content)
        except SealError as error:
            return Finding(subject=subject, turn=turn, what=f"it is not to be believed: {error}")
        except ValidationError:
            what = "its receipt cannot be read: it was altered, or a newer Towpath wrote it"
            return Finding(subject=subject, turn=turn, what=what)
        if sealed.canonical().encode() != content:
            return Finding(subject=subject, turn=turn, what="its receipt is not written as it was sealed")
        return Paper(
            receipt=receipt,
            fingerprint=digest_of(sealed.body.encode()),
            entries=entries,
            manifest=await self._manifest(receipt),
        )

    async def _manifest(self, receipt: Receipt) -> str | None:
        """Return the digest of the release as the store has it now; nothing, where it was pruned."""
        if receipt.version is None:
            return None
        try:
            content = await self._store.read(manifest_key(receipt.subject.service, receipt.version))
        except NotInStoreError:
            return None
        try:
            return Release.model_validate_json(content).digest()
        except ValidationError:
            return digest_of(content)

    async def _account(self, paper: Paper) -> tuple[Account, list[Finding]]:
        receipt, let_in = paper.receipt, paper.receipt.let_in
        asked = await self._words.why_not_asked(let_in.request if let_in else receipt.request)
        requester = Vouched(name=receipt.actor.name, unproven=asked)
        decisions: list[Decision] = []
        why_not: dict[int, str] = {}
        if let_in:
            for place, decision in enumerate(let_in.decisions):
                why = await self._why_not_decided(receipt, let_in, decision)
                why_not |= {place: why} if why else {}
                proof = Proof.NONE if why else Proof.SSH_SIGNATURE
                decisions.append(decision.but(actor=decision.actor.but(proof=proof)))
        vouched = [
            Vouched(
                name=one.actor.name,
                verdict=one.verdict,
                comment=one.comment,
                at=one.signature.at if one.signature else one.at,
                unproven=why_not.get(place, ""),
            )
            for place, one in enumerate(decisions)
        ]
        review, trouble = await self._review(receipt)
        forged = await why_review_is_forged(review, self._signers) if review else ""
        overridden = [await self._vouched_override(receipt, one) for one in receipt.overridden]
        found = (
            *_approval_findings(paper, requester, decisions, why_not, overridden),
            *(trouble or review_findings(receipt, review, forged)),
            *await self._words.findings(receipt, asked),
        )
        account = _account_of(paper, requester, vouched)
        return account.but(review=review, overridden=tuple(overridden)), list(found)

    async def _vouched_override(self, receipt: Receipt, one: Override) -> Override:
        """Say of an override what OpenSSH says: its key has to have been good when it was signed."""
        proven = False
        if one.signature:
            statement = override_statement(receipt.subject.environment, word_of(one), one.signature)
            proven = not await self._signers.why_not(statement, one.signature.ssh, one.signature.at)
        return one.but(by=one.by.but(proof=Proof.SSH_SIGNATURE if proven else Proof.NONE))

    async def _review(self, receipt: Receipt) -> tuple[Review | None, list[Finding]]:
        try:
            return await self._reviews.of(receipt.subject, receipt.turn), []
        except SealError as error:
            what = f"its review is not to be believed: {error}"
            return None, [Finding(subject=receipt.subject, turn=receipt.turn, what=what)]

    async def _why_not_decided(self, receipt: Receipt, let_in: LetIn, decision: Decision) -> str:
        """A key has to be good when it signed; one that was revoked since is good for nothing."""
        signature = decision.signature
        if signature is None:
            return UNSIGNED
        statement = decision_statement(matter_of_receipt(receipt, let_in), decision, signature)
        return await self._signers.why_not(statement, signature.ssh, signature.at)


def _approval_findings(
    paper: Paper,
    requester: Vouched,
    decisions: Sequence[Decision],
    unproven: Mapping[int, str],
    overridden: Sequence[Override],
) -> Iterator[Finding]:
    """Judge again whether a promotion was let in, at the moment when its first deed was begun."""
    receipt, let_in = paper.receipt, paper.receipt.let_in
    whys: list[str] = []
    in_time: list[Decision] = []
    for place, one in enumerate(decisions):
        too_late = late(let_in, one, began_at(paper.entries)) if let_in else ""
        is_missed = unproven.get(place, "") if let_in and let_in.policy.signed else ""
        whys += [f"{one.actor.name}: {why}" for why in (too_late or is_missed,) if why]
        in_time += [] if too_late else [one]
    yield from approval_findings(receipt, requester, in_time, whys)
    yield from effect_findings(receipt, paper.entries, in_time, overridden)


def _together(looked: Sequence[_Looked], logs: Mapping[str, Log], head: str) -> Audit:
    """Return what was found of all lanes and logbooks, and whether what was there once is there still."""
    accounts = [account for one in looked for account in one.accounts]
    pages = {page.digest for one in looked for page in one.pages}
    pages |= {page.digest for log in logs.values() for page in log.pages}
    findings = [finding for one in looked for finding in one.findings]
    findings += [finding for log in logs.values() for finding in log.findings]
    if head and head not in pages | {account.fingerprint for account in accounts}:
        findings.append(Finding(what=f"the paper {head}, which was there once, is not there any more"))
    return Audit(
        accounts=tuple(sorted(accounts, key=lambda account: account.ended)),
        promotions=tuple(sorted((told for one in looked for told in one.told), key=_when)),
        notes=tuple(sorted((note for log in logs.values() for note in log.notes), key=lambda one: one.at)),
        findings=tuple(findings),
        heads={str(one.subject): one.accounts[-1].fingerprint for one in looked if one.accounts},
        ledgers={str(one.subject): one.pages[-1].digest for one in looked if one.pages},
        logbooks={name: log.pages[-1].digest for name, log in logs.items() if log.pages},
    )


def _when(told: Told) -> tuple[datetime, bool, datetime]:
    """Runs of one promotion may begin with the same record: what ended first comes first, what is open last."""
    return told.began, told.ended is None, told.ended or told.began


def _turns_by_plan(papers: Sequence[Paper]) -> dict[Digest, int]:
    """Return which turn carried out each plan: of several, the last."""
    receipts = sorted((paper.receipt for paper in papers), key=lambda receipt: receipt.turn)
    return {one.intent: one.turn for one in receipts if one.intent and one.story is Story.PROMOTION}


def _plans_done(papers: Sequence[Paper]) -> frozenset[Digest]:
    """Return the plans of promotions that were carried out and stood."""
    receipts = [paper.receipt for paper in papers if paper.receipt.settled is Settled.DONE]
    return frozenset(one.intent for one in receipts if one.intent and one.story is Story.PROMOTION)


def _with_turn(told: Told, turns: Mapping[Digest, int]) -> Told:
    """Name the receipt that a promotion's change left."""
    found = [turns[plan] for plan in told.plans if plan in turns]
    return told.but(turn=max(found)) if found else told


def _account_of(paper: Paper, requester: Vouched, decisions: Sequence[Vouched]) -> Account:
    receipt, let_in = paper.receipt, paper.receipt.let_in
    policy = let_in.policy if let_in else None
    return Account(
        subject=receipt.subject,
        turn=receipt.turn,
        story=receipt.story,
        version=receipt.version or "",
        release=receipt.release,
        outcome=receipt.outcome,
        began=receipt.began,
        ended=receipt.ended,
        requester=requester,
        reason=receipt.reason,
        decisions=tuple(decisions),
        quorum=policy.quorum if policy else 0,
        approvers=policy.approvers if policy else (),
        also=policy.also if policy else (),
        signed=policy.signed if policy else False,
        urgency=let_in.request.urgency if let_in else Urgency.USUAL,
        of=receipt.of,
        deeds=tuple(str(deed.step) for deed in receipt.deeds),
        stood=receipt.settled is Settled.DONE,
        healthy=receipt.healthy,
        evidence=receipt.evidence,
        rehearsed=str(receipt.rehearsed or ""),
        why=receipt.why,
        fingerprint=paper.fingerprint,
    )
