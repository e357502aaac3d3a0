"""Keeping records in the store: once, whoever comes first, and never over what is not to be believed."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from activities.archive import Archive
from activities.auditing_trails import TrailAuditor
from activities.auditing_words import OnceSigners
from activities.keyring import Keyring, make_key
from activities.ports import BadSealError
from activities.trails import Trails
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile
from domain.names import page_key, segment_key
from domain.record import Chain
from domain.statement import Purpose, Statement
from domain.trail import ENDED, tail
from tests.domain.strategies import NOON
from tests.domain.test_record import KINDS, chained
from tests.domain.test_trail import SHOP, trail
from tests.fakes import FixedSettings, MemoryStore, ShiftedClock
from tests.workflows.test_audit import Credulous

STORY = chained(KINDS)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def archive(store: MemoryStore, tmp_path: Path) -> Archive:
    public = make_key(tmp_path, "production")
    environment = EnvironmentFile(environment="production", key=public)
    settings = FixedSettings(Configuration(environments={"production": environment}))
    return Archive(store, Keyring(tmp_path, settings))


@pytest.fixture
def trails(store: MemoryStore, archive: Archive) -> Trails:
    return Trails(store, archive, ShiftedClock())


async def test_what_is_kept_twice_or_by_several_at_once_is_kept_once(
    store: MemoryStore, trails: Trails
) -> None:
    """Pieces that overlap, in any order: each record stands in one segment, and the ledger has two pages."""
    pieces = [tail(Chain(records=STORY.records[:count])) for count in (2, 5, 3, 5)]
    await asyncio.gather(*(trails.keep(trail(), piece) for piece in pieces))
    last = tail(STORY, ENDED)
    await asyncio.gather(*(trails.keep(trail(), last) for _ in range(3)))
    content = dict(store.content)
    await trails.keep(trail(), last)
    await trails.keep(trail(), pieces[0])

    end = await trails.end_of(trail())
    newest = await trails.newest_page(SHOP)

    assert (end.first, end.anchor) == (STORY.count, STORY.head)
    assert newest
    assert (newest.paper.number, newest.paper.open) == (2, ())
    assert store.content == content


async def test_pages_of_several_promotions_follow_on_each_other(trails: Trails) -> None:
    """Whoever comes second at a page takes the next."""
    await asyncio.gather(*(trails.keep(trail(run=f"run-{n}"), tail(STORY)) for n in range(6)))

    newest = await trails.newest_page(SHOP)

    assert newest
    assert newest.paper.number == 6
    assert {one.run for one in newest.paper.open} == {f"run-{n}" for n in range(6)}


@pytest.mark.parametrize("altered", ["record", "ledger"])
async def test_nothing_is_kept_over_what_was_altered(
    store: MemoryStore, trails: Trails, altered: str
) -> None:
    """The sentence says which paper it is."""
    await trails.keep(trail(), tail(Chain(records=STORY.records[:2])))
    key = segment_key(SHOP, "1.0", "run-1", 0) if altered == "record" else page_key(SHOP, 1)
    store.content[key] = store.content[key].replace(b"run-1", b"run-2")
    another = trail(run="run-1" if altered == "record" else "run-3")

    with pytest.raises(BadSealError):
        await trails.keep(another, tail(STORY))


async def test_every_byte_of_what_is_kept_counts(
    store: MemoryStore, archive: Archive, trails: Trails
) -> None:
    """A bit of any of them turned, in any paper, is found; and so is what is moved to another name."""
    await trails.keep(trail(), tail(Chain(records=STORY.records[:2])))
    await trails.keep(trail(), tail(STORY, ENDED))
    whole = dict(store.content)

    async def is_found() -> bool:
        shelf = await TrailAuditor(store, archive, Credulous()).shelf(SHOP)
        return bool(shelf.findings)

    assert not await is_found()
    for key, content in whole.items():
        for place in range(len(key) % 13, len(content), 13):
            store.content = {
                **whole,
                key: content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
            }
            assert await is_found(), (key, place)
        store.content = {name if name != key else f"{name}x": text for name, text in whole.items()}
        assert await is_found(), key


async def test_a_signature_that_two_papers_keep_is_looked_at_once() -> None:
    """At the same time too: each is a process of OpenSSH."""
    asked: list[Statement] = []

    class Counting(Credulous):
        async def why_not(
            self, statement: Statement, signature: str, now: datetime, given: datetime | None = None
        ) -> str:
            asked.append(statement)
            return await super().why_not(statement, signature, now, given)

    signers = OnceSigners(Counting())
    one, other = (Statement(purpose=Purpose.WORD, by="ana", text=text) for text in ("one", "other"))

    await asyncio.gather(*(signers.why_not(said, "", NOON) for said in (one, other, one)))
    await signers.why_not(one, "", NOON)

    assert asked == [one, other]
