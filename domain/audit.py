"""What an auditor checks, from the store alone: that every receipt is there, unaltered, and says who let it in.

Pure: whoever reads the store hands over what was read, and what OpenSSH says of each signature.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from domain.actor import CLAIMED
from domain.approval import Decision, Quorum, Standing, Verdict, standing
from domain.environment import same
from domain.journal import Entry, LetIn, Receipt
from domain.logbook import Attempt, Note, TidingsNote, service_of
from domain.names import Identifier, Subject, promotion_id
from domain.override import Override
from domain.review import Review
from domain.statement import Matter
from domain.terms import Story
from domain.urgency import Urgency, why_not_broken
from domain.value import Digest, Value, short


class Finding(Value):
    """Something that does not hold: of which turn, and a sentence."""

    subject: Subject | None = None
    turn: int | None = None
    version: str = ""
    """Of the promotion, where it is about one's records."""
    what: str

    def __str__(self) -> str:
        if self.subject is None:
            return self.what
        of = (
            f"turn {self.turn} of "
            if self.turn
            else f"the promotion of {self.version} of " * bool(self.version)
        )
        return f"{of}{self.subject}: {self.what}"


class Paper(Value):
    """A receipt as it was read: its text's digest as fingerprint, and the journal entries that it accounts for."""

    receipt: Receipt
    fingerprint: Digest
    entries: tuple[Entry, ...] = ()
    manifest: Digest | None = None
    """Of the release in the store now; None where it is not there any more."""


class Vouched(Value):
    """A name, and why it is not proven; nothing where OpenSSH finds the signature good."""

    name: str
    verdict: Verdict | None = None
    comment: str = ""
    at: datetime | None = None
    unproven: str = ""

    @property
    def is_proven(self) -> bool:
        return not self.unproven

    def __str__(self) -> str:
        return self.name if self.is_proven else f"{self.name} ({CLAIMED})"


class Account(Value):
    """What one receipt proves: what was done, when, and who let it in."""

    subject: Subject
    turn: int
    story: Story
    version: str = ""
    release: Digest | None = None
    outcome: str
    began: datetime
    ended: datetime
    requester: Vouched
    reason: str = ""
    decisions: tuple[Vouched, ...] = ()
    quorum: int = 0
    approvers: tuple[str, ...] = ()
    also: tuple[Quorum, ...] = ()
    signed: bool = False
    urgency: Urgency = Urgency.USUAL
    overridden: tuple[Override, ...] = ()
    """Who let it past gates that were closed, with the proof that the auditor found."""
    review: Review | None = None
    """Where the glass was broken: who has looked at it since."""
    of: int | None = None
    """The turn that a rollback undid, or a settlement settled."""
    deeds: tuple[str, ...] = ()
    """What was begun, in order; of what undid another turn, what was put back."""
    stood: bool = True
    """Whether it was left standing; else all of it was undone."""
    healthy: bool = True
    """Whether nothing was left undone, because a person said to."""
    evidence: tuple[str, ...] = ()
    rehearsed: str = ""
    """What was seen of its undo, where that was rehearsed."""
    why: str = ""
    fingerprint: Digest

    @property
    def was_let_in(self) -> bool:
        """Tell whether it took anybody's word: an approval, or that of whoever broke the glass."""
        return bool(self.quorums) or self.urgency is Urgency.BREAK_GLASS

    @property
    def quorums(self) -> tuple[Quorum, ...]:
        """Return who had to approve; none where nobody had to."""
        first = Quorum(quorum=self.quorum, approvers=self.approvers)
        return tuple(one for one in (first, *self.also) if one.quorum)


