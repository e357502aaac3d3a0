"""What people write in the configuration folder, and the slice of it that one change is done by.

Three kinds of file: ``towpath.yaml`` (people and store), ``environments/<name>.yaml`` (the platform's floors)
and ``services/<name>.yaml`` (the service's own road, which may only tighten the floors).
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from pydantic import Field, model_validator

from domain.actor import PersonName, person
from domain.approval import Party
from domain.berth import Berth, at_of, component_of
from domain.fault import Spot
from domain.gate import OnFreeze
from domain.names import Identifier, Subject
from domain.notice import ChannelAddress, Event, Notice, Route, channels_for
from domain.override import OverrideRole
from domain.release import Kind
from domain.risk import Risk, RiskTable
from domain.roles import Level, Role, Roles, keeps_out
from domain.rule import MOST_RULES, RuleTerms
from domain.space import Space
from domain.terms import (
    NOBODY_APPROVES,
    ApprovalTerms,
    CheckTerms,
    EscalationTerms,
    Fleet,
    LanePolicy,
    LaneTerms,
    QuorumTerms,
    TargetTerms,
    Terms,
)
from domain.urgency import BreakGlass, Urgency
from domain.value import Duration, Value
from domain.windows import PlannedFreeze, Schedule, Window

ORGANISATION_FILE: Final = "towpath.yaml"
SIGNERS_FILE: Final = "allowed_signers"
REVOKED_KEYS_FILE: Final = "revoked_keys"
REMIND: Final = timedelta(hours=4)
APPROVE: Final = "approve"


def environment_file(environment: str) -> str:
    return f"environments/{environment}.yaml"


def service_file(service: str) -> str:
    return f"services/{service}.yaml"


class FurtherQuorum(Value):
    """One more quorum beside the first: ``quorum`` people out of the groups in ``from``."""

    quorum: int = Field(default=1, ge=1, le=50)
    groups: tuple[Identifier, ...] = Field(alias="from", min_length=1)


class Escalation(Value):
    """Whom to ask as well when people have been waited for ``after`` so long: the groups in ``to``."""

    after: Duration
    groups: tuple[Identifier, ...] = Field(alias="to", min_length=1)


class ApprovalAtRisk(Value):
    """Who approves: ``quorum`` people out of the groups in ``from``. The floor says what is not written."""

    quorum: int | None = Field(default=None, ge=0, le=50)
    groups: tuple[Identifier, ...] = Field(default=(), alias="from")
    wait: Duration | None = None
    valid: Duration | None = None
    also: tuple[FurtherQuorum, ...] | None = Field(default=None, max_length=10)
    """What has to be had as well. A service's stand beside its environment's, and take none of those away."""
    escalate: tuple[Escalation, ...] | None = Field(default=None, max_length=10)
    """Who else may be one of the first quorum, after a while."""


class Approval(ApprovalAtRisk):
    """Who approves, and by how much is at stake who else, or nobody."""

    remind: Duration | None = None
    """How long approvers are left alone before the first reminder; ``0s`` is for ever."""
    signed: bool | None = None
    """Whether only decisions with a good OpenSSH signature count, on requests with one."""
    separate: tuple[Party, ...] | None = None
    """Whose own decisions do not count: by default the requester's. A service may only add to its environment's."""
    low: ApprovalAtRisk | None = None
    medium: ApprovalAtRisk | None = None
    high: ApprovalAtRisk | None = None

    @property
    def levels(self) -> dict[Risk, ApprovalAtRisk]:
        """Return what is asked at some levels of risk and not at others."""
        asked = {Risk.LOW: self.low, Risk.MEDIUM: self.medium, Risk.HIGH: self.high}
        return {level: approval for level, approval in asked.items() if approval}

    def at(self, risk: Risk | None) -> "Approval":
        """Return what is asked at this risk: what its own line does not say is said by the others."""
        own = self.levels.get(risk) if risk else None
        if own is None:
            return self
        written = {name: getattr(own, name) for name in type(own).model_fields}
        del written["groups"]
        said = {name: value for name, value in written.items() if value is not None}
        return self.but(**said, groups=own.groups or self.groups)


class PivotApproval(Value):
    """Who approves what cannot be undone. As a word, ``approve`` is one of those who approve anything here."""

    quorum: int = Field(default=1, ge=1, le=50)
    groups: tuple[Identifier, ...] = Field(default=(), alias="from")

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, written: object) -> object:
        if isinstance(written, str) and written != APPROVE:
            message = f"“{written}” says nothing here; write approve, or {{quorum: 2, from: [group]}}"
            raise ValueError(message)
        return {} if written == APPROVE else written


class Hotfix(ApprovalAtRisk):
    """A shorter way in, for what cannot wait: who approves, and how long it soaks. The usual way says the rest.

    Without ``quorum`` one person does, of those who approve anything here.
    """

    soak: Duration | None = None


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


def separate(floor: Approval | None, asked: Approval | None = None) -> tuple[Party, ...]:
    """Return whose own decisions do not count: whom the environment keeps apart, and whom the service adds."""
    kept = (Party.REQUESTER,) if floor is None or floor.separate is None else floor.separate
    added = (asked.separate if asked else None) or ()
    return tuple(party for party in Party if party in {*kept, *added})


class Configuration(Value):
    """The whole folder, read and found consistent."""

    organisation: Organisation = Organisation()
    environments: dict[Identifier, EnvironmentFile] = {}
    services: dict[Identifier, ServiceFile] = {}
    signers: tuple[str, ...] | None = None
    """The names in ``allowed_signers``; None where there is no such file."""

    @property
    def spaces(self) -> dict[str, Space]:
        """Environment → where it lives, for those that live in a namespace of their own."""
        return {name: file.temporal for name, file in self.environments.items() if file.temporal}

    def place(self, subject: Subject) -> ServiceEnvironment | None:
        """Return what the service says of the environment, or None where it does not go there."""
        service = self.services.get(subject.service)
        return service.environments.get(subject.environment) if service else None

    def members(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Return everybody in these groups, each once, in the order they are written."""
        people: dict[str, str] = {}
        for group in groups:
            for name in self.organisation.groups.get(group, ()):
                people.setdefault(person(name), name)
        return tuple(people.values())

    def levels(self, environment: str, service: str | None = None) -> tuple[Level, ...]:
        """Return who has which role there, file by file: the environment's, then the service's own."""
        floor = self.environments.get(environment)
        place = self.place(Subject(service=service, environment=environment)) if service else None
        own = (Level(Spot(environment_file(environment), ("roles",)), floor.roles),) if floor else ()
        if service is None or place is None:
            return own
        spot = Spot(service_file(service), ("environments", environment, "roles"))
        return (*own, Level(spot, place.roles))

    def is_signed(self, environment: str, service: str | None = None) -> bool:
        """Tell whether what people say there counts only with their signature."""
        floor = self.environments.get(environment)
        place = self.place(Subject(service=service, environment=environment)) if service else None
        return any(one.approval.signed for one in (floor, place) if one and one.approval)

    def is_guarded(self, environment: str, service: str | None = None) -> bool:
        """Tell whether its worker has to hear what people say there, to know whether it counts."""
        levels = self.levels(environment, service)
        return self.is_signed(environment, service) or any(level.roles.written for level in levels)

    def guards(self, environment: str) -> bool:
        """Tell whether that is so of the environment, or of any service in it."""
        return any(self.is_guarded(environment, service) for service in (None, *self.services))

    def rules(self, subject: Subject) -> tuple[RuleTerms, ...]:
        """Return every rule that a release must keep to there: the environment's, then the service's own."""
        place = self.place(subject)
        return (*self.environments[subject.environment].rules, *(place.rules if place else ()))

    def weighs_risk(self, subject: Subject) -> bool:
        """Tell whether it makes a difference there how much is at stake."""
        floor, place = self.environments[subject.environment], self.place(subject)
        asked = [one.approval for one in (floor, place) if one and one.approval]
        return floor.risk is not None or any(approval.levels for approval in asked)

    def approval(
        self,
        subject: Subject,
        risk: Risk | None = None,
        *,
        pivots: bool = False,
        urgency: Urgency = Urgency.USUAL,
    ) -> ApprovalTerms:
        """Return what approval takes at this risk: the service's word, tightened to the environment's floor.

        A plan that holds ``pivots`` may take more: more people, or others. A hotfix takes what the environment says of
        it, and a broken glass nobody's.
        """
        return self._of_the_role(self._approval(subject, risk, pivots=pivots, urgency=urgency), subject)

    def _of_the_role(self, terms: ApprovalTerms, subject: Subject) -> ApprovalTerms:
        """Leave out whoever has not the role to approve there."""
        levels = self.levels(subject.environment, subject.service)

        def having(people: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in people if not keeps_out(levels, Role.APPROVE, name, self.members))

        if not any(level.roles.approve for level in levels):
            return terms
        also = tuple(one.but(approvers=having(one.approvers)) for one in terms.also)
        escalate = tuple(one.but(approvers=having(one.approvers)) for one in terms.escalate)
        return terms.but(approvers=having(terms.approvers), also=also, escalate=escalate)

    def _approval(
        self, subject: Subject, risk: Risk | None, *, pivots: bool, urgency: Urgency
    ) -> ApprovalTerms:
        usual = self._usual_approval(subject, risk)
        floor = self.environments[subject.environment]
        match urgency:
            case Urgency.BREAK_GLASS:
                return usual.but(quorum=0, groups=(), approvers=(), also=(), escalate=())
            case Urgency.HOTFIX:
                usual = self._shortened(usual, floor.hotfix) if floor.hotfix else NOBODY_APPROVES
            case Urgency.USUAL:
                pass
        if not pivots or floor.pivots is None:
            return usual
        stricter = usual.but(quorum=max(usual.quorum, floor.pivots.quorum))
        if not floor.pivots.groups:
            return stricter
        people = self.members(floor.pivots.groups)
        return stricter.but(groups=floor.pivots.groups, approvers=people, escalate=())

    def _usual_approval(self, subject: Subject, risk: Risk | None) -> ApprovalTerms:
        place = self.place(subject)
        written = (self.environments[subject.environment].approval, place.approval if place else None)
        floor, asked = (one.at(risk) if one else None for one in written)
        given = [approval for approval in (floor, asked) if approval]
        if not given:
            return ApprovalTerms()
        groups = next((approval.groups for approval in reversed(given) if approval.groups), ())
        usual = ApprovalTerms()
        return ApprovalTerms(
            quorum=max((one.quorum for one in given if one.quorum is not None), default=1),
            groups=groups,
            approvers=self._allowed(self.members(groups), floor),
            wait=min((one.wait for one in given if one.wait is not None), default=usual.wait),
            valid=min((one.valid for one in given if one.valid is not None), default=usual.valid),
            signed=any(one.signed for one in given),
            also=tuple(self._further(one) for approval in given for one in approval.also or ()),
            separate=separate(floor, asked),
            escalate=self._escalations(floor, asked),
        )

    def _escalations(
        self, floor: Approval | None, asked: Approval | None = None
    ) -> tuple[EscalationTerms, ...]:
        """Return who is asked after a while, soonest first. Of a service's people only whom the floor lets approve."""
        found = [self._escalation(one) for one in (floor.escalate if floor else None) or ()]
        for one in (asked.escalate if asked else None) or ():
            terms = self._escalation(one)
            found.append(terms.but(approvers=self._allowed(terms.approvers, floor)))
        return tuple(sorted(found, key=lambda one: one.after))

    def _escalation(self, one: Escalation) -> EscalationTerms:
        return EscalationTerms(after=one.after, groups=one.groups, approvers=self.members(one.groups))

    def _shortened(self, usual: ApprovalTerms, hotfix: Hotfix) -> ApprovalTerms:
        return usual.but(
            quorum=min(usual.quorum, 1) if hotfix.quorum is None else hotfix.quorum,
            groups=hotfix.groups or usual.groups,
            approvers=self.members(hotfix.groups) if hotfix.groups else usual.approvers,
            wait=usual.wait if hotfix.wait is None else hotfix.wait,
            valid=usual.valid if hotfix.valid is None else hotfix.valid,
            also=tuple(self._further(one) for one in hotfix.also or ()),
            escalate=tuple(sorted(map(self._escalation, hotfix.escalate or ()), key=lambda one: one.after)),
        )

    def soak(self, subject: Subject, urgency: Urgency = Urgency.USUAL) -> timedelta:
        """Return how long a release must stay healthy there: the service's word or the environment's, the longer."""
        place, floor = self.place(subject), self.environments[subject.environment]
        if urgency is Urgency.HOTFIX and floor.hotfix and floor.hotfix.soak is not None:
            return floor.hotfix.soak
        return max((place.soak if place else None) or timedelta(), floor.soak)

    def _further(self, one: FurtherQuorum) -> QuorumTerms:
        return QuorumTerms(quorum=one.quorum, groups=one.groups, approvers=self.members(one.groups))

    def lane(self, subject: Subject) -> LaneTerms:
        """Return how a promotion waits: the service's word, tightened to the environment's."""
        place, floor = self.place(subject), self.environments[subject.environment]
        asked = (place.lane if place else None) or LanePolicy.QUEUE
        yields = place.yields if place and place.yields is not None else floor.yields
        return LaneTerms(
            policy=max(asked, floor.lane, key=LANE_POLICIES.index),
            yields=bool(yields) and may_yield(floor),
        )

    def outlived(self, subject: Subject) -> Schedule:
        """Return the windows of which a grant outlives the next: none where somebody wrote how long it is valid."""
        place, floor = self.place(subject), self.environments.get(subject.environment)
        written = [one.approval for one in (place, floor) if one and one.approval]
        if any(own.valid is not None for one in written for own in (one, *one.levels.values())):
            return Schedule()
        return self.schedule(subject).but(freezes=())

    def schedule(self, subject: Subject) -> Schedule:
        """Return what is planned there: one of each level's windows must be open, and each level's freezes hold."""
        levels = [one for one in (self.environments.get(subject.environment), self.place(subject)) if one]
        return Schedule(
            windows=tuple(one.windows for one in levels),
            freezes=tuple(freeze for one in levels for freeze in one.freezes),
        )

    def observes(self, subject: Subject) -> bool:
        """Tell whether nothing is deployed there: by the environment's word, or by the service's own."""
        place, floor = self.place(subject), self.environments.get(subject.environment)
        return any(one.observe_only for one in (place, floor) if one)

    def rehearses(self, subject: Subject) -> bool:
        """Tell whether undos are rehearsed there: by the environment's word, or by the service's own."""
        place, floor = self.place(subject), self.environments.get(subject.environment)
        return any(one.rehearse for one in (place, floor) if one)

    def remind(self, subject: Subject) -> timedelta:
        """Return after how long a wait for approval is reminded of first: the service's word, else the floor's."""
        place, floor = self.place(subject), self.environments.get(subject.environment)
        given = [one.approval for one in (place, floor) if one and one.approval]
        return next((one.remind for one in given if one.remind is not None), REMIND)

    def channels(self, notice: Notice) -> tuple[str, ...]:
        """Return the channels that a notice goes to: all there are, where somebody broke the glass."""
        if notice.event is Event.GLASS_BROKEN:
            return tuple(self.organisation.channels)
        routes = self.organisation.notify
        return channels_for(routes, notice.event, notice.service, notice.environment)

    def wants(self, subject: Subject, *events: Event) -> bool:
        """Tell whether anybody is to hear of such an event there."""
        routes = self.organisation.notify
        return any(channels_for(routes, event, subject.service, subject.environment) for event in events)

    def unheard(self) -> tuple[Subject, ...]:
        """Return where people are asked to approve, and no channel tells them."""
        roads = [
            Subject(service=name, environment=environment)
            for name, service in self.services.items()
            for environment in service.environments
            if environment in self.environments
        ]
        return tuple(
            one for one in roads if self._asks_people(one) and not self.wants(one, Event.APPROVAL_WANTED)
        )

    def _asks_people(self, subject: Subject) -> bool:
        levels = list(Risk) if self.weighs_risk(subject) else [None]
        return any(self.approval(subject, risk).quorums for risk in levels)

    def _allowed(self, people: tuple[str, ...], floor: Approval | None) -> tuple[str, ...]:
        """Leave out whoever the floor would not let approve, where it says who may."""
        if floor is None or not floor.groups:
            return people
        allowed = {person(name) for name in self.members(floor.groups)}
        return tuple(name for name in people if person(name) in allowed)

    def _targets(self, subject: Subject, place: ServiceEnvironment) -> dict[str, TargetTerms]:
        """Return every berth of a place in the order of its turn: components as declared, then wave by wave."""
        fleets = place.fleets_in_full
        return {
            berth: place.targets[berth]
            for component in dict.fromkeys(
                [*self.services[subject.service].components, *map(component_of, place.targets)]
            )
            for berth in sorted(
                place.berths(component),
                key=lambda one: fleets.get(component_of(one), Fleet()).wave(at_of(one)),
            )
        }

    def terms(self, subject: Subject, budget: timedelta, nonce: str) -> Terms:
        """Return the slice of configuration by which this subject is changed now."""
        place = self.place(subject) or ServiceEnvironment()
        floor = self.environments[subject.environment]
        slice_ = self.but(
            services={subject.service: self.services[subject.service]},
            # Nor does where its workflows live.
            environments={subject.environment: floor.but(temporal=None)},
            # Whom it is told to changes nothing about a change.
            organisation=self.organisation.but(channels={}, notify=()),
            # Nor does who may sign: that is judged at the effect.
            signers=None,
        )
        return Terms(
            targets=self._targets(subject, place),
            fleets=place.fleets_in_full,
            health=place.health,
            soak=self.soak(subject),
            rehearse=self.rehearses(subject),
            approval=self.approval(subject),
            lane=self.lane(subject),
            hold_limit=floor.hold_limit,
            on_freeze=floor.on_freeze,
            observe_only=self.observes(subject),
            guarded=self.is_guarded(subject.environment, subject.service),
            budget=budget,
            configuration=slice_.digest(),
            nonce=nonce,
        )
