"""Running a command against the server.

Temporal's library is imported here, when it is needed and not before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from clients.cli.identity import who_am_i
from domain.outcome import Exit
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

    towpath = await Towpath.connect(surroundings().state, identity=by)
    try:
        return await work(towpath)
    except RPCError as error:
        raise await explain(towpath.client, error) from error


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
