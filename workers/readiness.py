"""Whether a worker could do its work now, and if not, why: for whoever restarts it or looks for a fault."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from activities.keyring import Keyring
from activities.ports import AlreadyExistsError, Settings, Store

Question = Callable[[], Awaitable[None]]
"""Raises, with a sentence, where the answer is no."""

PROBE: Final = "readiness/probe"
"""Written each time, and refused each time but the first: a store is tried, and nothing piles up."""

WITHIN: Final = 3.0
LONGEST: Final = 500


def questions(
    clients: Sequence[Client],
    settings: Settings,
    keyring: Keyring,
    open_store: Callable[[], Store],
    environments: Sequence[str],
) -> Mapping[str, Question]:
    """Return what a worker of these environments has to be able to do, by name."""

    async def reach_server() -> None:
        for client in clients:
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace), retry=False
            )

    async def read_configuration() -> None:
        await asyncio.to_thread(settings.current)

    async def hold_keys() -> None:
        for environment in environments:
            await asyncio.to_thread(keyring.check, environment)

    async def write_store() -> None:
        try:
            await open_store().create(PROBE, b"")
        except AlreadyExistsError:
            return

    return {
        "server": reach_server,
        "configuration": read_configuration,
        "keys": hold_keys,
        "store": write_store,
    }


async def failing(asked: Mapping[str, Question]) -> dict[str, str]:
    """Ask everything at once; return what does not work, and why in words."""
    said = await asyncio.gather(*(_ask(question) for question in asked.values()))
    return {name: why for name, why in zip(asked, said, strict=True) if why}


async def _ask(question: Question) -> str:
    try:
        await asyncio.wait_for(question(), WITHIN)
    except TimeoutError:
        return f"no answer came within {WITHIN:.0f} seconds"
    # Whatever it is, it is the answer: nobody else would put it into words.
    except Exception as error:  # noqa: BLE001
        return str(error)[:LONGEST] or type(error).__name__
    return ""
