"""Whether a service stays above its environment's floor: it may only tighten what the platform asks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from domain.approval_faults import approval_faults
from domain.configuration import Configuration
from domain.configuration_files import (
    LANE_POLICIES,
    EnvironmentFile,
    ServiceEnvironment,
    environment_file,
    may_yield,
)
from domain.fault import Fault, Spot
from domain.names import Subject
from domain.value import say_duration

_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Windows come again and again: whether two ever meet does not depend on when one begins to look."""


def floor_faults(
    configuration: Configuration, subject: Subject, spot: Spot, place: ServiceEnvironment
) -> Iterator[Fault]:
    """Find where a service asks for less than its environment, or for what nobody can give."""
    environment = configuration.environments[subject.environment]
    yield from _soak_faults(spot, place, environment, subject.environment)
    yield from _lane_faults(spot, place, environment, subject.environment)
    yield from _observing_faults(spot, place, environment, subject.environment)
    yield from _rehearsal_faults(spot, place, environment, subject.environment)
    if (
        place.windows
        and environment.windows
        and configuration.schedule(subject).but(freezes=()).opens(_ANY_TIME) is None
    ):
        yield Fault(
            spot.below("windows"),
            f"these are never open while one of {subject.environment} is, so no change could ever begin",
            "write windows that lie within those, or leave them out",
            bound=Spot(environment_file(subject.environment), ("windows",)),
        )
    yield from approval_faults(configuration, subject, spot.below("approval"), place.approval)


def _soak_faults(
    spot: Spot, place: ServiceEnvironment, environment: EnvironmentFile, name: str
) -> Iterator[Fault]:
    if place.soak is not None and place.soak < environment.soak:
        least = say_duration(environment.soak)
        yield Fault(
            spot.below("soak"),
            f"{say_duration(place.soak)} is shorter than the {least} that {name} asks for",
            f"write {least} or more, or leave it out",
            bound=Spot(environment_file(name), ("soak",)),
        )


def _lane_faults(
    spot: Spot, place: ServiceEnvironment, environment: EnvironmentFile, name: str
) -> Iterator[Fault]:
    bound = Spot(environment_file(name))
    strictness = LANE_POLICIES.index
    if place.lane is not None and strictness(place.lane) < strictness(environment.lane):
        allowed = " or ".join(LANE_POLICIES[strictness(environment.lane) :])
        yield Fault(
            spot.below("lane"),
            f"{place.lane} lets more promotions wait than the {environment.lane} of {name}",
            f"write {allowed}, or leave it out",
            bound=bound.below("lane"),
        )
    if place.yields and not may_yield(environment):
        said = (
            "says that no soak is cut short" if environment.yields is False else "asks for a soak of its own"
        )
        yield Fault(
            spot.below("yield"),
            f"{name} {said}, so no newer promotion ends one here",
            f"leave it out, or have {environment_file(name)} say yield: true",
            bound=bound.below("yield" if environment.yields is False else "soak"),
        )


def _observing_faults(
    spot: Spot, place: ServiceEnvironment, environment: EnvironmentFile, name: str
) -> Iterator[Fault]:
    if place.observe_only is False and environment.observe_only:
        yield Fault(
            spot.below("observe_only"),
            f"{name} only observes, for every service",
            "leave it out, or have the platform take it out of the environment's file",
            bound=Spot(environment_file(name), ("observe_only",)),
        )


def _rehearsal_faults(
    spot: Spot, place: ServiceEnvironment, environment: EnvironmentFile, name: str
) -> Iterator[Fault]:
    if place.rehearse is False and environment.rehearse:
        yield Fault(
            spot.below("rehearse"),
            f"{name} rehearses the undo of every service",
            "leave it out, or have the platform take it out of the environment's file",
            bound=Spot(environment_file(name), ("rehearse",)),
        )
