"""Running workers: the engine's queue and the environments' queues, in one process or in many."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.clock import SystemClock
from domain.names import ENGINE_QUEUE, effects_queue
from workers.guarding import keep_guarding
from workers.lookout import keep_lookout
from workers.metering import Metering
from workers.settings import Surroundings
from workers.story import WORKFLOWS
from workers.telemetry import Telemetry
from workers.teller import keep_telling
from workers.untold import keep_ringing
from workers.wiring import effects, errands, readiness, settings_of, tools
from workflows.doorkeeper import Doorkeeper

STICKY: Final = timedelta(seconds=2)
"""A workflow whose worker died goes on elsewhere after this long."""

THROTTLE: Final = timedelta(seconds=1)
"""A cancel reaches an activity within about this long."""

GRACE: Final = timedelta(seconds=10)


def engine_worker(client: Client, place: Surroundings) -> Worker:
    """Return the worker of workflows and errands."""
    return Worker(
        client,
        task_queue=ENGINE_QUEUE,
        workflows=WORKFLOWS,
        activities=errands(place).activities,
        interceptors=[Doorkeeper(), Metering()],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=GRACE,
        build_id="towpath",
    )


def environment_worker(client: Client, place: Surroundings, environment: str) -> Worker:
    """Return the worker of one environment's effects. Raises ``BadSealError`` where its key is not here."""
    return Worker(
        client,
        task_queue=effects_queue(environment),
        activities=effects(tools(place, environment)).activities,
        interceptors=[Metering()],
        max_heartbeat_throttle_interval=THROTTLE,
        default_heartbeat_throttle_interval=THROTTLE,
        graceful_shutdown_timeout=GRACE,
        build_id="towpath",
    )


@asynccontextmanager
async def working(
    client: Client,
    place: Surroundings,
    environments: Sequence[str],
    *,
    engine: bool,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[str]:
    """Run the workers while the block runs; then let what they do end, within the grace.

    Yields the URL at which ``telemetry`` shows itself, meanwhile and until the last of them has ended.
    """
    workers = [engine_worker(client, place)] if engine else []
    workers += [environment_worker(client, place, environment) for environment in environments]
    async with AsyncExitStack() as stack:
        url = ""
        if telemetry:
            url = await stack.enter_async_context(telemetry.shown(readiness(client, place, environments)))
        for worker in workers:
            await stack.enter_async_context(worker)
        if engine:
            lookout = asyncio.create_task(keep_lookout(client))
            stack.callback(lookout.cancel)
            telling = asyncio.create_task(keep_telling(client, settings_of(place), SystemClock()))
            stack.callback(telling.cancel)
        ringing = asyncio.create_task(keep_ringing(client, place.state, environments))
        stack.callback(ringing.cancel)
        guarding = asyncio.create_task(keep_guarding(client, settings_of(place), environments))
        stack.callback(guarding.cancel)
        yield url
