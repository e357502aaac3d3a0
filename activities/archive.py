"""The sealed papers of an environment: journal entries and receipts, written once and never over."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from activities.attempts import caught
from activities.ports import AlreadyExistsError, BadSealError, NotInStoreError, Seals, Store
from domain.attempt import Kind
from domain.folding import folded
from domain.journal import Entry, Evidence, OpenTurn, Receipt
from domain.logbook import LogPage
from domain.names import (
    Subject,
    is_identifier,
    is_number,
    journal_key,
    journal_prefix,
    log_key,
    page_key,
    receipt_key,
    receipt_prefix,
    review_key,
    segment_key,
)
from domain.rehearsal import Rehearsal
from domain.review import Broken, Reviewed
from domain.saying import GateWord, place_of
from domain.terms import Proposal, Sealed
from domain.trail import Page, Segment
from domain.value import Digest, Value, digest_of

KINDS: Final[dict[type[Value], str]] = {
    Proposal: "proposal",
    Entry: "journal",
    Receipt: "receipt",
    Evidence: "evidence",
    Segment: "segment",
    Page: "page",
    LogPage: "logbook",
    GateWord: "gate",
    Broken: "broken",
    Reviewed: "reviewed",
    Rehearsal: "rehearsal",
}
"""What is written over a seal, so that one kind of paper never passes for another."""

PaperT = TypeVar("PaperT", bound=Value)
PageT = TypeVar("PageT", Page, LogPage)
RECEIPTS_REMEMBERED: Final = 20
"""How far back is looked for what can be rolled back, and for how a release was soaked."""


class Kept(NamedTuple, Generic[PaperT]):
    """A paper, the digest of its text, and whether it stands there to the letter as it was written."""

    paper: PaperT
    digest: Digest
    as_written: bool


class Archive:
    """Reads and writes sealed papers. A paper with a bad seal raises ``BadSealError``; it is never passed over."""

    def __init__(self, store: Store, seals: Seals) -> None:
        self._store = store
        self._seals = seals

    def seal(self, environment: str, paper: Value) -> Sealed:
        text = paper.canonical()
        # A proposal travels in messages, and one for many targets is long; the others are read in the store.
        body = folded(text) if isinstance(paper, Proposal) else text
        return self._seals.seal(environment, KINDS[type(paper)], body)

    def unseal(self, sealed: Sealed, environment: str, kind: type[PaperT]) -> PaperT:
        try:
            body = self._seals.open(sealed, environment, KINDS[kind])
        except BadSealError as error:
            caught(Kind.SEAL, str(error))
            raise
        return kind.model_validate_json(body)

    async def write_entry(self, entry: Entry) -> Entry:
        """Write an entry where none stands; return the one that stands, whoever wrote it."""
        return await self._write_once(entry.subject.environment, entry)

    async def write_receipt(self, receipt: Receipt, newest: "Kept[Receipt] | None" = None) -> Receipt:
        """Write a receipt where none stands, bound to the newest one that does; return the one that stands.

        ``newest`` is that one, where somebody has just read it.
        """
        previous = newest.digest if newest else await self._newest_digest(receipt.subject, receipt.turn)
        linked = receipt.but(previous=previous)
        return await self._write_once(receipt.subject.environment, linked)

    async def _newest_digest(self, subject: Subject, but_for: int) -> Digest | None:
        others = [turn for turn in await self.receipt_turns(subject) if turn != but_for]
        if not others:
            return None
        sealed = Sealed.model_validate_json(await self._store.read(receipt_key(subject, others[0])))
        return digest_of(sealed.body.encode())

    async def write_segment(self, segment: Segment) -> "Kept[Segment]":
        """Write a segment of a trail where none stands; return the one that stands, whoever wrote it."""
        return await self._keep_once(segment.trail.subject.environment, segment)

    async def write_page(self, environment: str, page: PageT) -> "Kept[PageT]":
        """Write a page of a ledger or logbook where none stands; return the one that stands, whoever wrote it."""
        return await self._keep_once(environment, page)

    async def _write_once(self, environment: str, paper: PaperT) -> PaperT:
        return (await self._keep_once(environment, paper)).paper

    async def _keep_once(self, environment: str, paper: PaperT) -> "Kept[PaperT]":
        key = _own_key(paper)
        sealed = self.seal(environment, paper)
        try:
            await self._store.create(key, sealed.canonical().encode())
        except AlreadyExistsError:
            return await self.read(key, environment, type(paper))
        return Kept(paper, digest_of(sealed.body.encode()), as_written=True)

    async def entry(self, subject: Subject, turn: int, act: int) -> Entry | None:
        return await self._maybe(journal_key(subject, turn, act), subject.environment, Entry)

    async def receipt(self, subject: Subject, turn: int) -> Receipt | None:
        return await self._maybe(receipt_key(subject, turn), subject.environment, Receipt)

    async def receipt_turns(self, subject: Subject) -> list[int]:
        """Return the turns that have a receipt, newest first."""
        keys = await self._store.list(receipt_prefix(subject))
        names = (key.rsplit("/", 1)[1].removesuffix(".json") for key in keys)
        return sorted(map(int, filter(is_number, names)), reverse=True)

    async def newest_of(self, subject: Subject, closed: Sequence[int]) -> "Kept[Receipt] | None":
        """Return the newest receipt of turns that have one, newest first."""
        if not closed:
            return None
        return await self.read(receipt_key(subject, closed[0]), subject.environment, Receipt)

    async def newest_receipts(self, subject: Subject, count: int) -> list[Receipt]:
        turns = (await self.receipt_turns(subject))[:count]
        found = await asyncio.gather(*(self.receipt(subject, turn) for turn in turns))
        return [receipt for receipt in found if receipt is not None]

    async def receipts_of(self, subject: Subject, release: Digest) -> list[Receipt]:
        """Return the newest receipts, newest first: one alone where that is of the release's own promotion."""
        newest = await self.newest_receipts(subject, 1)
        if not newest or newest[0].brought(release):
            return newest
        return await self.newest_receipts(subject, RECEIPTS_REMEMBERED)

    async def journal_turns(self, subject: Subject) -> dict[int, list[int]]:
        """Return turn → the acts it has entries of."""
        turns: dict[int, list[int]] = {}
        for key in await self._store.list(journal_prefix(subject)):
            *_, turn, act = key.removesuffix(".json").split("/")
            if is_number(turn) and is_number(act):
                turns.setdefault(int(turn), []).append(int(act))
        return turns

    async def entries(self, subject: Subject, turn: int, acts: Iterable[int]) -> list[Entry]:
        """Return the entries of these acts that stand, oldest first."""
        found = await asyncio.gather(*(self.entry(subject, turn, act) for act in sorted(acts)))
        return [entry for entry in found if entry is not None]

    async def open_turns(self, subject: Subject, closed: Sequence[int]) -> tuple[OpenTurn, ...]:
        """Return the turns with journal entries and no receipt, oldest first."""
        journals = await self.journal_turns(subject)
        return tuple(
            [
                OpenTurn(turn=turn, entries=tuple(await self.entries(subject, turn, acts)))
                for turn, acts in sorted(journals.items())
                if turn not in set(closed)
            ]
        )

    async def _maybe(self, key: str, environment: str, kind: type[PaperT]) -> PaperT | None:
        try:
            return await self._read(key, environment, kind)
        except NotInStoreError:
            return None

    async def _read(self, key: str, environment: str, kind: type[PaperT]) -> PaperT:
        return (await self.read(key, environment, kind)).paper

    async def read(self, key: str, environment: str, kind: type[PaperT]) -> "Kept[PaperT]":
        """Read the paper under a key.

        Raises ``NotInStoreError``, and ``BadSealError`` where what stands there is not to be believed.
        """
        content = await self._store.read(key)
        try:
            sealed = Sealed.model_validate_json(content)
        except ValidationError:
            caught(Kind.SEAL, f"“{key}” in the store is damaged")
            raise
        paper = self.unseal(sealed, environment, kind)
        if _own_key(paper) != key:
            message = f"“{key}” holds the paper of {_own_key(paper)}: somebody moved it"
            caught(Kind.SEAL, message)
            raise BadSealError(message)
        return Kept(paper, digest_of(sealed.body.encode()), sealed.canonical().encode() == content)


