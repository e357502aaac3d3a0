"""Whether the people whom the shorter ways into an environment ask for are there."""

from collections.abc import Iterator

from domain.approval_faults import escalation_faults
from domain.approval_written import FurtherQuorum, Hotfix
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile
from domain.fault import Fault, Spot
from domain.group_faults import spots_of, unknown_groups


def hotfix_faults(configuration: Configuration, spot: Spot, environment: EnvironmentFile) -> Iterator[Fault]:
    """Find where too few could let a hotfix in."""
    if (hotfix := environment.hotfix) is None:
        return
    yield from escalation_faults(configuration, spot, hotfix)
    asked: list[tuple[Spot, Hotfix | FurtherQuorum]] = [(spot, hotfix)]
    asked += [(spot.below("also", place), one) for place, one in enumerate(hotfix.also or ())]
    for here, one in asked:
        if not one.groups:
            continue
        yield from (faults := list(unknown_groups(configuration, here.below("from"), one.groups)))
        needed, people = 1 if one.quorum is None else one.quorum, configuration.members(one.groups)
        if not faults and needed > len(people):
            yield Fault(
                here.below("quorum"),
                f"{needed} cannot be had of {len(people)} people ({', '.join(people)})",
                "lower it, or add people to the groups in from",
                leans_on=(here, *spots_of(one.groups)),
            )


def glass_faults(configuration: Configuration, spot: Spot, environment: EnvironmentFile) -> Iterator[Fault]:
    """Find where nobody could break the glass, or nobody else look at it afterwards, or anybody could by a name."""
    if (glass := environment.break_glass) is None:
        return
    unknown = [
        *unknown_groups(configuration, spot.below("from"), glass.groups),
        *unknown_groups(configuration, spot.below("review"), glass.review),
    ]
    yield from unknown
    breakers = set(configuration.members(glass.groups))
    reviewers = set(configuration.members(glass.review)) if glass.review else breakers
    if not unknown and not breakers:
        yield Fault(
            spot.below("from"),
            "nobody is in these groups",
            "add people to them",
            leans_on=spots_of(glass.groups),
        )
    elif not unknown and glass.review and len(reviewers) == 1 and reviewers <= breakers:
        yield Fault(
            spot.below("review"),
            f"{reviewers.pop()} may break the glass, and nobody reviews what they did themselves",
            "add a person to these groups",
            leans_on=(spot, *spots_of((*glass.groups, *glass.review))),
            is_warning=True,
        )
    yield from _claimed(spot, environment, "break the glass")


def override_faults(
    configuration: Configuration, spot: Spot, environment: EnvironmentFile
) -> Iterator[Fault]:
    """Find where nobody could let a service past gates, or anybody could by a name."""
    if (role := environment.override) is None:
        return
    yield from (unknown := list(unknown_groups(configuration, spot.below("from"), role.groups)))
    if not unknown and not configuration.members(role.groups):
        groups = spots_of(role.groups)
        yield Fault(spot.below("from"), "nobody is in these groups", "add people to them", leans_on=groups)
    yield from _claimed(spot, environment, "override gates")


def _claimed(spot: Spot, environment: EnvironmentFile, what: str) -> Iterator[Fault]:
    if not (environment.approval and environment.approval.signed):
        yield Fault(
            spot,
            f"decisions are not signed here, so whoever reaches the server can {what} in any of these names",
            "write approval: {signed: true} in this file",
            is_warning=True,
        )
