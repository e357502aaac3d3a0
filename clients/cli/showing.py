"""How what is known reads on a terminal."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from clients.cli.advising import remedies, say_next
from clients.cli.terminal import quoted, say, say_lines, say_table
from clients.overview import Overview, Rows
from domain.environment import Holding, Placement
from domain.hints import OWN_KEY
from domain.names import Subject
from domain.outcome import Outcome, Phase
from domain.picture import picture
from domain.record import OutcomeRecord, OverrideRecord, RefusedRecord
from domain.road import Road
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PromotionStatus, Report
from domain.telling import say_later, say_of_plan
from domain.terms import UNSIGNED_REQUEST, LanePolicy, Proposal, Story
from domain.urgency import Urgency
from domain.value import short

STYLES = {
    Phase.STUCK: "bold red",
    Phase.UNSETTLED: "bold red",
    Phase.NO_WORKER: "yellow",
    Phase.WAITING_FOR_APPROVAL: "yellow",
    Phase.WAITING_FOR_GATE: "yellow",
    Phase.HELD: "yellow",
}
DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}
GOOD = {Outcome.PROMOTED, Outcome.NOTHING_TO_DO}


def show(seen: Overview) -> None:
    """Show everything that is known of one workflow, and the commands that move it on."""
    _show_asked(seen)
    if seen.lane:
        _show_lane(seen.lane, seen.place)
    if seen.change:
        _show_change(seen.change, seen.in_vain)
    if seen.environment:
        _show_environment(seen.environment)
    if seen.trouble or not (
        seen.pipeline
        or seen.walk
        or seen.report
        or seen.promotion
        or seen.lane
        or seen.change
        or seen.environment
    ):
        say(
            f"{seen.id} is {seen.state}{f': {seen.trouble}' if seen.trouble else ''}.".replace("..", "."),
            "yellow",
        )
    say_next(remedies(seen))


def _show_asked(seen: Overview) -> None:
    """Show what somebody asked for: a walk, or a promotion."""
    if seen.pipeline or seen.walk:
        show_walk(seen)
    if seen.report:
        show_report(seen.report)
    elif seen.promotion:
        _show_promotion(seen.promotion, seen.change)
    if seen.promotion:
        _show_refused(seen.promotion.refused)


def say_end(outcome: Outcome, why: str) -> str:
    """Say how something ended and why, in one clause: a reason often begins with the outcome."""
    if not why or outcome is Outcome.PROMOTED:
        return str(outcome)
    return (why if why.startswith(f"{outcome} ") else f"{outcome}: {why}").rstrip(".")


def show_report(report: Report) -> None:
    """Show how a promotion ended."""
    style = "bold green" if report.outcome in GOOD else "bold yellow"
    say(f"{report.version} of {report.subject} ended: {say_end(report.outcome, report.why)}.", style)
    for line in report.evidence:
        say(f"  {line}")
    for component, holding in report.after.items():
        say(f"  {component} is now {holding}")


def show_walk(seen: Overview) -> None:
    """Show how far a walk has come, as a picture, or how it ended."""
    status, report = seen.pipeline, seen.walk
    road = status.road if status else report.road if report else ()
    if report:
        style = "bold green" if report.outcome in GOOD else "bold yellow"
        say(
            f"The walk of {report.version} of {report.service} ended: {say_end(report.outcome, report.why)}.",
            style,
        )
    elif status:
        waits = f": {status.waits_for}" if status.waits_for else ""
        say(
            f"{status.version} of {status.service} {_stands(status.phase)}{waits}; since {_ago(status.since)}.",
            STYLES.get(status.phase, "bold"),
        )
    say_lines(draw(road, seen.stops))
    if status:
        _show_refused(status.refused)


def draw(road: Road, stops: Mapping[str, Overview]) -> tuple[str, ...]:
    """Draw a road with what its promotions say of themselves."""
    return picture(road, {name: said for name, stop in stops.items() if (said := where(stop))})


def where(seen: Overview) -> str:
    """Say where a promotion stands now; nothing where it has ended, or the lane is another's."""
    if not seen.is_open:
        return ""
    change, promotion, lane = seen.change, seen.promotion, seen.lane
    if change and is_own(seen):
        return _with(change.phase, change.waits_for) if change.phase is not Phase.ENDED else ""
    if promotion and promotion.phase is not Phase.ENDED:
        place = f", number {seen.place} in the queue" if seen.place else ""
        return f"{_with(promotion.phase, promotion.waits_for)}{place}"
    return f"the lane is {lane.phase}" if lane and lane.phase is not Phase.IDLE else ""


