"""The one versioned value that command line, dashboard and JSON all read."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from domain.answer import Ask, Told, Withdrawal
from domain.approval import Decision
from domain.berth import Berth
from domain.environment import Holding
from domain.fence import Fence
from domain.gate import Freeze, Pin
from domain.names import Identifier, Subject
from domain.outcome import Outcome, Phase
from domain.override import Override
from domain.record import GENESIS, OutcomeRecord, Record, RefusedRecord
from domain.road import Road, WalkRequest
from domain.terms import Proposal, Request, Story
from domain.trail import Piece, Trail
from domain.value import Digest, Value


class PromotionStatus(Value):
    """Where a promotion stands, what it waits for, and the command that moves it on."""

    schema_version: Literal[1] = 1
    story: Literal["promotion"] = "promotion"
    subject: Subject
    version: Identifier
    phase: Phase
    since: datetime
    waits_for: str = ""
    remedy: str = ""
    request: Request | None = None
    proposal: Proposal | None = None
    intent: Digest | None = None
    decisions: tuple[Decision, ...] = ()
    refused: tuple[RefusedRecord, ...] = ()
    number: int = 0
    escalated: int = 0
    """How many escalations are due: so many groups more are asked by now."""
    turn: int | None = None
    outcome: Outcome | None = None
    why: str = ""
    records: tuple[Record, ...] = ()
    head: Digest | None = None
    asked_at: datetime | None = None
    """When it was first asked for, in whatever run."""
    withdrawal: Withdrawal | None = None
    """What it tells its lane, where it wants its turn no more: somebody has cancelled it, or turned it down."""
    ask: str = ""
    """The mark of what it has asked of its lane last."""
    run: str = ""
    """Of its workflow."""
    anchor: Digest = GENESIS
    """What the first of these records stands on."""
    dropped: int = 0
    """How many came before them."""
    written: int = 0
    """How many from the beginning it knows to be kept in the store."""

    @property
    def piece(self) -> Piece:
        """What it would have kept, if it were asked now."""
        return Piece(first=self.dropped, anchor=self.anchor, records=self.records, written=self.written)

    @property
    def trail(self) -> Trail | None:
        """Where its records are kept; None where it does not say in which run it is."""
        return Trail(subject=self.subject, version=self.version, run=self.run) if self.run else None


class ChangeStatus(Value):
    """Where a change stands."""

    schema_version: Literal[1] = 1
    story: Story
    subject: Subject
    turn: int
    version: str = ""
    request: Request | None = None
    phase: Phase
    since: datetime
    waits_for: str = ""
    remedy: str = ""
    stuck_on: Fence | None = None
    will_hold: bool = False
    """Somebody has said hold, and it holds before its next step."""
    refused: tuple[RefusedRecord, ...] = ()
    records: tuple[Record, ...] = ()
    head: Digest | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Return how it ended; nothing before."""
        return self._ending.outcome if self._ending else None

    @property
    def why(self) -> str:
        """Say why it ended as it did; nothing before."""
        return self._ending.why if self._ending else ""

    @property
    def _ending(self) -> OutcomeRecord | None:
        return next((one for one in reversed(self.records) if isinstance(one, OutcomeRecord)), None)


class LaneStatus(Value):
    """Who has a lane, who waits, what is held."""

    schema_version: Literal[1] = 1
    story: Literal["lane"] = "lane"
    subject: Subject
    phase: Phase
    turn: int | None = None
    """The turn that is open: the only one whose forward steps are let in."""
    last_turn: int = 0
    running: Ask | None = None
    queue: tuple[Ask, ...] = ()
    unsettled: tuple[int, ...] = ()
    held: dict[Berth, Holding] = Field(default_factory=dict)
    answers: dict[str, Told] = Field(default_factory=dict)
    """The last answers, by asker: for operators' commands, which have no workflow to be told.

    What was answered before to another ask of the same name and number stands by that ask's mark.
    """
    refused: tuple[RefusedRecord, ...] = ()
    yieldings: tuple[str, ...] = ()
    """Whom the soak under way was told to make way for, the newest last; nobody any more where that is empty."""
    offline: str = ""
    """What somebody did here last without the engine, until a change comes after it."""
    rollbacks: int = 0
    """How many rollbacks this lane knows of."""

    @property
    def over(self) -> "LaneStatus":
        """What is left of it once the lane has ended: nothing runs in it, and nobody waits there."""
        phase = Phase.UNSETTLED if self.unsettled else Phase.IDLE
        return self.but(phase=phase, turn=None, running=None, queue=())

    @property
    def wishes(self) -> tuple[Ask, ...]:
        """Who asked by themselves, and is in it yet: nobody but this lane knows of them."""
        asks = (*([self.running] if self.running else []), *self.queue)
        return tuple(ask for ask in asks if ask.request.story in {Story.ROLLBACK, Story.ADOPTION})

    def answer_to(self, asker: str, number: int, mark: str) -> Told | None:
        """Return what was answered to an asker's own ask, whatever else was asked in the same name."""
        found = (self.answers.get(asker), self.answers.get(mark))
        return next((told for told in found if told and told.is_for(number, mark)), None)


class EnvironmentStatus(Value):
    """What holds for a whole environment."""

    schema_version: Literal[1] = 1
    story: Literal["environment"] = "environment"
    environment: Identifier
    freeze: Freeze | None = None
    pins: dict[Identifier, Pin] = Field(default_factory=dict)
    """Service → what keeps it as it is."""
    guarded: bool = False
    """Whether its worker hears what people say here before it counts."""
    overrides: tuple[Override, ...] = ()
    """Which services are let past gates. Whether each counts is judged at the effect."""
    refused: tuple[RefusedRecord, ...] = ()
    records: tuple[Record, ...] = ()
    head: Digest | None = None

    def at(self, now: datetime) -> "EnvironmentStatus":
        """Return what still holds then: freezes and pins end by themselves, and are not swept away at once."""
        freeze = self.freeze if self.freeze and self.freeze.holds(now) else None
        return self.but(
            freeze=freeze,
            pins={name: pin for name, pin in self.pins.items() if pin.holds(now)},
            overrides=tuple(one for one in self.overrides if one.holds(now)),
        )


class PipelineStatus(Value):
    """How far a release has been walked."""

    schema_version: Literal[1] = 1
    story: Literal["pipeline"] = "pipeline"
    service: Identifier
    version: Identifier
    phase: Phase
    since: datetime
    waits_for: str = ""
    remedy: str = ""
    request: WalkRequest | None = None
    road: Road = ()
    refused: tuple[RefusedRecord, ...] = ()
    outcome: Outcome | None = None
    why: str = ""
    records: tuple[Record, ...] = ()
    head: Digest | None = None


class WalkReport(Value):
    """How a walk ended: the workflow's result. The road says what became of each environment."""

    schema_version: Literal[1] = 1
    service: Identifier
    version: Identifier
    through: tuple[Identifier, ...]
    outcome: Outcome
    why: str = ""
    road: Road = ()
    head: Digest | None = None


class Report(Value):
    """How a promotion ended: the workflow's result."""

    schema_version: Literal[1] = 1
    subject: Subject
    version: Identifier
    outcome: Outcome
    why: str = ""
    turn: int | None = None
    after: dict[Berth, Holding] = Field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    head: Digest | None = None
