"""Whether an effect may happen, judged by the environment itself right before it acts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.approval import Decision, Policy, Standing, has_lapsed, standing
from domain.environment import Holding, same
from domain.fence import Fence, is_too_far_ahead
from domain.gate import Freeze, Pin, Quarantine, say_banned, say_observing
from domain.names import Subject, change_id
from domain.override import NO_OVERRIDERS, Override, Overriders, that_count, why_void
from domain.plan import Step, differs, material_difference
from domain.record import OverrideRecord
from domain.rule import RuleTerms, unjudged
from domain.terms import Proposal, Request, Sealed
from domain.trail import Trail
from domain.urgency import NO_GLASS, Gate, Glass, Urgency, why_not_broken
from domain.value import Value, short
from domain.windows import Schedule


class Warrant(Value):
    """What an effect shows to be let in."""

    asker: str
    turn: int
    request: Request
    proposal: Sealed | None = None
    decisions: tuple[Decision, ...] = ()


class Cause(StrEnum):
    """Why an effect was not cleared, and so what may help."""

    VOID = "void"
    """The approval no longer fits: draw up a new plan and ask people again."""
    GATE = "gate"
    """A gate is closed: wait for it to open."""
    GONE = "gone"
    """Whoever asked no longer asks."""
    FORBIDDEN = "forbidden"
    """This warrant opens nothing, now or later."""
    UNANSWERED = "unanswered"
    """Nobody could be asked: try again."""
    SUPERSEDED = "superseded"
    """A newer promotion took its place in the lane."""
    BUSY = "busy"
    """The lane lets nobody wait: ask when it is free."""


class Refusal(Value):
    """An effect was not cleared: the cause and a sentence."""

    cause: Cause
    why: str
    remedy: str = ""
    """For a gate: the command that opens it."""
    planned: bool = False
    """For a gate: it opens by itself, and nobody has to be asked."""
    opens: datetime | None = None
    """When a planned gate opens; None where that is further away than can be seen."""
    newer: int = 0
    """A turn that is not as the lane believes, where there is one: it has to recall."""


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
    observed: dict[str, Holding] = Field(default_factory=dict)
    unanswered: tuple[str, ...] = ()
    trail: Trail | None = None
    """Where what the asker has recorded is kept."""


def up_to_date(warrant: Warrant, facts: Facts) -> Warrant:
    """Return the warrant with what people have said since, where the change has not begun: a no is still heard then."""
    return warrant.but(decisions=facts.decisions) if facts.begins and facts.decisions else warrant


def judge(warrant: Warrant, step: Step, facts: Facts) -> Refusal | None:
    """Return None where the step is cleared, else the first reason against it.

    The proofs in the warrant's decisions are to be this worker's own findings, see ``activities.proving``.
    The order matters: what can never be right is said before what may become right by waiting.
    """
    proposal = facts.proposal
    if proposal is None:
        return _forbidden("its terms do not carry a good seal of this environment")
    return (
        _judge_identity(warrant, proposal, step, facts)
        or _judge_proofs(warrant, proposal, facts)
        or _judge_glass(proposal, facts)
        or _judge_bans(proposal, facts)
        or _judge_standing(warrant, proposal, facts)
        or _judge_gates(proposal, facts)
        or _judge_rules(proposal, facts)
        or _judge_approval(warrant, proposal, facts)
        or _judge_basis(proposal, facts)
    )


def judge_done(warrant: Warrant, facts: Facts) -> Refusal | None:
    """Judge whether a change that says it was done may leave its receipt: it must be let in to the end."""
    if facts.proposal is None or facts.proposal.request != warrant.request:
        return _forbidden("its terms were drawn up for another request")
    return _judge_turn(facts.proposal.plan.subject, warrant.turn, facts) or _judge_standing(
        warrant, facts.proposal, facts
    )


def judge_undo(subject: Subject, turn: int, of: Fence, facts: Facts) -> Refusal | None:
    """Judge an undo: only who it is, never whether the time is right. No gate ever blocks an undo.

    A change undoes its own deeds whatever became of its lane. Another turn's deeds it undoes only where the
    lane gave it the turn; with no lane there is nobody to give one, and the undo must not wait for that.
    """
    if refusal := _judge_turn(subject, turn, facts):
        return refusal
    if of.turn != turn and facts.open_turn not in {turn, None}:
        return _forbidden(f"the lane of {subject} has turn {facts.open_turn} open, not turn {turn}")
    return None


def _judge_identity(warrant: Warrant, proposal: Proposal, step: Step, facts: Facts) -> Refusal | None:
    subject = proposal.plan.subject
    if subject.environment != facts.environment or proposal.request != warrant.request:
        return _forbidden("its terms were drawn up for another request")
    if step not in proposal.plan.steps:
        return _forbidden(f"its plan {short(proposal.plan.intent)} has no such step")
    return _judge_turn(subject, warrant.turn, facts)


def _judge_turn(subject: Subject, turn: int, facts: Facts) -> Refusal | None:
    if facts.workflow_id != change_id(subject, turn):
        rightful = change_id(subject, turn)
        return _forbidden(f"it comes from the workflow “{facts.workflow_id}”, not from {rightful}")
    if is_too_far_ahead(turn, facts.now):
        return _forbidden(f"turn {turn} is more than a day ahead of the clock")
    if facts.has_receipt:
        return _forbidden(f"turn {turn} has its receipt: it is over")
    return None


def _judge_standing(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    if facts.unanswered:
        return Refusal(cause=Cause.UNANSWERED, why=f"{' and '.join(facts.unanswered)} did not answer")
    if facts.open_turn != warrant.turn:
        why = f"the lane of {proposal.plan.subject} does not have turn {warrant.turn} open"
        return Refusal(cause=Cause.GONE, why=why)
    if not facts.asking:
        return Refusal(cause=Cause.GONE, why=f"{warrant.asker} is no longer asking for it")
    return None


def _judge_proofs(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    """Nobody poses as another, to approve their own request, or brings a release that is nobody's."""
    if proposal.is_forward and facts.not_permitted:
        return _forbidden(facts.not_permitted)
    if proposal.is_forward and facts.unproven_release:
        return _forbidden(f"its release is not proven to be its author's: {facts.unproven_release}")
    if not (proposal.is_forward and facts.policy.signed and facts.unproven_request):
        return None
    why = f"the request in the name of {warrant.request.actor.name} is not proven theirs: {facts.unproven_request}"
    return _forbidden(why)


