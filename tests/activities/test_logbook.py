"""An environment's logbook in the store: once, whoever comes first; heard where none can be written; audited."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities import gatehouse, owing
from activities.archive import Archive
from activities.auditing import Auditor
from activities.logbook import Logbook
from activities.owing import MOST
from activities.ports import Signers, StoreError
from activities.signers import OpenSshSigners
from domain.audit import Audit
from domain.logbook import Attempt, Doer, LogPage, WordNote
from domain.names import gate_prefix, log_key, log_prefix
from domain.saying import GateKind, Saying
from domain.value import digest_of
from tests.activities.test_gatehouse import ANA, BO, EVE, Everybody, House, freeze, pin, stamped, thaw
from tests.fakes import MemoryStore
from tests.people import People, needs_openssh

NOW = datetime.now(UTC)


class Moody(MemoryStore):
    """A store that takes nothing, or is not there at all, while it is told so."""

    def __init__(self) -> None:
        super().__init__()
        self.full = self.away = self.hangs = False
        self.refused = 0
        self.took = asyncio.Event()

    async def create(self, key: str, content: bytes) -> None:
        if self.full or self.away:
            self.refused += 1
            raise StoreError("the disk is full")
        await super().create(key, content)
        self.took.set()

    async def list(self, prefix: str) -> list[str]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise StoreError("nobody answers")
        return await super().list(prefix)


class Site(House):
    """A gatehouse and its logbook, over a store that may be moody; and an auditor."""

    def __init__(self, folder: Path, signers: Signers) -> None:
        super().__init__(folder, signers, store=Moody())

    @property
    def moody(self) -> Moody:
        assert isinstance(self.store, Moody)
        return self.store

    def second(self) -> Logbook:
        """Return the logbook as another worker writes it."""
        return Logbook(self.tools, Archive(self.store, self.tools.seals))

    async def pages(self) -> list[LogPage]:
        archive = Archive(self.store, self.tools.seals)
        numbers = range(1, len(await self.store.list(log_prefix("production"))) + 1)
        return [
            (await archive.read(log_key("production", number), "production", LogPage)).paper
            for number in numbers
        ]

    async def audit(self, head: str = "") -> Audit:
        archive = Archive(self.store, self.tools.seals)
        return await Auditor(self.store, archive, self.tools.signers).audit("", "production", head)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, Everybody())


def attempt(number: int = 0) -> Attempt:
    return Attempt(
        at=NOW,
        environment="production",
        what=f"deed {number}",
        by=Doer(workflow_id="evil/1", run="r"),
        why="it may not",
    )


async def test_several_workers_write_one_row_of_pages(site: Site) -> None:
    """Each note stands once, in one row; and what each of them tells twice stands once."""
    first, second = site.second(), site.second()
    word = WordNote(saying=stamped(freeze(), NOW, 1), at=NOW)

    await asyncio.gather(
        *(book.note(attempt(number)) for number in range(6) for book in (first, second)),
        *(book.note(word) for book in (first, second, first)),
    )
    await site.second().note(word)

    pages = await site.pages()
    assert [page.number for page in pages] == [*range(1, 14)]
    assert [page.note for page in pages].count(word) == 1
    assert not (await site.audit()).findings


async def test_what_counts_is_noted_and_what_does_not_is_not(site: Site) -> None:
    """A word that is heard again, as an activity that runs twice does, is one page."""
    said = stamped(freeze(), NOW, 1)
    for word in (said, said, stamped(thaw(), NOW, 2, by=EVE), stamped(pin(BO), NOW, 3)):
        await site.why(word)

    heard = [page.note for page in await site.pages()]

    assert [(note.saying.by, note.saying.door) for note in heard if isinstance(note, WordNote)] == [
        (ANA, "freeze"),
        (BO, "pin"),
    ]
    assert len(heard) == 2


async def test_a_freeze_is_heard_where_nothing_can_be_written(site: Site) -> None:
    """It holds at once, is remembered and noted when it can be, and nobody has opened what nobody could write."""
    site.moody.away = True
    assert await site.why(stamped(freeze(), NOW, 1)) == ""
    with pytest.raises(StoreError):
        await site.why(stamped(thaw(BO), NOW, 2))
    site.moody.away, site.moody.full = False, True

    assert await site.frozen()
    assert not site.store.content

    site.moody.full = False
    assert await site.frozen()
    await site.why(stamped(pin(), NOW, 3))
    await site.logbook.newest()
    assert [page.note.note for page in await site.pages()] == ["word", "word"]
    assert len(await site.store.list(gate_prefix("production", GateKind.FREEZE, None))) == 1
    assert not (await site.audit()).findings

    await site.why(stamped(thaw(BO), NOW + timedelta(seconds=1), 4))
    assert not await site.frozen()


async def test_a_freeze_is_heard_where_the_store_does_not_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the activity that hears it runs out of time."""
    monkeypatch.setattr(owing, "PATIENCE", 0.01)
    monkeypatch.setattr(gatehouse, "PATIENCE", 0.01)
    site.moody.hangs = True
    assert await asyncio.wait_for(site.why(stamped(freeze(), NOW, 1)), 5) == ""

    site.moody.hangs = False
    assert await site.frozen()
    await site.logbook.newest()
    assert [page.note.note for page in await site.pages()] == ["word"]


async def test_a_store_that_takes_nothing_for_long_costs_no_more_than_so_much(site: Site) -> None:
    """What there is room for is written later, in order; nothing fails meanwhile, and nobody tries in vain again."""
    book = site.second()
    site.moody.full = True
    await asyncio.gather(*(book.note(attempt(number)) for number in range(MOST + 5)))
    assert site.moody.refused == 1
    assert await book.newest() is None

    site.moody.full = False
    head = await book.newest()

    pages = await site.pages()
    assert [page.note for page in pages] == [attempt(number) for number in range(MOST)]
    assert head == digest_of(pages[-1].canonical().encode())


