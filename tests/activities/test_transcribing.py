"""What programs print is kept beside the papers, whatever becomes of them, and costs no deed anything."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from activities import transcribing
from activities.checks.command import CommandCheck
from activities.masking import MASK
from activities.ports import Expected, Place, StoreError, TargetTroubleError
from activities.retention import prune_transcripts
from activities.targets.command import CommandTarget
from activities.tools import Tools
from activities.transcribing import say, transcribed
from domain.names import receipt_key
from domain.transcript import Segment, printed
from tests.activities.artifacts import COMPONENT, SUBJECT, deed, site
from tests.fakes import MemoryStore, ShiftedClock


def _tools(store: MemoryStore) -> Tools:
    """As much of a worker's tools as keeping lines takes."""
    return cast("Tools", SimpleNamespace(store=store, clock=ShiftedClock()))


def _kept(store: MemoryStore, turn: int = 7) -> list[str]:
    """Return the lines that the store has of a turn, in order."""
    prefix = f"logs/{SUBJECT.service}/{SUBJECT.environment}/{turn}/"
    pieces = [text for key, text in store.content.items() if key.startswith(prefix)]
    return [line.text for line in printed(map(Segment.model_validate_json, pieces))]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def tools(store: MemoryStore) -> Tools:
    return _tools(store)


async def _deploy(tools: Tools, folder: Path, program: str, **settings: object) -> None:
    argv = [sys.executable, "-c", program]
    target = CommandTarget({"deploy": argv, **settings}, Place(folder, SUBJECT, COMPONENT))  # type: ignore[dict-item]
    async with transcribed(tools, SUBJECT, 7, "1", "place site"):
        await target.place(deed(7, 1, site(folder, "2.0.0"), said=say))


@pytest.mark.parametrize(
    ("ending", "why"),
    [("exit(3)", "exit code 3"), ("import time; time.sleep(60)", "took longer than 2s")],
    ids=["fails", "times out"],
)
async def test_what_a_program_printed_is_kept_where_it_fails(
    tools: Tools, store: MemoryStore, tmp_path: Path, ending: str, why: str
) -> None:
    """As far as it got, its secrets masked, and in the end why it was not done."""
    program = f"import os; print('with', os.environ['API_TOKEN'], flush=True); {ending}"

    with pytest.raises(TargetTroubleError):
        await _deploy(tools, tmp_path, program, env={"API_TOKEN": "s3cret"}, timeout="2s", grace="1s")

    first, *_, last = _kept(store)
    assert first == f"with {MASK}"
    assert last.startswith("place site: not done: ")
    assert why in last
    assert not any(b"s3cret" in content for content in store.content.values())


async def test_a_program_that_is_cancelled_has_been_heard_while_it_ran(
    tools: Tools, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines are in the store while it runs; a cancel adds that it was stopped."""
    monkeypatch.setattr(transcribing, "SHORTEST_PAUSE", timedelta(milliseconds=10))
    running = asyncio.ensure_future(
        _deploy(tools, tmp_path, "import time; print('halfway', flush=True); time.sleep(60)")
    )
    async with asyncio.timeout(20):
        while not _kept(store):  # noqa: ASYNC110 - the store sets no event
            await asyncio.sleep(0.01)

    early = _kept(store)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert early == ["halfway"]
    assert _kept(store) == ["halfway", "place site: stopped, since it was cancelled"]


async def test_silence_costs_nothing(tools: Tools, store: MemoryStore, tmp_path: Path) -> None:
    """Of what succeeds and prints nothing, nothing is written."""
    await _deploy(tools, tmp_path, "pass")

    assert not store.content


async def test_a_flood_is_cut_and_its_end_kept(tools: Tools, store: MemoryStore, tmp_path: Path) -> None:
    """Of an attempt its first MiB is kept, and its end; a sentence counts what lies between."""
    flood = "import sys\nfor n in range(20_000): print(f'line {n:05}', '.' * 90); print('.' * 99, file=sys.stderr)"

    await _deploy(tools, tmp_path, f"{flood}\nprint('the end')")

    lines = _kept(store)
    assert any("line 00000" in line for line in lines)
    assert lines[-1] == "the end"
    assert sum(map(len, lines)) < transcribing.LONGEST + 2 * transcribing.TAIL
    assert sum("bytes are not kept" in line for line in lines) == 1


class _Away(MemoryStore):
    async def create(self, key: str, content: bytes) -> None:
        del content
        raise StoreError(f"the store is away, and does not take {key}")


class _Asleep(MemoryStore):
    async def create(self, key: str, content: bytes) -> None:
        del key, content
        await asyncio.sleep(600)


@pytest.mark.parametrize("trouble", [_Away(), _Asleep()], ids=["away", "asleep"])
async def test_a_store_that_takes_nothing_fails_no_deed(
    tmp_path: Path, trouble: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deed is done, and soon."""
    monkeypatch.setattr(transcribing, "LAST_WORDS", 0.1)

    async with asyncio.timeout(20):
        await _deploy(_tools(trouble), tmp_path, "print('hello')")


async def test_a_check_is_heard_too(tools: Tools, store: MemoryStore, tmp_path: Path) -> None:
    """What the program of a health check prints is kept with the look."""
    check = CommandCheck({"command": [sys.executable, "-c", "print('all is quiet')"]}, tmp_path)
    holding = site(tmp_path, "2.0.0").placement

    async with transcribed(tools, SUBJECT, 7, "health", "look whether it is well"):
        finding = await check.look(Expected(SUBJECT, COMPONENT, holding, tools.clock.now(), say))

    assert finding.passed
    assert _kept(store) == ["all is quiet"]


async def test_old_logs_go_where_asked_and_receipts_stay(tools: Tools, store: MemoryStore) -> None:
    """What was printed in old turns goes, but not that of a turn without a receipt."""
    now = tools.clock.now()
    fresh = int(now.timestamp() * 1000)
    for turn in (7, 8, fresh):
        async with transcribed(tools, SUBJECT, turn, "1", "place site"):
            say("hello")
        if turn != 8:
            store.content[receipt_key(SUBJECT, turn)] = b"{}"

    would = await prune_transcripts(store, SUBJECT.service, now - timedelta(days=1), dry_run=True)
    gone = await prune_transcripts(store, SUBJECT.service, now - timedelta(days=1))

    assert (would, gone) == (1, 1)
    assert [_kept(store, turn) for turn in (7, 8, fresh)] == [[], ["hello"], ["hello"]]
    assert receipt_key(SUBJECT, 7) in store.content
