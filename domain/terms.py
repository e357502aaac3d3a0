"""What is asked for, by which terms it would be done, and the two together as put before people."""

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field, JsonValue, field_validator

from domain.actor import Actor, Proof, person
from domain.approval import Party, Policy, Quorum, Requester, say_quorums
from domain.berth import Berth, berth_of
from domain.folding import unfolded
from domain.gate import OnFreeze
from domain.key import key_of
from domain.names import Identifier, Subject
from domain.plan import Plan, Verb
from domain.release import ROLLBACK_BUDGET, Release
from domain.risk import Assessment
from domain.rule import Ruling
from domain.signature import Signature
from domain.urgency import Urgency
from domain.value import Digest, Duration, Value


class Story(StrEnum):
    """Why a change happens."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    SETTLEMENT = "settlement"
    ADOPTION = "adoption"

    @property
    def of_its_change(self) -> str:
        """What the change that comes of it is called: a promotion has something deployed."""
        return "deploy" if self is Story.PROMOTION else self.value


UNSIGNED_REQUEST: Final = "it is not signed; name a key by --key, or in TOWPATH_SIGNING_KEY"
"""How it ends where nothing but the requester's signature is missing."""


class Request(Value):
    """Somebody asks for something to be done to a service in an environment.

    ``of`` names the turn that a rollback undoes or a settlement settles; a rollback without it undoes the
    newest change that has not been undone.
    """

    story: Story = Story.PROMOTION
    subject: Subject
    version: Identifier | None = None
    actor: Actor
    reason: str = Field(default="", max_length=2000)
    of: int | None = None
    slots: int = Field(default=0, ge=0, le=3000)
    """For a settlement: how many acts the lost change was to take."""
    signature: Signature | None = None
    """By the requester's own key, where the environment asks for it."""
    urgency: Urgency = Urgency.USUAL
    """Which way in is asked for."""

    @field_validator("actor")
    @classmethod
    def _claimed(cls, actor: Actor) -> Actor:
        """Whoever asks may write what they like of their own proof: the signature is looked at instead."""
        return actor.but(proof=Proof.NONE)

    @property
    def requester(self) -> Requester:
        return Requester(self.actor.name, self.signature.key if self.signature else "")

    @property
    def said_by(self) -> str:
        """Name who asks, for whoever cannot look whether that is proven: signed, or a claim."""
        return f"{self.actor.name} (signed)" if self.signature else str(self.actor)

    @property
    def may_give_up(self) -> bool:
        """Whoever asks may be told no; what is unsettled has to be settled."""
        return self.story is not Story.SETTLEMENT


class TargetTerms(Value):
    """Which target takes a component, and how. The settings' shape belongs to the target."""

    target: Identifier
    settings: dict[str, JsonValue] = Field(default_factory=dict)


class Fleet(Value):
    """How a component's many targets are gone through: wave by wave, so many of a wave at once."""

    waves: tuple[tuple[Identifier, ...], ...] = ()
    parallel: int = Field(default=10, ge=1, le=100)
    pause: Duration = Field(default=timedelta(), ge=timedelta(), le=timedelta(days=1))
    """For how long each wave is watched before the next one begins."""

    def wave(self, at: str | None) -> int:
        """Return the number of a target's wave, from 1; 0 for the only target of a component."""
        return next((number for number, wave in enumerate(self.waves, start=1) if at in wave), 0)


def in_waves(budget: timedelta, fleets: Collection[Fleet]) -> timedelta:
    """Return how long a change may take: its budget for each wave of the longest fleet, and every pause."""
    waves = max((len(fleet.waves) for fleet in fleets), default=1) or 1
    return budget * waves + sum((fleet.pause * max(len(fleet.waves) - 1, 0) for fleet in fleets), timedelta())


class CheckTerms(Value):
    """One health check. ``settings`` belong to the check; ``component`` is whose revision it proves.

    ``target`` names the one of the component's many targets that it looks at.
    """

    check: Identifier
    component: Identifier | None = None
    target: Identifier | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    within: Duration = timedelta(seconds=60)
    every: Duration = timedelta(seconds=1)

    def looks_at(self, berth: str) -> bool:
        """Tell whether it looks at this one of a component's many targets, and at no other."""
        return self.target is not None and berth_of(self.component or "", self.target) == berth


class QuorumTerms(Quorum):
    """A further quorum, and the groups that its people are of."""

    groups: tuple[Identifier, ...]


class EscalationTerms(Value):
    """Who is asked as well once people have been waited for this long: they count in the first quorum from then on."""

    after: Duration
    groups: tuple[Identifier, ...]
    approvers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.groups)} ({', '.join(self.approvers) or 'nobody'})"