def _judge_glass(proposal: Proposal, facts: Facts) -> Refusal | None:
    """Whoever lets a release in alone is one of those who may."""
    request = proposal.request
    if request.urgency is not Urgency.BREAK_GLASS or not proposal.is_forward:
        return None
    why = why_not_broken(facts.glass, facts.environment, request.actor.name, request.reason)
    return _forbidden(why) if why else None


def _past(proposal: Proposal, facts: Facts) -> tuple[Gate, ...]:
    """Return the gates that do not hold for this proposal."""
    broken = facts.glass.skips if proposal.request.urgency is Urgency.BREAK_GLASS else ()
    counting = that_count(facts.overrides, facts.overriders, proposal.plan.version, facts.now)
    return (*broken, *(gate for one in counting for gate in one.gates))


def used(proposal: Proposal, facts: Facts) -> tuple[Override, ...]:
    """Return the overrides that count, where a gate would be closed without them."""
    if _judge_gates(proposal, facts.but(overrides=())) is None:
        return ()
    return that_count(facts.overrides, facts.overriders, proposal.plan.version, facts.now)


def _in_vain(proposal: Proposal, facts: Facts) -> str:
    """Say which overrides were meant for this release and do not count."""
    meant = [
        one for one in facts.overrides if one.version in {"", proposal.plan.version} and one.holds(facts.now)
    ]
    whys = [
        f"; the override by {one.by.name} does not count: {why}"
        for one in meant
        if (why := why_void(one, facts.overriders, facts.now))
    ]
    return "".join(whys[:3])


def _judge_bans(proposal: Proposal, facts: Facts) -> Refusal | None:
    """Keep out what no waiting lets in."""
    if not proposal.is_forward:
        return None
    if facts.observes or proposal.terms.observe_only:
        return Refusal(cause=Cause.FORBIDDEN, why=say_observing(facts.environment))
    if facts.quarantine and not facts.quarantine.lifted:
        return Refusal(cause=Cause.FORBIDDEN, why=say_banned(facts.quarantine))
    return None