async def turns_with_receipts(
    store: Store, service: str = "", environment: str = ""
) -> list[tuple[Subject, int]]:
    """Return every turn that has a receipt, of this service and environment where they are named."""
    found: list[tuple[Subject, int]] = []
    for key in await store.list(f"receipt/{service}" if service else "receipt"):
        room, *names = key.removesuffix(".json").split("/")
        if room != "receipt" or len(names) != len(("service", "environment", "turn")):
            continue
        if all(map(is_identifier, names)) and is_number(names[2]) and environment in {"", names[1]}:
            found.append((Subject(service=names[0], environment=names[1]), int(names[2])))
    return found


def _own_key(paper: Value) -> str:
    match paper:
        case Entry(subject=subject, fence=fence):
            key = journal_key(subject, fence.turn, fence.act)
        case Receipt(subject=subject, turn=turn):
            key = receipt_key(subject, turn)
        case Segment(trail=trail, first=first):
            key = segment_key(trail.subject, trail.version, trail.run, first)
        case Page(subject=subject, number=number):
            key = page_key(subject, number)
        case LogPage(environment=environment, number=number):
            key = log_key(environment, number)
        case GateWord(saying=saying):
            key = place_of(saying)
        case Broken(subject=subject, turn=turn) | Reviewed(subject=subject, turn=turn):
            key = review_key(subject, turn, KINDS[type(paper)])
        case _:
            key = ""
    return key
