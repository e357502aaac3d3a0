"""What a change orders its environment's worker to do, and what comes back."""

from datetime import datetime

from pydantic import Field

from domain.berth import Berth
from domain.environment import Holding
from domain.journal import Settled
from domain.names import Identifier, Subject
from domain.notice import Event
from domain.outcome import Outcome
from domain.plan import Step
from domain.record import OverrideRecord
from domain.saying import Saying
from domain.signature import Signature
from domain.statement import Statement
from domain.terms import Request, Sealed
from domain.trail import Piece
from domain.value import Digest, Value
from domain.warrant import Warrant


class DrawOrder(Request):
    """Draw up a proposal for this request; the records of the promotion that asks, where one does, come along."""

    records: Piece | None = None

    @property
    def request(self) -> Request:
        return Request.model_construct(**{name: getattr(self, name) for name in Request.model_fields})


def order_drawing(request: Request, records: Piece | None = None) -> DrawOrder:
    asked = {name: getattr(request, name) for name in Request.model_fields}
    return DrawOrder.model_construct(**asked, records=records)


class ProofOrder(Value):
    """Asks an environment's worker whether this is the person's own signature; records come along."""

    environment: Identifier
    statement: Statement
    signature: Signature
    records: Piece | None = None


class StepOrder(Value):
    """Do this step, as act number ``act`` of the warrant's turn."""

    warrant: Warrant
    step: Step
    act: int


class Performed(Value):
    """The step was done, or had been done before, or there was nothing to undo."""

    did: str
    holds: Holding
    evidence: tuple[str, ...] = ()
    """What its own health checks found, where another wave waits for it to be well."""


class LookOrder(Value):
    """Look whether a rehearsal stands as it should: ``placed`` is what was seen before its undo began."""

    warrant: Warrant
    placed: Sealed | None = None


class Account(Value):
    """A change accounts for itself: what was done, what undone, what left as it is."""

    warrant: Warrant
    settled: Settled
    outcome: Outcome
    skipped: tuple[Berth, ...] = ()
    words: tuple[Saying, ...] = ()
    """What people said for that, where they have to be known."""
    unsure: tuple[Berth, ...] = ()
    """Pivots whose deed ended in trouble: nobody knows whether it was done."""
    soak: Sealed | None = None
    cut: str = ""
    """By whom the soak was cut short, where there is no evidence of it for that."""
    rehearsal: Sealed | None = None
    """What was seen of its undo, where that was rehearsed."""
    why: str = ""
    records: Digest | None = None
    steered: tuple[OverrideRecord, ...] = ()
    """What people said to it, as far as it remembers."""
    began: datetime


class Left(Value):
    """What stands there is well, and the receipt was left; or it is not ``well``, and none was.

    ``lane_listens`` is False where no lane is there to hear of it.
    """

    well: bool
    after: dict[Berth, Holding] = Field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    lane_listens: bool = True
    recorded: bool = False
    """Whether the record of the promotion that asked was closed with it."""


class Call(Value):
    """A person is called: about what, why, and what they can do. The same key is the same call."""

    subject: Subject
    headline: str
    remedy: str
    key: str
    event: Event = Event.UNSETTLED
