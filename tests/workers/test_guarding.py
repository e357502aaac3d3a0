"""Which environments are told that their worker hears every word first."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile
from domain.names import environment_id
from domain.roles import Roles
from tests.fakes import Bell, FixedSettings
from tests.town import PATIENCE, Engine
from workers.guarding import is_guarded, keep_guarding

pytestmark = pytest.mark.server
OFTEN = timedelta(milliseconds=20)


@asynccontextmanager
async def guarding(client: Client, *files: EnvironmentFile) -> AsyncIterator[None]:
    configuration = Configuration(environments={one.environment: one for one in files})
    names = [one.environment for one in files]
    work = asyncio.create_task(keep_guarding(client, FixedSettings(configuration), names, Bell(), OFTEN))
    try:
        yield
    finally:
        work.cancel()


async def until_guarded(client: Client, name: str) -> None:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not await is_guarded(client, name):  # noqa: ASYNC110 - it is looked at, and tells nobody
            await asyncio.sleep(OFTEN.total_seconds())


async def test_an_environment_is_told_and_told_again_where_somebody_ended_it(
    client: Client, engine: Engine
) -> None:
    """One where nothing is signed and no roles are written is left alone: it is not even born."""
    assert engine.is_there
    mark = uuid.uuid4().hex[:8]
    roles = Roles.model_validate({"freeze": {"people": ["ana@example.com"]}})
    signed = EnvironmentFile(environment=f"signed-{mark}", approval=Approval(quorum=0, signed=True))
    given, free = (
        EnvironmentFile(environment=f"given-{mark}", roles=roles),
        EnvironmentFile(environment=f"free-{mark}"),
    )

    async with guarding(client, free, signed, given):
        await until_guarded(client, given.environment)
        handle = client.get_workflow_handle(environment_id(signed.environment))
        await until_guarded(client, signed.environment)
        await handle.terminate("by somebody who would not be heard")
        await until_guarded(client, signed.environment)

    with pytest.raises(RPCError) as nobody:
        await client.get_workflow_handle(environment_id(free.environment)).describe()
    assert nobody.value.status is RPCStatusCode.NOT_FOUND
    for one in (signed, given):
        await client.get_workflow_handle(environment_id(one.environment)).terminate()
