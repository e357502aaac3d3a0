"""What an auditor checks of an environment's logbook: that no page is missing or altered, and whose words it holds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from domain.actor import Proof
from domain.audit import Finding, Noted, Vouched
from domain.binding import Read, binding_faults
from domain.gate import Quarantine
from domain.journal import Receipt
from domain.logbook import Attempt, LogPage, Note, OverrideNote, QuarantineNote, TidingsNote, WordNote
from domain.names import quarantine_key
from domain.saying import place_of
from domain.value import short

KeptLogPage: TypeAlias = Read[LogPage]
UNSIGNED = "it was not signed"


def tell_page(one: KeptLogPage, unproven: str) -> Noted:
    """Return what a page says. ``unproven`` is what OpenSSH says against a signature on it."""
    page = one.page
    return Noted(
        environment=page.environment,
        number=page.number,
        note=page.note,
        by=_by(page.note, unproven),
        fingerprint=one.digest,
    )


def _by(note: Note, unproven: str) -> Vouched | None:
    match note:
        case WordNote(saying=saying):
            return Vouched(name=saying.by, comment=saying.text, at=note.at, unproven=unproven)
        case OverrideNote(override=override):
            return Vouched(name=override.by.name, comment=override.reason, at=note.at, unproven=unproven)
        case TidingsNote(record=record):
            return Vouched(name=record.actor.name, comment=record.comment, at=record.at, unproven=UNSIGNED)
        case QuarantineNote(quarantine=record):
            return Vouched(name=record.by.name, comment=record.reason, at=record.at, unproven=UNSIGNED)
        case Attempt(claimed=claimed):
            return Vouched(name=claimed, at=note.at, unproven="it was refused") if claimed else None


def logbook_findings(environment: str, pages: Sequence[KeptLogPage]) -> Iterator[Finding]:
    """Find pages that were taken out, put in, or exchanged. Of the newest only a receipt or a kept digest tells."""
    yield from (Finding(what=what) for what in binding_faults(f"the logbook of {environment}", pages))


def note_findings(
    noted: Noted, gates: Collection[str], quarantines: Mapping[str, Quarantine]
) -> Iterator[Finding]:
    """Find what a page says and the store does not bear out.

    ``gates`` are the keys of the words about gates that the store holds, ``quarantines`` what it says of releases.
    """
    yield from (
        Finding(what=f"page {noted.number} of the logbook of {noted.environment}: {what}")
        for what in _faults(noted, gates, quarantines)
    )


def _faults(noted: Noted, gates: Collection[str], quarantines: Mapping[str, Quarantine]) -> Iterator[str]:
    unproven = noted.by.unproven if noted.by else ""
    match noted.note:
        case WordNote(proof=Proof.SSH_SIGNATURE, saying=saying):
            if unproven:
                yield f"nothing proves that {saying.by} said {saying.door}: {unproven}"
            if place_of(saying) not in {"", *gates}:
                yield f"{saying.by} said {saying.door}, and what is remembered of gates does not say so"
        case OverrideNote(override=override) if override.is_proven and unproven:
            yield f"nothing proves that {override.by.name} overrode gates: {unproven}"
        case QuarantineNote(quarantine=record):
            key = quarantine_key(record.service, record.version, record.number)
            if quarantines.get(key) != record:
                yield f"“{key}” is not there any more, or says something else than a promotion met"
        case _:
            return


def named_page_findings(receipt: Receipt, pages: Sequence[KeptLogPage]) -> Iterator[Finding]:
    """Find a receipt that knows of a page which is not there."""
    if receipt.logbook and receipt.logbook not in {one.digest for one in pages}:
        what = f"the page {short(receipt.logbook)} of the logbook, which it knows, is not there any more"
        yield Finding(subject=receipt.subject, turn=receipt.turn, what=what)
