"""Letting one service past windows or freezes for a while: who may, for how long, and what counts at the effect."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import Field

from domain.actor import Actor, PersonName, Proof, person
from domain.names import Identifier
from domain.signature import Signature
from domain.urgency import Waivable
from domain.value import Duration, Value, say_duration

Gates = Annotated[tuple[Waivable, ...], Field(min_length=1, max_length=len(Waivable))]
LONGEST: Final = timedelta(days=7)
"""No override lasts longer, whatever an environment allows."""


class OverrideWord(Value):
    """What a person writes for ``override``: which gates do not hold for a service, why, and for how long."""

    by: PersonName
    service: Identifier
    version: Annotated[str, Field(max_length=63)] = ""
    """Of one release alone; of all, where it is left out."""
    gates: Gates
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    lasts: Duration
    signed: Signature | None = None
    """By the person's own key, over all of this; ``towpath override --key`` writes it."""

    @property
    def did(self) -> str:
        """Name it as it is recorded."""
        return f"override {' and '.join(self.gates)} of {self.service}"


class OverrideOrder(Value):
    """An override that has just come, for the worker of the environment that it was said to."""

    environment: Identifier
    word: OverrideWord


class Override(Value):
    """Some gates do not hold for a service, for a while, because somebody says so."""

    by: Actor
    service: Identifier
    version: str = ""
    gates: tuple[Waivable, ...]
    reason: str
    since: datetime
    lasts: Duration
    signature: Signature | None = None

    @property
    def until(self) -> datetime:
        """Return when it ends: presented again, a signed one lasts no longer than it did the first time."""
        began = min(self.since, self.signature.at) if self.signature else self.since
        return began + self.lasts

    @property
    def is_proven(self) -> bool:
        return self.by.proof is Proof.SSH_SIGNATURE

    def holds(self, now: datetime) -> bool:
        return now < self.until

    def __str__(self) -> str:
        if self.is_proven or not self.signature:
            return self.told(self.by)
        return self.told(f"{self.by.name} (signed, to be proven at the deed)")

    def told(self, by: object) -> str:
        """Say what it lets past, by whom as far as the teller has found."""
        which = f"{self.version} of {self.service}" if self.version else self.service
        return (
            f"{which} is let past {' and '.join(self.gates)} by {by} until {self.until:%Y-%m-%d %H:%M %Z}: "
            f"{self.reason}"
        )


def overriding(word: OverrideWord, by: Actor, now: datetime) -> Override:
    """Return what a word comes to that is taken now."""
    return Override(
        by=by,
        service=word.service,
        version=word.version,
        gates=word.gates,
        reason=word.reason,
        since=now,
        lasts=word.lasts,
        signature=word.signed,
    )


def word_of(one: Override) -> OverrideWord:
    """Return what was said for it, as it was signed."""
    return OverrideWord(
        by=one.by.name,
        service=one.service,
        version=one.version,
        gates=one.gates,
        reason=one.reason,
        lasts=one.lasts,
    )


class OverrideRole(Value):
    """Who may let a service past windows and freezes for a while, and for how long at most."""

    groups: tuple[Identifier, ...] = Field(alias="from", min_length=1)
    longest: Duration = timedelta(hours=8)


class Overriders(Value):
    """Who may override the gates of an environment, for how long at most, and whether they have to sign it."""

    people: tuple[str, ...] = ()
    longest: timedelta = timedelta()
    signed: bool = False


NO_OVERRIDERS: Final = Overriders()


def fitting(overrides: Sequence[Override], one: Override, room: int) -> tuple[Override, ...] | None:
    """Return what is remembered with one more, in so many bytes; None where it does not fit.

    For one that was found proven, claims make room, the oldest first.
    """
    kept = (*overrides, one)
    while _size(kept) > room:
        claims = [other for other in kept if not other.is_proven]
        if not (one.is_proven and claims):
            return None
        kept = tuple(other for other in kept if other is not claims[0])
    return kept


def _size(overrides: Sequence[Override]) -> int:
    return sum(len(one.model_dump_json().encode()) for one in overrides)


def why_not_overriding(name: str, who: Overriders) -> str:
    """Say why this person lets nobody past anything, or nothing where they may."""
    if person(name) in {person(one) for one in who.people}:
        return ""
    return f"{name} may not override gates here; those who may: {', '.join(who.people) or 'nobody'}"


def why_void(one: Override, who: Overriders, now: datetime) -> str:
    """Say why an override does not count, or nothing where it does. Of the proof only one's own finding is believed."""
    if not one.holds(now):
        return f"it ended {one.until:%Y-%m-%d %H:%M %Z}"
    if why := why_not_overriding(one.by.name, who):
        return why
    if why := _why_too_long(one.lasts, who):
        return why
    if who.signed and not one.is_proven:
        return f"it is not proven to be {one.by.name}'s: overrides here are signed"
    return ""


def why_in_vain(word: OverrideWord, who: Overriders) -> str:
    """Say why a word is not worth sending, or nothing where it is. Whose its signature is, is not looked at."""
    if why := why_not_overriding(word.by, who) or _why_too_long(word.lasts, who):
        return why
    if who.signed and word.signed is None:
        return (
            "overrides here are signed, and this one is not; name a key by --key, or in TOWPATH_SIGNING_KEY"
        )
    return ""


def _why_too_long(lasts: timedelta, who: Overriders) -> str:
    if lasts > who.longest:
        return f"it is for {say_duration(lasts)}, and {say_duration(who.longest)} is the longest here"
    return ""


def that_count(
    overrides: Sequence[Override], who: Overriders, version: str, now: datetime
) -> tuple[Override, ...]:
    """Return the overrides that let this release past something now."""
    return tuple(one for one in overrides if one.version in {"", version} and not why_void(one, who, now))
