"""Ours and the bare workflow in one process, on one server, one after the other and again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final, NamedTuple

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.names import Subject, change_id, lane_id
from domain.outcome import Outcome, Phase
from tests.bench.bare import WAITING, BareActivities, BareWorkflow
from tests.bench.ear import Ear, listening
from tests.bench.figures import Bar, Figure
from tests.bench.split import EFFECTS, SplitActivities, SplitChange, SplitLane, SplitPromotion
from tests.bench.yard import Yard, place_of
from workers.overseeing import GRACE
from workers.running import STICKY

SERVICES: Final = 20
ENVIRONMENTS: Final = 4
AT_ONCE: Final = 40
ROUNDS: Final = 8
ALONE: Final = 60
ROLLBACKS: Final = 20
COUNTED: Final = 5
QUEUE: Final = "bare"
APART: Final = "bare-apart"
"""Where the server hands out activities, as it must where another worker does them; else a worker keeps its own."""
SPLIT: Final = "split"


class Stage(NamedTuple):
    client: Client
    yard: Yard
    bare: BareActivities
    ear: Ear


@asynccontextmanager
async def stage(client: Client, folder: Path) -> AsyncIterator[Stage]:
    """Run both workers, with the same settings, while the block runs."""
    bare = BareActivities()
    with listening() as ear:
        async with (
            Yard(client, folder, SERVICES, ENVIRONMENTS) as yard,
            _bare_worker(client, bare, QUEUE),
            _bare_worker(client, bare, APART),
            _split_worker(client),
            Worker(client, task_queue=EFFECTS, activities=[bare.validate, bare.deploy, bare.report]),
        ):
            yield Stage(client, yard, bare, ear)


def _bare_worker(client: Client, bare: BareActivities, queue: str) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[BareWorkflow],
        activities=[bare.validate, bare.deploy, bare.report],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=GRACE,
        disable_eager_activity_execution=queue == APART,
        build_id="bare",
    )


def _split_worker(client: Client) -> Worker:
    carried = SplitActivities()
    return Worker(
        client,
        task_queue=SPLIT,
        workflows=[SplitPromotion, SplitLane, SplitChange],
        activities=[carried.ask, carried.tell],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=GRACE,
        build_id="split",
    )


async def promote(stage: Stage, subject: Subject, version: str) -> WorkflowHandle[Any, Any]:
    """Promote, approve as soon as that is asked for, and see that it was promoted."""
    handle = await wait_for_approval(stage, subject, version)
    await handle.signal("approve", stage.yard.approval(handle.id))
    report = await handle.result()
    assert report.outcome is Outcome.PROMOTED, report.why
    return handle


async def wait_for_approval(stage: Stage, subject: Subject, version: str) -> WorkflowHandle[Any, Any]:
    handle = await stage.yard.start(subject, version)
    await stage.ear.hears(handle.id, Phase.WAITING_FOR_APPROVAL)
    return handle


async def bare_until_signal(stage: Stage, name: str, queue: str = QUEUE) -> WorkflowHandle[Any, Any]:
    handle = await stage.client.start_workflow(BareWorkflow.run, name, id=f"bare/{name}", task_queue=queue)
    await stage.ear.hears(handle.id, WAITING)
    return handle


async def run_bare(stage: Stage, name: str) -> None:
    await _approve(await bare_until_signal(stage, name))


async def split_until_signal(stage: Stage, name: str) -> WorkflowHandle[Any, Any]:
    client = stage.client
    await client.start_workflow(SplitLane.run, id=f"split-lane/{name}", task_queue=SPLIT)
    handle = await client.start_workflow(SplitPromotion.run, name, id=f"split/{name}", task_queue=SPLIT)
    await stage.ear.hears(handle.id, WAITING)
    return handle


async def run_split(stage: Stage, name: str) -> None:
    await _approve(await split_until_signal(stage, name))


async def _approve(handle: WorkflowHandle[Any, Any]) -> None:
    """Let a workflow with nothing in it go on to its end."""
    await handle.signal("approve")
    await handle.result()


async def events(stage: Stage) -> Sequence[Figure]:
    """Count every event that one promotion causes, in all histories."""
    born, steady = [], []
    await stage.yard.make("1.0.0")
    await stage.yard.make("1.0.1")
    for subject in stage.yard.subjects[:COUNTED]:
        born.append(await _events(stage, subject, "1.0.0"))
        steady.append(await _events(stage, subject, "1.0.1"))
    await run_bare(stage, "counted")
    bare = await _length(stage, "bare/counted")
    return [
        Figure("events of a promotion", median(steady), "events", Bar(75)),
        Figure("events of a promotion, lane newborn", median(born), "events", Bar(75)),
        Figure("events of the bare workflow", bare, "events"),
    ]


async def _events(stage: Stage, subject: Subject, version: str) -> int:
    lane = lane_id(subject)
    before = await _length(stage, lane) if version != "1.0.0" else 0
    handle = await promote(stage, subject, version)
    turn = (await handle.result()).turn
    lengths = [await _length(stage, handle.id), await _length(stage, change_id(subject, turn))]
    return sum(lengths) + await _length(stage, lane) - before


async def _length(stage: Stage, workflow_id: str) -> int:
    """Count a history's events, once nothing more is about to be added."""
    handle = stage.client.get_workflow_handle(workflow_id)
    while (await handle.describe()).raw_description.HasField("pending_workflow_task"):  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.05)
    return len((await handle.fetch_history()).events)


