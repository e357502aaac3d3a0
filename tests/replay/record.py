"""Record golden histories: ``python -m tests.replay.record 0.1``, once for each released shape.

What was recorded is never recorded again: a history that no longer replays is a migration, not a new recording. Of a
shape that is there already, only the scenarios that it has not are played.
"""

import asyncio
import gzip
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fakes import Bell
from tests.replay.scenarios import SCENARIOS
from tests.town import Town, engine_worker
from workers.server import embedded, temporal_binary
from workflows.reaching import reach

GOLDEN: Final = Path(__file__).with_name("golden")
HERE: Final = Path(__file__).parents[2]
IDENTITY: Final = "golden"


async def record(shape: str) -> int:
    count = 0
    known = {file.name.split("-", 1)[0] for file in (GOLDEN / shape).glob("*.json.gz")}
    async with embedded(temporal_binary(), None) as server:
        client = await reach(server.address, identity=IDENTITY)
        bell = Bell()
        async with engine_worker(client, bell):
            for name, scenario in SCENARIOS.items():
                if name in known:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    async with Town(client, bell, folder) as town:
                        await scenario(town)
                        count += await _keep(town, shape, name)
    return count


async def _keep(town: Town, shape: str, name: str) -> int:
    """Write the histories of everything that the scenario started; of a walk its own, since others tell the rest."""
    folder = GOLDEN / shape
    folder.mkdir(parents=True, exist_ok=True)
    beginnings = [f"{kind}/{town.service}/" for kind in ("promotion", "lane", "change")]
    query = " OR ".join(
        f"WorkflowId STARTS_WITH '{text}'" for text in (*beginnings, f"environment/{town.dev}")
    )
    walks = f"WorkflowId STARTS_WITH 'pipeline/{town.service}/'"
    rows = [row async for row in town.client.list_workflows(walks)]
    rows = rows or [row async for row in town.client.list_workflows(query)]
    for number, row in enumerate(sorted(rows, key=lambda row: (row.start_time, row.id)), start=1):
        history = await town.client.get_workflow_handle(row.id, run_id=row.run_id).fetch_history()
        kind = row.id.split("/", 1)[0]
        file = folder / f"{name}-{number:02}-{kind}.json.gz"
        told = history.to_json().replace(str(HERE), "towpath")
        content = gzip.compress(f"{row.id}\n{told}".encode(), mtime=0)
        await asyncio.to_thread(file.write_bytes, content)
    return len(rows)


if __name__ == "__main__":
    kept = asyncio.run(record(sys.argv[1]))
    sys.stdout.write(f"{kept} histories are in {GOLDEN / sys.argv[1]}\n")
    sys.stdout.flush()
    os._exit(0)
