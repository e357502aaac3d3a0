"""Whether somebody may do something somewhere, and by which rule."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from domain.actor import person
from domain.configuration import Configuration
from domain.configuration_files import environment_file, service_file
from domain.fault import Spot
from domain.names import Subject
from domain.risk import Risk
from domain.roles import (
    ASKS_FOR,
    OF_THE_ENVIRONMENT,
    STANDS_IN,
    Door,
    Level,
    Role,
    keeps_out,
    names_of,
)
from domain.terms import ApprovalTerms, EscalationTerms, Story
from domain.urgency import Urgency
from domain.value import say_duration

DOOR_OF = {Story.PROMOTION: Door.PROMOTE, Story.ROLLBACK: Door.ROLLBACK, Story.ADOPTION: Door.ADOPT}
"""Story → the door that it is asked for by. A settlement is asked for by nobody."""


_NOT_THEIR_OWN: Final = "not on a request or a release of their own where that is kept apart"


class Permission(NamedTuple):
    """The verdict, the rule in a sentence, and where it is written: nowhere, where nobody wrote any."""

    allowed: bool
    why: str
    spot: Spot | None = None


def permission(
    configuration: Configuration, name: str, door: Door, environment: str, service: str | None = None
) -> Permission:
    """Judge whether this person may, by this configuration. Who they are is not judged here.

    What has no service, such as a freeze, only the environment's own file decides. A decision counts only of those
    who are asked for it, too.
    """
    role, what = ASKS_FOR[door], _say_what(door, environment, service)
    levels = configuration.levels(environment, None if door in OF_THE_ENVIRONMENT else service)
    if level := keeps_out(levels, role, name, configuration.members):
        spot = level.spot.below(role.value)
        why = f"{name} may not {what}: {_say_rule(configuration, level, role)}"
        return Permission(allowed=False, why=why, spot=spot)
    if role is Role.APPROVE and service is not None:
        subject = Subject(service=service, environment=environment)
        return _among_approvers(configuration, name, door, subject)
    written = next((level for level in reversed(levels) if level.roles.of(role)), None)
    if written is None:
        why = f"{name} may {what}: nobody is named for the role {role} there, so everybody has it"
        return Permission(allowed=True, why=why)
    why = f"{name} may {what}: {_say_rule(configuration, written, role)}"
    return Permission(allowed=True, why=why, spot=written.spot.below(role.value))


def why_may_not(
    configuration: Configuration, name: str, door: Door, environment: str, service: str | None = None
) -> str:
    """Say by which rule this person may not, or nothing where they may."""
    found = permission(configuration, name, door, environment, service)
    return "" if found.allowed else found.why


def _say_what(door: Door, environment: str, service: str | None) -> str:
    """Say the deed: “roll back shop in production”, “freeze production”."""
    where = environment if service is None or door in OF_THE_ENVIRONMENT else f"{service} in {environment}"
    return f"{'roll back' if door is Door.ROLLBACK else door} {where}"


def _say_rule(configuration: Configuration, level: Level, role: Role) -> str:
    """Name the rule and whom it names."""
    given = [role, *STANDS_IN.get(role, ())]
    said = [_say_holders(configuration, level, one) for one in given if level.roles.of(one)]
    return f"{level.spot.file} gives the role {', and '.join(said)}"


def _say_holders(configuration: Configuration, level: Level, role: Role) -> str:
    holders = level.roles.of(role)
    names = names_of(holders, configuration.members) if holders else ()
    return f"{role} to {say_some(names)}"


def say_some(names: tuple[str, ...]) -> str:
    """Name the first of some people: a group may have hundreds."""
    shown, left = names[:6], len(names) - 6
    return f"{', '.join(shown)}{f' and {left} more' if left > 0 else ''}" if names else "nobody"


def _among_approvers(configuration: Configuration, name: str, door: Door, subject: Subject) -> Permission:
    """Judge whether this person is asked for a decision, at any level of risk."""
    asked = _approvals(configuration, subject)
    approvers = {person(one): one for terms in asked for one in terms.policy(None).people}
    spot = _where_approval_is(configuration, subject)
    if not any(terms.quorums for terms in asked):
        why = f"nobody may {door} {subject}, since nobody is asked to approve there"
        return Permission(allowed=False, why=why)
    among = f"its approvers are {say_some(tuple(approvers.values()))}"
    if person(name) in approvers:
        apart = "" if asked[0].separate == () else f", though {_NOT_THEIR_OWN}"
        return Permission(allowed=True, why=f"{name} may {door} {subject}: {among}{apart}", spot=spot)
    if later := _asked_later(configuration, name, subject):
        waited = f"once nobody has decided for {say_duration(later.after)}"
        why = f"{name} may {door} {subject} {waited}: {among}, then {later}"
        return Permission(allowed=True, why=why, spot=_where_escalation_is(configuration, subject))
    hotfix = configuration.approval(subject, urgency=Urgency.HOTFIX).policy(None).people
    of_hotfix = "; of a hotfix their word counts" if person(name) in map(person, hotfix) else ""
    why = f"{name} may not {door} {subject}: {among}{of_hotfix}"
    return Permission(allowed=False, why=why, spot=spot)


def _asked_later(configuration: Configuration, name: str, subject: Subject) -> EscalationTerms | None:
    """Return by which escalation this person is asked first, at any level of risk."""
    later = [one for terms in _approvals(configuration, subject) for one in terms.escalate]
    theirs = [one for one in later if person(name) in map(person, one.approvers)]
    return min(theirs, key=lambda one: one.after, default=None)


def _approvals(configuration: Configuration, subject: Subject) -> list[ApprovalTerms]:
    risks: Iterable[Risk | None] = (None, *Risk) if configuration.weighs_risk(subject) else (None,)
    return [
        configuration.approval(subject, risk, pivots=pivots) for risk in risks for pivots in (False, True)
    ]


def _where_approval_is(configuration: Configuration, subject: Subject) -> Spot | None:
    place, floor = configuration.place(subject), configuration.environments[subject.environment]
    if place and place.approval and place.approval.groups:
        return Spot(service_file(subject.service), ("environments", subject.environment, "approval", "from"))
    if floor.approval:
        return Spot(environment_file(subject.environment), ("approval",))
    return None


def _where_escalation_is(configuration: Configuration, subject: Subject) -> Spot | None:
    place, floor = configuration.place(subject), configuration.environments[subject.environment]
    if floor.approval and floor.approval.escalate:
        return Spot(environment_file(subject.environment), ("approval", "escalate"))
    if place and place.approval and place.approval.escalate:
        file = service_file(subject.service)
        return Spot(file, ("environments", subject.environment, "approval", "escalate"))
    return _where_approval_is(configuration, subject)