class Told(Value):
    """What the records of one promotion say: who asked, who decided, and how it ended."""

    subject: Subject
    version: str
    run: str
    began: datetime
    ended: datetime | None = None
    """None where nothing says that it has ended."""
    outcome: str = ""
    why: str = ""
    requester: Vouched
    reason: str = ""
    release: Digest | None = None
    plans: tuple[Digest, ...] = ()
    """Intents, in the order in which they were put before people."""
    quorums: tuple[Quorum, ...] = ()
    signed: bool = False
    decisions: tuple[Vouched, ...] = ()
    found: tuple[str, ...] = ()
    """What was judged, and did not pass."""
    refused: tuple[str, ...] = ()
    """What came through its doors and was not taken."""
    steered: tuple[str, ...] = ()
    """What people had it do: held, resumed, retried, skipped, cancelled."""
    records: int
    lost: int = 0
    """Records that it had to let go before they could be kept."""
    head: Digest
    closed: str = ""
    turn: int | None = None
    """Of the receipt that its change left, where it made one."""


class Noted(Value):
    """What a page of an environment's logbook says, and who is named on it."""

    environment: Identifier
    number: int
    note: Note
    by: Vouched | None = None
    """Whose word it is, or in whose name something was tried; None where nobody is named."""
    fingerprint: Digest

    @property
    def at(self) -> datetime:
        """When it was said, as far as the page tells: a word that nobody has to prove is written with the next deed."""
        return self.note.record.at if isinstance(self.note, TidingsNote) else self.note.at

    def is_about(self, service: str) -> bool:
        """Tell whether it is about this service, or about all."""
        return service_of(self.note) in {"", service}


class Audit(Value):
    """Everything that was looked at, oldest first, and everything that does not hold."""

    schema_version: Literal[1] = 1
    scope: str = ""
    """What it tells of, where not of all. What does not hold is of all that was looked at."""
    accounts: tuple[Account, ...] = ()
    """Changes, by their receipts."""
    promotions: tuple[Told, ...] = ()
    """Promotions, by their records; those that changed nothing as well."""
    notes: tuple[Noted, ...] = ()
    """What was said of gates and to changes, and what was tried and refused, by the logbooks of environments."""
    findings: tuple[Finding, ...] = ()
    heads: dict[str, Digest] = Field(default_factory=dict)
    """Per service and environment the digest of the newest receipt: kept elsewhere, it stands for all before it."""
    ledgers: dict[str, Digest] = Field(default_factory=dict)
    """Likewise of the newest page of the ledger, which stands for the records of promotions."""
    logbooks: dict[str, Digest] = Field(default_factory=dict)
    """Per environment the digest of the newest page of its logbook."""

    @property
    def is_empty(self) -> bool:
        """Tell whether there was nothing to look at."""
        return not (self.accounts or self.promotions or self.notes or self.findings)

    @property
    def said(self) -> tuple[Noted, ...]:
        """What people said of gates and to changes, and what deeds met of it."""
        return tuple(one for one in self.notes if not isinstance(one.note, Attempt))

    @property
    def attempts(self) -> tuple[Noted, ...]:
        """What was tried and refused."""
        return tuple(one for one in self.notes if isinstance(one.note, Attempt))


def matter_of_receipt(receipt: Receipt, let_in: LetIn) -> Matter:
    """Return what the decisions on a receipt's promotion were about."""
    return Matter(
        promotion=promotion_id(receipt.subject, receipt.version or ""),
        environment=receipt.subject.environment,
        release=receipt.release,
        plan=receipt.intent or "",
        nonce=let_in.nonce,
    )


