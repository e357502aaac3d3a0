"""What is written before each deed, and what a finished change leaves."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from domain.actor import Actor
from domain.approval import Decision, Policy, Verdict, counting
from domain.berth import Berth
from domain.environment import Absent, Holding
from domain.fence import Fence
from domain.names import Identifier, Subject
from domain.outcome import Outcome
from domain.override import NO_OVERRIDERS, Override, Overriders
from domain.plan import Deed, Step, Undo, Verb
from domain.rehearsal import Rehearsal
from domain.saying import Saying
from domain.signature import Signature
from domain.terms import CheckTerms, Request, Story, TargetTerms
from domain.urgency import NO_GLASS, Glass
from domain.value import Digest, Value
from domain.windows import Schedule


class Capture(Value):
    """What a target held, and its own note (at most 16 KiB) of how to put it back."""

    holding: Holding
    note: str = ""


class LetIn(Value):
    """Who asked for a promotion and who let it in, as the environment's worker found it right before the first deed.

    With the release and plan, it is all that is needed to judge again, years later, whether it might begin then.
    """

    request: Request
    decisions: tuple[Decision, ...]
    policy: Policy
    nonce: str
    """Of the terms: a part of what was signed."""
    glass: Glass = NO_GLASS
    """Where the glass was broken: who might."""
    schedule: Schedule = Schedule()
    """What was planned there: windows, and freezes."""
    overriders: Overriders = NO_OVERRIDERS
    """Who might let it past those."""


class Entry(Value):
    """Written and sealed before a deed: what stood there, what was about to be done, under which fence.

    A ``void`` entry takes the place of a deed that never happened, so that it never will.
    """

    subject: Subject
    fence: Fence
    step: Step
    steps: int
    target: TargetTerms
    capture: Capture
    health: tuple[CheckTerms, ...] = ()
    story: Story = Story.PROMOTION
    intent: Digest | None = None
    """Of the plan that it is a deed of."""
    asked: Digest | None = None
    """Of the statement by which it was asked for, where that was signed."""
    at: datetime
    void: bool = False
    overridden: tuple[Override, ...] = ()
    """Who let it past gates that were closed."""
    let_in: LetIn | None = None
    """Of the deed that began a promotion: by what it was judged."""


class Soaked(StrEnum):
    FULL = "full"
    CUT = "cut"
    NONE = "none"


class Evidence(Value):
    """What the checks said during the soak of a turn; sealed by the worker that looked."""

    subject: Subject
    turn: int
    passed: bool
    proven: bool
    sentences: tuple[str, ...] = ()
    soaked: Soaked = Soaked.NONE
    intent: Digest | None = None
    """By which plan it was looked at, and for how long."""
    began: datetime | None = None
    at: datetime


class Settled(StrEnum):
    """What became of a change."""

    DONE = "done"
    UNDONE = "undone"


class Receipt(Value):
    """What a finished change leaves, sealed: the account of a turn, and the end of its journal."""

    subject: Subject
    turn: int
    story: Story
    settled: Settled
    outcome: Outcome
    version: Identifier | None = None
    release: Digest | None = None
    before: dict[Berth, Holding]
    after: dict[Berth, Holding]
    deeds: tuple[Deed, ...] = ()
    journaled: tuple[int, ...] = ()
    """The acts that its journal has an entry of, those of a rehearsal as well; none where an older worker wrote it."""
    of: int | None = None
    """The turn whose deeds a rollback undid."""
    rehearsed: Rehearsal | None = None
    """What was seen of its undo, where that was rehearsed."""
    soaked: Soaked = Soaked.NONE
    cut: str = ""
    """By whom its soak was cut short, and when."""
    healthy: bool = True
    proven: bool = False
    actor: Actor
    reason: str = ""
    signed: Signature | None = None
    """By which a rollback or an adoption was asked for, where it was signed: it asks for no other."""
    request: Request | None = None
    """As that was asked for: all that the signature is over."""
    words: tuple[Saying, ...] = ()
    """What people said for something to be left undone, where they have to be known."""
    asker: str = ""
    intent: Digest | None = None
    why: str = ""
    evidence: tuple[str, ...] = ()
    overridden: tuple[Override, ...] = ()
    """Who let it past gates that were closed, each once."""
    let_in: LetIn | None = None
    """For a promotion."""
    records: Digest | None = None
    """Head of the change's record chain."""
    previous: Digest | None = None
    """Of the text of the receipt that was the newest when this one was written: none can be taken out unnoticed."""
    ledger: Digest | None = None
    """Of the text of the page that was the lane's newest then: nor can the records of promotions."""
    logbook: Digest | None = None
    """Of the text of the page of the environment's logbook that was the newest then: nor can what was said there."""
    began: datetime
    ended: datetime

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Who said yes to it, of those who might."""
        if self.let_in is None:
            return ()
        asked, policy = self.let_in.request, self.let_in.policy
        votes = counting(policy, asked.requester, self.intent or "", self.let_in.decisions)
        return tuple(vote.actor.name for vote in votes if vote.verdict is Verdict.APPROVE)

    @property
    def has_proven_names(self) -> bool:
        """Tell whether who asked, and whoever approved, had to sign: an environment's worker looked at the effect."""
        return self.let_in.policy.signed if self.let_in else self.signed is not None

    def brought(self, release: Digest) -> bool:
        """Tell whether this is the receipt of the release's own promotion, and it stood."""
        is_kept = self.story is Story.PROMOTION and self.settled is Settled.DONE
        return is_kept and self.release == release


