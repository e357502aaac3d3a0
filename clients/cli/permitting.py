"""``can``: who may do what, and by which rule."""

from typing import Annotated, Literal

import typer

from clients.cli.configuring import Lines
from clients.cli.grammar import AsJson
from clients.cli.reading import read_about
from clients.cli.terminal import leave, plain, say, say_aside, say_json
from clients.trouble import UsageError
from domain.configuration import Configuration
from domain.emergency import Shortcut, may_take
from domain.names import Subject
from domain.outcome import Exit
from domain.permission import Permission, permission
from domain.roles import ASKS_FOR, OF_THE_ENVIRONMENT, Door, Role
from domain.spelling import end_with_suggestion
from domain.value import Value
from workers.settings import Surroundings, surroundings

Person = Annotated[str, typer.Argument(metavar="PERSON", show_default=False)]
Verb = Annotated[str, typer.Argument(metavar="VERB", show_default=False)]
Where = Annotated[list[str], typer.Argument(metavar="SERVICE ENVIRONMENT", show_default=False)]


class Verdict(Value):
    """What ``can --json`` prints. ``file`` is empty where nobody wrote a rule, and ``line`` 0."""

    schema_version: Literal[1] = 1
    person: str
    verb: Door | Shortcut
    role: Role | None = None
    """The role that it takes; None where the environment's file names who may."""
    service: str
    environment: str
    allowed: bool
    why: str
    file: str = ""
    line: int = 0
    signed: bool
    """Whether it counts only with that person's own signature."""


def can(person: Person, verb: Verb, where: Where, as_json: AsJson = False) -> None:
    """Say whether a person may do something, and by which rule. A freeze needs no SERVICE.

    It is told by this folder. What counts is what stands where the environment's own worker reads it.
    """
    found = _judge(surroundings(), person, verb, where)
    if as_json:
        say_json(found)
    else:
        say(f"{found.why}{_say_where(found)}.", "green" if found.allowed else "red")
    if found.allowed and found.signed and not as_json:
        say_aside("It counts only with their own signature: --key FILE.")
    leave(Exit.DONE if found.allowed else Exit.REFUSED)


def _judge(place: Surroundings, person: str, verb: str, where: list[str]) -> Verdict:
    configuration = read_about(place, where[0] if len(where) == 2 else "", where[-1] if where else "")
    door = _door(verb)
    service, environment = _place(configuration, place, where)
    if service is None and door not in OF_THE_ENVIRONMENT:
        raise UsageError(f"{door} is about one service: towpath can PERSON {door} SERVICE ENVIRONMENT.")
    found = _permission(configuration, person, door, environment, service)
    file, keys = found.spot or ("", ())
    return Verdict(
        person=person,
        verb=door,
        role=None if isinstance(door, Shortcut) else ASKS_FOR[door],
        service=service or "",
        environment=environment,
        allowed=found.allowed,
        why=found.why,
        file=file,
        line=Lines(place).of(file, keys) if file else 0,
        signed=configuration.is_signed(environment, service),
    )


def _permission(
    configuration: Configuration, person: str, door: Door | Shortcut, environment: str, service: str | None
) -> Permission:
    if isinstance(door, Shortcut):
        subject = Subject(service=service or "", environment=environment)
        return may_take(configuration, person, door, subject)
    return permission(configuration, person, door, environment, service)


def _door(verb: str) -> Door | Shortcut:
    for words in (Door, Shortcut):
        if verb in set(words):
            return words(verb)
    raise UsageError(
        f"“{plain(verb)}” is nothing that is asked for here: {end_with_suggestion(verb, [*Door, *Shortcut])}"
    )


def _place(configuration: Configuration, place: Surroundings, where: list[str]) -> tuple[str | None, str]:
    if len(where) not in {1, 2}:
        raise UsageError("Write SERVICE ENVIRONMENT, or ENVIRONMENT alone for what is about all of it.")
    service, environment = (where[0] if len(where) == 2 else None), where[-1]
    for name, what, known in (
        (environment, "environment", configuration.environments),
        (service, "service", configuration.services),
    ):
        if name is not None and name not in known:
            raise UsageError(
                f"There is no {what} “{plain(name)}” in {place.folder}: {end_with_suggestion(name, known)}"
            )
    return service, environment


def _say_where(found: Verdict) -> str:
    return f" ({found.file}:{found.line})" if found.file else ""
