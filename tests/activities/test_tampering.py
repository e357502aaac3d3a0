"""Whatever is altered in a store is found by an audit; what is not is named here, with the reason why it is no matter.

A sample of the bytes in each run, all of them by ``make prove ARGS=tests/activities/test_tampering.py``.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings
from pydantic import ValidationError

from activities.auditing import Auditor
from activities.bundling import Bundle
from domain.release import Release
from tests.activities.sealed_past import SHOP, SealedPast
from tests.fakes import MemoryStore
from tests.workflows.test_audit import Credulous

EVERY: Final = 1 if settings.default and settings.default.max_examples > 1000 else 599
"""Of so many bytes one is tried; of seven pairs one, where that is not each."""
Altering = Callable[[bytes, int], Iterator[bytes]]
NOT_READ: Final = {
    "artifact": "its digest is its name, and whoever brings it to a target looks whether it fits",
    "logs": "what programs printed proves nothing, and is sealed by nobody",
}
NOT_MISSED: Final = {
    "release/shop/1.0.json": "a release that is gone looks like one that was pruned",
    "release/shop/3.0.json": "likewise",
    "review/shop/production/20/reviewed.json": "nobody has reviewed it then, and it is asked for again",
    "receipt/shop/production/30.json": "nothing stands for a rollback that came last, but a digest that is kept",
}


@pytest.fixture
async def past(tmp_path: Path) -> SealedPast:
    past = SealedPast(tmp_path)
    await past.write()
    return past


async def found_in(past: SealedPast, content: Mapping[str, bytes], key: str = "") -> list[str]:
    """Return what an audit of this content finds, by the environment's key or another."""
    store = MemoryStore()
    store.content = dict(content)
    archive = past.trusting(store, key or past.key)
    audit = await Auditor(store, archive, Credulous()).audit("", "", "")
    return [str(finding) for finding in audit.findings]


def is_read(key: str) -> bool:
    return key.partition("/")[0] not in NOT_READ


def reads_the_same(key: str, old: bytes, new: bytes) -> bool:
    """Tell whether a manifest that was touched is still the manifest of the same release."""
    if not key.startswith("release/"):
        return False
    try:
        return Release.model_validate_json(old).digest() == Release.model_validate_json(new).digest()
    except ValidationError:
        return False


def flipped(content: bytes, first: int) -> Iterator[bytes]:
    for place in range(first % EVERY, len(content), EVERY):
        yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def cut(content: bytes, first: int) -> Iterator[bytes]:
    yield b""
    yield content[:-1]
    for length in range(1 + first % EVERY, len(content) - 1, EVERY):
        yield content[:length]


async def test_a_store_that_nobody_touched_is_found_whole(past: SealedPast) -> None:
    """It has papers of every kind that a lane leaves."""
    rooms = {key.partition("/")[0] for key in past.store.content}

    assert await found_in(past, past.store.content) == []
    assert rooms == {"artifact", "journal", "ledger", "logs", "receipt", "record", "release", "review"}


@pytest.mark.parametrize("how", [flipped, cut])
async def test_no_byte_is_altered_unnoticed(past: SealedPast, how: Altering) -> None:
    """A bit turned anywhere, and the end cut off anywhere."""
    whole = dict(past.store.content)
    missed: list[tuple[str, bytes]] = []
    for number, (key, content) in enumerate(filter(lambda item: is_read(item[0]), whole.items())):
        for altered in how(content, number * 37):
            found = await found_in(past, {**whole, key: altered})
            missed += [] if found or reads_the_same(key, content, altered) else [(key, altered)]

    assert missed == []


async def test_no_paper_is_taken_out_unnoticed_but_those_named(past: SealedPast) -> None:
    """What a table says of others is true of them, too."""
    whole = past.store.content
    missed = {
        key
        for key in filter(is_read, whole)
        if not await found_in(past, {at: content for at, content in whole.items() if at != key})
    }

    assert missed == set(NOT_MISSED)


async def test_no_two_papers_are_exchanged_unnoticed(past: SealedPast) -> None:
    """Nor is one put in the place of another, nor beside it under a name of its own."""
    whole = past.store.content
    missed: list[tuple[str, str]] = []
    pairs = [*combinations(filter(is_read, whole), 2)]
    for one, other in pairs[:: 1 if EVERY == 1 else 7]:
        if not await found_in(past, {**whole, one: whole[other], other: whole[one]}):
            missed.append((one, other))
    for key in filter(is_read, whole):
        copied = {**whole, f"{key.removesuffix('.json')}7.json": whole[key]}
        if not key.startswith(("release/", "review/")) and not await found_in(past, copied):
            missed.append((key, "copied"))

    assert missed == []


