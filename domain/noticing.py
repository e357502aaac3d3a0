"""Which notices arise from what is known of a promotion, a change or an environment. Nothing here remembers.

Every notice is keyed by what it is about: the hash of a record and the workflow that recorded it, or the plan that
waits. So whoever looks twice finds the same notices, and whoever starts anew after a crash does too.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.approval import Decision, Verdict
from domain.hints import USUAL_NAMESPACE, approve_commands, keyed, temporal
from domain.names import Subject, environment_id, is_promotion, lane_id, promotion_id
from domain.notice import Event, Notice, key_of
from domain.outcome import Outcome, Phase
from domain.record import DecisionRecord, EffectRecord, OutcomeRecord, OverrideRecord
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PromotionStatus
from domain.terms import Proposal
from domain.value import say_duration, short

GROWTH: Final = 2
"""Each pause between two reminders is so many times as long as the one before."""
LONGEST_TEXT: Final = 8_000

_IN_THE_WAY: Final = {
    Phase.NO_WORKER: Event.NO_WORKER,
    Phase.WAITING_FOR_GATE: Event.WAITING_FOR_GATE,
}


class Last(NamedTuple):
    """The end of a promotion or change: of what, when, and in which run of its workflow."""

    subject: Subject
    what: str
    at: datetime
    run: str


def of_promotion(
    status: PromotionStatus, run: str, now: datetime, remind: timedelta, namespace: str = USUAL_NAMESPACE
) -> Iterator[Notice]:
    """Yield what a promotion gives people to know, up to now. Its ``run`` tells its end from that of any other."""
    id_ = promotion_id(status.subject, status.version)
    for record in status.records:
        match record:
            case DecisionRecord(decision=Decision(verdict=Verdict.APPROVE) as decision):
                yield _approved(status, record, decision)
            case OutcomeRecord(outcome=outcome, why=why):
                last = Last(status.subject, status.version, record.at, run)
                yield ended(id_, last, outcome, why)
            case _:
                pass
    if status.phase is Phase.WAITING_FOR_APPROVAL and status.proposal:
        yield from _wanted(status, status.proposal, now, remind, namespace)
    if event := _IN_THE_WAY.get(status.phase):
        yield _about(
            status.subject,
            event,
            key_of(id_, event, status.since.isoformat()),
            status.since,
            f"{status.version} of {status.subject}: {event}",
            status.waits_for,
            status.remedy,
        )


def ended(id_: str, last: Last, outcome: Outcome, why: str) -> Notice:
    """Return the notice of an ending, as its last record tells it."""
    _, service, environment, name = id_.split("/")
    words = f"{service} {name} {environment}" if is_promotion(id_) else id_
    title = f"{last.what} of {last.subject}: {outcome}"
    key, event = key_of(id_, last.run), Event(outcome.value)
    return _about(last.subject, event, key, last.at, title, why, f"towpath status {words}")


def say_done(status: ChangeStatus) -> str:
    """Say who asked for a change by itself and why, what was done, and why it ended so, a line each."""
    asked = status.request
    reason = f": {asked.reason}" if asked and asked.reason else ""
    said = [f"Asked for by {asked.said_by}{reason}." if asked else ""]
    said += [record.did for record in status.records if isinstance(record, EffectRecord)]
    return "\n".join(filter(None, [*said, status.why]))


def lost(id_: str, last: Last, how: str, namespace: str) -> Notice:
    """Return the notice of a workflow that ended in a way that nobody foresaw."""
    why = f"Its workflow was {how}: nobody follows it any more, and a person is needed."
    title = f"{last.what} of {last.subject}: {how}"
    command = temporal("describe", id_, namespace)
    return _about(last.subject, Event.FAILED, key_of(id_, last.run, how), last.at, title, why, command)


def lost_in_lane(left: LaneStatus, last: Last, how: str) -> Iterator[Notice]:
    """Yield what was asked of a lane by itself, and is nobody's any more: it has no workflow that would ask again."""
    for ask in left.wishes:
        subject, verb = last.subject, "rollback" if ask.is_rollback else "adopt"
        why = (
            f"The lane of {subject} was {how}, with {ask} in it. Whether that was begun, what stands there says; "
            "nobody goes on with it."
        )
        yield _about(
            subject,
            Event.FAILED,
            key_of(lane_id(subject), last.run, ask.mark),
            last.at,
            f"A {ask.request.story} of {subject} was lost: its lane was {how}",
            why,
            f"towpath environments show {subject.environment}\ntowpath {verb} {subject.service} {subject.environment}",
        )


