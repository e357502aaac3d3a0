"""Reading what was printed, with what journal and receipt say of the same turn. No server is asked."""

import asyncio
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from activities.archive import Archive
from activities.ports import NotInStoreError, SealError, Store
from domain.environment import Placement
from domain.journal import Entry, Receipt
from domain.names import Subject, journal_prefix, promotion_id, receipt_prefix, transcript_prefix
from domain.terms import Story
from domain.transcript import Segment, Told, Transcript, printed

AT_ONCE: Final = 8
"""How many segments are read at the same time."""


class Transcripts:
    """Reads transcripts of one subject; what it has read of them once, it does not read again."""

    def __init__(self, store: Store, archive: Archive, subject: Subject) -> None:
        self._store = store
        self._archive = archive
        self._subject = subject
        self._known: dict[str, Segment] = {}
        self._unread: dict[str, str] = {}

    async def turns(self) -> list[int]:
        """Return every turn that the store knows anything of, newest first."""
        rooms = (receipt_prefix, journal_prefix, transcript_prefix)
        found = await asyncio.gather(*(self._store.list(room(self._subject)) for room in rooms))
        names = {key.split("/")[3].removesuffix(".json") for keys in found for key in keys}
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    async def newest_turn(self, version: str) -> int | None:
        """Return the newest turn in which a version was promoted."""
        for turn in await self.turns():
            receipt, entries = await self._papers(turn)
            if self._is_of(version, receipt, entries):
                return turn
        return None

    def _is_of(self, version: str, receipt: Receipt | None, entries: Iterable[Entry]) -> bool:
        if receipt:
            asked = receipt.story is Story.PROMOTION and receipt.version == version
            return asked or receipt.asker == promotion_id(self._subject, version)
        return version in _placed(entries)

    async def read(self, turn: int) -> Transcript:
        """Return what is kept of a turn. Papers with a bad seal, and what is damaged, are named."""
        receipt, entries = await self._papers(turn)
        # After the receipt: where there is one, everything has been printed.
        segments = await self._segments(turn)
        journal = [
            Told(at=entry.at, source="journal", act=str(entry.fence.act), text=str(entry.step))
            for entry in entries
            if not entry.void
        ]
        lines = sorted([*journal, *printed(segments)], key=lambda line: line.at)
        if receipt:
            ended = [*receipt.evidence, str(receipt.outcome) + (f": {receipt.why}" if receipt.why else "")]
            lines += [Told(at=receipt.ended, source="receipt", act="", text=text) for text in ended]
        return Transcript(
            service=self._subject.service,
            environment=self._subject.environment,
            turn=turn,
            story=receipt.story if receipt else next((str(entry.story) for entry in entries), ""),
            version=(receipt.version or "") if receipt else next(iter(_placed(entries)), ""),
            outcome=receipt.outcome if receipt else "",
            lines=tuple(lines),
            unread=tuple(self._unread.values()),
        )

    async def _papers(self, turn: int) -> tuple[Receipt | None, list[Entry]]:
        """Return the receipt, and the journal's entries, as far as they are believed."""
        receipt: Receipt | None = None
        entries: list[Entry] = []
        try:
            receipt = await self._archive.receipt(self._subject, turn)
            acts = (await self._archive.journal_turns(self._subject)).get(turn, [])
            entries = await self._archive.entries(self._subject, turn, acts)
        except SealError as error:
            self._unread[str(turn)] = str(error)
        except ValidationError:
            why = f"A paper of turn {turn} of {self._subject} cannot be read: it is damaged, or of a newer Towpath."
            self._unread[str(turn)] = why
        return receipt, entries

    async def _segments(self, turn: int) -> list[Segment]:
        keys = await self._store.list(f"{transcript_prefix(self._subject)}/{turn}")
        new = [key for key in keys if key not in self._known and key not in self._unread]
        for first in range(0, len(new), AT_ONCE):
            await asyncio.gather(*map(self._read, new[first : first + AT_ONCE]))
        return [self._known[key] for key in keys if key in self._known]

    async def _read(self, key: str) -> None:
        try:
            self._known[key] = Segment.model_validate_json(await self._store.read(key))
        except NotInStoreError:
            return  # pruned meanwhile
        except ValidationError:
            self._unread[key] = f"“{key}” in the store cannot be read: it is damaged, or of a newer Towpath."


def _placed(entries: Iterable[Entry]) -> list[str]:
    """Return the versions that a promotion was about to put there."""
    placed = [entry.step.after for entry in entries if entry.story is Story.PROMOTION and not entry.void]
    return [one.version for one in placed if isinstance(one, Placement)]
