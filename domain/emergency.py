"""Who may take a shorter way into an environment, by its configuration as it is now."""

from domain.configuration import Configuration
from domain.names import Subject
from domain.override import LONGEST, NO_OVERRIDERS, Overriders
from domain.urgency import NO_GLASS, Glass


def glass_of(configuration: Configuration, subject: Subject) -> Glass:
    """Return who may break the glass there, past what, and who may sign the review."""
    floor = configuration.environments.get(subject.environment)
    written = floor.break_glass if floor else None
    if written is None:
        return NO_GLASS
    usual = configuration.approval(subject)
    breakers = configuration.members(written.groups)
    everybody = (*usual.policy(None).people, *breakers)
    return Glass(
        breakers=breakers,
        reviewers=configuration.members(written.review)
        if written.review
        else tuple(dict.fromkeys(everybody)),
        skips=written.skips,
        signed=usual.signed,
    )


def overriders_of(configuration: Configuration, subject: Subject) -> Overriders:
    """Return who may let a service past the gates there."""
    floor = configuration.environments.get(subject.environment)
    if floor is None or floor.override is None:
        return NO_OVERRIDERS
    return Overriders(
        people=configuration.members(floor.override.groups),
        longest=min(floor.override.longest, LONGEST),
        signed=configuration.approval(subject).signed,
    )
