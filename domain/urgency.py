"""Ways in that are shorter than the usual one, for what cannot wait, and who may take them."""

from enum import StrEnum
from typing import Final

from pydantic import Field

from domain.actor import person
from domain.names import Identifier
from domain.value import Value


class Urgency(StrEnum):
    """How much of the usual way a promotion takes."""

    USUAL = "usual"
    HOTFIX = "hotfix"
    """Fewer or other people approve, and it soaks for less. Every gate is kept."""
    BREAK_GLASS = "break-glass"
    """Nobody approves beforehand; somebody else looks at it afterwards, and signs."""

    @property
    def in_words(self) -> str:
        """Say how something is asked for by this way; nothing of the usual one."""
        match self:
            case Urgency.USUAL:
                return ""
            case Urgency.HOTFIX:
                return "as a hotfix"
            case Urgency.BREAK_GLASS:
                return "by breaking the glass"


REASON_WANTED: Final = (
    "whoever takes a shorter way in says why, for everybody who reads of it later: --reason TEXT"
)


class Waivable(StrEnum):
    """A gate that an emergency may go past."""

    WINDOWS = "windows"
    FREEZES = "freezes"


class BreakGlass(Value):
    """Who may let a release in alone, in an emergency, and who looks at it afterwards."""

    groups: tuple[Identifier, ...] = Field(alias="from", min_length=1)
    skips: tuple[Waivable, ...] = ()
    """Which gates do not hold then, beside the approval."""
    review: tuple[Identifier, ...] = ()
    """Groups whose people may sign the review; without them, whoever may approve or break the glass here."""


class Glass(Value):
    """Who may break the glass in an environment, past which gates, and who may sign that they have looked at it."""

    breakers: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    skips: tuple[Waivable, ...] = ()
    signed: bool = False
    """A review counts only with its reviewer's signature."""


NO_GLASS: Final = Glass()
"""Where nothing is configured, nobody may break anything."""


def why_not_urgent(urgency: Urgency, environment: str, *, reason: str, has_hotfix: bool) -> str:
    """Say why nobody takes this way into an environment, or nothing where somebody may."""
    if urgency is Urgency.USUAL:
        return ""
    if not reason.strip():
        return REASON_WANTED
    if urgency is Urgency.HOTFIX and not has_hotfix:
        return (
            f"{environment} has no shorter way in: its file names none under hotfix. Promote it the usual way, or "
            f"have the platform add hotfix to environments/{environment}.yaml"
        )
    return ""


def why_not_broken(glass: Glass, environment: str, by: str, reason: str) -> str:
    """Say why this person may not break the glass here, or nothing where they may."""
    if not glass.breakers:
        return (
            f"nobody may break the glass in {environment}: its file names nobody under break_glass. Promote it the "
            f"usual way, or have the platform add break_glass to environments/{environment}.yaml"
        )
    if person(by) not in {person(name) for name in glass.breakers}:
        who = ", ".join(glass.breakers)
        return f"{by} may not break the glass in {environment}; those who may: {who}"
    return why_not_urgent(Urgency.BREAK_GLASS, environment, reason=reason, has_hotfix=False)
