"""What the verbs act through: the adapters of one environment's worker, chosen by the wiring."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from activities.ports import Check, Clock, PlacedTarget, Seals, Settings, Signers, Store
from domain.names import Subject
from domain.terms import CheckTerms, TargetTerms


class Tools(NamedTuple):
    """One environment's adapters. ``target`` and ``check`` make one from its terms."""

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
