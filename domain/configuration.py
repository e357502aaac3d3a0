"""What people write in the configuration folder, and the slice of it that one change is done by.

Three kinds of file: ``towpath.yaml`` (people and store), ``environments/<name>.yaml`` (the platform's floors) and
``services/<name>.yaml`` (the service's own road, which may only tighten the floors).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from pydantic import Field, JsonValue

from domain.names import Identifier, Subject
from domain.release import Kind
from domain.terms import ApprovalTerms, CheckTerms, TargetTerms, Terms
from domain.value import Duration, Value


class Approval(Value):
    """Who approves: ``quorum`` people out of the groups in ``from``."""

    quorum: int = Field(default=1, ge=0, le=50)
    groups: tuple[Identifier, ...] = Field(default=(), alias="from")
    wait: Duration = timedelta(days=3)
    valid: Duration = timedelta(days=1)


class Organisation(Value):
    """``towpath.yaml``."""

    groups: dict[Identifier, tuple[str, ...]] = {}
    """Group → the people in it, by the names they decide under."""
    store: str = "store"
    """The release store: a folder, relative to the configuration folder."""


class EnvironmentFile(Value):
    """``environments/<name>.yaml``: what the platform asks of every service here."""

    environment: Identifier
    key: str = ""
    """The environment's public key, ``ed25519:<base64>``: who may vouch for what happened here."""
    approval: Approval | None = None
    """The floor: no service can ask for fewer people, or for a longer-lived grant."""
    soak: Duration = timedelta()
    hold_limit: Duration = timedelta(hours=4)


class ComponentFile(Value):
    kind: Kind


class ServiceEnvironment(Value):
    """One environment on a service's road."""

    after: tuple[Identifier, ...] = ()
    targets: dict[Identifier, TargetTerms] = {}
    """Component → the target that takes it."""
    health: tuple[CheckTerms, ...] = ()
    soak: Duration = timedelta()
    approval: Approval | None = None


class ServiceFile(Value):
    """``services/<name>.yaml``."""

    service: Identifier
    components: dict[Identifier, ComponentFile] = Field(min_length=1)
    environments: dict[Identifier, ServiceEnvironment] = Field(min_length=1)


class Configuration(Value):
    """The whole folder, read and found consistent."""

    organisation: Organisation = Organisation()
    environments: dict[Identifier, EnvironmentFile] = {}
    services: dict[Identifier, ServiceFile] = {}

    def place(self, subject: Subject) -> ServiceEnvironment | None:
        """Return what the service says of the environment, or None where it does not go there."""
        service = self.services.get(subject.service)
        return service.environments.get(subject.environment) if service else None

    def members(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Return everybody in these groups, each once, in the order they are written."""
        return tuple(dict.fromkeys(name for group in groups for name in self.organisation.groups.get(group, ())))

    def approval(self, subject: Subject) -> ApprovalTerms:
        """Return what approval takes: the service's word, tightened to the environment's floor."""
        place = self.place(subject)
        floor = self.environments[subject.environment].approval
        asked = place.approval if place else None
        given = [approval for approval in (floor, asked) if approval]
        if not given:
            return ApprovalTerms()
        groups = (asked.groups if asked and asked.groups else ()) or (floor.groups if floor else ())
        return ApprovalTerms(
            quorum=max(approval.quorum for approval in given),
            groups=groups,
            approvers=self.members(groups),
            wait=min(approval.wait for approval in given),
            valid=min(approval.valid for approval in given),
        )

    def terms(self, subject: Subject, budget: timedelta, nonce: str) -> Terms:
        """Return the slice of configuration by which this subject is changed now."""
        place = self.place(subject) or ServiceEnvironment()
        floor = self.environments[subject.environment]
        slice_ = self.but(
            services={subject.service: self.services[subject.service]}, environments={subject.environment: floor}
        )
        return Terms(
            targets=dict(place.targets),
            health=place.health,
            soak=max(place.soak, floor.soak),
            approval=self.approval(subject),
            hold_limit=floor.hold_limit,
            budget=budget,
            configuration=slice_.digest(),
            nonce=nonce,
        )


RESERVED_KEYS = frozenset({"after", "health", "soak", "approval", "rollout", "targets"})
"""Keys of a service's environment that are not components."""


def split_place(written: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Sort what is written under one environment of a service into its model's shape.

    A component stands beside ``after`` and ``health``, as ``site: {target: directory, root: live/dev}``: its
    ``target`` says which, and the rest are that target's settings.
    """
    known: dict[str, JsonValue] = {key: value for key, value in written.items() if key in RESERVED_KEYS}
    targets: dict[str, JsonValue] = {}
    for name, line in written.items():
        if name not in RESERVED_KEYS and isinstance(line, dict):
            settings = {key: value for key, value in line.items() if key != "target"}
            targets[name] = {"target": line.get("target"), "settings": settings}
        elif name not in RESERVED_KEYS:
            targets[name] = line
    return known | {"targets": targets}


COMMON_CHECK_KEYS = frozenset({"component", "within", "every"})


def split_check(written: Mapping[str, JsonValue], checks: Iterable[str]) -> dict[str, JsonValue]:
    """Sort one health check, as ``{http: "http://…/", status: 200, within: 30s}``, into its model's shape.

    The key that is a check's name says which; its value is the setting of that name.
    """
    kinds = [name for name in checks if name in written]
    common = {key: value for key, value in written.items() if key in COMMON_CHECK_KEYS}
    settings = {key: value for key, value in written.items() if key not in COMMON_CHECK_KEYS}
    return common | {"check": kinds[0] if len(kinds) == 1 else None, "settings": settings}
