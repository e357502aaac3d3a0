"""Writers who agree on a store that keeps no condition: every order of events, and a real server."""

import asyncio
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.ports import AlreadyExistsError, StoreError
from activities.stores import open_store
from activities.stores.agreement import (
    StaleListingError,
    UndecidedError,
    records_to_remove,
    standing,
    where_it_stands,
    write_first,
)
from tests.activities.object_server import BUCKET, let_in

KEY = "journal/shop/production/7/1.json"


class LostError(Exception):
    """The writer died here, or was told that its write had failed."""


@dataclass
class Shelf:
    """Objects in a dict. Chance decides who goes on, who dies, and when a write lands that was given up for lost."""

    chance: Random
    faults: float
    objects: dict[str, bytes] = field(default_factory=dict)
    late: list[tuple[str, bytes]] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def put(self, key: str, content: bytes) -> None:
        await self._wait()
        assert key not in self.objects, "an object was written twice"
        if self.chance.random() < self.faults:
            self.late.append((key, content))
            raise LostError
        self.objects[key] = content
        await self._wait()

    async def names(self, prefix: str) -> list[str]:
        await self._wait()
        # In two halves, as long listings are: what comes in between may be missed by the first.
        first = {key for key in self.objects if key.startswith(prefix + "/") and key < f"{prefix}/000002"}
        await self._wait()
        second = {key for key in self.objects if key.startswith(prefix + "/") and key >= f"{prefix}/000002"}
        await self._wait()
        return sorted(first | second)

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await turn

    async def step_back(self, _times: int) -> None:
        await self._wait()

    async def run(self, writers: int) -> list[object]:
        """Let writers race, one step at a time."""
        tasks = [
            asyncio.create_task(write_first(self, KEY, str(writer).encode(), self.step_back))
            for writer in range(writers)
        ]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            if self.late and self.chance.random() < 0.2:
                self.land()
            if self.waiting:
                self.waiting.pop(self.chance.randrange(len(self.waiting))).set_result(None)
        return await asyncio.gather(*tasks, return_exceptions=True)

    def land(self) -> None:
        key, content = self.late.pop(self.chance.randrange(len(self.late)))
        self.objects[key] = content

    async def alone(self, work: "asyncio.Future[object] | asyncio.Task[object]") -> object:
        while not work.done():
            await asyncio.sleep(0)
            for turn in self.waiting:
                turn.set_result(None)
            self.waiting.clear()
        return await work


async def stands(shelf: Shelf) -> bytes | None:
    offer = await shelf.alone(asyncio.ensure_future(where_it_stands(shelf, KEY)))
    return shelf.objects[str(offer)] if offer else None


@given(seed=st.integers(0, 2**32), writers=st.integers(2, 5), faults=st.sampled_from([0.0, 0.1, 0.3]))
async def test_at_most_one_is_told_that_it_won(seed: int, writers: int, faults: float) -> None:
    """In whatever order things happen, and whoever dies: of all writers one wins at most, and its content stays."""
    shelf = Shelf(Random(seed), faults)

    ends = await shelf.run(writers)

    winners = [writer for writer, end in enumerate(ends) if end is True]
    losers = [writer for writer, end in enumerate(ends) if end is False]
    assert all(end in {True, False} or isinstance(end, (LostError, UndecidedError)) for end in ends)
    assert len(winners) <= 1
    found = await stands(shelf)
    if winners:
        assert found == str(winners[0]).encode()
    if losers:
        assert found is not None
    # Whatever was under way lands after all, and one more comes: nothing that was said is unsaid.
    while shelf.late:
        shelf.land()
    shelf.faults = 0
    last = await shelf.alone(asyncio.ensure_future(write_first(shelf, KEY, b"last", shelf.step_back)))
    after = await stands(shelf)
    assert after is not None
    assert found in {None, after}
    assert (after == b"last") is last
    assert not (winners and last)


async def test_what_a_dead_writer_began_is_finished() -> None:
    """Whoever votes and dies leaves content that the next one finds decided, and does not write over."""
    shelf = Shelf(Random(1), 0)
    dying = asyncio.ensure_future(write_first(shelf, KEY, b"dying", shelf.step_back))
    while not any(".vote." in key for key in shelf.objects):
        await asyncio.sleep(0)
        if shelf.waiting:
            shelf.waiting.pop(0).set_result(None)
    dying.cancel()
    await asyncio.wait([dying])
    shelf.waiting.clear()

    won = await shelf.alone(asyncio.ensure_future(write_first(shelf, KEY, b"next", shelf.step_back)))

    assert won is False
    assert await stands(shelf) == b"dying"