def _judge_gates(proposal: Proposal, facts: Facts) -> Refusal | None:
    if not proposal.is_forward:
        return None
    service, environment = proposal.plan.subject.service, facts.environment
    past = _past(proposal, facts)
    if facts.freeze and facts.freeze.holds(facts.now) and Gate.FREEZES not in past:
        why = f"{environment} is {facts.freeze}{_in_vain(proposal, facts)}"
        return _closed(why, f"towpath thaw {environment}")
    if facts.pin and facts.pin.holds(facts.now):
        return _closed(f"{service} in {environment} is {facts.pin}", f"towpath unpin {service} {environment}")
    for gate in facts.shut:
        # Its workflow does not know of it, and so would tell nobody when it opens.
        goes_past = isinstance(gate, Freeze) and Gate.FREEZES in past
        if gate.holds(facts.now) and not goes_past:
            what, vain = f"{service} in {environment}", ""
            if isinstance(gate, Freeze):
                what, vain = environment, _in_vain(proposal, facts)
            return Refusal(cause=Cause.GATE, why=f"{what} is {gate}{vain}", planned=True, opens=gate.until)
    # What is under way is not stopped by the end of a window: a planned freeze does that.
    schedule = facts.schedule.but(
        **({} if facts.begins and Gate.WINDOWS not in past else {"windows": ()}),
        **({} if Gate.FREEZES not in past else {"freezes": ()}),
    )
    if schedule.is_open(facts.now):
        return None
    why = f"{environment} is {schedule.say(facts.now)}{_in_vain(proposal, facts)}"
    return Refusal(cause=Cause.GATE, why=why, planned=True, opens=schedule.opens(facts.now))


def _closed(why: str, remedy: str) -> Refusal:
    return Refusal(cause=Cause.GATE, why=why, remedy=remedy)


def _judge_rules(proposal: Proposal, facts: Facts) -> Refusal | None:
    """A rule that was written since the plan is judged with the next one, not here: that may take minutes."""
    if not (proposal.is_forward and facts.begins) or proposal.held_to is None:
        return None
    if new := unjudged(facts.rules, proposal.held_to):
        intent, named = short(proposal.plan.intent), ", ".join(new)
        why = f"{facts.environment} holds releases to more than when plan {intent} was drawn up: {named}"
        return Refusal(cause=Cause.VOID, why=why)
    return None


def _judge_approval(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    if not proposal.is_forward:
        return None
    return judge_approval(facts.policy, warrant.request, proposal, warrant.decisions, facts.now)


def judge_approval(
    policy: Policy, request: Request, proposal: Proposal, decisions: Sequence[Decision], now: datetime
) -> Refusal | None:
    """Judge the decisions on a proposal by the live policy."""
    intent = proposal.plan.intent
    stands = standing(policy, request.requester, intent, decisions)
    if stands is Standing.REJECTED:
        return Refusal(cause=Cause.VOID, why=f"plan {short(intent)} was rejected")
    if stands is not Standing.GRANTED:
        why = f"plan {short(intent)} lacks the approval of {policy}"
        return Refusal(cause=Cause.VOID, why=why)
    if has_lapsed(policy, request.requester, intent, decisions, now):
        return Refusal(cause=Cause.VOID, why=f"the approval of plan {short(intent)} has lapsed")
    return None


def _judge_basis(proposal: Proposal, facts: Facts) -> Refusal | None:
    for step in proposal.plan.steps:
        observed = facts.observed.get(step.berth)
        if proposal.is_forward and observed is not None and differs(step, observed):
            return Refusal(cause=Cause.VOID, why=material_difference(step, observed))
    for berth, holding in proposal.plan.kept.items():
        now = facts.observed.get(berth)
        if now is not None and not same(holding, now):
            why = f"{berth} was to be left alone on {holding}, but {now} stands there now"
            return Refusal(cause=Cause.VOID, why=why)
    return None


def _forbidden(why: str) -> Refusal:
    return Refusal(cause=Cause.FORBIDDEN, why=f"This warrant opens nothing: {why}.")