async def throughput(stage: Stage) -> Sequence[Figure]:
    """Promote into half the lanes, after as many bare workflows and splits; ratios are taken round by round.

    A machine is not as fast in one minute as in the next: many short rounds are compared, not a few long ones.
    """
    ours, bare, split = [], [], []
    for number in range(ROUNDS + 1):
        version = f"2.0.{number}"
        await stage.yard.make(version)
        subjects = stage.yard.subjects[number % 2 :: 2] if number else stage.yard.subjects
        names = [f"load-{number}-{count}" for count in range(len(subjects))]
        bare.append(await _rate([partial(run_bare, stage, name) for name in names]))
        split.append(await _rate([partial(run_split, stage, name) for name in names]))
        ours.append(await _rate([partial(promote, stage, subject, version) for subject in subjects]))
    # In the first round all lanes are born, and whatever is loaded once is loaded.
    return [
        Figure("promotions/s, ratio to bare", _ratio(ours, bare), "×", Bar(0.3, at_least=True)),
        Figure("promotions/s, ratio to the empty split", _ratio(ours, split), "×"),
        Figure("the empty split: promotions/s, ratio to bare", _ratio(split, bare), "×"),
        Figure("promotions/s", median(ours[1:]), "1/s"),
        Figure("promotions/s, lanes newborn", ours[0], "1/s"),
        Figure("bare workflows/s", median(bare[1:]), "1/s"),
    ]


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    return median(one / other for one, other in list(zip(mine, theirs, strict=True))[1:])


async def _rate(runs: Sequence[Callable[[], Awaitable[object]]]) -> float:
    places = asyncio.Semaphore(AT_ONCE)

    async def run(one: Callable[[], Awaitable[object]]) -> None:
        async with places:
            await one()

    began = perf_counter()
    await asyncio.gather(*map(run, runs))
    return len(runs) / (perf_counter() - began)


async def latency(stage: Stage) -> Sequence[Figure]:
    """From approval to the deploy, one at a time, ours and the bare in turn."""
    ordered, placing, bare, apart, split = [], [], [], [], []
    await stage.yard.make("3.0.0")
    for number, subject in enumerate(stage.yard.subjects[:ALONE]):
        bare.append(await _bare_latency(stage, f"alone-{number}", QUEUE))
        apart.append(await _bare_latency(stage, f"apart-{number}", APART))
        split.append(await _split_latency(stage, f"alone-{number}"))
        handle = await wait_for_approval(stage, subject, "3.0.0")
        approval, place = stage.yard.approval(handle.id), place_of(subject)
        began = perf_counter()
        await handle.signal("approve", approval)
        await handle.result()
        ordered.append(stage.yard.watch.ordered[place] - began)
        placing.append(stage.yard.watch.placing[place] - began)
    return [
        Figure("approval → deploy started, ratio to bare", median(ordered) / median(bare), "×", Bar(3)),
        Figure("approval → deploy started, ratio to the empty split", median(ordered) / median(split), "×"),
        Figure("the empty split: approval → activity, ratio to bare", median(split) / median(bare), "×"),
        Figure("approval → target told, ratio to bare", median(placing) / median(bare), "×"),
        Figure("approval → deploy started", median(ordered) * 1000, "ms"),
        Figure("approval → target told, cleared and journaled", median(placing) * 1000, "ms"),
        Figure("bare: signal → activity", median(bare) * 1000, "ms"),
        Figure("bare, activities of another worker: signal → activity", median(apart) * 1000, "ms"),
    ]


async def _bare_latency(stage: Stage, name: str, queue: str) -> float:
    handle = await bare_until_signal(stage, name, queue)
    began = perf_counter()
    await _approve(handle)
    return stage.bare.began[name] - began


async def _split_latency(stage: Stage, name: str) -> float:
    handle = await split_until_signal(stage, name)
    began = perf_counter()
    await _approve(handle)
    return stage.bare.began[name] - began


async def rollback(stage: Stage) -> Sequence[Figure]:
    """From the ask to the release before standing and verified, less what target and check took themselves."""
    shares = [await _rollback(stage, subject) for subject in stage.yard.subjects[:ROLLBACKS]]
    return [
        Figure("rollback: the engine's own share", median(shares), "s", Bar(1)),
        Figure("rollback: the engine's own share, slowest", max(shares), "s"),
    ]


async def _rollback(stage: Stage, subject: Subject) -> float:
    watch, place = stage.yard.watch, place_of(subject)
    change = f"change/{subject.service}/{subject.environment}"
    stage.ear.forget(change, Phase.ENDED)
    stood, taken = stage.yard.world.version(place), watch.taken[place]
    began = perf_counter()
    await stage.yard.ask_rollback(subject)
    await stage.ear.hears(change, Phase.ENDED)
    assert stage.yard.world.version(place) != stood
    return watch.verified[place] - began - (watch.taken[place] - taken)
