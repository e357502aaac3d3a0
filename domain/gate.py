"""What keeps releases out: freezes, pins and quarantines. None of them ever blocks an undo or a rollback."""

from datetime import datetime
from enum import StrEnum

from domain.actor import Actor
from domain.names import Identifier
from domain.value import Value


class OnFreeze(StrEnum):
    """What becomes of a change under way that meets a freeze or pin."""

    HOLD = "hold"
    UNDO = "undo"


class Freeze(Value):
    """Nobody moves forward here. ``until`` is compared with the reader's clock; None is until thawed."""

    by: Actor
    reason: str
    since: datetime
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        return _holds(self.until, now)

    def __str__(self) -> str:
        return f"frozen by {self.by}{_end(self.until)}: {self.reason or 'no reason given'}"


class Pin(Value):
    """One service stays as it is here. ``release`` is what it held then, as whoever pinned it was shown."""

    by: Actor
    reason: str
    since: datetime
    until: datetime | None = None
    release: str = ""

    def holds(self, now: datetime) -> bool:
        return _holds(self.until, now)

    def __str__(self) -> str:
        kept = f" at {self.release}" if self.release else ""
        return f"pinned{kept} by {self.by}{_end(self.until)}: {self.reason}"


class Quarantine(Value):
    """A release is never to be promoted, or may be again: the record with the highest number says which."""

    service: Identifier
    version: Identifier
    number: int
    lifted: bool = False
    by: Actor
    reason: str = ""
    at: datetime

    def __str__(self) -> str:
        moment = f"by {self.by} at {self.at:%Y-%m-%d %H:%M %Z}"
        return f"{'released from' if self.lifted else 'in'} quarantine {moment}: {self.reason or 'no reason given'}"


def say_banned(quarantine: Quarantine) -> str:
    """Say why a release is let in nowhere, and what lets it in again."""
    return (
        f"{quarantine.version} of {quarantine.service} is {quarantine}; whoever knows better releases it with: "
        f"towpath release unquarantine {quarantine.service} {quarantine.version}"
    )


def say_observing(environment: str) -> str:
    """Say why nothing is deployed where Towpath only observes."""
    return f"{environment} only observes (observe_only): nothing is deployed there"


def _holds(until: datetime | None, now: datetime) -> bool:
    return until is None or now < until


def _end(until: datetime | None) -> str:
    return f" until {until:%Y-%m-%d %H:%M %Z}" if until else ""
