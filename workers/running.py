"""Running workers: the engine's queue and the environments' queues, in one process or in many."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.attempts import Attempts
from activities.clock import SystemClock
from activities.spaces import Spaces
from domain.names import ENGINE_QUEUE, effects_queue
from workers.dumping import leave_no_dumps
from workers.guarding import keep_guarding
from workers.lookout import keep_lookout
from workers.metering import Metering
from workers.ordered import Ordered
from workers.overseeing import GRACE, overseeing
from workers.reckoning import keep_reckoning
from workers.replanning import keep_replanning
from workers.settings import Surroundings
from workers.staffing import attempts_at_doors, attempts_on, effects, errands, readiness
from workers.stalling import keep_seeing_stalled
from workers.story import ABROAD, WORKFLOWS
from workers.telemetry import Telemetry
from workers.teller import keep_telling
from workers.untold import keep_ringing
from workers.watching import Watching
from workers.wedged import keep_ending_wedged
from workers.wiring import notifier_of, settings_of, tools
from workers.witnessing import witness_to
from workflows.doorkeeper import Doorkeeper, Witness, unseen

STICKY: Final = timedelta(seconds=2)
"""A workflow whose worker died goes on elsewhere after this long."""

THROTTLE: Final = timedelta(seconds=1)
"""A cancel reaches an activity within about this long."""
Failed = Callable[[BaseException], Awaitable[None]]
"""Hears why a worker cannot go on."""


def engine_worker(
    client: Client,
    place: Surroundings,
    spaces: Spaces | None = None,
    witness: Witness = unseen,
    failed: Failed | None = None,
) -> Worker:
    """Return the worker of workflows and errands in one namespace. Walks are led at home alone.

    The ``witness`` hears of what no honest use brings about.
    """
    known = spaces or Spaces(client)
    abroad = client is not known.home_or_none
    return Worker(
        client,
        task_queue=ENGINE_QUEUE,
        workflows=ABROAD if abroad else WORKFLOWS,
        activities=errands(place, known, abroad=abroad).activities,
        interceptors=[Doorkeeper(witness), Ordered(witness), Metering()],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=GRACE,
        build_id="towpath",
        on_fatal_error=failed,
        # An answer that is too big for the server ends its workflow there; kept from it, it would be made for ever.
        disable_payload_error_limit=True,
    )


def environment_worker(
    client: Client,
    place: Surroundings,
    environment: str,
    attempts: Attempts | None = None,
    failed: Failed | None = None,
) -> Worker:
    """Return the worker of one environment's effects. Raises ``NoKeyError`` where its key is not here.

    What no honest use brings about is noted in ``attempts``, for whoever tells of it.
    """
    noted = attempts or attempts_on(client, place, environment)
    return Worker(
        client,
        task_queue=effects_queue(environment),
        activities=effects(tools(place, environment)).activities,
        interceptors=[Metering(), Watching(client, environment, noted, SystemClock())],
        max_heartbeat_throttle_interval=THROTTLE,
        default_heartbeat_throttle_interval=THROTTLE,
        graceful_shutdown_timeout=GRACE,
        build_id="towpath",
        on_fatal_error=failed,
    )


@asynccontextmanager
async def working(  # noqa: PLR0913 - all of it is what one process runs, and where
    spaces: Spaces,
    place: Surroundings,
    environments: Sequence[str],
    *,
    engine: bool,
    only: Sequence[str] = (),
    telemetry: Telemetry | None = None,
) -> AsyncIterator[str]:
    """Run the workers while the block runs; then let what they do end, within the grace.

    The engine is run in every namespace that was reached, or ``only`` in some; each environment in its own.
    Yields the URL at which ``telemetry`` shows itself, meanwhile and until the last of them has ended. Once a worker
    cannot go on the block is cancelled, and ``WorkerFailedError`` raised.
    """
    leave_no_dumps()
    engines = [one for one in spaces.everywhere() if engine and (not only or one.namespace in only)]
    served = {name: spaces.of(name) for name in environments}
    attempts = {name: attempts_on(client, place, name) for name, client in served.items()}
    at_doors = attempts_at_doors(place)
    witness = witness_to(at_doors, attempts, SystemClock())
    async with overseeing() as oversight, AsyncExitStack() as stack:
        failed = oversight.failed
        workers = [engine_worker(client, place, spaces, witness, failed) for client in engines]
        workers += [
            environment_worker(client, place, name, attempts[name], failed) for name, client in served.items()
        ]
        url = ""
        if telemetry:
            asked = tuple({id(one): one for one in (*engines, *served.values())}.values())
            url = await stack.enter_async_context(telemetry.shown(readiness(asked, place, environments)))
        for worker in workers:
            await stack.enter_async_context(oversight.over(worker))
        beside = [
            *(one for client in engines for one in _beside_engine(client, place, witness)),
            at_doors.keep_telling(),
        ]
        for name, client in served.items():
            beside += _beside_environment(client, place, name, attempts[name])
        for one in beside:
            stack.callback(oversight.beside(one).cancel)
        yield url


def _beside_engine(
    client: Client, place: Surroundings, witness: Witness
) -> Iterator[Coroutine[Any, Any, None]]:
    yield keep_lookout(client, notifier_of(place))
    yield keep_ending_wedged(client, notifier_of(place), witness, SystemClock())
    yield keep_seeing_stalled(client, notifier_of(place), SystemClock())
    yield keep_telling(client, settings_of(place), notifier_of(place), SystemClock())


def _beside_environment(
    client: Client, place: Surroundings, name: str, attempts: Attempts
) -> Iterator[Coroutine[Any, Any, None]]:
    yield keep_ringing(client, place.state, [name])
    yield keep_guarding(client, settings_of(place), [name], notifier_of(place))
    yield keep_replanning(client, settings_of(place), name, notifier_of(place))
    yield keep_reckoning(client, tools(place, name), notifier_of(place), attempts)
    yield attempts.keep_telling()
