"""What stands where, as people ask for it: places are services in environments."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from domain.actor import CLAIMED
from domain.berth import Berth, at_of, component_of
from domain.configuration import Configuration
from domain.environment import Holding, Placement
from domain.gate import Freeze, Pin
from domain.journal import Receipt
from domain.names import Identifier, Subject
from domain.outcome import Phase
from domain.review import Review
from domain.terms import LaneTerms
from domain.value import Value


class Waiting(Value):
    """Somebody who has a lane, or waits for it."""

    story: str
    version: str = ""
    by: str
    signed: bool = False
    """Whether it was asked for with a signature. Else the name is a claim."""

    def __str__(self) -> str:
        what = f"{self.story} {self.version}".strip()
        return f"{what} for {self.by} ({'signed' if self.signed else CLAIMED})"


class Health(Value):
    """What the checks last said of a place, and when: by its newest receipt."""

    healthy: bool
    proven: bool
    soaked: str
    judged: datetime
    sentences: tuple[str, ...] = ()


class Stand(Value):
    """What stands for one component, and who let it in."""

    component: Berth
    holding: Holding
    by: str = ""
    """Who asked for it."""
    approved_by: tuple[str, ...] = ()
    proven: bool = False
    """Whether those names were proven by signatures when it was let in. Else they are claims."""


class Place(Value):
    """One service in one environment. What nobody could say is left out, and ``trouble`` says why."""

    service: Identifier
    environment: Identifier
    phase: Phase | None = None
    """None where nothing was ever changed."""
    stands: tuple[Stand, ...] = ()
    running: Waiting | None = None
    queue: tuple[Waiting, ...] = ()
    lane: LaneTerms | None = None
    """Who may wait there, as far as the configuration is known here."""
    unsettled: tuple[int, ...] = ()
    health: Health | None = None
    pin: Pin | None = None
    planned: str = ""
    """Where windows and planned freezes stand for it, where it has any of its own."""
    trouble: str = ""

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Say, a sentence each, which components do not hold the same at all of their targets."""
        return tuple(_disagreements(self.stands))

    @property
    def subject(self) -> Subject:
        return Subject(service=self.service, environment=self.environment)


def _disagreements(stands: tuple[Stand, ...]) -> Iterator[str]:
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in stands:
        holds = one.holding
        version = holds.version if isinstance(holds, Placement) else str(holds)
        found[component_of(one.component)][version].append(at_of(one.component) or "")
    for component, versions in found.items():
        if len(versions) > 1:
            said = "; ".join(f"{version} at {', '.join(where)}" for version, where in versions.items())
            yield f"{component} is not the same everywhere: {said}"


class EnvironmentSummary(Value):
    """An environment in a list: of its lanes only how many, by their own word a moment ago."""

    environment: Identifier
    lanes: int = 0
    busy: int = 0
    unsettled: int = 0
    freeze: Freeze | None = None
    planned: str = ""
    """Where its own windows and planned freezes stand now, as far as they are known here."""
    pinned: tuple[Identifier, ...] = ()
    """The services that are pinned there."""
    workers: int = 0
    """How many workers have asked its queue for work in the last minutes."""
    reviews: int = 0
    """How often somebody broke the glass there and nobody has reviewed it yet, as far as the store is known here."""
    trouble: str = ""


class EnvironmentList(Value):
    schema_version: Literal[1] = 1
    environments: tuple[EnvironmentSummary, ...] = ()


class EnvironmentView(Value):
    """All that is known of one environment."""

    schema_version: Literal[1] = 1
    environment: Identifier
    freeze: Freeze | None = None
    planned: str = ""
    workers: int = 0
    places: tuple[Place, ...] = ()
    reviews: tuple[Review, ...] = ()
    """What was done in an emergency and nobody has reviewed yet, as far as the store is known here."""
    trouble: str = ""
    unread: tuple[str, ...] = ()


class ServiceList(Value):
    schema_version: Literal[1] = 1
    places: tuple[Place, ...] = ()


def health_of(receipt: Receipt) -> Health:
    return Health(
        healthy=receipt.healthy,
        proven=receipt.proven,
        soaked=receipt.soaked,
        judged=receipt.ended,
        sentences=receipt.evidence,
    )


def with_lanes(places: Iterable[Place], known: Configuration) -> tuple[Place, ...]:
    """Return the places with who may wait there, where the configuration says that the service goes there."""
    return tuple(
        place.but(lane=known.lane(place.subject))
        if known.place(place.subject) and place.environment in known.environments
        else place
        for place in places
    )


def with_reviews(found: EnvironmentList, reviews: Iterable[Review]) -> EnvironmentList:
    """Return the list with how many reviews are open in each environment."""
    count = Counter(review.broken.subject.environment for review in reviews if review.is_open)
    return found.but(
        environments=tuple(one.but(reviews=count[one.environment]) for one in found.environments)
    )
