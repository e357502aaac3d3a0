"""What the verbs act through: the adapters of one environment's worker, chosen by the wiring."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from activities.ports import Check, Clock, PlacedTarget, Rule, Seals, Settings, Signers, Store
from domain.configuration import Configuration
from domain.names import Subject
from domain.rule import RuleTerms
from domain.terms import CheckTerms, TargetTerms


def _no_rule(terms: RuleTerms) -> Rule:
    raise KeyError(terms.rule)


class Tools(NamedTuple):
    """One environment's adapters. ``target`` makes one from its terms, for a berth; ``check`` and ``rule`` likewise."""

    environment: str
    settings: Settings
    store: Store
    seals: Seals
    signers: Signers
    clock: Clock
    target: Callable[[TargetTerms, Subject, str], PlacedTarget]
    check: Callable[[CheckTerms], Check]
    cache: Path
    """Where artifacts are kept once their digest has been verified."""
    rule: Callable[[RuleTerms], Rule] = _no_rule
    """Makes a rule from its terms. Raises ``KeyError`` where there is no such kind here."""

    def configuration(self, service: str = "") -> Configuration:
        """Read what concerns this environment, and a service there or none."""
        return self.settings.about(service, self.environment)
