"""What it takes to list a crowd: lanes and promotions that nobody serves, as a server keeps them."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from temporalio.client import Client

from activities.labels import search_attributes
from domain.names import (
    ACTOR,
    ENGINE_QUEUE,
    ENVIRONMENT,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    Subject,
    lane_id,
    promotion_id,
)
from domain.outcome import Phase
from domain.terms import Story
from tests.bench.figures import Figure
from workers.server import embedded, temporal_binary
from workers.settings import variables_for
from workflows.reaching import reach

LANES: Final = 2000
ENVIRONMENTS: Final = 20
PROMOTIONS: Final = 1000
AT_ONCE: Final = 40


async def lists(folder: Path) -> Sequence[Figure]:
    """List all environments, and all promotions, each by a command of its own, and see that all are counted."""
    await asyncio.to_thread(folder.mkdir)
    async with embedded(temporal_binary(), None) as server:
        client = await reach(server.address)
        subjects = [
            Subject(service=f"s{number // ENVIRONMENTS}", environment=f"e{number % ENVIRONMENTS}")
            for number in range(LANES)
        ]
        await _start(client, "LaneWorkflow", {lane_id(one): _lane(one) for one in subjects})
        listing = await _seconds(server.address, folder, f'"lanes": {LANES // ENVIRONMENTS}', ENVIRONMENTS)
        asked = {promotion_id(one, "1.0.0"): _promotion(one) for one in subjects[:PROMOTIONS]}
        await _start(client, "PromotionWorkflow", asked)
        status = await _seconds(server.address, folder, '"story": "promotion"', PROMOTIONS)
    return [
        Figure(f"environments list --json, {LANES} lanes in {ENVIRONMENTS} environments", listing, "s"),
        Figure(f"status --json, {PROMOTIONS} promotions and {LANES} lanes open", status, "s"),
    ]


async def _start(client: Client, workflow: str, crowd: Mapping[str, Mapping[str, str]]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def start(workflow_id: str, names: Mapping[str, str]) -> None:
        async with places:
            await client.start_workflow(
                workflow, id=workflow_id, task_queue=ENGINE_QUEUE, search_attributes=search_attributes(names)
            )

    await asyncio.gather(*(start(*one) for one in crowd.items()))


def _lane(subject: Subject) -> dict[str, str]:
    return {SERVICE: subject.service, ENVIRONMENT: subject.environment, STORY: "lane"}


def _promotion(subject: Subject) -> dict[str, str]:
    asked = {STORY: Story.PROMOTION, RELEASE: "1.0.0", PHASE: Phase.PREPARING, ACTOR: "ana@example.com"}
    return _lane(subject) | asked


async def _seconds(address: str, folder: Path, mark: str, count: int) -> float:
    """Run the command that prints this mark so many times: visibility is a moment late."""
    words = ("environments", "list") if "lanes" in mark else ("status", "--limit", str(LANES + PROMOTIONS))
    variables = variables_for({"TEMPORAL_ADDRESS": address, "TOWPATH_CONFIG": str(folder)}, os.environ)
    towpath = str(Path(sys.executable).with_name("towpath"))
    while True:
        began = perf_counter()
        command = await asyncio.create_subprocess_exec(
            *(towpath, *words, "--json"), stdin=DEVNULL, stdout=PIPE, env=variables
        )
        out, _ = await command.communicate()
        took = perf_counter() - began
        assert command.returncode == 0
        if out.decode().count(mark) == count:
            return took
