"""Reading environments' logbooks as an auditor does: every page, and every signature on one."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import ValidationError

from activities.archive import Archive
from activities.auditing_papers import in_order, read_paper
from activities.ports import NotInStoreError, Signers, Store
from domain.audit import Finding, Noted
from domain.gate import Quarantine
from domain.logbook import LogPage, Note, OverrideNote, QuarantineNote, WordNote
from domain.logbook_audit import UNSIGNED, KeptLogPage, logbook_findings, note_findings, tell_page
from domain.names import GATE_WORDS, LOGBOOKS, is_identifier, log_prefix, quarantine_key
from domain.override import word_of
from domain.saying import GateWord
from domain.signature import Signature
from domain.statement import Statement, override_statement, word_statement

AT_ONCE: Final = 8
"""How many pages are looked at at the same time."""


class Log(NamedTuple):
    """What is kept of one environment's logbook."""

    pages: tuple[KeptLogPage, ...] = ()
    notes: tuple[Noted, ...] = ()
    findings: tuple[Finding, ...] = ()


class LogbookAuditor:
    """Checks what was noted in environments, by the public keys and the people in a configuration folder."""

    def __init__(self, store: Store, archive: Archive, signers: Signers) -> None:
        self._store = store
        self._archive = archive
        self._signers = signers

    async def environments(self) -> set[str]:
        """Return every environment that has a logbook, or remembers gates. Raises ``StoreError`` as the store does."""
        keys = [key for room in (LOGBOOKS, GATE_WORDS) for key in await self._store.list(room)]
        names = {key.split("/")[1] for key in keys}
        return set(filter(is_identifier, names))

    async def log(self, environment: str) -> Log:
        """Return what is kept of an environment's logbook, and whatever does not hold."""
        findings: list[Finding] = []
        pages: list[KeptLogPage] = []
        for key in in_order(await self._store.list(log_prefix(environment))):
            kept = await read_paper(self._archive, key, environment, LogPage)
            if isinstance(kept, str):
                findings.append(Finding(what=kept))
            else:
                pages.append(KeptLogPage(kept.paper, kept.digest))
        notes: list[Noted] = []
        for first in range(0, len(pages), AT_ONCE):
            notes += await asyncio.gather(*map(self._noted, pages[first : first + AT_ONCE]))
        findings += logbook_findings(environment, pages)
        gates = await self._store.list(f"{GATE_WORDS}/{environment}")
        findings += await self._gate_findings(environment, gates)
        quarantines = await self._quarantines(notes)
        for noted in notes:
            findings += note_findings(noted, gates, quarantines)
        return Log(tuple(pages), tuple(notes), tuple(findings))

    async def _gate_findings(self, environment: str, gates: Sequence[str]) -> list[Finding]:
        """Find what is remembered of gates and was altered, moved or put in."""
        found: list[Finding] = []
        for first in range(0, len(gates), AT_ONCE):
            some = gates[first : first + AT_ONCE]
            looks = [read_paper(self._archive, key, environment, GateWord) for key in some]
            found += [Finding(what=kept) for kept in await asyncio.gather(*looks) if isinstance(kept, str)]
        return found

    async def _noted(self, one: KeptLogPage) -> Noted:
        found = _signed(one.page.environment, one.page.note)
        if found is None:
            return tell_page(one, UNSIGNED)
        statement, signature = found
        return tell_page(one, await self._signers.why_not(statement, signature.ssh, signature.at))

    async def _quarantines(self, notes: Sequence[Noted]) -> dict[str, Quarantine]:
        """Return what the store says now, under the keys of the records that notes are about."""
        found: dict[str, Quarantine] = {}
        for note in (noted.note for noted in notes):
            if isinstance(note, QuarantineNote):
                record = note.quarantine
                key = quarantine_key(record.service, record.version, record.number)
                try:
                    content = await self._store.read(key)
                    kept = Quarantine.model_validate_json(content)
                except (NotInStoreError, ValidationError):
                    continue
                found |= {key: kept} if kept.canonical().encode() == content else {}
        return found


def _signed(environment: str, note: Note) -> tuple[Statement, Signature] | None:
    """Return what somebody has signed of a note, and by what; None where nobody has."""
    match note:
        case WordNote(saying=saying) if saying.signed:
            return word_statement(saying, saying.signed), saying.signed
        case OverrideNote(override=override) if override.signature:
            statement = override_statement(environment, word_of(override), override.signature)
            return statement, override.signature
        case _:
            return None