def can_be_rolled_back(receipts: Iterable[Receipt]) -> list[Receipt]:
    """Return, newest first, the receipts whose deeds still stand: kept promotions that nothing has undone."""
    done = [receipt for receipt in receipts if receipt.settled is Settled.DONE]
    undone = {receipt.of for receipt in done if receipt.story is Story.ROLLBACK}
    kept = [receipt for receipt in done if receipt.story is Story.PROMOTION and receipt.turn not in undone]
    return sorted(kept, key=lambda receipt: receipt.turn, reverse=True)


class OpenTurn(Value):
    """A turn with journal entries and no receipt: what it did is not accounted for."""

    turn: int
    entries: tuple[Entry, ...]

    @property
    def deeds(self) -> tuple[Deed, ...]:
        """Every deed that the turn may have left standing, oldest first, in whatever order its entries were read.

        What was placed twice, as in a rehearsal, had been put back before the second time: that one counts.
        """
        oldest_first = sorted(self.entries, key=lambda entry: entry.fence.act)
        return standing(Deed(step=entry.step, fence=entry.fence) for entry in oldest_first if not entry.void)


def standing(deeds: Iterable[Deed]) -> tuple[Deed, ...]:
    """Return the last deed on each berth, in the order that they were begun."""
    last = {deed.step.berth: deed for deed in deeds}
    return tuple(sorted(last.values(), key=lambda deed: deed.fence.act))


class Recollection(Value):
    """What the store and the targets remember of a subject, which outlives any lane."""

    subject: Subject
    newest: Receipt | None = None
    open: tuple[OpenTurn, ...] = ()
    highest: int = 0
    """The highest turn seen in a receipt, a journal, or at a target."""
    held: dict[Berth, Holding] = Field(default_factory=dict)


def called_off(subject: Subject, fence: Fence, at: datetime) -> Entry:
    """Return the void entry that takes a deed's place, so that it never begins."""
    nothing = Step(
        component="none",
        target="none",
        verb=Verb.OBSERVE,
        before=Absent(),
        after=Absent(),
        undo=Undo.RESTORE,
        fenced=True,
        repeatable=True,
    )
    capture = Capture(holding=Absent())
    target = TargetTerms(target="none")
    return Entry(
        subject=subject, fence=fence, step=nothing, steps=0, target=target, capture=capture, at=at, void=True
    )
