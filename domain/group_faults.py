"""Whether the groups that people write are there."""

from collections.abc import Iterator

from domain.configuration import Configuration
from domain.configuration_files import ORGANISATION_FILE
from domain.fault import Fault, Spot
from domain.spelling import suggest


def unknown_groups(configuration: Configuration, spot: Spot, groups: tuple[str, ...]) -> Iterator[Fault]:
    """Find which of the groups that are named at this spot nobody wrote."""
    known = configuration.organisation.groups
    for group in groups:
        if group not in known:
            problem = f"there is no group “{group}” in {ORGANISATION_FILE}"
            yield Fault(spot, problem, suggest(group, known), leans_on=spots_of((group,)))


def spots_of(groups: tuple[str, ...]) -> tuple[Spot, ...]:
    """Return where groups are written."""
    return tuple(Spot(ORGANISATION_FILE, ("groups", group)) for group in groups)
