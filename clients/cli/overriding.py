"""``override``."""

from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import ask, me, signer
from clients.cli.freezing import need_known
from clients.cli.grammar import By, EnvironmentName, Key, Service
from clients.cli.reading import find_configuration
from clients.cli.terminal import say, say_aside, say_commands
from clients.trouble import DeclinedError
from domain.hints import keyed
from domain.outcome import Exit
from domain.urgency import Waivable
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from domain.override import OverrideWord

Gates = Annotated[
    list[Waivable],
    typer.Option("--gate", help="Which gate does not hold; repeat it for both.", show_default=False),
]
For = Annotated[
    str, typer.Option("--for", metavar="TIME", help="How long, as in 30m or 2h.", show_default=False)
]
Why = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody who reads of it later.")
]
OnlyVersion = Annotated[str, typer.Option("--version", metavar="VERSION", help="Only for this release.")]


def override(
    service: Service,
    environment: EnvironmentName,
    gate: Gates,
    lasts: For,
    reason: Why,
    version: OnlyVersion = "",
    by: By = "",
    key: Key = "",
) -> None:
    """Let a service past windows or freezes for a while, where its environment lets you. Approval is asked as ever."""
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        from clients.hearing import Ear
        from clients.speaking import name_of
        from domain.override import word_of

        await need_known(towpath, environment)
        place = towpath.environment(environment)
        word = place.override_word(
            name_of("service", service), gate, reason, by=actor, lasts=lasts, version=version
        )
        word = signs.sign_override(environment, word) if signs else word
        _need_use(environment, word)
        ear = await Ear.at(towpath.spaces, place.id)
        await place.override(word)
        await ear.hear("override", did=word.did)
        overrides = (await place.status()).overrides
        said = [one for one in overrides if word_of(one) == word.but(signed=None)]
        if not said:
            see = f"towpath status environment/{environment}"
            raise DeclinedError(f"The override was sent, and does not hold. See why: {see}")
        say(f"{said[-1]}.", "yellow")
        say_aside("Whether it counts, the environment's worker says when the first deed is to be done.")
        say("What waits for a window or a planned freeze goes on with:")
        retry = f"towpath retry {service} {version or 'VERSION'} {environment}"
        say_commands([keyed(retry, signed=signs is not None)])
        return Exit.DONE

    ask(work, actor)


def _need_use(environment: str, word: "OverrideWord") -> None:
    """Raise ``DeclinedError`` where it cannot count by this folder's configuration."""
    from domain.emergency import overriders_of
    from domain.names import Subject
    from domain.override import why_in_vain

    here = surroundings()
    known = find_configuration(here, word.service, environment)
    if known is None or environment not in known.environments:
        return
    subject = Subject(service=word.service, environment=environment)
    if why := why_in_vain(word, overriders_of(known, subject)):
        raise DeclinedError(
            f"The override would not count, and was not sent: {why}. That is by {here.folder}; where the worker of "
            f"{environment} reads otherwise, bring this folder up to date."
        )
