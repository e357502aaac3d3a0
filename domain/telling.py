"""How a status reads to a person: the details that the Temporal UI shows, and the commands that move it on."""

from collections.abc import Iterable

from domain.actor import Actor
from domain.approval import Decision
from domain.hints import approve_command, approve_commands, approve_json, openings
from domain.markdown import fenced, literal
from domain.names import promotion_id
from domain.outcome import Phase
from domain.picture import picture
from domain.record import RefusedRecord
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PipelineStatus, PromotionStatus
from domain.terms import Proposal
from domain.urgency import Urgency
from domain.value import short


def tell_asked(actor: Actor, reason: str, how: str = "") -> str:
    """Say in Markdown who asked for something, and why."""
    return f"Asked for by {literal(str(actor))}{how}{f': {literal(reason)}' if reason else ''}"


def tell_promotion(status: PromotionStatus, namespace: str) -> str:
    """Say in Markdown where a promotion stands, what it waits for, and what moves it on."""
    head = f"### {status.version} of {status.subject}: {status.outcome or status.phase}"
    said = [head, _tell_urgency(status), literal(status.why or status.waits_for)]
    if status.proposal and status.phase is not Phase.ENDED:
        said.append(_tell_plan(status.proposal))
    if status.phase is Phase.WAITING_FOR_APPROVAL and status.proposal:
        said += [_tell_votes(status), *_tell_how_to_approve(status, status.proposal, namespace)]
    elif status.remedy:
        said.append(fenced(status.remedy))
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def tell_change(status: ChangeStatus) -> str:
    """Say in Markdown where a change stands."""
    what = " of ".join(filter(None, (status.story, status.version, str(status.subject))))
    said = [
        f"### {what}, turn {status.turn}: {status.outcome or status.phase}",
        literal(status.why or status.waits_for),
        fenced(status.remedy) if status.remedy else "",
        _tell_refused(status.refused),
    ]
    return "\n\n".join(line for line in said if line)


def tell_lane(status: LaneStatus) -> str:
    """Say in Markdown who has a lane and who waits."""
    said = [f"### The lane of {status.subject}: {status.phase}"]
    if status.running:
        said.append(
            f"Turn {status.turn}: {status.running.request.story} "
            f"for {literal(status.running.request.said_by)}"
        )
    said += [
        f"- waits: {ask.request.story} {ask.request.version or ''} for {literal(ask.request.said_by)}"
        for ask in status.queue
    ]
    said += [f"- holds {component}: {holding}" for component, holding in status.held.items()]
    said += [f"- unsettled: turn {turn}" for turn in status.unsettled]
    said += [f"- {literal(status.offline)}"] if status.offline else []
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def tell_environment(status: EnvironmentStatus) -> str:
    """Say in Markdown what an environment is closed to, and what opens it."""
    name, pins = status.environment, sorted(status.pins.items())
    said = [f"### {name}: {literal(str(status.freeze or 'open'))}"]
    said += [f"- {service} is {literal(str(pin))}" for service, pin in pins]
    said += [f"- {literal(str(one))}" for one in status.overrides]
    remedies = openings(name, status.freeze, status.pins)
    said.append(fenced("\n".join(remedies)) if remedies else "")
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def tell_pipeline(status: PipelineStatus) -> str:
    """Say in Markdown how far a release has been walked, as a picture."""
    said = [f"### {status.version} of {status.service}: {status.outcome or status.phase}"]
    said.append(literal(status.why or status.waits_for))
    said.append(fenced("\n".join(picture(status.road))) if status.road else "")
    said.append(fenced(status.remedy) if status.remedy else "")
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def _tell_urgency(status: PromotionStatus) -> str:
    request = status.request
    if request is None or request.urgency is Urgency.USUAL:
        return ""
    said = f"**{request.urgency}**, by {literal(str(request.actor))}: {literal(request.reason)}"
    if request.urgency is Urgency.BREAK_GLASS:
        return f"{said}\n\nSomebody else reviews it afterwards:\n\n{fenced('towpath review list')}"
    return said


def _tell_plan(proposal: Proposal) -> str:
    lines = [f"Plan {short(proposal.plan.intent)}, asked for by {literal(proposal.asked_by)}:"]
    lines += [
        f"{number}. {literal(str(step))}; undo: {step.undo}"
        for number, step in enumerate(proposal.plan.steps, start=1)
    ]
    lines += [f"- note: {literal(note)}" for note in proposal.notes]
    lines += [f"- risk: {proposal.risk.level}, for {literal(proposal.risk.why)}"] if proposal.risk else []
    diffs = [f"{name}:\n\n{fenced(diff)}" for name, diff in proposal.previews.items() if diff]
    return "\n\n".join(["\n".join(lines), *diffs])


def _tell_how_to_approve(status: PromotionStatus, proposal: Proposal, namespace: str) -> list[str]:
    id_ = promotion_id(status.subject, status.version)
    commands = fenced(approve_commands(id_, proposal, namespace))
    if proposal.terms.approval.signed:
        printed = fenced(f"{approve_command(id_, proposal)} --print")
        return [
            "The input of the signal `approve` is signed with your own key, and printed by:",
            printed,
            commands,
        ]
    return [
        "The input of the signal `approve`, with your own name:",
        fenced(approve_json(proposal.plan.intent)),
        commands,
    ]


def say_of_plan(vote: Decision, status: PromotionStatus) -> str:
    """Say which plan a decision was about, where it is not the one that waits now."""
    if status.intent in {None, vote.intent}:
        return ""
    return f" of plan {short(vote.intent)}, which is no more"


def _tell_votes(status: PromotionStatus) -> str:
    if status.proposal is None:
        return ""
    terms = status.proposal.terms.approval
    approval = terms.escalated(status.escalated)
    later = [f"- {literal(line)}" for line in say_later(status.proposal, status.escalated)]
    given = [
        f"- {literal(str(vote.actor))} says {vote.verdict}{say_of_plan(vote, status)}"
        f"{f': {literal(vote.comment)}' if vote.comment else ''}"
        for vote in status.decisions
    ]
    return "\n".join([f"Needs {literal(str(approval))}", *later, *given])


def say_later(proposal: Proposal, escalated: int) -> list[str]:
    """Say who is asked as well, and from when on, where that is still to come."""
    return [
        f"from {proposal.drawn_up + one.after:%Y-%m-%d %H:%M %Z} also: {one}"
        for one in proposal.terms.approval.escalate[escalated:]
    ]


def _tell_refused(refused: Iterable[RefusedRecord]) -> str:
    lines = [f"- {literal(str(record))}" for record in refused]
    return "\n".join(["Refused:", *lines]) if lines else ""
