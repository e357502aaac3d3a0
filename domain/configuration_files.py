"""What people write in the configuration folder, file by file.

Three kinds of file: ``towpath.yaml`` (people and store), ``environments/<name>.yaml`` (the platform's floors)
and ``services/<name>.yaml`` (the service's own road, which may only tighten the floors).
"""

from datetime import timedelta
from typing import Final

from pydantic import Field

from domain.actor import PersonName
from domain.approval_written import Approval, Hotfix, PivotApproval
from domain.berth import Berth, at_of, component_of
from domain.gate import OnFreeze
from domain.names import Identifier
from domain.notice import ChannelAddress, Route
from domain.override import OverrideRole
from domain.release import Kind
from domain.risk import RiskTable
from domain.roles import Roles
from domain.rule import MOST_RULES, RuleTerms
from domain.space import Space
from domain.terms import (
    CheckTerms,
    Fleet,
    LanePolicy,
    TargetTerms,
)
from domain.urgency import BreakGlass
from domain.value import Duration, Value
from domain.windows import PlannedFreeze, Schedule, Window

ORGANISATION_FILE: Final = "towpath.yaml"


SIGNERS_FILE: Final = "allowed_signers"


REVOKED_KEYS_FILE: Final = "revoked_keys"


def environment_file(environment: str) -> str:
    return f"environments/{environment}.yaml"


def service_file(service: str) -> str:
    return f"services/{service}.yaml"


class Organisation(Value):
    """``towpath.yaml``."""

    groups: dict[Identifier, tuple[PersonName, ...]] = {}
    """Group → the people in it, by the names they decide under."""
    store: str = Field(default="store", min_length=1)
    """The release store: a folder, relative to the configuration folder."""
    channels: dict[Identifier, ChannelAddress] = {}
    """Channel → where it leads, by reference."""
    notify: tuple[Route, ...] = ()
    """What is told by which channel."""


class EnvironmentFile(Value):
    """``environments/<name>.yaml``: what the platform asks of every service here."""

    environment: Identifier
    key: str = ""
    """The environment's public key, ``ed25519:<base64>``: who may vouch for what happened here."""
    temporal: Space | None = None
    """The namespace that its workflows live in, where that is not the one of all else."""
    approval: Approval | None = None
    """The floor: no service can ask for fewer people, for other people, or for a longer-lived grant."""
    hotfix: Hotfix | None = None
    """A shorter way in; none where this is left out."""
    break_glass: BreakGlass | None = None
    """The way in for an emergency; none where this is left out."""
    override: OverrideRole | None = None
    """Who may let a service past gates; nobody, where this is left out."""
    pivots: PivotApproval | None = None
    """What a plan takes that holds a step without a way back, beside what every plan takes."""
    soak: Duration = timedelta()
    rehearse: bool = False
    """Whether whatever is promoted here is put back once and placed again: its undo is proven before it is needed."""
    lane: LanePolicy = LanePolicy.QUEUE
    """The floor: a service may let fewer promotions wait."""
    yields: bool | None = Field(default=None, alias="yield")
    """Whether a newer promotion ends a soak. Where nothing is said and no soak asked for, a service may say it."""
    hold_limit: Duration = timedelta(hours=4)
    signed_releases: bool = False
    """Whether only releases with a good signature of their author are let in."""
    rules: tuple[RuleTerms, ...] = Field(default=(), max_length=MOST_RULES)
    """What every release must keep to; a service adds to them and takes none away."""
    risk: RiskTable | None = None
    """When a change is of high or medium risk; else that is told by what it does."""
    on_freeze: OnFreeze = OnFreeze.HOLD
    """What becomes of a change under way that meets a freeze or pin."""
    windows: tuple[Window, ...] = ()
    """When a change may begin; always, where none is named."""
    freezes: tuple[PlannedFreeze, ...] = ()
    """When nothing moves forward."""
    observe_only: bool = False
    """Everything is drawn up, judged and asked for, and nothing is deployed."""
    roles: Roles = Roles()
    """Who may do what here; a service may only take away."""

    @property
    def schedule(self) -> Schedule:
        """What is planned here for every service."""
        return Schedule(windows=(self.windows,), freezes=self.freezes)


class ComponentFile(Value):
    kind: Kind


class ServiceEnvironment(Value):
    """One environment on a service's road. The floor says what is not written."""

    after: tuple[Identifier, ...] = ()
    targets: dict[Berth, TargetTerms] = {}
    """Component → the target that takes it; ``component@name`` for each of many."""
    fleets: dict[Identifier, Fleet] = {}
    """Component → how its targets are gone through, where it has many."""
    health: tuple[CheckTerms, ...] = ()
    soak: Duration | None = None
    rehearse: bool | None = None
    lane: LanePolicy | None = None
    yields: bool | None = Field(default=None, alias="yield")
    approval: Approval | None = None
    rules: tuple[RuleTerms, ...] = Field(default=(), max_length=MOST_RULES)
    windows: tuple[Window, ...] = ()
    freezes: tuple[PlannedFreeze, ...] = ()
    observe_only: bool | None = None
    roles: Roles = Roles()

    def berths(self, component: str) -> tuple[str, ...]:
        return tuple(berth for berth in self.targets if component_of(berth) == component)

    @property
    def fleets_in_full(self) -> dict[str, Fleet]:
        """Every fleet with its waves: where nobody wrote any, the first target goes first and alone."""
        return {name: self._in_full(name, fleet) for name, fleet in self.fleets.items()}

    def _in_full(self, component: str, fleet: Fleet) -> Fleet:
        if fleet.waves:
            return fleet
        first, *others = (at_of(berth) or "" for berth in self.berths(component))
        return fleet.but(waves=((first,), tuple(others)) if others else ((first,),))


class ServiceFile(Value):
    """``services/<name>.yaml``."""

    service: Identifier
    components: dict[Identifier, ComponentFile] = Field(min_length=1)
    environments: dict[Identifier, ServiceEnvironment] = Field(min_length=1)


LANE_POLICIES: Final = tuple(LanePolicy)
"""From the laxest to the strictest: each lets fewer wait."""


def may_yield(floor: EnvironmentFile) -> bool:
    """Tell whether a soak may be cut short: the platform says so, or leaves soaking to the service."""
    return floor.yields is True or (floor.yields is None and not floor.soak)
