"""What looks like a secret: by its variable's name, or as the password in an address."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import JsonValue

from domain.configuration import Configuration
from domain.configuration_files import environment_file, service_file
from domain.fault import Fault, Spot
from domain.rule import RuleTerms
from domain.terms import CheckTerms
from domain.written import line_of

_LOOKS_SECRET: Final = re.compile(
    r"SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(^|_)(API|ACCESS|PRIVATE|SIGNING)_?KEY|(^|_)(KEY|PWD|PASS|AUTH|DSN)$",
    re.IGNORECASE,
)
_IN_ADDRESS: Final = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")


def passwords_in(value: str) -> tuple[str, ...]:
    """Return the passwords in whatever addresses a value holds."""
    return tuple(_IN_ADDRESS.findall(value))


def is_called_secret(name: str, value: str) -> bool:
    """Tell whether a variable is called as secrets are. A path is none: what is kept there may be."""
    return bool(_LOOKS_SECRET.search(name)) and not value.startswith(("/", "~")) and name.upper() != "PWD"


def secret_faults(configuration: Configuration) -> Iterator[Fault]:
    """Warn of secrets that stand in the configuration, under ``env`` of a program."""
    for spot, written in _variables(configuration):
        for name, value in written.items():
            if isinstance(value, str) and (passwords_in(value) or (value and is_called_secret(name, value))):
                yield Fault(
                    spot.below(name),
                    f"{name} looks like a secret, and what is written here is kept in histories",
                    "set it on the environment's worker instead: programs get the worker's variables",
                    is_warning=True,
                )


def _variables(configuration: Configuration) -> Iterator[tuple[Spot, Mapping[str, JsonValue]]]:
    for name, floor in configuration.environments.items():
        yield from _of_list(Spot(environment_file(name), ("rules",)), floor.rules)
    for name, service in configuration.services.items():
        for environment, place in service.environments.items():
            spot = Spot(service_file(name), ("environments", environment))
            for berth, target in place.targets.items():
                yield from _of(spot.below(*line_of(berth)), target.settings)
            yield from _of_list(spot.below("health"), place.health)
            yield from _of_list(spot.below("rules"), place.rules)


def _of_list(
    spot: Spot, written: Sequence[CheckTerms | RuleTerms]
) -> Iterator[tuple[Spot, Mapping[str, JsonValue]]]:
    for index, one in enumerate(written):
        yield from _of(spot.below(index), one.settings)


def _of(spot: Spot, settings: Mapping[str, JsonValue]) -> Iterator[tuple[Spot, Mapping[str, JsonValue]]]:
    if isinstance(variables := settings.get("env"), dict):
        yield spot.below("env"), variables
