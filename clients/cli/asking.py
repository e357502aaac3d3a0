"""Running a command against the server.

Temporal's library is imported here, when it is needed and not before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from clients.cli.identity import who_am_i
from clients.cli.reading import environments_of, spaces_of
from clients.cli.terminal import say_aside
from clients.trouble import NobodyPollsError
from domain.outcome import Exit
from domain.spelling import suggest
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.signing import Signer


def ask(work: Callable[["Towpath"], Awaitable[Exit | None]], by: str | None = None) -> NoReturn:
    """Connect, do the work, and end with what it returns."""
    code = asyncio.run(_asked(work, by))
    raise typer.Exit(int(code or Exit.DONE))


async def _asked(work: Callable[["Towpath"], Awaitable[Exit | None]], by: str | None) -> Exit | None:
    from temporalio.service import RPCError

    from clients.client import Towpath
    from clients.connection import explain

    place = surroundings()
    towpath = await Towpath.connect(place.state, identity=by, lives=spaces_of(place))
    try:
        return await _told(towpath, work)
    except NobodyPollsError as nobody:
        known = environments_of(place)
        if nobody.environment and known and nobody.environment not in known:
            hint = f"{place.folder} has no environment “{nobody.environment}”: {suggest(nobody.environment, known)}"
            raise NobodyPollsError(f"{nobody}\n{hint}", nobody.environment) from nobody
        raise
    except RPCError as error:
        raise await explain(towpath.client, error) from error


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
