"""Which commands move something on, as far as anybody knows."""

from collections.abc import Iterable, Iterator

from clients.cli.reading import find_configuration
from clients.cli.terminal import say, say_commands
from clients.connection import DEFAULT_ADDRESS, embedded_address
from clients.overview import Overview
from domain.environment import Unknown
from domain.hints import approve_commands, keyed, openings
from domain.names import Subject
from domain.outcome import Phase
from workers.settings import surroundings


def remedies(seen: Overview) -> Iterator[str]:
    """The commands that would move it on, as far as anybody knows."""
    yield from _promotion_remedies(seen)
    if seen.pipeline and seen.is_open:
        yield from seen.pipeline.remedy.splitlines()
    for stop in seen.stops.values():
        yield from remedies(stop)
    if seen.change:
        yield from seen.change.remedy.splitlines()
    if (environment := seen.environment) and seen.is_open:
        yield from openings(environment.environment, environment.freeze, environment.pins)
    lane = seen.lane
    if lane and lane.phase is Phase.IDLE and any(isinstance(one, Unknown) for one in lane.held.values()):
        subject = lane.subject
        command = f"towpath adopt {subject.service} {subject.environment}"
        yield keyed(command, signed=_is_signed(subject))


def _is_signed(subject: Subject) -> bool:
    """Tell whether what people say there is signed, as far as this folder knows."""
    known = find_configuration(surroundings(), subject.service, subject.environment)
    return known is not None and known.is_signed(subject.environment, subject.service)


def _promotion_remedies(seen: Overview) -> Iterator[str]:
    status = seen.promotion
    if status and seen.is_open:
        if status.phase is Phase.WAITING_FOR_APPROVAL and status.proposal:
            yield from approve_commands(seen.id, status.proposal, seen.namespace).splitlines()
        elif status.phase is not Phase.IN_LANE:
            yield from status.remedy.splitlines()
        if status.phase is Phase.NO_WORKER:
            subject = status.subject
            yield f"towpath cancel {subject.service} {status.version} {subject.environment}"


def say_next(commands: Iterable[str]) -> None:
    wanted = [_reaching(command) for command in dict.fromkeys(commands)]
    if wanted:
        say("What moves it on:")
        say_commands(wanted)


def _reaching(command: str) -> str:
    """Have a ``temporal`` command go where we went: it knows nothing of this folder's own server."""
    if not command.startswith("temporal "):
        return command
    address = embedded_address(surroundings().state)
    if address in {"", DEFAULT_ADDRESS}:
        return command
    temporal, workflow, verb, rest = command.split(" ", 3)
    return f"{temporal} {workflow} {verb} --address {address} {rest}"
