"""``freeze``, ``thaw``."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from clients.cli.asking import ask, me, signer
from clients.cli.grammar import By, Comment, Key, MaybeEnvironment
from clients.cli.reading import environments_of, find_configuration
from clients.cli.terminal import complain, say, say_aside, say_commands
from clients.trouble import ClientError, DeclinedError, NobodyPollsError, UsageError
from domain.hints import keyed
from domain.outcome import Exit
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.signing import Signer

Why = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody who is stopped by it.")
]
Lasts = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="TIME", help="How long, as in 90s, 2h or 1d; without it, until somebody ends it."
    ),
]


Everywhere = Annotated[bool, typer.Option("--all", help="In every environment that is known.")]


def freeze(
    reason: Why,
    environment: MaybeEnvironment = "",
    everywhere: Everywhere = False,
    lasts: Lasts = None,
    by: By = "",
    key: Key = "",
) -> None:
    """Let no forward step begin in an environment, or in all of them. Undos and rollbacks go on."""
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        _need_one(environment, everywhere=everywhere)
        if environment:
            await need_known(towpath, environment)
        names = [environment] if environment else await _known(towpath, frozen=False)
        code = await _each(names, lambda name: _freeze(towpath, name, _Word(actor, reason, lasts, signs)))
        say_commands([keyed(f"towpath thaw {environment or '--all'}", signed=signs is not None)])
        return code

    ask(work, actor)


class _Word(NamedTuple):
    """Who says it, what, for how long, and what they sign it with."""

    by: str
    text: str
    lasts: str | None
    signs: "Signer | None"


async def _freeze(towpath: "Towpath", environment: str, word: _Word) -> None:
    from clients.hearing import Ear

    place = towpath.environment(environment)
    ear = await Ear.at(towpath.spaces, place.id)
    before = None
    with suppress(NobodyPollsError):  # it is said all the same, and heard later
        before = (await place.status()).freeze
    await place.freeze(word.text, by=word.by, lasts=word.lasts, signer=word.signs)
    await ear.hear("freeze")
    frozen = (await place.status()).freeze
    if frozen is None or frozen.by.name != word.by.strip():
        raise DeclinedError(
            f"The freeze of {environment} was sent, and does not hold. See: {_see(environment)}"
        )
    say(f"{environment} is {frozen}.", "yellow")
    if before:
        say_aside(f"That is in place of what was said before: {before}.")


def thaw(
    environment: MaybeEnvironment = "",
    everywhere: Everywhere = False,
    comment: Comment = "",
    by: By = "",
    key: Key = "",
) -> None:
    """Let forward steps begin again."""
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        _need_one(environment, everywhere=everywhere)
        # What the server has frozen is thawed, whether or not the folder knows it.
        if environment and not (await towpath.environment(environment).status()).freeze:
            await need_known(towpath, environment)
        names = [environment] if environment else await _known(towpath, frozen=True)
        return await _each(names, lambda name: _thaw(towpath, name, _Word(actor, comment, "", signs)))

    ask(work, actor)


async def _thaw(towpath: "Towpath", environment: str, word: _Word) -> None:
    from clients.hearing import Ear

    place = towpath.environment(environment)
    status = await place.status()
    if status.freeze is None and not (status.guarded and word.signs):
        raise DeclinedError(f"{environment} is not frozen.")
    ear = await Ear.at(towpath.spaces, place.id)
    await place.thaw(by=word.by, comment=word.text, signer=word.signs)
    await ear.hear("thaw")
    if (await place.status()).freeze:
        raise DeclinedError(f"{environment} is frozen still. See: {_see(environment)}")
    say(f"{environment} is open.", "green")


def _need_one(environment: str, *, everywhere: bool) -> None:
    if bool(environment) is everywhere:
        raise UsageError("Name one environment, or say --all for every one.")


async def _known(towpath: "Towpath", *, frozen: bool) -> list[str]:
    """Return every environment of this folder and of the server; or only those that may be frozen."""
    from clients.inventory import list_environments

    known = find_configuration(surroundings())
    configured = {name: file.schedule for name, file in known.environments.items()} if known else {}
    found = (await list_environments(towpath.spaces, configured)).environments
    names = [one.environment for one in found if one.freeze or one.trouble or not frozen]
    if not names:
        raise DeclinedError("No environment is frozen." if frozen else "No environment is known here.")
    return names


async def _each(names: Sequence[str], order: Callable[[str], Awaitable[None]]) -> Exit:
    """Do it in each of them; one that fails does not keep it from the others, and is said."""
    code = Exit.DONE
    for name in names:
        try:
            await order(name)
        except ClientError as error:
            if len(names) == 1:
                raise
            complain(str(error))
            code = error.exit
    return code


async def need_known(towpath: "Towpath", environment: str) -> None:
    """What is said of a misspelt name would stop nobody, and look as if it did."""
    from clients.speaking import need_environment

    try:
        await need_environment(towpath.spaces.of(environment), environment)
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
