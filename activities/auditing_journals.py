"""Reading journals as an auditor does: every entry, also of what no receipt accounts for."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from activities.archive import Archive
from activities.ports import NotInStoreError, SealError, Store
from domain.audit import Finding
from domain.journal import Entry
from domain.journal_audit import unaccounted_findings
from domain.names import Subject, is_number, journal_key, journal_prefix


class Journal(NamedTuple):
    """All entries of a lane that can be believed, by their turns, and what cannot."""

    entries: Mapping[int, tuple[Entry, ...]]
    findings: tuple[Finding, ...]


class JournalAuditor:
    """Checks entries by the public keys in a configuration folder."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    async def read(self, subject: Subject, at_once: int) -> Journal:
        """Return a lane's journal, whatever has a receipt. Raises ``StoreError`` as the store does."""
        findings: list[Finding] = []
        numbers: list[tuple[int, int]] = []
        for key in await self._store.list(journal_prefix(subject)):
            names = key.removesuffix(".json").split("/")[3:]
            is_one = key.endswith(".json") and len(names) == len(("turn", "act"))
            if is_one and all(map(is_number, names)):
                numbers.append((int(names[0]), int(names[1])))
            else:
                what = f"“{key}” is not where any deed is journaled: it was put in"
                findings.append(Finding(subject=subject, what=what))
        entries: dict[int, tuple[Entry, ...]] = {}
        numbers.sort()
        for first in range(0, len(numbers), at_once):
            looks = [self._entry(subject, *number) for number in numbers[first : first + at_once]]
            for found in await asyncio.gather(*looks):
                if isinstance(found, Finding):
                    findings.append(found)
                else:
                    turn = found.fence.turn
                    entries[turn] = (*entries.get(turn, ()), found)
        return Journal(entries, tuple(findings))

    async def _entry(self, subject: Subject, turn: int, act: int) -> Entry | Finding:
        key = journal_key(subject, turn, act)
        try:
            kept = await self._archive.read(key, subject.environment, Entry)
        except NotInStoreError:
            what = f"its journal entry {act} went away while it was looked for"
        except SealError as error:
            what = f"its journal entry {act} is not to be believed: {error}"
        except ValidationError:
            what = f"its journal entry {act} cannot be read: it was altered, or a newer Towpath wrote it"
        else:
            if kept.as_written:
                return kept.paper
            what = f"its journal entry {act} is not written as it was sealed"
        return Finding(subject=subject, turn=turn, what=what)


def open_findings(journal: Journal, subject: Subject, accounted: Iterable[int]) -> list[Finding]:
    """Find turns of the journal that no receipt accounts for, although another came after them."""
    return [*unaccounted_findings(subject, journal.entries, frozenset(accounted))]
