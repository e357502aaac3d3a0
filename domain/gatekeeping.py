"""Which gates are closed to a release at the moment of its effect, and who is let past them."""

from collections.abc import Iterable

from domain.gate import Freeze, say_banned, say_observing
from domain.hints import opening
from domain.override import Override, that_count, why_void
from domain.refusal import Cause, Refusal
from domain.terms import Proposal
from domain.urgency import Urgency, Waivable
from domain.warrant import Facts
from domain.zone import say_local


def _past(proposal: Proposal, facts: Facts) -> tuple[Waivable, ...]:
    """Return the gates that do not hold for this proposal."""
    broken = facts.glass.skips if proposal.request.urgency is Urgency.BREAK_GLASS else ()
    counting = that_count(facts.overrides, facts.overriders, proposal.plan.version, facts.now)
    return (*broken, *(gate for one in counting for gate in one.gates))


def used(proposal: Proposal, facts: Facts) -> tuple[Override, ...]:
    """Return the overrides that count, where a gate would be closed without them."""
    if judge_gates(proposal, facts.but(overrides=())) is None:
        return ()
    return that_count(facts.overrides, facts.overriders, proposal.plan.version, facts.now)


def passed(proposal: Proposal, facts: Facts) -> tuple[str, ...]:
    """Say which gates a broken glass goes past that are shut: by whom, since when and why."""
    if not proposal.is_forward or proposal.request.urgency is not Urgency.BREAK_GLASS:
        return ()
    skips, schedule = facts.glass.skips, facts.schedule
    said: list[str] = []
    if Waivable.FREEZES in skips:
        # What a worker remembers is mostly what the environment's workflow says as well.
        freezes = [
            one for one in (facts.freeze, *facts.shut) if isinstance(one, Freeze) and one.holds(facts.now)
        ]
        said += [f", since {one.since:%Y-%m-%d %H:%M} UTC, {one}" for one in _told_once(freezes)]
        planned = schedule.frozen(facts.now)
        said += [f", since {say_local(planned.span.start, planned.zone)}, {planned}"] if planned else []
    windows = schedule.but(freezes=())
    if Waivable.WINDOWS in skips and facts.begins and not windows.is_open(facts.now):
        said.append(f" {windows.say(facts.now)}")
    return tuple(f"{facts.environment} was{one}" for one in said)


def _told_once(freezes: Iterable[Freeze]) -> Iterable[Freeze]:
    return {(one.by.name, one.reason): one for one in freezes}.values()


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


def judge_bans(proposal: Proposal, facts: Facts) -> Refusal | None:
    """Keep out what no waiting lets in."""
    if not proposal.is_forward:
        return None
    if facts.observes or proposal.terms.observe_only:
        return Refusal(cause=Cause.FORBIDDEN, why=say_observing(facts.environment))
    if facts.quarantine and not facts.quarantine.lifted:
        return Refusal(cause=Cause.FORBIDDEN, why=say_banned(facts.quarantine))
    return None


def judge_gates(proposal: Proposal, facts: Facts) -> Refusal | None:
    if not proposal.is_forward:
        return None
    service, environment = proposal.plan.subject.service, facts.environment
    past = _past(proposal, facts)
    if facts.freeze and facts.freeze.holds(facts.now) and Waivable.FREEZES not in past:
        why = f"{environment} is {facts.freeze}{_in_vain(proposal, facts)}"
        return _closed(why, opening(facts.freeze, environment, service))
    if facts.pin and facts.pin.holds(facts.now):
        return _closed(f"{service} in {environment} is {facts.pin}", opening(facts.pin, environment, service))
    for gate in facts.shut:
        # Its workflow does not know of it, and so would tell nobody when it opens.
        goes_past = isinstance(gate, Freeze) and Waivable.FREEZES in past
        if gate.holds(facts.now) and not goes_past:
            what, vain = f"{service} in {environment}", ""
            if isinstance(gate, Freeze):
                what, vain = environment, _in_vain(proposal, facts)
            return Refusal(
                cause=Cause.GATE,
                why=f"{what} is {gate}{vain}",
                planned=True,
                opens=gate.until,
                remedy=opening(gate, environment, service),
            )
    # What is under way is not stopped by the end of a window: a planned freeze does that.
    schedule = facts.schedule.but(
        **({} if facts.begins and Waivable.WINDOWS not in past else {"windows": ()}),
        **({} if Waivable.FREEZES not in past else {"freezes": ()}),
    )
    if schedule.is_open(facts.now):
        return None
    why = f"{environment} is {schedule.say(facts.now)}{_in_vain(proposal, facts)}"
    return Refusal(cause=Cause.GATE, why=why, planned=True, opens=schedule.opens(facts.now))


def _closed(why: str, remedy: str) -> Refusal:
    return Refusal(cause=Cause.GATE, why=why, remedy=remedy)
