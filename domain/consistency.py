"""Whether the configuration's files agree: every mistake, and what to write instead."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from domain.approval_faults import own_faults, pivot_faults
from domain.configuration import Configuration
from domain.configuration_files import (
    ORGANISATION_FILE,
    EnvironmentFile,
    ServiceEnvironment,
    ServiceFile,
    environment_file,
    service_file,
)
from domain.fault import Fault, Spot
from domain.fleets import check_target_faults, fleet_faults
from domain.floors import floor_faults
from domain.haste import glass_faults, hotfix_faults, override_faults
from domain.names import Subject
from domain.release import BUDGETS
from domain.role_faults import role_faults
from domain.secrecy import secret_faults
from domain.signers import signer_faults
from domain.spelling import suggest
from domain.terms import CheckTerms
from domain.value import say_duration

SHORTEST_EVERY: Final = timedelta(milliseconds=100)
_KEY: Final = re.compile(r"ed25519:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")


def faults(configuration: Configuration) -> Iterator[Fault]:
    """Find everything that no single file shows: names that lead nowhere, and floors that are undercut."""
    yield from _route_faults(configuration)
    for name, environment in configuration.environments.items():
        yield from _environment_faults(configuration, name, environment)
    yield from _shared_keys(configuration)
    yield from _two_ways(configuration)
    for name, service in configuration.services.items():
        yield from _service_faults(configuration, name, service)
    yield from role_faults(configuration)
    yield from signer_faults(configuration)
    yield from secret_faults(configuration)


def _route_faults(configuration: Configuration) -> Iterator[Fault]:
    """Find what a route names and is not there, and channels that nothing is told by."""
    organisation, root = configuration.organisation, Spot(ORGANISATION_FILE)
    for index, route in enumerate(organisation.notify):
        spot = root.below("notify", index)
        for key, what, names, known in (
            ("to", "channel", route.to, organisation.channels),
            ("services", "service", route.services, configuration.services),
            ("environments", "environment", route.environments, configuration.environments),
        ):
            for place, name in enumerate(names):
                if name not in known:
                    leans = (root.below("channels", name),) if key == "to" else ()
                    why = f"there is no {what} “{name}”"
                    yield Fault(spot.below(key, place), why, suggest(name, known), leans_on=leans)
    used = {name for route in organisation.notify for name in route.to}
    for name in organisation.channels:
        if name not in used:
            yield Fault(
                root.below("channels", name),
                "no route leads to this channel, so nothing is told by it",
                f"add a route under notify, such as - to: [{name}]",
                is_warning=True,
            )


def _environment_faults(
    configuration: Configuration, name: str, environment: EnvironmentFile
) -> Iterator[Fault]:
    root = Spot(environment_file(name))
    yield from _misnamed(root.below("environment"), environment.environment, name)
    if environment.key and not _KEY.fullmatch(environment.key):
        yield Fault(
            root.below("key"),
            "this is not a public key",
            "write ed25519: and the 44 characters that `towpath up` or the environment's worker names",
        )
    if environment.approval:
        yield from own_faults(configuration, root.below("approval"), environment.approval)
    if environment.pivots:
        yield from pivot_faults(configuration, root.below("pivots"), environment)
    yield from hotfix_faults(configuration, root.below("hotfix"), environment)
    yield from glass_faults(configuration, root.below("break_glass"), environment)
    yield from override_faults(configuration, root.below("override"), environment)


def _misnamed(spot: Spot, inside: str, name: str) -> Iterator[Fault]:
    if inside != name:
        folder = spot.file.partition("/")[0]
        yield Fault(
            spot,
            f"“{inside}” is not the name of this file",
            f"write {spot.keys[-1]}: {name}, or rename the file to {folder}/{inside}.yaml",
        )


def _shared_keys(configuration: Configuration) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for name, environment in configuration.environments.items():
        if not environment.key:
            continue
        first = owners.setdefault(environment.key, name)
        if first != name:
            yield Fault(
                Spot(environment_file(name), ("key",)),
                f"this is the key of {first} too, so each could sign for the other",
                f"give {name} a key of its own",
                bound=Spot(environment_file(first), ("key",)),
            )


def _two_ways(configuration: Configuration) -> Iterator[Fault]:
    """Find namespaces that one environment is said to reach otherwise than another: one of them reaches a stranger."""
    ways: dict[str, tuple[str, str]] = {}
    for name, space in configuration.spaces.items():
        first, profile = ways.setdefault(space.namespace, (name, space.profile))
        if profile != space.profile:
            yield Fault(
                Spot(environment_file(name), ("temporal",)),
                f"{first} lives in the namespace “{space.namespace}” too, and is reached "
                f"{f'by profile “{profile}”' if profile else 'without a profile'}",
                "write the same profile in both, or another namespace",
                bound=Spot(environment_file(first), ("temporal",)),
            )


def _service_faults(configuration: Configuration, name: str, service: ServiceFile) -> Iterator[Fault]:
    root = Spot(service_file(name))
    yield from _misnamed(root.below("service"), service.service, name)
    yield from _cycles(root.below("environments"), service)
    for environment, place in service.environments.items():
        spot = root.below("environments", environment)
        yield from _unknown_steps(spot, environment, service)
        yield from _component_faults(spot, service, place)
        floor = configuration.environments.get(environment)
        if floor is None:
            yield Fault(
                spot,
                f"there is no {environment_file(environment)}",
                f"add that file ({suggest(environment, configuration.environments)})",
            )
        else:
            subject = Subject(service=name, environment=environment)
            yield from floor_faults(configuration, subject, spot, place)


def _cycles(spot: Spot, service: ServiceFile) -> Iterator[Fault]:
    """Follow ``after`` from each environment; a circle is told once, where it is written first."""
    told: set[str] = set()
    for start in service.environments:
        circle = _circle(service, start)
        if circle and not told & set(circle):
            told.update(circle)
            yield Fault(
                spot.below(start, "after"),
                f"{' comes after '.join((*circle, start))}, which is a circle",
                f"take {circle[1] if len(circle) > 1 else start} out of this list",
            )


def _circle(service: ServiceFile, start: str) -> tuple[str, ...]:
    """Return the way along ``after`` from an environment back to itself, or nothing where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop(0)
        for before in service.environments[way[-1]].after:
            if before == start:
                return way
            if before in service.environments and before not in seen:
                seen.add(before)
                ways.append((*way, before))
    return ()


