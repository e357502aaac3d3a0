"""Reaching every namespace that environments live in. One that is not reached keeps nobody from the others."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from temporalio.client import Client

from activities.spaces import Reached, Spaces
from clients.connection import HERE, connect
from clients.trouble import ClientError, UsageError
from domain.space import Space


async def join_spaces(
    home: Client, lives: Mapping[str, Space], state: Path = HERE, *, identity: str | None = None
) -> Spaces:
    """Return all of them; ``lives`` says which environment lives in a namespace of its own.

    What has no profile is reached by the connection of home.
    """

    async def reach(space: Space) -> Reached:
        if not space.profile:
            return sibling(home, space.namespace)
        try:
            return await connect(state, identity=identity, space=space)
        except ClientError as error:
            return error

    wanted = tuple(dict.fromkeys(lives.values()))
    reached = dict(zip(wanted, await asyncio.gather(*map(reach, wanted)), strict=True))
    return _spaces(home, {environment: reached[space] for environment, space in lives.items()})


def wanted_by(
    known: Mapping[str, Space], home: str, environments: Sequence[str], only: Sequence[str] | None
) -> tuple[dict[str, Space | None], bool]:
    """Return what a process has to reach: the environments with where they live, and whether home.

    It serves these ``environments``, and an engine in ``only`` these namespaces, or in all; None where it runs no
    engine. The engine at home leads walks everywhere. Raises ``UsageError`` where nothing lives in one of them.
    """
    inhabited = {home, *(space.namespace for space in known.values())}
    if strange := [name for name in only or () if name not in inhabited]:
        raise UsageError(
            f"No environment lives in the namespace “{strange[0]}”; there is: {', '.join(sorted(inhabited))}."
        )
    at_home = only is not None and (not only or home in only)
    led = {name: space for name, space in known.items() if at_home or space.namespace in (only or ())}
    return led | {name: known.get(name) for name in environments}, at_home


async def need_spaces(lives: Mapping[str, Space | None], state: Path, *, home: bool) -> Spaces:
    """Connect to what these environments live in, and to nothing else: a worker has no way into other namespaces.

    Raises as ``connect`` does where one is not reached.
    """
    spaces: list[Space | None] = [*lives.values(), *([None] if home else [])]
    wanted = list(dict.fromkeys(spaces))
    clients = dict(
        zip(wanted, await asyncio.gather(*(connect(state, space=one) for one in wanted)), strict=True)
    )
    absent = LookupError("This process has no way home: it serves environments that live elsewhere.")
    known: dict[str, Reached] = {name: clients[space] for name, space in lives.items() if space}
    return _spaces(clients.get(None, absent), known)


def _spaces(home: Reached, others: Mapping[str, Reached]) -> Spaces:
    """An environment that is said to live where everything does lives at home."""
    return Spaces(home, {name: home if _is_same(home, one) else one for name, one in others.items()})


def _is_same(one: Reached, other: Reached) -> bool:
    if isinstance(one, Exception) or isinstance(other, Exception):
        return False
    hosts = {client.service_client.config.target_host for client in (one, other)}
    return len(hosts) == 1 and one.namespace == other.namespace


def sibling(client: Client, namespace: str) -> Client:
    """Return a client of another namespace by the same connection."""
    config = client.config()
    config["namespace"] = namespace
    return Client(**config)
