"""Harbours, and engines that are less patient than in production."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.common import RetryPolicy

from activities import effects
from tests.fakes import Bell
from tests.survival.harbour import Harbour
from tests.survival.process import BEAT, HEARTBEAT
from tests.town import Engine
from workflows import patience

HERE = Path(__file__).parent
Builder = Callable[..., Harbour]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workflows read these names as they run, so that replacing them in the engine's process is enough."""
    quickly = RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(milliseconds=500)
    )
    monkeypatch.setattr(patience, "HEARTBEAT", HEARTBEAT)
    monkeypatch.setattr(patience, "CALL_A_PERSON_AFTER", timedelta(seconds=20))
    for policy in ("TRY_SOON", "TRY_WITHIN_BUDGET", "NEVER_GIVE_UP"):
        monkeypatch.setattr(patience, policy, quickly)
    monkeypatch.setattr(effects, "BEAT", BEAT)


@pytest.fixture
async def build(client: Client, engine: Engine, bell: Bell, tmp_path: Path) -> AsyncIterator[Builder]:
    """Build harbours, each with a service and files of its own."""
    assert engine.is_there
    async with AsyncExitStack() as stack:

        def make(components: Sequence[str] = ("site",)) -> Harbour:
            harbour = Harbour(client, bell, tmp_path, components)
            stack.push_async_exit(harbour)
            return harbour

        yield make


@pytest.fixture
async def harbour(build: Builder) -> Harbour:
    """A harbour whose worker runs in this process."""
    built = build()
    await built.open(built.dev)
    return built


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow ones here run in ``make prove ARGS=tests/survival`` only."""
    if config.getoption("hypothesis_profile", None) == "prove":
        return
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="long: make prove ARGS=tests/survival"))
