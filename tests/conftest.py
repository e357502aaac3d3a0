"""One real Temporal server and one engine worker for the whole session."""

import gc
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from itertools import chain, groupby
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.attempts import Attempts
from activities.clock import SystemClock
from activities.spaces import Reached, Spaces
from tests.fakes import Bell
from tests.replaying import histories_of, told_otherwise
from tests.town import Engine, Town, engine_worker
from tests.variables import stay
from workers.server import CLOSED, QUICK, flags, temporal_binary
from workers.witnessing import witness_to
from workflows.reaching import reach
from workflows.wire import DATA_CONVERTER

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("prove", parent=settings.get_profile("default"), max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

stay()

# Shells start what is to run in the background deaf to Ctrl-C, and so would be all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A test has what its servers leave of two cores: Go's own schedule and collector take a quarter less like this.
os.environ.setdefault("GOMAXPROCS", "1")
os.environ.setdefault("GOGC", "400")
# Likewise Python's collector: what is loaded stays, and need not be looked through again and again.
gc.set_threshold(50_000, 20, 100)

SKIPPING = {"frontend.WorkflowTimeSkippingEnabled": "true", "history.timerProcessorMaxTimeShift": '"10ms"'}

APART = "apart"
"""A namespace of the session's server for environments that do not live at home."""
WHOLE = {"matching.numTaskqueueReadPartitions": "1", "matching.numTaskqueueWritePartitions": "1"}
"""A queue in one part: every test has queues of its own, and four parts of each would be set up and polled."""

KNOWN = {"system.forceSearchAttributesCacheRefreshOnRead": "false"}
"""Nobody adds a search attribute here: the server need not look them up again for every workflow."""

SILENT = "silent"
"""A namespace of the session's server that no worker serves. One that is made later is known only after seconds."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have those who share the tests begin with files that take long: nobody waits for one at the end.

    What takes long waits for much; one of many begins with the others, which have the machine meanwhile.
    """
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    patient = max(workers - 1, 1)
    files = [list(of_one) for _, of_one in groupby(items, key=lambda item: item.path)]
    long = [tests for tests in files if any(map(_takes_long, tests))]
    rest = [item for tests in files if tests not in long for item in tests]
    dealt: list[pytest.Item] = []
    for worker in range(workers):
        share = (len(items) - len(dealt)) // (workers - worker)
        first = list(chain.from_iterable(long[worker::patient])) if worker < patient else []
        dealt += [*first, *rest[: share - len(first)]]
        del rest[: share - len(first)]
    items[:] = dealt


def _takes_long(item: pytest.Item) -> bool:
    return any(map(item.get_closest_marker, ("processes", "slow")))


@pytest.fixture(scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The server, with a client that starts workflows whose clocks skip what they wait for."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=temporal_binary(),
        dev_server_log_level="error",
        data_converter=DATA_CONVERTER,
        dev_server_extra_args=[
            *flags(QUICK | CLOSED | SKIPPING | WHOLE | KNOWN),
            "--namespace",
            SILENT,
            "--namespace",
            APART,
        ],
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
async def client(skipping: WorkflowEnvironment) -> Client:
    """A client whose workflows live in real time."""
    address = skipping.client.service_client.config.target_host
    return await reach(address)


@pytest.fixture(scope="session")
async def bell() -> Bell:
    """The notifier of the engine worker: every alarm of the session rings here."""
    return Bell()


@pytest.fixture(scope="session")
async def moved() -> dict[str, Reached]:
    """Environment → where it lives, for those that tests have moved away from home."""
    return {}


@pytest.fixture(scope="session")
async def spaces(client: Client, moved: dict[str, Reached]) -> Spaces:
    """What the engine's worker knows of where environments live."""
    return Spaces(client, moved)


@pytest.fixture(scope="session")
async def doors() -> dict[str, Attempts]:
    """Environment → who notes what the engine's worker sees at the doors of its workflows."""
    return {}


@pytest.fixture(scope="session")
async def engine(
    client: Client, bell: Bell, spaces: Spaces, doors: dict[str, Attempts]
) -> AsyncIterator[Engine]:
    """The engine's worker, that all tests share. It runs workflows as workers do: without the sandbox.

    That loads modules anew for each of them; ``tests/replay`` has every ending in it.
    """
    clock = SystemClock()
    witness = witness_to(Attempts("elsewhere", Bell(), clock), doors, clock)
    async with Engine(partial(engine_worker, client, bell, spaces, witness=witness)) as engine:
        yield engine


@pytest.fixture
def replays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether all that happens in this test is replayed: in one of four, always the same; or in every one.

    What a test has replaced is still so by then.
    """
    del monkeypatch
    return bool("TOWPATH_REPLAY_ALL" in os.environ or crc32(request.node.nodeid.encode()) % 4 == 0)


@pytest.fixture
async def town(
    client: Client, engine: Engine, bell: Bell, doors: dict[str, Attempts], tmp_path: object, *, replays: bool
) -> AsyncIterator[Town]:
    """A service, three environments of its own, a world that they stand in, and their workers."""
    async with Town(client, bell, tmp_path, doors) as built:
        built.engine = engine
        yield built
    assert not await built.alarmed(), (
        "somebody is called for what nobody tried, or for what no test asks about"
    )
    if replays:
        histories = await histories_of(client, built.service, built.settings.configuration.environments)
        found = await told_otherwise(histories)
        assert not found, "\n".join(found)
