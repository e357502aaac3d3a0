"""Running a command against the server.

Temporal's library is imported here, when it is needed and not before.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from clients.cli.identity import who_am_i
from clients.cli.reading import environments_of, find_configuration, spaces_of
from clients.cli.terminal import say_aside
from clients.trouble import NobodyPollsError, UsageError
from domain.names import is_identifier
from domain.outcome import Exit
from domain.spelling import end_with_suggestion
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.signing import Signer
    from domain.configuration import Configuration


def ask(work: Callable[["Towpath"], Awaitable[Exit | None]], by: str | None = None) -> NoReturn:
    """Connect, do the work, and end with what it returns."""
    code = asyncio.run(_asked(work, by))
    raise typer.Exit(int(code or Exit.DONE))


async def _asked(work: Callable[["Towpath"], Awaitable[Exit | None]], by: str | None) -> Exit | None:
    from temporalio.service import RPCError

    from clients.connection import explain

    place = surroundings()
    if by is not None:
        _mind_the_folder(place)
    towpath = await connected(place, by)
    try:
        return await _told(towpath, work)
    except NobodyPollsError as nobody:
        known = environments_of(place)
        if nobody.environment and known and nobody.environment not in known:
            meant = end_with_suggestion(nobody.environment, known)
            hint = f"{place.folder} has no environment “{nobody.environment}”: {meant}"
            raise NobodyPollsError(f"{nobody}\n{hint}", nobody.environment) from nobody
        raise
    except RPCError as error:
        raise await explain(towpath.client, error) from error


def _mind_the_folder(place: Surroundings) -> None:
    """Say where something is asked for that this folder says nothing of: it may be the wrong terminal."""
    from clients.connection import find_way
    from domain.configuration_files import ORGANISATION_FILE

    if not place.folder.is_dir():
        raise UsageError(f"There is no folder {place.folder}, which TOWPATH_CONFIG names.")
    way = find_way(place.state)[1]
    if way.is_guessed and not (place.folder / ORGANISATION_FILE).exists():
        say_aside(f"{place.folder} has no {ORGANISATION_FILE}: this goes to {way.address}, {way.source}.")


async def connected(place: Surroundings, by: str | None = None) -> "Towpath":
    """Connect to wherever the folder's environments live. Raises ``ClientError``.

    The SDK then writes nothing of its own beside what a command says: each of its failures is told in a sentence.
    """
    from temporalio.runtime import Runtime, TelemetryConfig

    from clients.client import Towpath
    from clients.connection import find_way

    with suppress(RuntimeError):  # it has one: it keeps that
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
    if find_way(place.state)[1].is_left:
        say_aside(
            "The `towpath up` of this folder has died, and its workers with it: what is asked for waits until it is "
            "started again: towpath up"
        )
    return await Towpath.connect(place.state, identity=by, lives=spaces_of(place))


def need_known_service(service: str) -> None:
    """Raise ``UsageError`` where this folder knows services, and not this one."""
    here = surroundings()
    known = find_configuration(here, service)
    if known and known.services and service not in known.services:
        raise _unknown(service, known, here)


def _unknown(service: str, known: "Configuration", here: Surroundings) -> UsageError:
    meant = end_with_suggestion(service, known.services)
    return UsageError(f"There is no service “{service}” in {here.folder}: {meant}")


async def need_service(towpath: "Towpath", service: str, environment: str) -> None:
    """Raise ``UsageError`` where this folder knows others, and no lane knows this one either: it is a slip."""
    here = surroundings()
    known = find_configuration(here, service, environment)
    if not known or not known.services or not is_identifier(service) or not is_identifier(environment):
        return
    file = known.services.get(service)
    if file and environment in file.environments:
        return
    if await towpath.lane(service, environment).find():
        return
    if file is None:
        raise _unknown(service, known, here)
    road = end_with_suggestion(environment, file.environments)
    raise UsageError(f"{service} does not go to “{environment}”, by {here.folder}: {road}")


@asynccontextmanager
async def meaning(towpath: "Towpath", workflow_id: str) -> AsyncGenerator[None]:
    """Say of what nobody has begun which name in it is a slip, where one is."""
    try:
        yield
    except UsageError:
        kind, *names = workflow_id.split("/")
        if kind in {"lane", "promotion"}:
            await need_service(towpath, *names[:2])
        raise


async def _told(towpath: "Towpath", work: Callable[["Towpath"], Awaitable[Exit | None]]) -> Exit | None:
    """Do the work, and say afterwards which namespaces it could not look into."""
    from clients.connection import explain

    try:
        return await work(towpath)
    finally:
        for environment, why in towpath.spaces.lists_lack:
            say_aside(f"Nothing of {environment} is shown. {why}")
        for unseen in towpath.spaces.unseen.values():
            say_aside(f"Not all is shown. {await explain(*unseen)}")


def signer(said: str) -> "Signer | None":
    """Return who signs with the key that was named here or in the surroundings, or None where none was."""
    key = said or surroundings().signing_key
    if not key:
        return None
    from clients.signing import Signer

    return Signer(Path(key))


def me(said: str) -> str:
    """Return who acts."""
    return who_am_i(said, surroundings().by)
