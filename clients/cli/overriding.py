"""``override``."""

from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import ask, me, signer
from clients.cli.freezing import need_known
from clients.cli.grammar import By, EnvironmentName, Key, Service
from clients.cli.terminal import say, say_aside, say_commands
from clients.trouble import DeclinedError
from domain.outcome import Exit
from domain.urgency import Waivable

if TYPE_CHECKING:
    from clients.client import Towpath

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
        from clients.speaking import name_of
        from domain.override import word_of

        await need_known(towpath, environment)
        place = towpath.environment(environment)
        word = place.override_word(
            name_of("service", service), gate, reason, by=actor, lasts=lasts, version=version
        )
        word = signs.sign_override(environment, word) if signs else word
        await place.override(word)
        overrides = (await place.status()).overrides
        said = [one for one in overrides if word_of(one) == word.but(signed=None)]
        if not said:
            see = f"towpath status environment/{environment}"
            raise DeclinedError(f"The override was sent, and does not hold. See why: {see}")
        say(f"{said[-1]}.", "yellow")
        say_aside("Whether it counts, the environment's worker says when the first deed is to be done.")
        say("What waits for a window or a planned freeze goes on with:")
        say_commands([f"towpath retry {service} {version or 'VERSION'} {environment}"])
        return Exit.DONE

    ask(work, actor)