def forgotten(
    left: EnvironmentStatus, now: EnvironmentStatus | None, last: Last, how: str
) -> Iterator[Notice]:
    """Yield what an environment kept shut when its workflow ended, and keeps shut no more: nobody has opened it."""
    name = left.environment
    shut = [f"{name} is {left.freeze}"] if left.freeze and not (now and now.freeze) else []
    shut += [f"{service} is {pin}" for service, pin in left.pins.items() if not (now and service in now.pins)]
    if shut:
        said = "\n".join([*shut, "Nobody has opened it. Say again what should hold."])
        yield Notice(
            key=key_of(environment_id(name), last.run, "forgotten"),
            at=last.at,
            event=Event.FAILED,
            environment=name,
            title=f"What was shut in {name} is forgotten: its workflow was {how}",
            text=_text(said, f"towpath environments show {name}"),
        )


def of_environment(status: EnvironmentStatus) -> Iterator[Notice]:
    """Yield each freeze and thaw that an environment remembers."""
    id_ = environment_id(status.environment)
    for record in status.records:
        match record:
            case OverrideRecord(did="freeze"):
                event = Event.FROZEN
                command = keyed(f"towpath thaw {status.environment}", signed=record.actor.is_proven)
            case OverrideRecord(did="thaw"):
                event, command = Event.THAWED, f"towpath status {id_}"
            case OverrideRecord(did=did) if did.startswith("override "):
                event, command = Event.OVERRIDDEN, f"towpath status {id_}"
            case _:
                continue
        yield Notice(
            key=key_of(id_, record.digest()),
            at=record.at,
            event=event,
            environment=status.environment,
            title=f"{status.environment} is {event} by {record.actor}",
            text=_text(record.comment, command),
        )


def reminders_due(waited: timedelta, remind: timedelta) -> int:
    """Return how many reminders a wait of this length has earned: after 1, 3, 7, 15, … times ``remind``.

    No time means none.
    """
    count = 0
    while remind and remind * (GROWTH ** (count + 1) - 1) <= waited:
        count += 1
    return count


def _wanted(
    status: PromotionStatus, proposal: Proposal, now: datetime, remind: timedelta, namespace: str
) -> Iterator[Notice]:
    """Ask for the approval, and remind: of the newest reminder only, where several were missed."""
    id_ = promotion_id(status.subject, status.version)
    approval, intent = proposal.terms.approval, proposal.plan.intent
    # Not ``since``: a wait goes on in a new run, and its plan is the same.
    waited = now - proposal.drawn_up
    due = approval.due(waited)
    ends = f"{proposal.drawn_up + approval.wait:%Y-%m-%d %H:%M %Z}"
    urgency = proposal.request.urgency
    way = f", {urgency.in_words}" if urgency.in_words else ""
    said = [
        f"{proposal.asked_by} asks for {status.version} of {status.subject}{way}.",
        f"Reason: {proposal.request.reason}" if proposal.request.reason else "",
        *[f"{number}. {step}; undo: {step.undo}" for number, step in enumerate(proposal.plan.steps, start=1)],
        *[f"Note: {note}" for note in proposal.notes],
        f"It takes {approval.escalated(due)}. Without it, the promotion expires at {ends}.",
    ]
    text, command = "\n".join(filter(None, said)), approve_commands(id_, proposal, namespace)
    what = f"{status.version} of {status.subject}"
    title = f"{what}: approval wanted of plan {short(intent)}"
    key, at = key_of(id_, intent), proposal.drawn_up
    yield _about(status.subject, Event.APPROVAL_WANTED, key, at, title, text, command)
    for number, one in enumerate(approval.escalate[:due]):
        title = f"{what} has waited for approval for {say_duration(one.after)}: {one} may decide too"
        key, at = key_of(id_, intent, f"escalation {number}"), proposal.drawn_up + one.after
        yield _about(status.subject, Event.ESCALATED, key, at, title, text, command)
    if count := reminders_due(waited, remind):
        title = f"{what} has waited for approval for {say_duration(waited)}"
        key = key_of(id_, intent, f"reminder {count}")
        at = proposal.drawn_up + remind * (GROWTH**count - 1)
        yield _about(status.subject, Event.REMINDER, key, at, title, text, command)


def _approved(status: PromotionStatus, record: DecisionRecord, decision: Decision) -> Notice:
    id_ = promotion_id(status.subject, status.version)
    title = f"{status.version} of {status.subject}: approved by {decision.actor}"
    command = f"towpath status {status.subject.service} {status.version} {status.subject.environment}"
    key = key_of(id_, record.link)
    return _about(status.subject, Event.APPROVED, key, record.at, title, decision.comment, command)


def _about(  # noqa: PLR0913, PLR0917  # a notice is what it is made of
    subject: Subject, event: Event, key: str, at: datetime, title: str, text: str, command: str
) -> Notice:
    return Notice(
        key=key,
        at=at,
        event=event,
        service=subject.service,
        environment=subject.environment,
        title=title,
        text=_text(text, command),
    )


def _text(said: str, command: str) -> str:
    shown = said if len(said) <= LONGEST_TEXT else f"{said[:LONGEST_TEXT]}…"
    return "\n\n".join(filter(None, [shown, command]))
