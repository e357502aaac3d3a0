"""How a status reads to a person: the details that the Temporal UI shows, and the commands that move it on."""

from collections.abc import Iterable

from domain.names import promotion_id
from domain.outcome import Phase
from domain.picture import picture
from domain.record import RefusedRecord
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PipelineStatus, PromotionStatus
from domain.terms import Proposal
from domain.urgency import Urgency
from domain.value import canonical, short


def approve_json(intent: str) -> str:
    """Return the JSON to paste where an approver answers."""
    return canonical({"by": "you@example.com", "comment": "", "plan": short(intent)})


def approve_commands(workflow_id: str, intent: str) -> str:
    """Return the two commands that approve: ours, and the ``temporal`` one."""
    _, service, environment, version = workflow_id.split("/")
    return (
        f"towpath approve {service} {version} {environment} --plan {short(intent)} --by you@example.com\n"
        f"temporal workflow signal -w {workflow_id} --name approve --input '{approve_json(intent)}'"
    )


def tell_promotion(status: PromotionStatus) -> str:
    """Say in Markdown where a promotion stands, what it waits for, and what moves it on."""
    head = f"### {status.version} of {status.subject}: {status.outcome or status.phase}"
    said = [head, _tell_urgency(status), status.why or status.waits_for]
    if status.proposal and status.phase is not Phase.ENDED:
        said.append(_tell_plan(status.proposal))
    if status.phase is Phase.WAITING_FOR_APPROVAL and status.intent:
        said += [
            _tell_votes(status),
            "The input of the signal `approve`, with your own name:",
            _code(approve_json(status.intent)),
            _code(approve_commands(promotion_id(status.subject, status.version), status.intent)),
        ]
    elif status.remedy:
        said.append(_code(status.remedy))
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def tell_change(status: ChangeStatus) -> str:
    """Say in Markdown where a change stands."""
    head = f"### {status.story} of {status.subject}, turn {status.turn}: {status.phase}"
    said = [
        head,
        status.waits_for,
        _code(status.remedy) if status.remedy else "",
        _tell_refused(status.refused),
    ]
    return "\n\n".join(line for line in said if line)


def tell_lane(status: LaneStatus) -> str:
    """Say in Markdown who has a lane and who waits."""
    said = [f"### The lane of {status.subject}: {status.phase}"]
    if status.running:
        said.append(
            f"Turn {status.turn}: {status.running.request.story} for {status.running.request.said_by}"
        )
    said += [
        f"- waits: {ask.request.story} {ask.request.version or ''} for {ask.request.said_by}"
        for ask in status.queue
    ]
    said += [f"- holds {component}: {holding}" for component, holding in status.held.items()]
    said += [f"- unsettled: turn {turn}" for turn in status.unsettled]
    said += [f"- {status.offline}"] if status.offline else []
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def tell_environment(status: EnvironmentStatus) -> str:
    """Say in Markdown what an environment is closed to, and what opens it."""
    said = [f"### {status.environment}: {status.freeze or 'open'}"]
    said += [f"- {service} is {pin}" for service, pin in sorted(status.pins.items())]
    said += [f"- {one}" for one in status.overrides]
    remedies = [f"towpath thaw {status.environment}"] if status.freeze else []
    remedies += [f"towpath unpin {service} {status.environment}" for service in sorted(status.pins)]
    said.append(_code("\n".join(remedies)) if remedies else "")
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def tell_pipeline(status: PipelineStatus) -> str:
    """Say in Markdown how far a release has been walked, as a picture."""
    said = [f"### {status.version} of {status.service}: {status.outcome or status.phase}"]
    said.append(status.why or status.waits_for)
    said.append(_code("\n".join(picture(status.road))) if status.road else "")
    said.append(_code(status.remedy) if status.remedy else "")
    said.append(_tell_refused(status.refused))
    return "\n\n".join(line for line in said if line)


def _tell_urgency(status: PromotionStatus) -> str:
    request = status.request
    if request is None or request.urgency is Urgency.USUAL:
        return ""
    said = f"**{request.urgency}**, by {request.actor}: {' '.join(request.reason.split())}"
    if request.urgency is Urgency.BREAK_GLASS:
        return f"{said}\n\nSomebody else reviews it afterwards:\n\n{_code('towpath review list')}"
    return said


def _tell_plan(proposal: Proposal) -> str:
    lines = [f"Plan {short(proposal.plan.intent)}, asked for by {proposal.asked_by}:"]
    lines += [
        f"{number}. {step}; undo: {step.undo}" for number, step in enumerate(proposal.plan.steps, start=1)
    ]
    lines += [f"- note: {note}" for note in proposal.notes]
    lines += [f"- risk: {proposal.risk.level}, for {proposal.risk.why}"] if proposal.risk else []
    diffs = [f"{name}:\n\n{_code(diff)}" for name, diff in proposal.previews.items() if diff]
    return "\n\n".join(["\n".join(lines), *diffs])


def _tell_votes(status: PromotionStatus) -> str:
    if status.proposal is None:
        return ""
    terms = status.proposal.terms.approval
    approval = terms.escalated(status.escalated)
    later = [f"- {line}" for line in say_later(status.proposal, status.escalated)]
    given = [
        f"- {vote.actor} says {vote.verdict}{f': {vote.comment}' if vote.comment else ''}"
        for vote in status.decisions
    ]
    return "\n".join([f"Needs {approval}", *later, *given])


def say_later(proposal: Proposal, escalated: int) -> list[str]:
    """Say who is asked as well, and from when on, where that is still to come."""
    return [
        f"from {proposal.drawn_up + one.after:%Y-%m-%d %H:%M %Z} also: {one}"
        for one in proposal.terms.approval.escalate[escalated:]
    ]


def _tell_refused(refused: Iterable[RefusedRecord]) -> str:
    lines = [f"- {record.door}: {record.why}" for record in refused]
    return "\n".join(["Refused:", *lines]) if lines else ""


def _code(text: str) -> str:
    unbroken = text.replace("```", "'''")
    return f"```\n{unbroken}\n```"
