"""Reading the store as an auditor does: every receipt, every seal, every signature, and nothing from the server."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import ValidationError

from activities.archive import Archive, turns_with_receipts
from activities.auditing_logbooks import Log, LogbookAuditor
from activities.auditing_trails import TrailAuditor
from activities.ports import BadSealError, NotInStoreError, Signers, Store
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
from domain.journal import LetIn, Receipt
from domain.logbook_audit import named_page_findings
from domain.names import Subject, manifest_key, receipt_key
from domain.override import Override, word_of
from domain.release import Release
from domain.review import Review
from domain.statement import decision_statement, override_statement, request_statement
from domain.terms import Sealed, Story
from domain.trail_audit import KeptPage, receipt_findings
from domain.trail_telling import unaccounted
from domain.urgency import Urgency
from domain.value import digest_of

AT_ONCE: Final = 8
"""How many receipts are looked at at the same time."""


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
        self._signers = signers
        self._trails = TrailAuditor(store, archive, signers)
        self._logbooks = LogbookAuditor(store, archive, signers)
        self._reviews = Reviews(store, archive)

    async def audit(self, service: str, environment: str, head: str) -> Audit:
        """Return what was found, oldest first, of one service or environment, or of all.

        ``head`` is the digest of a receipt, or of a page of a ledger or logbook, that was there once. Raises
        ``StoreError`` as the store does.
        """
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
        return found.but(notes=tuple(one for one in found.notes if not service or one.is_about(service)))

    async def _lane(self, subject: Subject, turns: Sequence[int], log: Log) -> "_Looked":
        """Look at all that is kept of one lane: receipts, records, and the ledger that stands for those."""
        papers: list[Paper] = []
        accounts: list[Account] = []
        findings: list[Finding] = []
        for first in range(0, len(turns), AT_ONCE):
            read = [self._read(subject, turn) for turn in turns[first : first + AT_ONCE]]
            for one in await asyncio.gather(*read):
                if isinstance(one, Finding):
                    findings.append(one)
                    continue
                account, found = await self._account(one)
                papers.append(one)
                accounts.append(account)
                findings += [*paper_findings(one), *found]
        findings += chain_findings(subject, papers)
        shelf = await self._trails.shelf(subject)
        findings += shelf.findings
        for paper in papers:
            findings += named_page_findings(paper.receipt, log.pages)
            findings += receipt_findings(paper.receipt, shelf.pages, shelf.of(paper.receipt.version or ""))
        told = tuple(_with_turn(one, papers) for one in shelf.told)
        findings += unaccounted(told)
        return _Looked(subject, tuple(accounts), told, tuple(findings), shelf.pages)

    async def _read(self, subject: Subject, turn: int) -> Paper | Finding:
        try:
            receipt = await self._archive.receipt(subject, turn)
            if receipt is None:
                return Finding(
                    subject=subject, turn=turn, what="its receipt went away while it was looked for"
                )
            content = await self._store.read(receipt_key(subject, turn))
            sealed = Sealed.model_validate_json(content)
            entries = await self._archive.entries(subject, turn, [deed.fence.act for deed in receipt.deeds])
        except BadSealError as error:
            return Finding(subject=subject, turn=turn, what=f"it is not to be believed: {error}")
        except ValidationError:
            what = "its receipt or journal cannot be read: it was altered, or a newer Towpath wrote it"
            return Finding(subject=subject, turn=turn, what=what)
        if sealed.canonical().encode() != content:
            return Finding(subject=subject, turn=turn, what="its receipt is not written as it was sealed")
        return Paper(
            receipt=receipt,
            fingerprint=digest_of(sealed.body.encode()),
            entries=tuple(entries),
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
        requester = Vouched(name=receipt.actor.name, unproven="it was not signed")
        decisions: list[Decision] = []
        why_not: dict[int, str] = {}
        if let_in:
            requester = requester.but(unproven=await self._why_not_asked(let_in))
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
        found = (
            *approval_findings(receipt, requester, decisions, why_not),
            *(trouble or review_findings(receipt, review, forged)),
        )
        overridden = [await self._vouched_override(receipt, one) for one in receipt.overridden]
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
        except BadSealError as error:
            what = f"its review is not to be believed: {error}"
            return None, [Finding(subject=receipt.subject, turn=receipt.turn, what=what)]

    async def _why_not_asked(self, let_in: LetIn) -> str:
        signature = let_in.request.signature
        if signature is None:
            return "it was not signed"
        statement = request_statement(let_in.request, signature)
        return await self._signers.why_not(statement, signature.ssh, signature.at)

    async def _why_not_decided(self, receipt: Receipt, let_in: LetIn, decision: Decision) -> str:
        """A key has to be good when it signed; one that was revoked since is good for nothing."""
        signature = decision.signature
        if signature is None:
            return "it was not signed"
        statement = decision_statement(matter_of_receipt(receipt, let_in), decision, signature)
        return await self._signers.why_not(statement, signature.ssh, signature.at)


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
        notes=tuple(
            sorted((note for log in logs.values() for note in log.notes), key=lambda one: one.note.at)
        ),
        findings=tuple(findings),
        heads={str(one.subject): one.accounts[-1].fingerprint for one in looked if one.accounts},
        ledgers={str(one.subject): one.pages[-1].digest for one in looked if one.pages},
        logbooks={name: log.pages[-1].digest for name, log in logs.items() if log.pages},
    )


def _when(told: Told) -> tuple[datetime, bool, datetime]:
    """Runs of one promotion may begin with the same record: what ended first comes first, what is open last."""
    return told.began, told.ended is None, told.ended or told.began


def _with_turn(told: Told, papers: Sequence[Paper]) -> Told:
    """Name the receipt that a promotion's change left."""
    turns = [
        paper.receipt.turn
        for paper in papers
        if paper.receipt.intent in told.plans and paper.receipt.story is Story.PROMOTION
    ]
    return told.but(turn=max(turns)) if turns else told


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
        healthy=receipt.healthy,
        evidence=receipt.evidence,
        rehearsed=str(receipt.rehearsed or ""),
        why=receipt.why,
        fingerprint=paper.fingerprint,
    )