async def test_store_that_lists_late_is_found_out() -> None:
    """Where a claim is taken and not listed, nobody is told that it won."""

    class Late(Shelf):
        async def names(self, prefix: str) -> list[str]:
            assert prefix
            return []

    shelf = Late(Random(1), 0)

    with pytest.raises(StaleListingError):
        await shelf.alone(asyncio.ensure_future(write_first(shelf, KEY, b"x", shelf.step_back)))


async def test_removal_that_breaks_off_leaves_the_key_standing_or_free() -> None:
    """After each record that is removed, what stood stands whole, or whoever writes next wins."""
    shelf = Shelf(Random(1), 0)
    await shelf.run(3)
    first = await stands(shelf)
    order = await shelf.alone(asyncio.ensure_future(records_to_remove(shelf, KEY)))
    assert isinstance(order, list)

    for count in range(len(order) + 1):
        kept = {key: content for key, content in shelf.objects.items() if key not in order[:count]}
        rest = Shelf(Random(1), 0, kept)
        listed = await rest.alone(asyncio.ensure_future(standing(rest, "journal/shop")))
        found = await stands(rest)
        won = await rest.alone(asyncio.ensure_future(write_first(rest, KEY, b"next", rest.step_back)))

        assert found in {first, None}
        assert listed == ({KEY} if found else set())
        assert won is (found is None)


RACER = """
import asyncio, os, sys
from pathlib import Path
from activities.ports import AlreadyExistsError
from activities.stores import open_store

async def write(store, key, me):
    try:
        await store.create(key, me.encode())
    except AlreadyExistsError:
        return ""
    return f"{key} {me}"

async def main(url, process, races, writers):
    store = open_store(url, Path())
    sys.stdin.readline()
    for race in range(races):
        key = f"journal/shop/production/{race}/1.json"
        ends = await asyncio.gather(*(write(store, key, f"{process}.{one}") for one in range(writers)))
        print(*filter(None, ends), sep="\\n", end="\\n" if any(ends) else "", flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
os._exit(0)  # as the command line does: the library's threads may crash an ordinary exit
"""


def test_of_many_processes_one_wins_each_race(careless_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes with four writers each race for key after key on a server that takes every write."""
    let_in(monkeypatch, careless_s3)
    url, races = f"s3+claims://{BUCKET}/{uuid4().hex}", 20
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, str(number), str(races), "4"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdin
        racer.stdin.write("go\n")
        racer.stdin.flush()

    told = [line.split() for racer in racers for line in racer.communicate(timeout=100)[0].splitlines()]

    assert [racer.returncode for racer in racers] == [0] * 4
    keys = [f"journal/shop/production/{race}/1.json" for race in range(races)]
    assert Counter(key for key, _ in told) == dict.fromkeys(keys, 1)
    assert asyncio.run(_read(url)) == {key: winner.encode() for key, winner in told}


async def _read(url: str) -> dict[str, bytes]:
    store = open_store(url, Path())
    return {key: await store.read(key) for key in await store.list("journal")}


async def test_careless_server_is_careless(careless_s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of these tests is one that is refused, where nobody has asked to agree."""
    let_in(monkeypatch, careless_s3)

    with pytest.raises(StoreError, match=r"writes over what stands there.*s3\+claims://"):
        await open_store(f"s3://{BUCKET}/{uuid4().hex}", Path()).create("a.json", b"")


async def test_what_stood_before_claims_were_asked_for_stays(
    careless_s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A store that was copied into the bucket is read, listed and never written over; what is removed is free."""
    let_in(monkeypatch, careless_s3)
    place = uuid4().hex
    (tmp_path / "paper").write_bytes(b"before")
    store = open_store(f"s3+claims://{BUCKET}/{place}", tmp_path)
    await store.upload("receipt/shop/1.json", tmp_path / "paper")
    await store.create("receipt/shop/2.json", b"after")

    with pytest.raises(AlreadyExistsError):
        await store.create("receipt/shop/1.json", b"other")

    assert await store.list("receipt") == ["receipt/shop/1.json", "receipt/shop/2.json"]
    assert await store.read("receipt/shop/1.json") == b"before"
    for key in await store.list("receipt"):
        await store.remove(key)
        await store.create(key, b"again")
        assert await store.read(key) == b"again"