class ApprovalTerms(Value):
    """How many people must approve, out of whom, how long that is waited for, and how long a grant lives."""

    quorum: int = Field(default=0, ge=0, le=50)
    groups: tuple[Identifier, ...] = ()
    approvers: tuple[str, ...] = ()
    """The groups' members when the terms were drawn up, to be read: who counts is judged at the effect."""
    wait: Duration = timedelta(days=3)
    valid: Duration = timedelta(days=1)
    signed: bool = False
    """Only signed decisions count, on a signed request."""
    also: tuple[QuorumTerms, ...] = ()
    """What has to be had beside the first quorum."""
    separate: tuple[Party, ...] = (Party.REQUESTER,)
    """Whose own decisions do not count."""
    escalate: tuple[EscalationTerms, ...] = ()
    """Who is asked as well after a while, soonest first."""

    def due(self, waited: timedelta) -> int:
        """Return how many escalations a wait of this length has earned."""
        return sum(1 for one in self.escalate if one.after <= waited)

    def escalated(self, count: int) -> "ApprovalTerms":
        """Return what is asked once so many escalations are due: by the same number, of more people."""
        asked: dict[str, str] = {}
        for name in (*self.approvers, *(name for one in self.escalate[:count] for name in one.approvers)):
            asked.setdefault(person(name), name)
        return self.but(approvers=tuple(asked.values()), escalate=self.escalate[count:])

    def policy(self, release: Release | None) -> Policy:
        """Return by whom, and how, is decided on this release."""
        return Policy(
            quorum=self.quorum,
            approvers=self.approvers,
            valid=self.valid,
            signed=self.signed,
            also=tuple(Quorum(quorum=one.quorum, approvers=one.approvers) for one in self.also),
            separate=self.separate,
            author=release.author if release else "",
            author_key=key_of(release.signature) if release else "",
        )

    @property
    def quorums(self) -> tuple[Quorum, ...]:
        """Return every quorum that is asked for; none where nobody is asked."""
        return self.policy(None).quorums

    def __str__(self) -> str:
        return say_quorums(self.quorums)


NOBODY_APPROVES: Final = ApprovalTerms(quorum=1)
"""What nobody can give: the way in that is asked for is not there."""


class LanePolicy(StrEnum):
    """How many promotions may wait for a lane: all, the newest, or nobody. Each lets fewer wait than the one before."""

    QUEUE = "queue"
    SUPERSEDE = "supersede"
    REFUSE = "refuse"


class LaneTerms(Value):
    """What a promotion has to put up with in its lane, for the sake of others."""

    policy: LanePolicy = LanePolicy.QUEUE
    yields: bool = False
    """Whether a newer promotion that waits ends its soak."""

    def __str__(self) -> str:
        soak = "; a newer one that waits ends a soak" if self.yields else ""
        return f"{self.policy} ({_WHO_WAITS[self.policy]}){soak}"


_WHO_WAITS: Final = {
    LanePolicy.QUEUE: "all promotions wait for their turn",
    LanePolicy.SUPERSEDE: "only the newest promotion waits",
    LanePolicy.REFUSE: "no promotion waits",
}


class Terms(Value):
    """The slice of configuration that one change is done by."""

    targets: dict[Berth, TargetTerms]
    fleets: dict[Identifier, Fleet] = Field(default_factory=dict)
    """Component → how its targets are gone through, where it has many."""
    health: tuple[CheckTerms, ...] = ()
    soak: Duration = timedelta()
    rehearse: bool = False
    """Whether all is put back once and placed again, so that its undo is proven."""
    approval: ApprovalTerms = ApprovalTerms()
    lane: LaneTerms = LaneTerms()
    hold_limit: Duration = timedelta(hours=4)
    on_freeze: OnFreeze = OnFreeze.HOLD
    observe_only: bool = False
    guarded: bool = False
    """What people say to the change is heard by the environment's worker first: it is signed, or there are roles."""
    urgency: Urgency = Urgency.USUAL
    """Which way in these are for: no approval of one fits another."""
    budget: Duration = ROLLBACK_BUDGET
    configuration: Digest
    nonce: str
    """Made with the terms, so that no approval fits two plans and a reset re-uses nothing."""


class Proposal(Value):
    """A request, the terms it would be done by, and the plan: what is put before the approvers, sealed.

    ``refusals`` say, a sentence each, why it cannot be done; ``nothing_to_do`` why it need not be. ``previews`` are
    diffs by component, from targets that can make one: for the reader. What of them is approved is in the steps.
    """

    request: Request
    release: Release | None = None
    terms: Terms
    plan: Plan
    drawn_up: AwareDatetime
    refusals: tuple[str, ...] = ()
    nothing_to_do: str = ""
    notes: tuple[str, ...] = ()
    rulings: tuple[Ruling, ...] = ()
    """What was found of the rules; those not kept are among the refusals, or among the notes."""
    held_to: tuple[str, ...] | None = None
    """The marks of those rules that could have refused it; None where none was judged, or by an older worker."""
    risk: Assessment | None = None
    """How much is at stake, where the configuration asks."""
    previews: dict[Berth, str] = Field(default_factory=dict)

    @property
    def asked_by(self) -> str:
        """Name who asked: claimed, unless the environment takes signed requests only, and took this one."""
        actor, proves = self.request.actor, self.terms.approval.signed and not self.refusals
        return actor.name if proves and self.request.signature else str(actor)

    @property
    def in_a_hurry(self) -> str:
        """Say which shorter way in was asked for, and why; nothing where it is the usual one."""
        request = self.request
        return "" if request.urgency is Urgency.USUAL else f"{request.urgency}: {request.reason}"

    @property
    def is_forward(self) -> bool:
        """Tell whether gates apply: they stop what moves forward, never what puts back or merely looks."""
        return any(step.verb is Verb.PLACE for step in self.plan.steps)


class Sealed(Value):
    """A value signed with an environment's key: the exact text that was signed, and the signature over it.

    ``kind`` says what the text is, and is signed with it, so that a receipt can never pass for terms.
    """

    kind: str
    environment: Identifier
    key: str
    body: str
    signature: str

    @property
    def text(self) -> str:
        """What was sealed. Whether the seal is good has to be asked of whoever knows the environment's key."""
        return unfolded(self.body)

    @property
    def signed_text(self) -> bytes:
        return f"towpath/1 {self.kind} {self.environment}\n{self.body}".encode()
