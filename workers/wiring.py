"""The composition root: the only place where activities meet the adapters they act through."""

from collections.abc import Callable
from pathlib import Path

from activities.checks import CHECKS
from activities.clock import SystemClock
from activities.configuration_folder import ConfigurationFolder
from activities.keyring import Keyring
from activities.notifiers import NOTIFIERS
from activities.notifiers.courier import AppriseCourier
from activities.notifiers.routed import RoutedNotifier
from activities.ports import Check, Clock, ConfiguredTarget, Courier, Desk, Notifier, Place, Rule, Store
from activities.rules import RULES
from activities.signers import OpenSshSigners
from activities.stores import open_store
from activities.targets import TARGETS
from activities.tools import Tools
from domain.berth import at_of, component_of
from domain.names import Subject
from domain.rule import RuleTerms
from domain.terms import CheckTerms, TargetTerms
from workers.settings import Surroundings, variables_here


def settings_of(place: Surroundings) -> ConfigurationFolder:
    """Return the configuration folder, read anew whenever a file in it has changed."""
    return ConfigurationFolder(place.folder, TARGETS, CHECKS, RULES)


def store_of(place: Surroundings) -> Store:
    """Open the release store that the configuration names."""
    return open_store(settings_of(place).shared().organisation.store, place.folder)


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


def courier_of(place: Surroundings) -> Courier:
    """Return who carries notices to the channels that the configuration names."""
    return AppriseCourier(settings_of(place), place.folder, variables_here())


def notifier_of(place: Surroundings) -> Notifier:
    """Return who is called with every alarm: what is registered, and whom the configuration's routes name."""
    return RoutedNotifier([make() for make in NOTIFIERS.values()], courier_of(place), settings_of(place))


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