def _unknown_steps(spot: Spot, environment: str, service: ServiceFile) -> Iterator[Fault]:
    for before in service.environments[environment].after:
        if before not in service.environments:
            yield Fault(
                spot.below("after"),
                f"{service.service} does not go to “{before}”",
                suggest(before, [name for name in service.environments if name != environment]),
                leans_on=(Spot(spot.file, ("environments", before)),),
            )


def _component_faults(spot: Spot, service: ServiceFile, place: ServiceEnvironment) -> Iterator[Fault]:
    for component in service.components:
        if not place.berths(component):
            here = spot.below(component)
            yield Fault(
                here,
                f"component {component} has no target here",
                f"add {component}: {{target: …}}",
                leans_on=(here, Spot(spot.file, ("components", component))),
            )
    for component in place.fleets:
        yield from fleet_faults(spot.below(component), component, place)
    for index, check in enumerate(place.health):
        yield from _check_faults(spot.below("health", index), service, check)
        yield from check_target_faults(spot.below("health", index), place, check)


def _check_faults(spot: Spot, service: ServiceFile, check: CheckTerms) -> Iterator[Fault]:
    if check.component is not None and check.component not in service.components:
        yield Fault(
            spot.below("component"),
            f"{service.service} has no component “{check.component}”",
            suggest(check.component, service.components),
            leans_on=(Spot(spot.file, ("components", check.component)),),
        )
    budget = max(BUDGETS[component.kind] for component in service.components.values())
    if check.within >= budget:
        yield Fault(
            spot.below("within"),
            f"{say_duration(check.within)} cannot fit into the {say_duration(budget)} that a change of "
            f"{service.service} may take, deploying included",
            f"write less than {say_duration(budget)}",
            leans_on=(Spot(spot.file, ("components",)),),
        )
    if check.every < SHORTEST_EVERY and check.within:
        yield Fault(
            spot.below("every"),
            f"{say_duration(check.every)} is hardly a pause between two looks",
            f"write {say_duration(SHORTEST_EVERY)} or more",
        )
