"""Who may take a shorter way into an environment, by its configuration as it is now."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from domain.actor import person
from domain.configuration import Configuration
from domain.configuration_files import environment_file
from domain.fault import Spot
from domain.names import Subject
from domain.override import LONGEST, NO_OVERRIDERS, Overriders, why_not_overriding
from domain.permission import Permission, permission, say_some
from domain.roles import Door
from domain.urgency import NO_GLASS, Glass, Urgency, why_not_broken, why_not_urgent
from domain.value import say_duration


class Shortcut(StrEnum):
    """What people do in a hurry, and afterwards: by groups that the environment's file names, not by a role."""

    HOTFIX = "hotfix"
    BREAK_GLASS = "break-glass"
    OVERRIDE = "override"
    REVIEW = "review"


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


def may_take(configuration: Configuration, name: str, shortcut: Shortcut, subject: Subject) -> Permission:
    """Judge whether this person may take a shorter way there, by this configuration, and say by which rule."""
    return _JUDGES[shortcut](configuration, name, subject)


def _may_hotfix(configuration: Configuration, name: str, subject: Subject) -> Permission:
    floor, spot = configuration.environments[subject.environment], _written(subject, "hotfix")
    has_hotfix = floor.hotfix is not None
    if why := why_not_urgent(Urgency.HOTFIX, subject.environment, reason=_ANY, has_hotfix=has_hotfix):
        return Permission(allowed=False, why=why)
    if not (asks := permission(configuration, name, Door.PROMOTE, *_place(subject))).allowed:
        return asks
    takes = configuration.approval(subject, urgency=Urgency.HOTFIX)
    why = f"{name} may ask for a hotfix of {subject}: it takes {takes if takes.quorums else 'nobody'}"
    return Permission(allowed=True, why=why, spot=spot)


def _may_break_glass(configuration: Configuration, name: str, subject: Subject) -> Permission:
    glass, spot = glass_of(configuration, subject), _written(subject, "break_glass")
    if why := why_not_broken(glass, subject.environment, name, _ANY):
        return Permission(allowed=False, why=why, spot=spot if glass.breakers else None)
    if not (asks := permission(configuration, name, Door.PROMOTE, *_place(subject))).allowed:
        return asks
    past = f", past {' and '.join(glass.skips)}" if glass.skips else ""
    why = f"{name} may break the glass for {subject}{past}: those who may are {say_some(glass.breakers)}"
    return Permission(allowed=True, why=why, spot=spot)


def _may_override(configuration: Configuration, name: str, subject: Subject) -> Permission:
    who, spot = overriders_of(configuration, subject), _written(subject, "override")
    if why := why_not_overriding(name, who):
        return Permission(allowed=False, why=why, spot=spot if who.people else None)
    why = (
        f"{name} may let {subject} past gates for {say_duration(who.longest)} at most: "
        f"those who may are {say_some(who.people)}"
    )
    return Permission(allowed=True, why=why, spot=spot)


def _may_review(configuration: Configuration, name: str, subject: Subject) -> Permission:
    glass, spot = glass_of(configuration, subject), _written(subject, "break_glass")
    if not glass.breakers:
        return Permission(
            allowed=False, why=f"nobody may break the glass for {subject}, so there is nothing to review"
        )
    allowed = person(name) in {person(one) for one in glass.reviewers}
    what = "may review a broken glass of" if allowed else "may not review a broken glass of"
    own = ", though never their own" if allowed else ""
    why = f"{name} {what} {subject}: its reviewers are {say_some(glass.reviewers)}{own}"
    return Permission(allowed=allowed, why=why, spot=spot)


def _written(subject: Subject, key: str) -> Spot:
    return Spot(environment_file(subject.environment), (key,))


def _place(subject: Subject) -> tuple[str, str]:
    return subject.environment, subject.service


_ANY: Final = "a reason"
_JUDGES: Final[dict[Shortcut, Callable[[Configuration, str, Subject], Permission]]] = {
    Shortcut.HOTFIX: _may_hotfix,
    Shortcut.BREAK_GLASS: _may_break_glass,
    Shortcut.OVERRIDE: _may_override,
    Shortcut.REVIEW: _may_review,
}