async def test_what_is_owed_is_written_as_soon_as_the_store_takes_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to say or do anything more for that."""
    monkeypatch.setattr(owing, "FIRST_PAUSE", 0.001)
    site.moody.full = True
    await site.logbook.note(attempt())
    assert not site.store.content

    site.moody.full = False
    await asyncio.wait_for(site.moody.took.wait(), 5)

    assert [page.note for page in await site.pages()] == [attempt()]


@pytest.mark.parametrize("key", ["", "ed25519:" + "A" * 43 + "=", None])
async def test_a_configuration_that_is_wrong_for_a_moment_alters_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """Nobody can check a page then, which says nothing about the page: the next one follows on what it is."""
    monkeypatch.setattr(owing, "FIRST_PAUSE", 0.001)
    await site.second().note(attempt(1), attempt(2))
    right, book = site.settings.configuration, site.second()
    files = {} if key is None else {"production": right.environments["production"].but(key=key)}

    site.settings.configuration = right.but(environments=files)
    await book.note(attempt(3))
    assert await book.newest() is None
    site.settings.configuration = right
    site.moody.took.clear()
    await asyncio.wait_for(site.moody.took.wait(), 5)

    assert [page.note for page in await site.pages()] == [attempt(1), attempt(2), attempt(3)]
    assert not (await site.audit()).findings


async def test_the_newest_page_is_not_written_anew_where_it_was_taken_out(site: Site) -> None:
    """Its worker goes on after it, so that the gap stays; and what is no page stands in nobody's way."""
    book = site.second()
    await book.note(attempt(1), attempt(2))
    head = await book.newest()
    await site.store.remove(log_key("production", 2))
    assert head
    assert f"the paper {head}, which was there once" in _said(await site.audit(head))

    await book.note(attempt(3))
    site.store.content[log_key("production", 4)] = b"what is this"
    await book.note(attempt(4))
    found = _said(await site.audit())
    newest = await Archive(site.store, site.tools.seals).read(log_key("production", 5), "production", LogPage)

    assert log_key("production", 3) in site.store.content
    assert newest.paper.before == digest_of(b"what is this")
    assert "page 2 of the logbook of production is not there any more" in found
    assert "logbook/production/4.json” cannot be read" in found


async def test_every_byte_of_it_counts(site: Site) -> None:
    """Edited, moved, or taken out at any place but the last: it is found; and the last, by its digest."""
    await site.why(stamped(freeze(), NOW, 1))
    book = site.second()
    await book.note(attempt(1), attempt(2))
    head = await book.newest()
    whole = dict(site.store.content)
    keys = [key for key in whole if key.startswith("logbook/")]
    assert len(keys) == 3
    assert head
    assert not (await site.audit(head)).findings

    for key in keys:
        content = whole[key]
        for place in range(len(key) % 3, len(content), 3):
            edited = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            site.store.content = {**whole, key: edited}
            assert (await site.audit()).findings, (key, place)
        site.store.content = {at: text for at, text in whole.items() if at != key}
        assert (await site.audit(head)).findings, key
        other = next(one for one in keys if one != key)
        site.store.content = {**whole, key: whole[other]}
        assert (await site.audit()).findings, key
        site.store.content = {name if name != key else f"{name}x": text for name, text in whole.items()}
        assert (await site.audit()).findings, key
    site.store.content = {at: text for at, text in whole.items() if not at.startswith("gate/")}
    assert "what is remembered of gates does not say so" in _said(await site.audit())


async def test_what_is_remembered_of_gates_counts_too(site: Site) -> None:
    """Each bit of it, whitespace after it, and whatever is put in beside."""
    for word in (stamped(freeze(), NOW, 1), stamped(pin(BO), NOW, 2)):
        await site.why(word)
    whole = dict(site.store.content)
    keys = [key for key in whole if key.startswith("gate/")]
    assert len(keys) == 2
    assert not (await site.audit()).findings

    for key in keys:
        content = whole[key]
        altered = [
            content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(0, len(content), 41)
        ]
        for one in (*altered, content[:-1], content + b" "):
            site.store.content = {**whole, key: one}
            assert f"“{key}”" in _said(await site.audit()), one
        site.store.content = {**whole, f"{key.removesuffix('.json')}0.json": content}
        assert "somebody moved it" in _said(await site.audit())
    site.store.content = {keys[0]: whole[keys[1]]}
    assert "somebody moved it" in _said(await site.audit()), "although there is no logbook any more"


@needs_openssh
async def test_whose_words_they_were_openssh_says_as_of_when_they_were_said(tmp_path: Path) -> None:
    """A key that has expired since was good then; one that was revoked proves nothing any more."""
    people = People(tmp_path / "people")
    people.allow(tmp_path, {ANA: ANA, BO: BO})
    site = Site(tmp_path, OpenSshSigners(tmp_path))

    def signed(saying: Saying) -> Saying:
        return saying.but(signed=people.signer(saying.by).sign_word(saying))

    assert [await site.why(signed(one)) for one in (freeze(ANA), pin(BO))] == ["", ""]
    good = await site.audit()
    people.revoke(tmp_path, BO)
    bad = await site.audit()

    assert not good.findings
    assert [str(one.by) for one in good.notes] == [ANA, BO]
    (finding,) = map(str, bad.findings)
    assert finding.startswith(f"page 2 of the logbook of production: nothing proves that {BO} said pin: ")


def _said(audit: Audit) -> str:
    return "\n".join(map(str, audit.findings))