def is_own(seen: Overview) -> bool:
    """Tell whether the change that is seen is of what is followed; another's may have the lane."""
    return seen.promotion is None or seen.has_own_change or not seen.is_open


def _stands(phase: Phase) -> str:
    return f"has {phase}" if phase is Phase.NO_WORKER else f"is {phase}"


def _with(phase: Phase, waits_for: str) -> str:
    return f"{phase}: {waits_for}" if waits_for else str(phase)


def _show_promotion(status: PromotionStatus, change: ChangeStatus | None) -> None:
    has_turn = change and (change.story, change.version) == (Story.PROMOTION, status.version)
    stands = f"{_stands(status.phase)}{f': {status.waits_for}' if status.waits_for else ''}"
    if has_turn and status.phase is Phase.IN_LANE:
        stands = "has its turn in the lane"
    say(
        f"{status.version} of {status.subject} {stands}; since {_ago(status.since)}.",
        STYLES.get(status.phase, "bold"),
    )
    if status.request and status.request.urgency is not Urgency.USUAL:
        say(f"  asked for {status.request.urgency.in_words}", "bold yellow")
    if status.request and status.request.reason:
        say(f"  why: {quoted(status.request.reason)}")
    if status.proposal:
        show_plan(status.proposal, status.escalated)
    for vote in status.decisions:
        said = f"{vote.verdict}{say_of_plan(vote, status)}"
        say(f"  {vote.actor} says {said}{f': {quoted(vote.comment)}' if vote.comment else ''}")


def show_plan(proposal: Proposal, escalated: int = 0) -> None:
    """Show what would be done, how each step is undone, who decides, and what speaks against it."""
    how = proposal.request.urgency.in_words
    asked = f"asked for by {proposal.asked_by}{f', {how}' if how else ''}"
    say(
        f"Plan {short(proposal.plan.intent)} for {proposal.request.version or ''} of "
        f"{proposal.plan.subject}, {asked}:"
    )
    for number, step in enumerate(proposal.plan.steps, start=1):
        say(f"  {number}. {step}; undo: {step.undo}")
        for line in proposal.previews.get(step.berth, "").splitlines():
            say(f"       {line}", DIFF_STYLES.get(line[:1], ""))
    say_lines(_notes(proposal))
    if proposal.risk:
        say(f"  risk: {proposal.risk.level}, for {proposal.risk.why}")
    approval = proposal.terms.approval.escalated(escalated)
    if approval.quorums:
        say(f"  needs {approval}")
        say_lines([f"  {line}" for line in say_later(proposal, escalated)])
    for line in proposal.refusals:
        say(f"  {_say_refusal(line, proposal.plan.subject)}", "yellow")
    if proposal.nothing_to_do:
        say(f"  nothing to do: {proposal.nothing_to_do}")


def _notes(proposal: Proposal) -> list[str]:
    release = proposal.release
    said = [f"release notes: {quoted(release.notes)}"] if release and release.notes else []
    return [*said, *(f"note: {line}" for line in proposal.notes)]


def _say_refusal(sentence: str, subject: Subject) -> str:
    """Say what keeps it out; where only a signature is missing, that is no verdict on the plan."""
    if not sentence.endswith(UNSIGNED_REQUEST):
        return f"refused: {sentence}"
    return (
        f"missing: your signature. Requests are signed in {subject.environment}, and of an unsigned one neither its "
        f"diffs nor its rules are looked at. Ask again with {OWN_KEY}, or name the key in TOWPATH_SIGNING_KEY"
    )


