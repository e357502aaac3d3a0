"""Measure Towpath against a bare workflow on the same server: ``python -m tests.bench [--out FILE]``."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.console import Console

from tests.bench import crowd, fleet, processes, side_by_side, signatures
from tests.bench.figures import Figure, show, write
from workers.server import embedded, temporal_binary
from workflows.reaching import reach

LONGEST: Final = 300


async def measure(folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    async with embedded(temporal_binary(), None) as server:
        client = await reach(server.address)
        async with side_by_side.stage(client, folder / "yard") as stage:
            figures += await _told("events", side_by_side.events(stage))
            figures += await _told("throughput", side_by_side.throughput(stage))
            figures += await _told("latency", side_by_side.latency(stage))
            figures += await _told("rollback", side_by_side.rollback(stage))
        figures += await _told("many targets, many rules", fleet.fleet(client, folder / "fleet"))
        figures += await _told("memory", processes.memory(client, folder / "memory"))
        figures += await _told("kill -9 of workers", processes.worker_killed(client, folder / "worker"))
    figures += await _told("kill -9 of the server", processes.server_killed(folder / "server"))
    figures += await _told("signatures", signatures.verification(folder / "signatures"))
    figures += await _told("commands", processes.commands())
    figures += await _told("lists", crowd.lists(folder / "crowd"))
    return figures


async def _told(name: str, part: Awaitable[Sequence[Figure]]) -> Sequence[Figure]:
    """Measure a part, and say so: all of them take minutes. One that hangs is stuck, and says nothing more."""
    began = perf_counter()
    async with asyncio.timeout(LONGEST):
        figures = await part
    Console(stderr=True).print(f"{name}: measured in {perf_counter() - began:.0f} s")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--out", type=Path, help="write the figures to this file too, as JSON")
    out: Path | None = parser.parse_args().out
    _as_installed()
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as folder:
        figures = asyncio.run(measure(Path(folder)))
    show(figures)
    if out:
        write(figures, out)
    return int(any(figure.met is False for figure in figures))


def _as_installed() -> None:
    """Let Python keep bytecode, as it does by default: the sandbox would compile our files for each workflow."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
