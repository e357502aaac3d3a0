"""``pin``, ``unpin``."""

from typing import TYPE_CHECKING

from clients.cli.asking import ask, me, signer
from clients.cli.freezing import Lasts, Why, need_known
from clients.cli.grammar import By, Comment, EnvironmentName, Key, Service
from clients.cli.reading import find_configuration
from clients.cli.terminal import say, say_aside, say_commands
from clients.trouble import DeclinedError, UsageError
from domain.environment import Placement
from domain.hints import keyed
from domain.outcome import Exit
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath


def pin(
    service: Service,
    environment: EnvironmentName,
    reason: Why,
    lasts: Lasts = None,
    by: By = "",
    key: Key = "",
) -> None:
    """Keep a service as it is in an environment. Undos and rollbacks go on."""
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        from clients.hearing import Ear

        place, kept = towpath.environment(environment), towpath.lane(service, environment).subject.service
        await need_known(towpath, environment)
        held = await _held(towpath, service, environment)
        ear = await Ear.at(towpath.spaces, place.id)
        await place.pin(kept, reason, by=actor, lasts=lasts, release=held, signer=signs)
        await ear.hear("pin", did=f"pin {kept}")
        pinned = (await place.status()).pins.get(service)
        if pinned is None or pinned.by.name != actor.strip():
            raise DeclinedError(
                f"The pin of {service} in {environment} was sent, and does not hold. See: "
                f"towpath status environment/{environment}"
            )
        say(f"{service} in {environment} is {pinned}.", "yellow")
        say_commands([keyed(f"towpath unpin {service} {environment}", signed=signs is not None)])
        return Exit.DONE

    ask(work, actor)


def unpin(
    service: Service, environment: EnvironmentName, comment: Comment = "", by: By = "", key: Key = ""
) -> None:
    """Let a pinned service move again."""
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        from clients.hearing import Ear

        place = towpath.environment(environment)
        status = await place.status()
        if service not in status.pins and not (status.guarded and signs):
            raise DeclinedError(f"{service} is not pinned in {environment}.")
        ear = await Ear.at(towpath.spaces, place.id)
        await place.unpin(service, by=actor, comment=comment, signer=signs)
        await ear.hear("unpin", did=f"unpin {service}")
        if service in (await place.status()).pins:
            raise DeclinedError(
                f"{service} is pinned in {environment} still. See: towpath status environment/{environment}"
            )
        say(f"{service} may move again in {environment}.", "green")
        return Exit.DONE

    ask(work, actor)


async def _held(towpath: "Towpath", service: str, environment: str) -> str:
    """Say what the pin keeps. A pin of a misspelt service would keep nothing, and look as if it did."""
    lane = await towpath.lane(service, environment).find()
    if lane is None:
        known = find_configuration(surroundings())
        if known and service not in known.services:
            raise UsageError(
                f"There is no service “{service}” in {surroundings().folder}, and nothing was ever changed "
                f"under that name in {environment}. There is: {', '.join(sorted(known.services)) or 'none'}."
            )
        say_aside(
            f"Nothing of {service} was ever let into {environment}, and nothing will be until it is unpinned. "
            "See that both are written right."
        )
        return ""
    versions = {held.version for held in lane.held.values() if isinstance(held, Placement)}
    return " and ".join(sorted(versions))