def chain_findings(subject: Subject, papers: Sequence[Paper]) -> Iterator[Finding]:
    """Find receipts that were taken out, or put in: each is bound to the one that was the newest before it.

    Nothing in the store stands for the newest itself: whoever has kept its digest misses it too.
    """
    known = {paper.fingerprint for paper in papers}
    turns = {paper.receipt.turn for paper in papers}
    newest = max(turns, default=None)
    leaned_on = {paper.receipt.previous for paper in papers}
    named = {paper.receipt.of for paper in papers}
    firsts = [paper.receipt.turn for paper in papers if paper.receipt.previous is None]
    for paper in papers:
        receipt = paper.receipt
        if receipt.previous and receipt.previous not in known:
            yield _found(
                receipt,
                f"the receipt before it ({short(receipt.previous)}) is not there any more, or was altered",
            )
        if receipt.of and receipt.of not in turns:
            yield _found(receipt, f"it is about turn {receipt.of}, whose receipt is not there any more")
        if receipt.turn != newest and paper.fingerprint not in leaned_on and receipt.turn not in named:
            yield _found(
                receipt, "no later receipt knows of it: it was put in, or what came after it was taken out"
            )
    for turn in sorted(firsts)[1:]:
        yield Finding(
            subject=subject, turn=turn, what=f"it says it is the first, and so does turn {min(firsts)}"
        )


def paper_findings(paper: Paper) -> Iterator[Finding]:
    """Find what one receipt says and the store does not bear out."""
    receipt = paper.receipt
    journal = {entry.fence: entry for entry in paper.entries if not entry.void}
    for deed in receipt.deeds:
        entry = journal.get(deed.fence)
        if entry is None:
            yield _found(
                receipt, f"it says that {deed.step} was begun, and the journal has no deed {deed.fence}"
            )
        elif not same(entry.step.after, deed.step.after) or entry.step.berth != deed.step.berth:
            yield _found(
                receipt,
                f"the journal says of deed {deed.fence} “{entry.step}”, and the receipt “{deed.step}”",
            )
    if receipt.release and paper.manifest and receipt.release != paper.manifest:
        what = f"release {receipt.version} is another one now ({short(paper.manifest)}) than was let in"
        yield _found(receipt, f"{what} ({short(receipt.release)})")


def approval_findings(
    receipt: Receipt, requester: Vouched, decisions: Sequence[Decision], why_not: Sequence[str]
) -> Iterator[Finding]:
    """Find promotions that the people named in them did not let in.

    ``decisions`` are those that were said in time, with the proofs that were found; ``why_not`` says of others why
    they do not count.
    """
    let_in = receipt.let_in
    if receipt.story is not Story.PROMOTION or not receipt.deeds:
        return
    if let_in is None:
        yield _found(receipt, "it does not say who let it in")
        return
    request, policy = let_in.request, let_in.policy
    asked = (request.subject, request.version, request.actor.name)
    if asked != (receipt.subject, receipt.version, receipt.actor.name):
        yield _found(receipt, "the request in it is for something else")
    if request.urgency is Urgency.BREAK_GLASS and (
        why := why_not_broken(let_in.glass, receipt.subject.environment, request.actor.name, request.reason)
    ):
        yield _found(receipt, why)
    if policy.signed and not requester.is_proven:
        yield _found(receipt, f"nothing proves that {requester.name} asked for it: {requester.unproven}")
    if standing(policy, request.requester, receipt.intent or "", decisions) is not Standing.GRANTED:
        beside = f" ({'; '.join(why_not)})" if why_not else ""
        yield _found(receipt, f"it was not let in by {policy}{beside}")


def review_findings(receipt: Receipt, review: Review | None, forged: str) -> Iterator[Finding]:
    """Find where a broken glass left no trace of its own, or its review is not its reviewer's.

    ``forged`` says why the review's signature is not good. That nobody has reviewed it yet is no finding.
    """
    let_in = receipt.let_in
    if let_in is None or let_in.request.urgency is not Urgency.BREAK_GLASS or not receipt.deeds:
        return
    if review is None:
        yield _found(
            receipt, "the glass was broken for it, and what was to be reviewed is not there any more"
        )
    elif (done := review.reviewed) and let_in.policy.signed and forged:
        yield _found(receipt, f"nothing proves that {done.by.name} reviewed it: {forged}")


def _found(receipt: Receipt, what: str) -> Finding:
    return Finding(subject=receipt.subject, turn=receipt.turn, what=what)
