"""A worker that cannot go on ends what runs beside it, and with it the process, even where it cannot end itself."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.worker import Worker as Bridge

from activities.spaces import Spaces
from domain.names import ENGINE_QUEUE
from tests.servers import AT_ONCE, new_server
from tests.workers.site import SUBJECT, lay_out
from workers.overseeing import WorkerFailedError, overseeing
from workers.running import working

pytestmark = [pytest.mark.server, pytest.mark.processes]


@pytest.mark.parametrize("loses_it", [False, True])
async def test_a_worker_that_fails_ends_all_that_runs_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, loses_it: bool
) -> None:
    """
    A task that a worker has taken and lost keeps the SDK from ending it: such a worker neither worked nor ended.
    """
    poll = Bridge.poll_workflow_activation

    async def fail(bridge: Bridge) -> WorkflowActivation:
        if loses_it:
            await poll(bridge)
        message = "this cannot be read"
        raise ValueError(message)

    place = lay_out(tmp_path)
    monkeypatch.setattr(Bridge, "poll_workflow_activation", fail)
    monkeypatch.setattr("workers.running.overseeing", partial(overseeing, timedelta(seconds=1)))

    async def work() -> None:
        async with working(Spaces(client), place, [SUBJECT.environment], engine=True):
            if loses_it:
                await client.start_workflow("LaneWorkflow", id="lane/shop/dev", task_queue=ENGINE_QUEUE)
            await asyncio.Event().wait()

    async with new_server(AT_ONCE) as (client, _), asyncio.timeout(30):
        with pytest.raises(WorkerFailedError, match="started again: this cannot be read"):
            await work()
    current = asyncio.current_task()
    assert current
    assert current.cancelling() == 0


async def test_what_fails_beside_the_workers_ends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would miss somebody who looks, and looks no more."""

    async def fails(*_: object) -> None:
        message = "it looks no more"
        raise ValueError(message)

    monkeypatch.setattr("workers.running.keep_lookout", fails)
    async with new_server(AT_ONCE) as (client, _), asyncio.timeout(30):
        with pytest.raises(WorkerFailedError, match="started again: it looks no more"):
            async with working(Spaces(client), lay_out(tmp_path), [SUBJECT.environment], engine=True):
                await asyncio.Event().wait()


async def test_whoever_ends_the_block_ends_its_workers(tmp_path: Path) -> None:
    """A cancel from outside is a cancel, and no worker's failure."""
    place = lay_out(tmp_path)
    entered = asyncio.Event()

    async def work() -> None:
        async with working(Spaces(client), place, [SUBJECT.environment], engine=True):
            entered.set()
            await asyncio.Event().wait()

    async with new_server(AT_ONCE) as (client, _), asyncio.timeout(30):
        task = asyncio.create_task(work())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