async def test_no_letter_of_the_environments_key_is_altered_unnoticed(past: SealedPast) -> None:
    """By another key nothing is believed."""
    for place in range(len(past.key)):
        other = f"{past.key[:place]}{'A' if past.key[place] != 'A' else 'B'}{past.key[place + 1 :]}"
        assert await found_in(past, past.store.content, other), place


class Growing(MemoryStore):
    """A store in which the newest papers come right after receipts were listed."""

    def __init__(self, content: Mapping[str, bytes], coming: Mapping[str, bytes]) -> None:
        super().__init__()
        self.content, self.coming = dict(content), dict(coming)

    async def list(self, prefix: str) -> list[str]:
        found = await super().list(prefix)
        self.content |= self.coming
        return found


@pytest.mark.parametrize("room", ["receipt", "record", "ledger", "journal"])
async def test_what_is_written_while_an_audit_reads_is_no_finding(past: SealedPast, room: str) -> None:
    """A record that was closed with a receipt is read, and that receipt had not been listed."""
    whole = past.store.content
    coming = {key: text for key, text in whole.items() if key.startswith(f"{room}/")}
    store = Growing({key: text for key, text in whole.items() if key not in coming}, coming)

    audit = await Auditor(store, past.trusting(store, past.key), Credulous()).audit("", "", "")

    assert audit.findings == ()


async def test_a_folder_that_is_taken_along_has_what_was_written_while_it_was_copied(
    past: SealedPast, tmp_path: Path
) -> None:
    """Receipts are copied first; what they are named by comes later, and with it they do."""
    whole = past.store.content
    coming = {key: text for key, text in whole.items() if key.startswith("receipt/")}
    store = Growing({key: text for key, text in whole.items() if key not in coming}, coming)
    into = tmp_path / "evidence"

    await Bundle(store, tmp_path, {}).copy(into, "", "")

    assert all((into / "store" / key).read_bytes() == text for key, text in coming.items())


async def test_the_newest_receipt_of_a_promotion_is_missed_by_its_records(past: SealedPast) -> None:
    """Although no later receipt knows of it."""
    last = {"receipt/shop/production/30.json", "receipt/shop/production/20.json"}

    found = await found_in(past, {key: text for key, text in past.store.content.items() if key not in last})

    what = "its change left the receipt of turn 20, and that is not there any more"
    assert f"the promotion of 3.0 of shop in production: {what}" in found


async def test_what_was_put_in_is_found(past: SealedPast) -> None:
    """Under a name that no paper has, in any folder of a lane's papers."""
    for room in ("journal", "record", "ledger", "receipt", "review"):
        for key in (
            "shop/production/a/b/c/d.json",
            "shop/production/x.json",
            "shop/07.json",
            "x.json",
            "a b/c/1.json",
        ):
            content = {**past.store.content, f"{room}/{key}": b"{}"}
            assert f"“{room}/{key}”" in "".join(await found_in(past, content)), (room, key)
    for key in ("gate/production/a.json", "gate/x.json", "logbook/production/a.json", "logbook/x.json"):
        assert f"“{key}”" in "".join(await found_in(past, {**past.store.content, key: b"{}"})), key


async def test_a_paper_is_found_under_any_name_but_its_own(past: SealedPast) -> None:
    """Its number written otherwise, in another lane or turn, or of an environment that has no paper besides."""
    whole = past.store.content
    keys = [key for key in whole if key.startswith(("receipt/", "journal/", "review/"))]
    assert len({key.partition("/")[0] for key in keys}) == 3
    for key in keys:
        folder, _, name = key.rpartition("/")
        for other in (
            f"{folder}/0{name}",
            f"{folder}/{name.removesuffix('.json')}",
            key.replace("production", "staging"),
            key.replace("/shop/", "/mail/"),
        ):
            assert await found_in(past, {**whole, other: whole[key]}), other


async def test_every_paper_stands_to_the_letter_as_it_was_sealed(past: SealedPast) -> None:
    """Whitespace after one says nothing else, and is found."""
    whole = past.store.content
    papers = [key for key in filter(is_read, whole) if not key.startswith("release/")]

    assert [key for key in papers if not await found_in(past, {**whole, key: whole[key] + b" "})] == []


async def test_what_is_put_in_among_receipts_and_entries_keeps_no_worker_from_its_work(
    past: SealedPast,
) -> None:
    """It is passed over: what has no number is of no turn."""
    for key in ("receipt/shop/production/x.json", "journal/shop/production/x/1.json"):
        past.store.content[key] = b"{}"

    assert await past.archive.receipt_turns(SHOP) == [30, 20, 10]
    assert await past.archive.journal_turns(SHOP) == {10: [1], 20: [1]}
