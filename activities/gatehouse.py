"""Whether what people say and ask for counts here, by this worker's own configuration and OpenSSH; and what is shut."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError
from temporalio import activity

from activities.archive import Archive
from activities.around import Around
from activities.attempts import caught, overlooked
from activities.logbook import Logbook
from activities.owing import PATIENCE, Owing
from activities.ports import AlreadyExistsError, BadSealError, StoreError
from activities.proving import Proving
from activities.quarantines import find_quarantine, find_quarantined
from activities.tools import Tools
from domain.actor import Proof
from domain.attempt import Kind
from domain.emergency import overriders_of
from domain.gate import Freeze, Pin, Quarantine
from domain.journal import Receipt
from domain.logbook import QuarantineNote, WordNote
from domain.names import Subject, gate_prefix
from domain.override import OverrideOrder, why_in_vain, why_not_overriding
from domain.permission import DOOR_OF, why_may_not
from domain.roles import Door
from domain.saying import (
    GATES,
    SHUTS,
    GateKind,
    GateWord,
    Heard,
    Saying,
    is_skip_of,
    place_of,
    shut_by,
    why_misdirected,
)
from domain.statement import override_statement, word_statement
from domain.terms import Request, Sealed

UNSIGNED = (
    "words count here only with their sender's own signature, and this one has none; name a key by --key, or in "
    "TOWPATH_SIGNING_KEY"
)


class Shut(NamedTuple):
    """What somebody proven has shut, and nobody proven has opened since."""

    freeze: Freeze | None = None
    pin: Pin | None = None


class Gatehouse:
    """Judges words and requests for one environment, and remembers what was said of its gates."""

    def __init__(self, tools: Tools, archive: Archive, around: Around, logbook: Logbook) -> None:
        self._tools = tools
        self._archive = archive
        self._around = around
        self._logbook = logbook
        self._proving = Proving(tools.signers, tools.clock)
        self._owed = Owing("memory of gates", self._write)

    async def hear(self, saying: Saying) -> Heard:
        """Say whether a word counts. Where no signature is asked for, none is looked at.

        A signed word about a gate is remembered in the store, sealed, before it counts; one that shuts counts even
        where the store cannot be written, and is remembered later. What counts is noted in the logbook. Twice is
        once.
        """
        heard = await self._judge(saying)
        if not heard.why:
            note = WordNote(
                saying=saying, proof=heard.proof, occasion=_occasion(), at=self._tools.clock.now()
            )
            await self._logbook.note(note)
        return heard

    async def _judge(self, saying: Saying) -> Heard:
        configuration = self._tools.configuration(saying.service or "")
        place = (saying.environment, saying.service)
        why = why_misdirected(saying) or why_may_not(configuration, saying.by, saying.door, *place)
        if why:
            return Heard(why=why)
        if not configuration.is_signed(*place):
            return Heard()
        if saying.signed is None:
            caught(Kind.UNSIGNED, UNSIGNED, saying.by)
            return Heard(why=UNSIGNED)
        why = await self._proving.as_it_comes(word_statement(saying, saying.signed), saying.signed)
        if not why and (gate := GATES.get(saying.door)):
            why = await self._remember(saying, gate)
        return Heard(why=why, proof=Proof.NONE if why else Proof.SSH_SIGNATURE)

    async def hear_override(self, order: OverrideOrder) -> Heard:
        """Say whether an override that comes may count: what it would be refused for at a deed, it is now."""
        word, configuration = order.word, self._tools.configuration(order.word.service)
        who = overriders_of(configuration, Subject(service=word.service, environment=order.environment))
        if why := why_in_vain(word, who):
            if who.signed and word.signed is None and not why_not_overriding(word.by, who):
                caught(Kind.UNSIGNED, "an override is not signed", word.by)
            return Heard(why=why)
        if not who.signed or word.signed is None:
            return Heard()
        why = await self._proving.as_it_comes(
            override_statement(order.environment, word, word.signed), word.signed
        )
        return Heard(why=why, proof=Proof.NONE if why else Proof.SSH_SIGNATURE)

    async def admit(
        self, request: Request, receipts: Sequence[Receipt] = (), drawn_up: datetime | None = None
    ) -> str:
        """Say why this is not asked for by somebody who may, or nothing where it is, or nobody has to ask.

        Its signature has to last until its terms are ``drawn_up``, else until now, and asks once: none of these
        ``receipts`` may bear it. Whoever is on the worker's host without the
        engine has the environment's key, and needs no other.
        """
        door = DOOR_OF.get(request.story)
        if door is None or self._around.is_offline:
            return ""
        configuration = self._tools.configuration(request.subject.service)
        place = (request.subject.environment, request.subject.service)
        if why := why_may_not(configuration, request.actor.name, door, *place):
            return why
        if not configuration.is_signed(*place):
            return ""
        if used := next((one for one in receipts if _was_asked_for_by(request, one)), None):
            why = f"its signature was used before, in turn {used.turn}; ask again, and sign that"
            caught(Kind.REPLAY, why, request.actor.name)
            return why
        why = await self._proving.request(request, drawn_up)
        return f"{request.actor.name} may not have asked for this: {why}" if why else ""

    async def quarantine(self, service: str, version: str) -> Quarantine | None:
        """Return what was said last of a release by somebody who may say that, here; it is noted.

        Who wrote it is claimed. Raises as ``find_quarantine`` does.
        """
        found = await find_quarantine(self._tools.store, service, version, self._may_ban)
        await self._note([found] if found else [])
        return found

    async def quarantined(self, service: str, versions: Iterable[str]) -> dict[str, Quarantine]:
        """Return version → record of those that are in quarantine, likewise."""
        found = await find_quarantined(self._tools.store, service, versions, self._may_ban)
        await self._note(found.values())
        return found

    async def _note(self, met: Iterable[Quarantine]) -> None:
        now = self._tools.clock.now()
        await self._logbook.note(*(QuarantineNote(quarantine=one, at=now) for one in met))

    def _may_ban(self, record: Quarantine) -> bool:
        door = Door.UNQUARANTINE if record.lifted else Door.QUARANTINE
        configuration = self._tools.configuration(record.service)
        return not why_may_not(configuration, record.by.name, door, self._tools.environment, record.service)

    async def shut(self, subject: Subject) -> Shut:
        """Return what is shut there by a proven word. Raises ``BadSealError`` where one cannot be believed."""
        configuration = self._tools.configuration(subject.service)
        environment, service = subject.environment, subject.service
        freeze = pin = None
        if configuration.is_signed(environment):
            freeze = await self._standing(gate_prefix(environment, GateKind.FREEZE, None))
        if configuration.is_signed(environment, service):
            pin = await self._standing(gate_prefix(environment, GateKind.PIN, service))
        return Shut(
            freeze=freeze if isinstance(freeze, Freeze) else None, pin=pin if isinstance(pin, Pin) else None
        )

    async def why_not_skipped(self, subject: Subject, turn: int, words: Sequence[Saying]) -> str:
        """Say why nobody who may has said to leave something undone in this turn, or nothing where they have."""
        said = [await self._why_no_skip(word, subject, turn) for word in words]
        return "" if "" in said else (said or ["nobody has said so"])[-1]

    async def _why_no_skip(self, word: Saying, subject: Subject, turn: int) -> str:
        if not is_skip_of(word, subject, turn):
            return f"what {word.by} said was meant for {word.to}"
        configuration = self._tools.configuration(subject.service)
        place = (subject.environment, subject.service)
        if why := why_may_not(configuration, word.by, word.door, *place):
            return why
        if not configuration.is_signed(*place):
            return ""
        if word.signed is None:
            return UNSIGNED
        # It was in time when it came; what is left undone may be accounted for much later.
        return await self._proving.why_no_more(word_statement(word, word.signed), word.signed, word.signed.at)

    async def _remember(self, saying: Saying, gate: GateKind) -> str:
        """Keep a word about a gate; say so where a later one is known: whoever presents an older changes nothing."""
        prefix = gate_prefix(saying.environment, gate, saying.service)
        word = GateWord(saying=saying, heard=self._tools.clock.now())
        try:
            async with asyncio.timeout(PATIENCE):
                known = await self._tools.store.list(prefix)
                if known and known[-1] > place_of(word.saying):
                    return f"somebody has said something later of this {gate} already"
                await self._write(word)
        except (StoreError, TimeoutError):
            # Nothing moves where the store is away; what shuts has to hold from when it can be read again.
            if saying.door not in SHUTS:
                raise
            await self._owed.add(word)
        return ""

    async def _write(self, word: GateWord) -> None:
        sealed = self._archive.seal(self._tools.environment, word)
        with suppress(AlreadyExistsError):
            await self._tools.store.create(place_of(word.saying), sealed.canonical().encode())

    async def _newest_owed(self, prefix: str) -> GateWord | None:
        """Return what could not be written when it was heard, and still cannot."""
        if self._owed.items:
            await self._owed.settle()
        owed = [word for word in self._owed.items if place_of(word.saying).startswith(f"{prefix}/")]
        return max(owed, key=lambda word: place_of(word.saying), default=None)

    async def _standing(self, prefix: str) -> Freeze | Pin | None:
        """Return what the newest word keeps shut. One that opens is proven again: its key may have been revoked."""
        owed = await self._newest_owed(prefix)
        known = await self._tools.store.list(prefix)
        if owed and not (known and known[-1] > place_of(owed.saying)):
            return shut_by(owed)
        for key in reversed(known):
            word = await self._read(key)
            if word.saying.door in SHUTS:
                return shut_by(word)
            if await self._opens(word.saying):
                return None
        return None

    async def _opens(self, saying: Saying) -> bool:
        signed = saying.signed
        if signed is None:
            return False
        statement = word_statement(saying, signed)
        with overlooked():
            return not await self._tools.signers.why_not(statement, signed.ssh, signed.at)

    async def _read(self, key: str) -> GateWord:
        try:
            sealed = Sealed.model_validate_json(await self._tools.store.read(key))
        except ValidationError as error:
            why = f"“{key}” in the store is damaged"
            caught(Kind.SEAL, why)
            raise BadSealError(why) from error
        word = self._archive.unseal(sealed, self._tools.environment, GateWord)
        if place_of(word.saying) != key:
            why = f"“{key}” holds another word than its name says: somebody moved it"
            caught(Kind.SEAL, why)
            raise BadSealError(why)
        return word


def _occasion() -> str:
    """Name the activity that runs now: of one that is tried again it is the same."""
    if not activity.in_activity():
        return ""
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"


def _was_asked_for_by(request: Request, receipt: Receipt) -> bool:
    """Tell whether this very signature led to that change: one key can sign the same moment in other letters."""
    if request.signature is None or receipt.signed is None:
        return False
    own, its = (request.actor.name, request.signature.at), (receipt.actor.name, receipt.signed.at)
    return own == its
