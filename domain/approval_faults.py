"""Whether those who must approve can, and whether a service asks no fewer or other people than its environment."""

from collections.abc import Iterator

from domain.actor import person
from domain.approval import Party
from domain.approval_written import Approval, ApprovalAtRisk, separate
from domain.configuration import Configuration
from domain.configuration_files import (
    EnvironmentFile,
    environment_file,
)
from domain.fault import Fault, Spot
from domain.group_faults import spots_of, unknown_groups
from domain.names import Subject
from domain.risk import Risk
from domain.value import say_duration


def own_faults(configuration: Configuration, spot: Spot, floor: Approval) -> Iterator[Fault]:
    """Find what is wrong with an environment's own approval. Without groups, services name them."""
    yield from _unknown_groups_in(configuration, spot, floor)
    for risk, below in _levels(spot, floor):
        here = floor.at(risk)
        if here.groups and _are_known(configuration, here):
            quorum = 1 if here.quorum is None else here.quorum
            yield from _too_few(
                below,
                quorum,
                configuration.members(here.groups),
                spots_of(here.groups),
                alone=Party.REQUESTER not in separate(floor),
            )
        yield from _further_faults(
            configuration, below, here, separate(floor), has_own=_has_also(floor, risk)
        )


def _levels(spot: Spot, *written: Approval | None) -> Iterator[tuple[Risk | None, Spot]]:
    """Yield what holds at any risk, and then each level that somebody writes about, with where it is written."""
    yield None, spot
    named = {level for approval in written if approval for level in approval.levels}
    yield from ((level, spot.below(level.value)) for level in Risk if level in named)


def pivot_faults(configuration: Configuration, spot: Spot, environment: EnvironmentFile) -> Iterator[Fault]:
    """Find where nobody, or too few, could approve a plan that holds what cannot be undone."""
    pivots, floor = environment.pivots, environment.approval
    if pivots is None:
        return
    asked = Approval.model_validate({"quorum": pivots.quorum, "from": pivots.groups})
    yield from _unknown_groups_in(configuration, spot, asked)
    groups = pivots.groups or (floor.groups if floor else ())
    if not groups:
        yield Fault(
            spot,
            f"{_approvers(pivots.quorum)} must approve what cannot be undone, and nobody is named who may",
            "name groups, as pivots: {from: [release-managers]}, or under approval",
        )
    elif all(group in configuration.organisation.groups for group in groups):
        alone = Party.REQUESTER not in separate(floor)
        yield from _too_few(spot, pivots.quorum, configuration.members(groups), spots_of(groups), alone=alone)


def approval_faults(
    configuration: Configuration, subject: Subject, spot: Spot, asked: Approval | None
) -> Iterator[Fault]:
    """Find where a service asks fewer or other people than its environment, or for what nobody can give."""
    floor = configuration.environments[subject.environment].approval
    if asked:
        yield from _unknown_groups_in(configuration, spot, asked)
        yield from _joined(spot, asked, floor, subject.environment)
    for risk, below in _levels(spot, asked, floor):
        yield from _faults_at(configuration, subject, below, risk)


def _faults_at(
    configuration: Configuration, subject: Subject, spot: Spot, risk: Risk | None
) -> Iterator[Fault]:
    """Find where a service asks for less than its environment at this risk, or for what nobody can give."""
    place = configuration.place(subject)
    environment = configuration.environments[subject.environment]
    asked, floor = place.approval if place else None, environment.approval
    if asked and floor and (risk is None or risk in asked.levels):
        bound = Spot(environment_file(subject.environment), ("approval",))
        if risk and risk in floor.levels:
            bound = bound.below(risk.value)
        own = asked.levels[risk] if risk else asked
        yield from _laxer(spot, bound, own, floor.at(risk), subject.environment)
        if strangers := list(_strangers(configuration, spot, bound, asked.at(risk), floor.at(risk))):
            yield from strangers
            return
    yield from _quorum_faults(configuration, subject, spot, risk)


def _at(
    configuration: Configuration, subject: Subject, risk: Risk | None
) -> tuple[Approval | None, Approval | None]:
    """Return what service and environment say of approval at this risk, in this order."""
    place, environment = configuration.place(subject), configuration.environments[subject.environment]
    asked, floor = place.approval if place else None, environment.approval
    return asked.at(risk) if asked else None, floor.at(risk) if floor else None


def _laxer(spot: Spot, bound: Spot, asked: ApprovalAtRisk, floor: Approval, name: str) -> Iterator[Fault]:
    if asked.quorum is not None and floor.quorum is not None and asked.quorum < floor.quorum:
        yield Fault(
            spot.below("quorum"),
            f"{asked.quorum} is fewer than the {_approvers(floor.quorum)} that {name} asks for",
            f"write {floor.quorum} or more, or leave it out",
            bound=bound.below("quorum"),
        )
    if isinstance(asked, Approval) and asked.signed is False and floor.signed:
        yield Fault(
            spot.below("signed"),
            f"{name} counts signed decisions only, and a service cannot lift that",
            "leave it out",
            bound=bound.below("signed"),
        )
    for key, ours, theirs in (("wait", asked.wait, floor.wait), ("valid", asked.valid, floor.valid)):
        if ours is not None and theirs is not None and ours > theirs:
            yield Fault(
                spot.below(key),
                f"{say_duration(ours)} is longer than the {say_duration(theirs)} that {name} allows",
                f"write {say_duration(theirs)} or less, or leave it out",
                bound=bound.below(key),
            )


