"""Whether an effect may happen, judged by the environment itself right before it acts."""

from collections.abc import Sequence
from datetime import datetime

from domain.approval import Decision, Policy, Standing, has_lapsed, standing
from domain.attempt import Kind
from domain.environment import same
from domain.fence import Fence, is_too_far_ahead
from domain.gatekeeping import judge_bans, judge_gates
from domain.names import Subject, change_id, promotion_id
from domain.plan import Step, differs, material_difference
from domain.refusal import Cause, Refusal, forbidden
from domain.rule import unjudged
from domain.terms import Proposal, Request
from domain.urgency import Urgency, why_not_broken
from domain.value import short
from domain.warrant import Facts, Warrant


def judge(warrant: Warrant, step: Step, facts: Facts) -> Refusal | None:
    """Return None where the step is cleared, else the first reason against it.

    The proofs in the warrant's decisions are to be this worker's own findings, see ``activities.proving``.
    The order matters: what can never be right is said before what may become right by waiting.
    """
    proposal = facts.proposal
    if proposal is None:
        return forbidden("its terms do not carry a good seal of this environment", Kind.SEAL)
    return (
        _judge_identity(warrant, proposal, step, facts)
        or _judge_validation(proposal)
        or _judge_proofs(warrant, proposal, facts)
        or _judge_glass(proposal, facts)
        or judge_bans(proposal, facts)
        or _judge_standing(warrant, proposal, facts)
        or judge_gates(proposal, facts)
        or _judge_rules(proposal, facts)
        or _judge_approval(warrant, proposal, facts)
        or _judge_basis(proposal, facts)
    )


def judge_done(warrant: Warrant, facts: Facts) -> Refusal | None:
    """Judge whether a change that says it was done may leave its receipt: it must be let in to the end."""
    if facts.proposal is None or facts.proposal.request != warrant.request:
        return forbidden("its terms were drawn up for another request", Kind.WARRANT)
    return (
        _judge_turn(facts.proposal.plan.subject, warrant.turn, facts)
        or _judge_validation(facts.proposal)
        or _judge_standing(warrant, facts.proposal, facts)
    )


def judge_undo(subject: Subject, turn: int, of: Fence, facts: Facts) -> Refusal | None:
    """Judge an undo: only who it is, never whether the time is right. No gate ever blocks an undo.

    A change undoes its own deeds whatever became of its lane. Another turn's deeds it undoes only where the
    lane gave it the turn; with no lane there is nobody to give one, and the undo must not wait for that.
    """
    if refusal := _judge_turn(subject, turn, facts):
        return refusal
    if of.turn != turn and facts.open_turn not in {turn, None}:
        return forbidden(f"the lane of {subject} has turn {facts.open_turn} open, not turn {turn}")
    return None


def _judge_identity(warrant: Warrant, proposal: Proposal, step: Step, facts: Facts) -> Refusal | None:
    subject = proposal.plan.subject
    if subject.environment != facts.environment or proposal.request != warrant.request:
        return forbidden("its terms were drawn up for another request", Kind.WARRANT)
    if step not in proposal.plan.steps:
        return forbidden(f"its plan {short(proposal.plan.intent)} has no such step", Kind.WARRANT)
    return _judge_turn(subject, warrant.turn, facts)


def _judge_validation(proposal: Proposal) -> Refusal | None:
    """What spoke against a plan when it was drawn up is sealed with it, and holds whoever shows it."""
    if not proposal.refusals:
        return None
    return forbidden(f"its plan was refused when it was drawn up: {'; '.join(proposal.refusals)}")


def _judge_turn(subject: Subject, turn: int, facts: Facts) -> Refusal | None:
    if facts.workflow_id != change_id(subject, turn):
        rightful = change_id(subject, turn)
        why = f"it comes from the workflow “{facts.workflow_id}”, not from {rightful}"
        return forbidden(why, Kind.STRANGER)
    if turn < 1:
        return forbidden(f"no lane gives turn {turn}", Kind.STRANGER)
    if is_too_far_ahead(turn, facts.now):
        return forbidden(f"turn {turn} is more than a day ahead of the clock", Kind.STRANGER)
    if facts.has_receipt:
        return forbidden(f"turn {turn} has its receipt: it is over")
    return None


def _judge_standing(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    if facts.unanswered:
        return Refusal(cause=Cause.UNANSWERED, why=f"{' and '.join(facts.unanswered)} did not answer")
    if facts.open_turn != warrant.turn:
        why = f"the lane of {proposal.plan.subject} does not have turn {warrant.turn} open"
        return Refusal(cause=Cause.GONE, why=why)
    if not facts.asking:
        why = f"{warrant.asker} is no longer asking for it"
        return Refusal(cause=Cause.GONE, why=why, attempt=_posing(warrant, proposal))
    return None


def _posing(warrant: Warrant, proposal: Proposal) -> Kind | None:
    """Tell whether a promotion is asked for by what is none: it asks by its own workflow, or not at all."""
    rightful = promotion_id(proposal.plan.subject, proposal.plan.version)
    return Kind.WARRANT if proposal.is_forward and warrant.asker != rightful else None


def _judge_proofs(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    """Nobody poses as another, to approve their own request, or brings a release that is nobody's."""
    if proposal.is_forward and facts.not_permitted:
        return forbidden(facts.not_permitted)
    if proposal.is_forward and facts.unproven_release:
        return forbidden(f"its release is not proven to be its author's: {facts.unproven_release}")
    if not (proposal.is_forward and facts.policy.signed and facts.unproven_request):
        return None
    why = f"the request in the name of {warrant.request.actor.name} is not proven theirs: {facts.unproven_request}"
    return forbidden(why)


def _judge_glass(proposal: Proposal, facts: Facts) -> Refusal | None:
    """Whoever lets a release in alone is one of those who may."""
    request = proposal.request
    if request.urgency is not Urgency.BREAK_GLASS or not proposal.is_forward:
        return None
    why = why_not_broken(facts.glass, facts.environment, request.actor.name, request.reason)
    return forbidden(why) if why else None


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
    refusal = judge_approval(facts.policy, warrant.request, proposal, warrant.decisions, facts.now)
    if refusal and facts.in_vain:
        return refusal.but(why="; ".join((refusal.why, *facts.in_vain[:3])))
    return refusal


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