def _show_lane(lane: LaneStatus, place: int = 0) -> None:
    say(f"The lane of {lane.subject} is {lane.phase}.", STYLES.get(lane.phase, "bold"))
    if lane.running:
        asked = lane.running.request
        what = f"{asked.story} {asked.version}" if asked.version else asked.story
        yields = ", whose soak a newer promotion ends" if lane.running.lane.yields else ""
        say(f"  turn {lane.turn}: {what} for {asked.said_by}{yields}")
    for number, ask in enumerate(lane.queue, start=1):
        what = f"{ask.request.story} {ask.request.version}" if ask.request.version else ask.request.story
        is_last = ask.lane.policy is LanePolicy.SUPERSEDE
        until = ", until a newer promotion takes its place" if is_last else ""
        here = f": it is number {number} of {len(lane.queue)} in the queue" if number == place else ""
        say(f"  waits: {what} for {ask.request.said_by}{until}{here}")
    moving = min(filter(None, (lane.turn, *lane.unsettled)), default=None)
    for component, holding in lane.held.items():
        say(f"  holds {component}: {holding}{as_before(holding, moving)}")
    for turn in lane.unsettled:
        say(f"  turn {turn} is unsettled: nothing else moves here before it is settled")
    if lane.offline:
        say(f"  {lane.offline}", "yellow")
    _show_refused(lane.refused)


def as_before(holding: Holding, moving: int | None) -> str:
    """Say that it is what stood before a turn that is open, unless that is what brought it."""
    fence = holding.fence if isinstance(holding, Placement) else None
    brought = moving and fence and fence.turn >= moving
    return f", as it was before turn {moving}" if moving and not brought else ""


def _say_who_held(change: ChangeStatus) -> str:
    """Say who wanted it and why, and the command that lets it go on."""
    back = f"let it go on: towpath resume {change.subject.service} {change.subject.environment}"
    said = (one for one in reversed(change.records) if isinstance(one, OverrideRecord) and one.did == "hold")
    if held := next(said, None):
        why = f" ({held.comment})" if held.comment else ""
        return f"as {held.actor} said{why}; {back}"
    return f"as somebody has said; {back}"


def _show_change(change: ChangeStatus, in_vain: str) -> None:
    waits = f": {change.waits_for}" if change.waits_for else ""
    stands = "has" if change.phase is Phase.NO_WORKER else "is"
    say(
        f"The change of turn {change.turn} {stands} {change.phase}{waits}; since {_ago(change.since)}.",
        STYLES.get(change.phase, "bold"),
    )
    if change.will_hold and change.phase is not Phase.HELD:
        say(f"  it holds before its next step, {_say_who_held(change)}", "yellow")
    if in_vain:
        say(f"  tried again and again, and fails: {in_vain}", "yellow")
    for record in change.records:
        if isinstance(record, OutcomeRecord):
            say(f"  {record.outcome}: {record.why}" if record.why else f"  {record.outcome}")
    _show_refused(change.refused)


def _show_environment(environment: EnvironmentStatus) -> None:
    say(
        f"{environment.environment} is {environment.freeze or 'open'}.",
        "yellow" if environment.freeze else "bold",
    )
    for service, pin in sorted(environment.pins.items()):
        say(f"  {service} is {pin}", "yellow")
    for one in environment.overrides:
        say(f"  {one}", "yellow")
    for record in environment.records:
        if isinstance(record, OverrideRecord):
            said = f": {record.comment}" if record.comment else ""
            say(f"  {_ago(record.at)}  {record.actor}: {record.did}{said}", "dim")
    _show_refused(environment.refused)


def _show_refused(refused: Iterable[RefusedRecord]) -> None:
    for record in refused:
        say(f"  refused: {record}", "dim")


def show_rows(rows: Rows) -> None:
    """Show what there is, a line each."""
    if not rows.rows:
        say("There is nothing yet. Begin with: towpath promote SERVICE VERSION ENVIRONMENT")
        return
    table = [("WHAT", "WHERE IT STANDS", "WHO", "SINCE")]
    table += [
        (
            row.id,
            row.outcome or (row.phase if row.state == "running" else row.state) or row.state,
            row.actor,
            _ago(row.ended or row.started),
        )
        for row in rows.rows
    ]
    say_table(table)


def _ago(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