def _joined(spot: Spot, asked: Approval, floor: Approval | None, name: str) -> Iterator[Fault]:
    """Find whom the service would let decide on what is their own, and the environment would not."""
    kept = separate(floor)
    if asked.separate is not None and (lost := [party for party in kept if party not in asked.separate]):
        yield Fault(
            spot.below("separate"),
            f"{name} keeps the {' and the '.join(lost)} from deciding, and a service cannot lift that",
            f"write [{', '.join(kept)}], or leave it out",
            bound=Spot(environment_file(name), ("approval", "separate")),
        )


def _strangers(
    configuration: Configuration, spot: Spot, bound: Spot, asked: Approval, floor: Approval
) -> Iterator[Fault]:
    """Find whom the service would let approve and the floor would not."""
    if not floor.groups or not _are_known(configuration, floor):
        return
    allowed = {person(name) for name in configuration.members(floor.groups)}
    strangers = [name for name in configuration.members(asked.groups) if person(name) not in allowed]
    if strangers:
        yield Fault(
            spot.below("from"),
            f"{', '.join(strangers)} may not approve here",
            f"name groups whose people are all in {', '.join(floor.groups)}",
            leans_on=(bound.below("from"), *spots_of((*asked.groups, *floor.groups))),
            bound=bound.below("from"),
        )


def _quorum_faults(
    configuration: Configuration,
    subject: Subject,
    spot: Spot,
    risk: Risk | None,
) -> Iterator[Fault]:
    """Hold what approval takes at this risk, floor and service together, against who may give it."""
    asked, floor = _at(configuration, subject, risk)
    terms = configuration.approval(subject, risk)
    place = configuration.place(subject)
    if asked and place:
        has_own = _has_also(place.approval, risk)
        yield from _further_faults(configuration, spot, asked, terms.separate, has_own=has_own)
    bound = Spot(environment_file(subject.environment), ("approval",))
    if terms.quorum and not terms.groups:
        yield Fault(
            spot.below("from"),
            f"{_approvers(terms.quorum)} must approve, and nobody is named who may",
            "name groups, as from: [release-managers]",
            leans_on=(spot, bound),
        )
    elif (
        asked
        and (asked.groups or asked.quorum is not None)
        and _are_known(configuration, asked)
        and (floor is None or _are_known(configuration, floor))
    ):
        alone = Party.REQUESTER not in terms.separate
        yield from _too_few(
            spot, terms.quorum, terms.approvers, (bound, *spots_of(terms.groups)), alone=alone
        )


def _has_also(written: Approval | None, risk: Risk | None) -> bool:
    """Tell whether further quorums are written at this very place, not taken over from the lines beside it."""
    here = (written.levels.get(risk) if risk else written) if written else None
    return bool(here and here.also)


def _further_faults(
    configuration: Configuration, spot: Spot, approval: Approval, apart: tuple[Party, ...], *, has_own: bool
) -> Iterator[Fault]:
    """Hold each further quorum that is written here against the people who can give it."""
    for index, one in enumerate(approval.also or ()) if has_own else ():
        here = spot.below("also", index)
        yield from (unknown := list(unknown_groups(configuration, here.below("from"), one.groups)))
        if not unknown:
            people, alone = configuration.members(one.groups), Party.REQUESTER not in apart
            yield from _too_few(here, one.quorum, people, spots_of(one.groups), alone=alone)


def _unknown_groups_in(configuration: Configuration, spot: Spot, approval: Approval) -> Iterator[Fault]:
    below = [(spot.below(level.value), asked) for level, asked in approval.levels.items()]
    for here, asked in ((spot, approval), *below):
        yield from unknown_groups(configuration, here.below("from"), asked.groups)
        yield from escalation_faults(configuration, here, asked)


def escalation_faults(configuration: Configuration, spot: Spot, asked: ApprovalAtRisk) -> Iterator[Fault]:
    """Find where nobody would be asked after a while, since there is no such group or the wait is over by then."""
    for index, one in enumerate(asked.escalate or ()):
        here = spot.below("escalate", index)
        yield from unknown_groups(configuration, here.below("to"), one.groups)
        if asked.wait is not None and one.after >= asked.wait:
            yield Fault(
                here.below("after"),
                f"the wait is over after {say_duration(asked.wait)}, so nobody would be asked any more",
                "write a shorter time, or have people waited for longer",
            )


def _are_known(configuration: Configuration, approval: Approval) -> bool:
    return all(group in configuration.organisation.groups for group in approval.groups)


def _too_few(
    spot: Spot, quorum: int, people: tuple[str, ...], leans_on: tuple[Spot, ...], *, alone: bool
) -> Iterator[Fault]:
    """Hold a quorum against the people who can give it; unless ``alone`` will do, the one who asks never counts."""
    leaning = (spot, *leans_on)
    who = _people(people)
    if quorum > len(people):
        yield Fault(
            spot.below("quorum"),
            f"{_approvers(quorum)} cannot be had of {who}",
            "lower it, or add people to the groups in from",
            leaning,
        )
    elif 0 < quorum == len(people) and not alone:
        yield Fault(
            spot.below("quorum"),
            f"{_approvers(quorum)} of {who} cannot be had for what one of them asks for, "
            "since nobody approves their own request",
            "add a person to the groups in from, or let others ask",
            leaning,
            is_warning=True,
        )


def _approvers(count: int) -> str:
    return f"{count} approver" if count == 1 else f"{count} approvers"


def _people(people: tuple[str, ...]) -> str:
    match people:
        case ():
            return "nobody"
        case (alone,):
            return f"one person ({alone})"
        case _:
            return f"{len(people)} people ({', '.join(people)})"
