"""Old histories replay: whoever waits in production survives an upgrade."""

import gzip
import re
from base64 import b64decode
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from domain.outcome import Outcome
from tests.replay.record import GOLDEN
from tests.replay.scenarios import SCENARIOS
from workers.story import WORKFLOWS, sandbox
from workflows.doorkeeper import Doorkeeper
from workflows.wire import DATA_CONVERTER

FILES = sorted(GOLDEN.rglob("*.json.gz"))
LANES = [file for file in FILES if file.name.endswith("-lane.json.gz")]


def read(file: Path) -> WorkflowHistory:
    workflow_id, history = gzip.decompress(file.read_bytes()).decode().split("\n", 1)
    return WorkflowHistory.from_json(workflow_id, history)


async def replayed(history: WorkflowHistory) -> Exception | None:
    """Return why today's workflows give other commands, or None where they give the same."""
    replayer = Replayer(
        workflows=WORKFLOWS,
        interceptors=[Doorkeeper()],
        data_converter=DATA_CONVERTER,
        workflow_runner=sandbox(),
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    return result.replay_failure


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
async def test_a_golden_history_replays(file: Path) -> None:
    """Today's workflows give the commands that were given then, in the same order."""
    assert await replayed(read(file)) is None


@pytest.mark.parametrize("file", LANES, ids=lambda file: f"{file.parent.name}/{file.name}")
async def test_a_lane_says_the_same_at_another_time(file: Path) -> None:
    """What it hears of as late as its worker's next task, it may hear of earlier in a replay: no id depends on that."""
    history = read(file)
    for event in history.events:
        event.event_time.FromMilliseconds(event.event_time.ToMilliseconds() + 17)

    assert await replayed(history) is None


def test_every_scenario_has_golden_histories() -> None:
    """Each story that is told in the scenarios was recorded in every released shape."""
    for shape in GOLDEN.iterdir():
        recorded = {file.name.split("-", 1)[0] for file in shape.glob("*.json.gz")}

        assert recorded == set(SCENARIOS)


def test_every_ending_has_a_golden_history() -> None:
    """Each outcome is the end of some recorded history."""
    said = "".join(text for file in FILES for text in payloads(file))

    assert {outcome for outcome in Outcome if f'"outcome":"{outcome}"' in said} == set(Outcome)


def payloads(file: Path) -> list[str]:
    """Return every payload of a history as text."""
    _, history = gzip.decompress(file.read_bytes()).decode().split("\n", 1)
    return [b64decode(data).decode(errors="replace") for data in re.findall(r'"data": ?"([^"]*)"', history)]
