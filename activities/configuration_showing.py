"""What holds for a service in an environment, all files taken together, and where each value was written."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter

from activities.configuration_file import Models
from domain.configuration import Configuration
from domain.configuration_files import (
    ORGANISATION_FILE,
    EnvironmentFile,
    ServiceEnvironment,
    environment_file,
    service_file,
)
from domain.fault import Spot
from domain.names import Subject
from domain.terms import ApprovalTerms
from domain.value import Value, say_duration
from domain.written import (
    CHECK_KEYS,
    line_of,
)


class Held(NamedTuple):
    """One value that holds. ``spot`` is None where nobody wrote it: it is the default."""

    key: str
    value: Any
    spot: Spot | None


def effective(
    configuration: Configuration, subject: Subject, targets: Models, checks: Models
) -> Iterator[Held]:
    """Yield everything that holds for a service in an environment of its road."""
    service = Spot(service_file(subject.service), ("environments", subject.environment))
    place = configuration.services[subject.service].environments[subject.environment]
    floor = configuration.environments[subject.environment]
    environment = Spot(environment_file(subject.environment))
    yield _of(place, "after", service)
    for name, component in configuration.services[subject.service].components.items():
        yield Held(f"{name}.kind", component.kind.value, Spot(service.file, ("components", name, "kind")))
    for name, terms in place.targets.items():
        written = service.below(*line_of(name))
        yield Held(f"{name}.target", terms.target, written.below("target"))
        yield from _settings(name, targets[terms.target], terms.settings, written)
    for name, fleet in place.fleets_in_full.items():
        yield Held(f"{name}.waves", fleet.waves, _of(place.fleets[name], "waves", service.below(name)).spot)
        paced = ("parallel", "pause")
        yield from (_of(fleet, key, service.below(name))._replace(key=f"{name}.{key}") for key in paced)
    for index, check in enumerate(place.health):
        spot, key = service.below("health", index), f"health[{index}]"
        yield from _settings(key, checks[check.check], check.settings, spot)
        for common in CHECK_KEYS:
            held = _of(check, common, spot)
            yield held._replace(key=f"{key}.{common}")
    longer = place if place.soak is not None and place.soak > floor.soak else floor
    yield _of(longer, "soak", service if longer is place else environment)
    yield from _lane(configuration, subject, service, environment)
    yield from _approval(configuration, subject, service, environment)
    yield from _risk(configuration, subject, service, environment)
    for spot, rules in ((environment, floor.rules), (service, place.rules)):
        for index, rule in enumerate(rules):
            said = {"severity": rule.severity.value, **rule.settings}
            yield Held(f"rule {rule.label}", said, spot.below("rules", index))
    yield _of(floor, "pivots", environment)
    yield from (
        _of(floor, key, environment) for key in ("hotfix", "break_glass", "override") if getattr(floor, key)
    )
    yield _of(floor, "hold_limit", environment)
    yield _of(floor, "on_freeze", environment)
    yield from _gates(floor, environment, place, service)
    yield from _roles(configuration, subject)
    yield _of(floor, "key", environment)
    yield _of(configuration.organisation, "store", Spot(ORGANISATION_FILE))


def _roles(configuration: Configuration, subject: Subject) -> Iterator[Held]:
    """Every role that somebody wrote: where both files do, both hold."""
    for level in configuration.levels(subject.environment, subject.service):
        for role, holders in level.roles.written.items():
            named = holders.model_dump(by_alias=True, exclude_defaults=True)
            yield Held(f"roles.{role}", named, level.spot.below(role.value))


def _gates(
    floor: EnvironmentFile, environment: Spot, place: ServiceEnvironment, service: Spot
) -> Iterator[Held]:
    for key in ("windows", "freezes"):
        yield from (
            _of(one, key, spot) for one, spot in ((floor, environment), (place, service)) if getattr(one, key)
        )
    observing = place if place.observe_only and not floor.observe_only else floor
    yield _of(observing, "observe_only", service if observing is place else environment)
    rehearsing = place if place.rehearse and not floor.rehearse else floor
    yield _of(rehearsing, "rehearse", service if rehearsing is place else environment)


def _lane(configuration: Configuration, subject: Subject, service: Spot, environment: Spot) -> Iterator[Held]:
    """The service's word where it is what holds, else the floor's."""
    terms = configuration.lane(subject)
    place = configuration.services[subject.service].environments[subject.environment]
    floor = configuration.environments[subject.environment]
    for field, key, value in (("lane", "lane", terms.policy.value), ("yields", "yield", terms.yields)):
        spots = [
            spot.below(key)
            for written, spot in ((floor, environment), (place, service))
            if field in written.model_fields_set and getattr(written, field) == value
        ]
        yield Held(key, value, spots[0] if spots else None)


def _of(value: Value, key: str, spot: Spot) -> Held:
    return Held(key, getattr(value, key), spot.below(key) if key in value.model_fields_set else None)


def _settings(key: str, model: type[Value], written: Mapping[str, Any], spot: Spot) -> Iterator[Held]:
    settings: Value = TypeAdapter(model).validate_python(dict(written))
    for name, field in model.model_fields.items():
        held = _of(settings, name, spot)
        yield held._replace(key=f"{key}.{field.alias or name}")


def _risk(configuration: Configuration, subject: Subject, service: Spot, environment: Spot) -> Iterator[Held]:
    """How many are asked at each level of risk that somebody writes about; and when it is which."""
    place = configuration.services[subject.service].environments[subject.environment]
    floor = configuration.environments[subject.environment]
    for approval, spot in ((place.approval, service), (floor.approval, environment)):
        for level in approval.levels if approval else ():
            terms = configuration.approval(subject, level)
            below = spot.below("approval", level.value)
            yield Held(f"approval.{level}.quorum", terms.quorum, below)
            if terms.also:
                yield Held(f"approval.{level}.also", tuple(map(str, terms.also)), below)
    if floor.risk:
        for condition in ("high", "medium"):
            yield Held(f"risk.{condition}", getattr(floor.risk, condition), environment.below("risk"))


_APPROVAL: Final = {"quorum": "quorum", "groups": "from", "wait": "wait", "valid": "valid"}


def _approval(
    configuration: Configuration, subject: Subject, service: Spot, environment: Spot
) -> Iterator[Held]:
    """The stricter word of both holds; where they agree, the floor's is shown."""
    terms = configuration.approval(subject)
    place = configuration.services[subject.service].environments[subject.environment]
    both = (
        (configuration.environments[subject.environment].approval, environment),
        (place.approval, service),
    )
    for field, key in _APPROVAL.items():
        value = getattr(terms, field)
        spots = [
            spot.below("approval", key)
            for approval, spot in both
            if approval and field in approval.model_fields_set and getattr(approval, field) == value
        ]
        yield Held(f"approval.{key}", value, spots[0] if spots else None)
    yield Held(
        "approval.people", terms.approvers, Spot(ORGANISATION_FILE, ("groups",)) if terms.groups else None
    )
    for key, value, stands in (
        ("also", tuple(map(str, terms.also)), bool(terms.also)),
        (
            "escalate",
            tuple(f"after {say_duration(one.after)}: {one}" for one in terms.escalate),
            bool(terms.escalate),
        ),
        ("separate", terms.separate, terms.separate != ApprovalTerms().separate),
    ):
        if stands:
            said = (
                spot.below("approval", key)
                for approval, spot in both
                if approval and getattr(approval, key) is not None
            )
            yield Held(f"approval.{key}", value, next(said, None))
