"""The configuration as a whole, and the slice of it that one change is done by: floor and service as one."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from domain.actor import person
from domain.approvers import approval_by, usual_approval, with_the_role
from domain.berth import at_of, component_of
from domain.configuration_files import (
    LANE_POLICIES,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
    environment_file,
    may_yield,
    service_file,
)
from domain.fault import Spot
from domain.names import Identifier, Subject
from domain.notice import Event, Notice, channels_for
from domain.risk import Risk
from domain.roles import Level
from domain.rule import RuleTerms
from domain.space import Space
from domain.terms import (
    ApprovalTerms,
    Fleet,
    LanePolicy,
    LaneTerms,
    TargetTerms,
    Terms,
)
from domain.urgency import Urgency
from domain.value import Value
from domain.windows import Schedule

REMIND: Final = timedelta(hours=4)


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

    def signed_on_the_way(self, service: str, through: Iterable[str]) -> tuple[str, ...]:
        """Return where requests are signed, of these environments and of what lies before them."""
        road = list(dict.fromkeys(through))
        for name in road:
            place = self.place(Subject(service=service, environment=name))
            road += [before for before in (place.after if place else ()) if before not in road]
        return tuple(name for name in road if self.is_signed(name, service))

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
        floor, place = self.environments[subject.environment], self.place(subject)
        usual = usual_approval(floor.approval, place.approval if place else None, self.members, risk)
        terms = approval_by(usual, floor, self.members, pivots=pivots, urgency=urgency)
        return with_the_role(terms, self.levels(subject.environment, subject.service), self.members)

    def soak(self, subject: Subject, urgency: Urgency = Urgency.USUAL) -> timedelta:
        """Return how long a release must stay healthy there: the service's word or the environment's, the longer."""
        place, floor = self.place(subject), self.environments[subject.environment]
        if urgency is Urgency.HOTFIX and floor.hotfix and floor.hotfix.soak is not None:
            return floor.hotfix.soak
        return max((place.soak if place else None) or timedelta(), floor.soak)

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
