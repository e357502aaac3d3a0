"""``freeze``, ``thaw``."""

from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import ask, me
from clients.cli.grammar import By, Comment, EnvironmentName
from clients.cli.reading import environments_of
from clients.cli.terminal import say, say_aside, say_commands
from clients.trouble import DeclinedError, NobodyPollsError, UsageError
from domain.outcome import Exit
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath

Why = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody who is stopped by it.")
]
Lasts = Annotated[
    str,
    typer.Option("--for", metavar="TIME", help="How long, as in 90s, 2h or 1d; without it, until thawed."),
]


def freeze(environment: EnvironmentName, reason: Why, lasts: Lasts = "", by: By = "") -> None:
    """Let no forward step begin in an environment. Undos and rollbacks go on."""
    actor = me(by)

    async def work(towpath: "Towpath") -> Exit:
        place = towpath.environment(environment)
        await _need_known(towpath, environment)
        await place.freeze(reason, by=actor, lasts=lasts or None)
        frozen = (await place.status()).freeze
        if frozen is None or frozen.by.name != actor.strip():
            raise DeclinedError(
                f"The freeze of {environment} was sent, and does not hold. See: {_see(environment)}"
            )
        say(f"{environment} is {frozen}.", "yellow")
        say_commands([f"towpath thaw {environment}"])
        return Exit.DONE

    ask(work, actor)


def thaw(environment: EnvironmentName, comment: Comment = "", by: By = "") -> None:
    """Let forward steps begin again."""
    actor = me(by)

    async def work(towpath: "Towpath") -> Exit:
        place = towpath.environment(environment)
        if (await place.status()).freeze is None:
            raise DeclinedError(f"{environment} is not frozen.")
        await place.thaw(by=actor, comment=comment)
        if (await place.status()).freeze:
            raise DeclinedError(f"{environment} is frozen still. See: {_see(environment)}")
        say(f"{environment} is open.", "green")
        return Exit.DONE

    ask(work, actor)


async def _need_known(towpath: "Towpath", environment: str) -> None:
    """A freeze of a misspelt name would stop nobody, and look as if it did."""
    from clients.speaking import need_environment

    try:
        await need_environment(towpath.client, environment)
    except NobodyPollsError as nobody:
        here = surroundings()
        known = environments_of(here)
        if known and environment not in known:
            raise UsageError(
                f"There is no environment “{environment}” in {here.folder}, and no worker serves one. "
                f"There is: {', '.join(known)}."
            ) from nobody
        say_aside(f"No worker serves {environment} now. See that this is how it is written.")


def _see(environment: str) -> str:
    return f"towpath status environment/{environment}"
