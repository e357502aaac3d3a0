"""``config show``: what holds, and where it was written."""

from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import JsonValue, TypeAdapter

from clients.cli.doctoring import config
from clients.cli.grammar import AsJson, EnvironmentName, Service
from clients.cli.reading import read_about
from clients.cli.terminal import plain, say_json, say_table
from clients.trouble import UsageError
from domain.configuration_files import service_file
from domain.names import Subject
from domain.rule import cut
from domain.spelling import end_with_suggestion
from domain.value import Value, say_duration
from workers.settings import Surroundings, surroundings

__all__ = ["config", "show"]

WIDEST: Final = 120
"""Characters of what holds several values; JSON has all."""


class Shown(Value):
    """One value. ``file`` is empty where it is the default."""

    key: str
    value: JsonValue
    file: str
    line: int


class Effective(Value):
    """What ``config show --json`` prints."""

    schema_version: Literal[1] = 1
    service: str
    environment: str
    values: tuple[Shown, ...]


@config.command()
def show(service: Service, environment: EnvironmentName, as_json: AsJson = False) -> None:
    """Show what holds for a service in an environment, and where each value was written."""
    found = _effective(surroundings(), service, environment)
    if as_json:
        say_json(found)
        return
    rows = [(one.key, _say(one.value), _where(one)) for one in found.values]
    say_table([("key", "value", "written in"), *rows])


def _effective(place: Surroundings, service: str, environment: str) -> Effective:
    from activities.checks import CHECKS
    from activities.configuration_showing import effective
    from activities.targets import TARGETS

    configuration = read_about(place, service, environment)
    if service not in configuration.services:
        raise UsageError(
            f"There is no service “{plain(service)}” in {place.folder}: "
            f"{end_with_suggestion(service, configuration.services)}"
        )
    road = configuration.services[service].environments
    if environment not in road:
        raise UsageError(
            f"{service} does not go to “{plain(environment)}”: {end_with_suggestion(environment, road)} Its road is in "
            f"{service_file(service)}."
        )
    targets = {name: kind.settings for name, kind in TARGETS.items()}
    checks = {name: kind.settings for name, kind in CHECKS.items()}
    subject = Subject(service=service, environment=environment)
    lines = Lines(place)
    values = tuple(
        Shown(
            key=held.key,
            value=_plain(held.value),
            file=held.spot.file if held.spot else "",
            line=lines.of(held.spot.file, held.spot.keys) if held.spot else 0,
        )
        for held in effective(configuration, subject, targets, checks)
    )
    return Effective(service=service, environment=environment, values=values)


class Lines:
    """Finds the lines of keys; each file is read once."""

    def __init__(self, place: Surroundings) -> None:
        self._folder = place.folder
        self._pages: dict[str, Any] = {}

    def of(self, file: str, keys: tuple[str | int, ...]) -> int:
        from activities.yaml_lines import read_yaml

        if file not in self._pages:
            self._pages[file] = read_yaml((self._folder / file).read_text(encoding="utf-8")).root
        line: int = self._pages[file].line_of(keys)
        return line


def _plain(value: object) -> JsonValue:
    if isinstance(value, timedelta):
        return say_duration(value)
    written: JsonValue = TypeAdapter(object).dump_python(value, mode="json", by_alias=True)
    return written


def _say(value: JsonValue) -> str:
    if value in (None, "", [], {}):
        return "–"
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return cut(", ".join(f"{key}: {_say(one)}" for key, one in value.items()), WIDEST)
        case _:
            return str(value)


def _where(one: Shown) -> str:
    return f"{one.file}:{one.line}" if one.file else "default"
