"""What an effect shows to be let in, and what its environment's worker finds for itself."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from domain.approval import Decision, Policy
from domain.environment import Holding
from domain.gate import Freeze, Pin, Quarantine
from domain.override import NO_OVERRIDERS, Override, Overriders
from domain.record import OverrideRecord
from domain.rule import RuleTerms
from domain.terms import Proposal, Request, Sealed
from domain.trail import Piece, Trail
from domain.urgency import NO_GLASS, Glass
from domain.value import Value
from domain.windows import Schedule


class Warrant(Value):
    """What an effect shows to be let in."""

    asker: str
    turn: int
    request: Request
    proposal: Sealed | None = None
    decisions: tuple[Decision, ...] = ()


NOBODY: Final = Policy(quorum=1, approvers=(), valid=timedelta())
"""Where no policy was looked up, nobody can approve: what is left out never opens a gate."""


class Facts(Value):
    """Everything an effect's clearance is judged by, gathered in one read by the environment's worker.

    ``proposal`` is None where its seal is not good. ``observed`` is what the targets hold now, per berth.
    ``policy``, ``glass``, ``observes`` and ``schedule`` are of this worker's own configuration as it is now. What
    nobody answered is in ``unanswered``.
    """

    now: datetime
    workflow_id: str
    environment: str
    proposal: Proposal | None
    open_turn: int | None = None
    lane_listens: bool = True
    has_receipt: bool = False
    closed: tuple[int, ...] = ()
    """The lane's turns that have a receipt, newest first."""
    asking: bool = True
    freeze: Freeze | None = None
    pin: Pin | None = None
    quarantine: Quarantine | None = None
    shut: tuple[Freeze | Pin, ...] = ()
    """What proven words keep shut by this worker's own memory, whatever the environment's workflow says."""
    not_permitted: str = ""
    """By which rule the requester may not ask for this now, where there is one."""
    observes: bool = False
    schedule: Schedule = Schedule()
    begins: bool = False
    """Whether this would be the change's first deed, which windows are for."""
    rules: tuple[RuleTerms, ...] = ()
    """What releases are held to now."""
    decisions: tuple[Decision, ...] = ()
    """All that the asker has been told by now: what came after the warrant counts until the change begins."""
    policy: Policy = NOBODY
    glass: Glass = NO_GLASS
    overrides: tuple[Override, ...] = ()
    """What people say does not hold for this service; the proofs of their names are this worker's own findings."""
    tidings: tuple[OverrideRecord, ...] = ()
    """What people said of gates here, where this worker has not heard it before it counted."""
    overriders: Overriders = NO_OVERRIDERS
    unproven_release: str = ""
    """Why the release is not its author's, where only signed ones are let in; nothing where it is, or need not be."""
    unproven_request: str = "nobody has looked for its signature"
    """Why the request is not known to be its requester's own, or nothing where this worker found it signed."""
    in_vain: tuple[str, ...] = ()
    """What was decided and does not count, and why, where only signed decisions do."""
    observed: dict[str, Holding] = Field(default_factory=dict)
    unanswered: tuple[str, ...] = ()
    trail: Trail | None = None
    """Where what the asker has recorded is kept."""
    piece: Piece = Piece()
    """What the asker has recorded."""


def up_to_date(warrant: Warrant, facts: Facts) -> Warrant:
    """Return the warrant with what people have said since, where the change has not begun: a no is still heard then.

    What they said of an earlier plan of the same promotion let in nothing of this one.
    """
    if not (facts.begins and facts.decisions and facts.proposal):
        return warrant
    intent = facts.proposal.plan.intent
    return warrant.but(decisions=tuple(one for one in facts.decisions if one.intent == intent))
