"""The road of a release: the environments it passes, which before which, and how far it has come."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from domain.actor import Actor
from domain.names import Identifier, Subject
from domain.outcome import Outcome
from domain.signature import Signature
from domain.terms import Request
from domain.value import Value


class Stand(StrEnum):
    """How far the walk has come with one environment."""

    AHEAD = "ahead"
    UNDER_WAY = "under way"
    THROUGH = "through"
    STOPPED = "stopped"


class Waymark(Value):
    """What an environment's own worker says of the way to it.

    ``there`` says why a release need not be walked here, for it stands here and is proven; ``refusal`` why there
    is no way at all.
    """

    environment: Identifier
    after: tuple[Identifier, ...] = ()
    there: str = ""
    refusal: str = ""


class Stop(Value):
    """An environment on the road, and how the walk stands with it."""

    environment: Identifier
    after: tuple[Identifier, ...] = ()
    stand: Stand = Stand.AHEAD
    joined: bool = False
    """Its promotion was under way already when the walk came there."""
    outcome: Outcome | None = None
    why: str = ""


Road = tuple[Stop, ...]


class WalkRequest(Value):
    """Somebody asks for a release to be walked through these environments, and through what lies before them."""

    service: Identifier
    version: Identifier
    through: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=20)]
    actor: Actor
    reason: str = Field(default="", max_length=2000)
    signatures: dict[Identifier, Signature] = Field(default_factory=dict, max_length=50)
    """Environment → the requester's signature for the promotion there, where one is asked for."""

    def to(self, environment: str) -> Request:
        """Return what is asked of one environment on the road."""
        return Request(
            subject=Subject(service=self.service, environment=environment),
            version=self.version,
            actor=self.actor,
            reason=self.reason,
            signature=self.signatures.get(environment),
        )

    def __str__(self) -> str:
        return f"{self.version} of {self.service} through {' and '.join(self.through)}"


def stop_at(waymark: Waymark) -> Stop:
    """Return the stop that a waymark stands for. What leads to where the release stands already is of no concern."""
    if waymark.there:
        return Stop(
            environment=waymark.environment,
            stand=Stand.THROUGH,
            outcome=Outcome.NOTHING_TO_DO,
            why=waymark.there,
        )
    return Stop(environment=waymark.environment, after=tuple(dict.fromkeys(waymark.after)))


def unasked(road: Road, through: Sequence[str]) -> str | None:
    """Return an environment that the road leads by and that has not said what lies before it, or None."""
    known = {stop.environment for stop in road}
    wanted = [*through, *(name for stop in road for name in stop.after)]
    return next((name for name in wanted if name not in known), None)


def in_order(road: Road) -> Road:
    """Return the road with every stop behind those it comes after; stops that wait for each other are left out."""
    ordered: list[Stop] = []
    left = sorted(road, key=lambda stop: stop.environment)
    while ready := [
        stop for stop in left if _names(stop.after) <= _names(one.environment for one in ordered)
    ]:
        ordered += ready
        left = [stop for stop in left if stop not in ready]
    return tuple(ordered)


def circle_in(road: Road) -> str:
    """Say which environments wait for one another, or nothing."""
    ordered = _names(stop.environment for stop in in_order(road))
    circle = sorted(stop.environment for stop in road if stop.environment not in ordered)
    return f"{', '.join(circle)} wait for one another by their `after:`" if circle else ""


def ready(road: Road) -> Iterator[Stop]:
    """Yield the stops that nothing keeps the walk from: whatever lies before them is through."""
    through = _names(stop.environment for stop in road if stop.stand is Stand.THROUGH)
    for stop in road:
        if stop.stand is Stand.AHEAD and _names(stop.after) <= through:
            yield stop


def under_way(road: Road) -> tuple[str, ...]:
    return tuple(stop.environment for stop in road if stop.stand is Stand.UNDER_WAY)


def with_stop(road: Road, stop: Stop) -> Road:
    """Return the road with this stop in the place of the one of its name."""
    return tuple(stop if one.environment == stop.environment else one for one in road)


def arrived(stop: Stop, outcome: Outcome, why: str) -> Stop:
    """Return a stop whose promotion has ended: through, or as far as the walk goes."""
    good = outcome in {Outcome.PROMOTED, Outcome.NOTHING_TO_DO}
    return stop.but(stand=Stand.THROUGH if good else Stand.STOPPED, outcome=outcome, why=why)


def end_of(road: Road, through: Sequence[str]) -> tuple[Outcome, str] | None:
    """Say how the walk has ended, and why; None where it goes on."""
    for stop in road:
        if stop.stand is Stand.STOPPED and stop.outcome:
            return stop.outcome, f"{stop.environment}: {stop.why or stop.outcome}{_left(road)}"
    reached = {stop.environment: stop for stop in road if stop.stand is Stand.THROUGH}
    if any(name not in reached for name in through):
        return None
    if any(stop.outcome is Outcome.PROMOTED for stop in road):
        return Outcome.PROMOTED, ""
    return Outcome.NOTHING_TO_DO, f"it stands in {' and '.join(through)} already"


def _left(road: Road) -> str:
    """Say what the walk leaves behind: never a version that was skipped without a word."""
    going = ", ".join(under_way(road))
    ahead = ", ".join(stop.environment for stop in road if stop.stand is Stand.AHEAD)
    said = f"; not walked to: {ahead}" if ahead else ""
    return said + (f"; still under way, and going on: {going}" if going else "")


def leaving(road: Road) -> str:
    """Say what a walk that is given up leaves behind."""
    return _left(road).removeprefix("; ")


def _names(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)
