"""Whatever fails, wherever: a release of many components to many targets is put back whole."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from domain.outcome import Outcome
from domain.release import BUDGETS, Kind
from tests.fakes import Bell
from tests.survival.flotilla import Flotilla, Injection, Verdict, injections
from tests.town import Engine

SEED = 20261126
AT_ONCE = 4
SHORT = timedelta(seconds=1.5)
"""For one wave: what is away or full is given up after three of these."""


@pytest.fixture
async def flotillas(
    client: Client, engine: Engine, bell: Bell, tmp_path: Path
) -> AsyncIterator[list[Flotilla]]:
    """Build some, with a first release at every target, whose worker runs in this process."""
    assert engine.is_there
    built = [Flotilla(client, bell, tmp_path) for _ in range(AT_ONCE)]
    for one in built:
        await one.open(one.dev)
    first = await asyncio.gather(*(one.promoted("1.0.0", one.dev) for one in built))
    assert [report.outcome for report in first] == [Outcome.PROMOTED] * AT_ONCE
    yield built
    for one in built:
        await one.__aexit__()


@pytest.mark.parametrize(
    ("count", "kills"), [(8, 1), pytest.param(500, 40, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
async def test_every_failure_leaves_all_as_it_was(
    flotillas: list[Flotilla], count: int, kills: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Restored and equal, every one; nothing undone that never ran; nothing that a person was not told."""
    monkeypatch.setitem(BUDGETS, Kind.CONTENT, SHORT)
    waiting = list(enumerate(injections(SEED, count, kills)))

    async def sail(one: Flotilla) -> list[Verdict]:
        verdicts = []
        while waiting:
            number, injection = waiting.pop()
            verdicts.append(await one.suffer(injection, f"2.{number}.0"))
        await one.assert_sound()
        return verdicts

    found = [verdict for verdicts in await asyncio.gather(*map(sail, flotillas)) for verdict in verdicts]
    (tmp_path / "result").write_text(tally(found))

    assert len(found) == count
    assert [verdict for verdict in found if not verdict.good] == []


def tally(verdicts: Sequence[Verdict]) -> str:
    """Say, a line for each kind of failure, how many there were and how many of them were put back, equal."""
    kinds = Counter(verdict.injection.kind for verdict in verdicts)
    good = Counter(verdict.injection.kind for verdict in verdicts if verdict.good)
    return "\n".join(f"{kind}: {good[kind]} of {number}" for kind, number in sorted(kinds.items()))


def test_the_failures_are_the_same_for_the_same_seed() -> None:
    """So that a run which fails can be had again."""
    assert injections(1, 20, 2) == injections(1, 20, 2)
    assert sum(bool(one.at) for one in injections(1, 20, 2)) == 2
    assert {type(one) for one in injections(2, 5, 0)} == {Injection}
