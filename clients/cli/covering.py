"""``doctor --coverage``: whether every environment has what one stands on when a change goes wrong."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from clients.cli.asking import connected
from clients.cli.reading import open_archive, read_configuration
from clients.cli.terminal import leave, say, say_aside, say_json, say_table
from clients.trouble import ClientError
from domain.configuration_files import service_file
from domain.coverage import (
    THINGS,
    Coverage,
    Covered,
    Stands,
    Taker,
    cover_alarm,
    cover_health,
    cover_rollback,
    cover_undo,
    cover_worker,
    worst,
)
from domain.names import Subject
from domain.notice import Event
from domain.outcome import Exit
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from activities.archive import Archive
    from domain.configuration import Configuration
    from domain.journal import Receipt

REMEMBERED: Final = 200
"""How many receipts of each place are looked through, newest first."""
AT_ONCE: Final = 4
NAMED: Final = 5
MARKS: Final = {
    Stands.MISSING: ("✗", "bold red"),
    Stands.DOUBTFUL: ("–", "yellow"),
    Stands.UNKNOWN: ("?", "yellow"),
}


def cover(*, as_json: bool) -> None:
    """Print it, and end with the worst."""
    found = asyncio.run(_look(surroundings()))
    for sentence in found.unread:
        say_aside(f"Not looked at: {sentence}")
    if as_json:
        say_json(found)
    else:
        _show(found)
    leave(found.exit)


async def _look(place: Surroundings) -> Coverage:
    from activities.clock import SystemClock

    configuration = read_configuration(place)
    _, archive = open_archive(place)
    unread: list[str] = []
    workers = await _count_workers(place, sorted(configuration.environments), unread)
    turns, now = asyncio.Semaphore(AT_ONCE), SystemClock().now()

    async def judge(subject: Subject) -> Covered:
        async with turns:
            receipts = await _receipts(archive, subject, unread)
        file, on_road = service_file(subject.service), configuration.place(subject)
        return Covered(
            service=subject.service,
            environment=subject.environment,
            health=cover_health(len(on_road.health) if on_road else 0, receipts, file),
            alarm=cover_alarm(routed=configuration.wants(subject, Event.UNSETTLED)),
            undo=cover_undo(_takers(place, configuration, subject), file),
            worker=cover_worker(workers.get(subject.environment), subject.environment),
            rollback=cover_rollback(receipts, subject, now),
        )

    places = await asyncio.gather(*map(judge, _road(configuration)))
    return Coverage(places=tuple(places), unread=tuple(dict.fromkeys(unread)), exit=worst(places))


def _road(configuration: "Configuration") -> Iterator[Subject]:
    for name, service in sorted(configuration.services.items()):
        for environment in service.environments:
            yield Subject(service=name, environment=environment)


def _takers(place: Surroundings, configuration: "Configuration", subject: Subject) -> list[Taker]:
    from activities.ports import Place
    from activities.targets import TARGETS

    on_road = configuration.place(subject)
    made = {
        name: TARGETS[terms.target](terms.settings, Place(place.folder, subject, name))
        for name, terms in (on_road.targets if on_road else {}).items()
    }
    return [Taker(name, target.undo, target.fenced) for name, target in made.items()]


async def _receipts(archive: "Archive", subject: Subject, unread: list[str]) -> "Sequence[Receipt]":
    from pydantic import ValidationError

    from activities.ports import SealError, StoreError

    try:
        return await archive.newest_receipts(subject, REMEMBERED)
    except (SealError, StoreError) as error:
        unread.append(str(error))
    except ValidationError:
        unread.append(f"A receipt of {subject} cannot be read: it is damaged, or of a newer Towpath.")
    return ()


async def _count_workers(place: Surroundings, names: list[str], unread: list[str]) -> Mapping[str, int]:
    """Return how many workers each environment has; nothing where no server can be asked."""
    from temporalio.service import RPCError

    from clients.connection import explain
    from clients.inventory import ask_each, count_workers

    try:
        spaces = (await connected(place)).spaces
    except ClientError as error:
        unread.append(str(error))
        return {}
    try:
        counts = await ask_each(names, lambda name: count_workers(spaces, name))
    except RPCError as error:
        unread.append(str(await explain(spaces.home, error)))
        return {}
    return dict(zip(names, counts, strict=True))


def _show(found: Coverage) -> None:
    if not found.places:
        say("There is no service yet, and so nothing to cover. Add one: towpath service new")
        return
    rows = [
        (one.service, one.environment, *(cover.said for cover in one.covers.values())) for one in found.places
    ]
    say_table([("SERVICE", "ENVIRONMENT", *map(str.upper, THINGS)), *rows])
    for line, style in _gaps(found):
        say(line, style)
    if found.exit is Exit.DONE:
        say("Nothing is missing.", "bold green")


def _gaps(found: Coverage) -> Iterator[tuple[str, str]]:
    """Say each gap once, the missing ones first, with where it is and what closes it."""
    where: dict[tuple[Stands, str, str], list[str]] = {}
    for place in found.places:
        for thing, one in place.covers.items():
            if one.stands is not Stands.GOOD:
                kind = (one.stands, f"{thing} {one.said}", one.remedy)
                where.setdefault(kind, []).append(str(place.subject))
    for stands in MARKS:
        for (stood, what, remedy), places in where.items():
            if stood is stands:
                mark, style = MARKS[stands]
                rest = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
                yield f"{mark} {what}: {', '.join(places[:NAMED])}{rest}; {remedy}", style
