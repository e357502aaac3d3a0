"""The composition root: the only place where activities meet the adapters they act through."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from temporalio.client import Client

from activities.archive import Archive
from activities.attempts import Attempts
from activities.checks import CHECKS
from activities.clock import SystemClock
from activities.configuration_folder import ConfigurationFolder
from activities.crossing import CrossingActivities
from activities.effects import EffectActivities
from activities.errands import ErrandActivities
from activities.keyring import Keyring
from activities.logbook import Logbook
from activities.notices import NoticeActivities
from activities.notifiers import NOTIFIERS
from activities.notifiers.courier import AppriseCourier
from activities.notifiers.routed import RoutedNotifier
from activities.ports import Check, Clock, ConfiguredTarget, Courier, Desk, Notifier, Place, Rule, Store
from activities.rules import RULES
from activities.signers import OpenSshSigners
from activities.spaces import Spaces
from activities.stores import open_store
from activities.targets import TARGETS
from activities.tools import Tools
from domain.berth import at_of, component_of
from domain.names import Subject
from domain.rule import RuleTerms
from domain.terms import CheckTerms, TargetTerms
from workers.alarming import EnginesNotifier
from workers.readiness import Question, questions
from workers.settings import Surroundings, variables_here
from workers.witnessing import ENGINE


class Wired(NamedTuple):
    """What a worker registers on one queue."""

    activities: list[Callable[..., Any]]


def settings_of(place: Surroundings) -> ConfigurationFolder:
    """Return the configuration folder, read anew whenever a file in it has changed."""
    return ConfigurationFolder(place.folder, TARGETS, CHECKS, RULES)


def store_of(place: Surroundings) -> Store:
    """Open the release store that the configuration names."""
    return open_store(settings_of(place).current().organisation.store, place.folder)


def tools(place: Surroundings, environment: str, clock: Clock | None = None) -> Tools:
    """Choose the adapters of one environment's worker."""
    settings = settings_of(place)
    keyring = Keyring(place.keys, settings)
    keyring.check(environment)
    return Tools(
        environment=environment,
        settings=settings,
        store=store_of(place),
        seals=keyring,
        signers=OpenSshSigners(place.folder),
        clock=clock or SystemClock(),
        target=_target_maker(place),
        check=_check_maker(place.folder),
        cache=place.cache,
        rule=_rule_maker(place.folder),
    )


def readiness(
    clients: Sequence[Client], place: Surroundings, environments: Sequence[str]
) -> Mapping[str, Question]:
    """Return what makes a worker of these environments ready."""
    settings = settings_of(place)
    return questions(clients, settings, Keyring(place.keys, settings), lambda: store_of(place), environments)


def effects(chosen: Tools) -> Wired:
    """Return an environment's verbs, for its own queue."""
    verbs = EffectActivities(chosen)
    return Wired(
        [
            verbs.draw_up,
            verbs.road,
            verbs.prove,
            verbs.keep,
            verbs.hear,
            verbs.hear_override,
            verbs.admit,
            verbs.review,
            verbs.perform,
            verbs.soak,
            verbs.look,
            verbs.conclude,
            verbs.recall,
        ]
    )


def courier_of(place: Surroundings) -> Courier:
    """Return who carries notices to the channels that the configuration names."""
    return AppriseCourier(settings_of(place), place.folder, variables_here())


def attempts_on(
    client: Client, place: Surroundings, environment: str, clock: Clock | None = None
) -> Attempts:
    """Return who notes what was tried in an environment, and has people told of it."""
    chosen = tools(place, environment, clock)
    logbook = Logbook(chosen, Archive(chosen.store, chosen.seals))
    notifier = EnginesNotifier(_notifier(place), client, chosen.settings)
    return Attempts(environment, notifier, chosen.clock, logbook.note)


def attempts_at_doors(place: Surroundings) -> Attempts:
    """Return who notes what is tried at the doors of workflows whose environments are served elsewhere."""
    return Attempts(ENGINE, _notifier(place), SystemClock())


def _notifier(place: Surroundings) -> Notifier:
    return RoutedNotifier([make() for make in NOTIFIERS.values()], courier_of(place), settings_of(place))


def errands(place: Surroundings, spaces: Spaces, *, abroad: bool) -> Wired:
    """Return the engine's errands, for the engine's queue; those that lead elsewhere are run at home alone."""
    courier = courier_of(place)
    verbs = ErrandActivities(_notifier(place), spaces)
    crossing = CrossingActivities(spaces)
    leading: list[Callable[..., Any]] = [
        crossing.ask_way,
        crossing.why_no_way,
        crossing.set_out,
        crossing.join,
    ]
    return Wired(
        [
            verbs.ask_lane,
            verbs.tell,
            verbs.hear_lane,
            verbs.hear_promotion,
            verbs.hear_yieldings,
            verbs.call_back,
            verbs.call_waiters,
            verbs.hear_of_thaw,
            verbs.tell_of_thaw,
            verbs.why_silent,
            verbs.call_person,
            NoticeActivities(courier).send_notice,
            *([] if abroad else leading),
        ]
    )


def _target_maker(place: Surroundings) -> Callable[[TargetTerms, Subject, str], ConfiguredTarget]:
    def make(terms: TargetTerms, subject: Subject, berth: str) -> ConfiguredTarget:
        at = Place(place.folder, subject, component_of(berth), at_of(berth), place.state)
        return TARGETS[terms.target](terms.settings, at)

    return make


def _check_maker(folder: Path) -> Callable[[CheckTerms], Check]:
    def make(terms: CheckTerms) -> Check:
        return CHECKS[terms.check](terms.settings, folder)

    return make


def _rule_maker(folder: Path) -> Callable[[RuleTerms], Rule]:
    def make(terms: RuleTerms) -> Rule:
        return RULES[terms.rule](terms.settings, Desk(folder, variables_here()))

    return make
