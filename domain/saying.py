"""What somebody says through a door, to whom, and all that their signature is bound to."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from domain.actor import Actor, PersonName, Proof
from domain.doors import FreezeWord, PinWord, Signal, UnpinWord, Word
from domain.gate import Freeze, Pin
from domain.names import Identifier, Subject, change_id, environment_id, gate_key
from domain.roles import Door
from domain.signature import WordSignature
from domain.value import Duration, Value


class Saying(Value):
    """One word. ``to`` is the workflow that it is meant for, and so the promotion or turn; no other may heed it."""

    door: Door
    to: Annotated[str, Field(max_length=300)]
    environment: Identifier
    service: Identifier | None = None
    by: PersonName
    text: Annotated[str, Field(max_length=2000)] = ""
    lasts: Duration | None = None
    release: Annotated[str, Field(max_length=200)] = ""
    signed: WordSignature | None = None

    def actor(self, proof: Proof) -> Actor:
        return Actor(name=self.by, proof=proof)

    def ends(self, now: datetime) -> datetime | None:
        """Return when what it shuts opens by itself: counted from when it was signed, else from now."""
        return (self.signed.at if self.signed else now) + self.lasts if self.lasts else None


class Heard(Value):
    """What an environment's worker finds of a word: why it does not count, or that it does, and how it knows."""

    why: str = ""
    proof: Proof = Proof.NONE


def freezing(environment: str, word: FreezeWord) -> Saying:
    return Saying(
        door=Door.FREEZE,
        to=environment_id(environment),
        environment=environment,
        by=word.by,
        text=word.reason,
        lasts=word.lasts,
        signed=word.signed,
    )


def thawing(environment: str, word: Word) -> Saying:
    return Saying(
        door=Door.THAW,
        to=environment_id(environment),
        environment=environment,
        by=word.by,
        text=word.comment,
        signed=word.signed,
    )


def pinning(environment: str, word: PinWord) -> Saying:
    return Saying(
        door=Door.PIN,
        to=environment_id(environment),
        environment=environment,
        service=word.service,
        by=word.by,
        text=word.reason,
        lasts=word.lasts,
        release=word.release,
        signed=word.signed,
    )


def unpinning(environment: str, word: UnpinWord) -> Saying:
    return Saying(
        door=Door.UNPIN,
        to=environment_id(environment),
        environment=environment,
        service=word.service,
        by=word.by,
        text=word.comment,
        signed=word.signed,
    )


def steering(to: str, subject: Subject, signal: Signal, word: Word) -> Saying:
    """Return a word to the change of a turn, or to a promotion that waits for a gate."""
    return Saying(
        door=Door(signal.value),
        to=to,
        environment=subject.environment,
        service=subject.service,
        by=word.by,
        text=word.comment,
        signed=word.signed,
    )


def is_skip_of(saying: Saying, subject: Subject, turn: int) -> bool:
    """Tell whether this is a word to leave something undone in this very turn."""
    meant = (saying.door, saying.to, saying.environment, saying.service)
    return meant == (Door.SKIP, change_id(subject, turn), subject.environment, subject.service)


class GateKind(StrEnum):
    """What a word shuts or opens."""

    FREEZE = "freeze"
    PIN = "pin"


GATES: Final[dict[Door, GateKind]] = {
    Door.FREEZE: GateKind.FREEZE,
    Door.THAW: GateKind.FREEZE,
    Door.PIN: GateKind.PIN,
    Door.UNPIN: GateKind.PIN,
}
SHUTS: Final = frozenset({Door.FREEZE, Door.PIN})


def place_of(saying: Saying) -> str:
    """Return the key under which a signed word about a gate is remembered; none where it is not that."""
    signed, gate = saying.signed, GATES.get(saying.door)
    if signed is None or gate is None:
        return ""
    return gate_key(saying.environment, gate, saying.service, signed.at, signed.nonce)


def why_misdirected(saying: Saying) -> str:
    """Say why a word about a gate is not said of what has that gate, or nothing where it is."""
    if saying.door not in GATES:
        return ""
    wants_service = GATES[saying.door] is GateKind.PIN
    if wants_service is (saying.service is not None) and saying.to == environment_id(saying.environment):
        return ""
    whose = "a service in an environment" if wants_service else "an environment"
    return (
        f"{saying.door} is said of {whose}, to its workflow; this is said of {saying.service}, to {saying.to}"
    )


class GateWord(Value):
    """A word about a gate that an environment's worker found good, sealed by it: what it remembers of gates."""

    saying: Saying
    heard: datetime


def shut_by(word: GateWord) -> Freeze | Pin | None:
    """Return what a word keeps shut, whether or not it has ended since; None where it opens."""
    saying = word.saying
    by, until = saying.actor(Proof.SSH_SIGNATURE), saying.ends(word.heard)
    match saying.door:
        case Door.FREEZE:
            return Freeze(by=by, reason=saying.text, since=word.heard, until=until)
        case Door.PIN:
            return Pin(by=by, reason=saying.text, since=word.heard, until=until, release=saying.release)
        case _:
            return None
