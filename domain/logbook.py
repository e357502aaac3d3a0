"""An environment's logbook: what people said there and was heeded, and what somebody tried and was refused."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from domain.actor import Proof
from domain.binding import BoundPage
from domain.gate import Quarantine
from domain.names import Identifier, Subject, environment_id
from domain.override import Override, word_of
from domain.record import OverrideRecord
from domain.saying import GATES, Saying
from domain.value import Value, canonical, digest_of
from domain.warrant import Facts

LONGEST_TEXT: Final = 1000
"""Letters of what somebody else made up; the rest is left out."""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


MOST_MET: Final = 20
"""So many words and overrides, the newest of each, are noted of one deed: nobody makes it wait by saying much."""

Told = Annotated[str, AfterValidator(_cut)]
"""A text from anywhere."""


class Doer(Value):
    """The workflow that an activity runs for, by the server's own word."""

    workflow_id: Told
    run: Told = ""

    def __str__(self) -> str:
        return f"{self.workflow_id} (run {self.run[:8]})" if self.run else self.workflow_id


class _Note(Value):
    at: datetime
    """When it was heard, met or tried, by the worker's own clock."""

    @property
    def same_as(self) -> str:
        """What makes two notes one: an activity that runs twice, or two workers that meet the same, note it once.

        Empty where each is its own.
        """
        return ""


class WordNote(_Note):
    """Somebody said something of a gate, or to a promotion, change or lane, and it counted."""

    note: Literal["word"] = "word"
    saying: Saying
    proof: Proof = Proof.NONE
    occasion: str = ""
    """Of the activity that heard it; of one that runs twice it is the same."""

    @property
    def same_as(self) -> str:
        signed = self.saying.signed
        if signed:
            return f"word {signed.nonce}"
        return f"word {self.occasion}" if self.occasion else ""


class TidingsNote(_Note):
    """What a workflow told of a person's word, where nobody has to be known: claimed, and proven by nothing."""

    note: Literal["tidings"] = "tidings"
    of: Told
    """Its id."""
    record: OverrideRecord

    @property
    def same_as(self) -> str:
        return f"tidings {self.of} {self.record.link} {self.record.at.isoformat()}"


class OverrideNote(_Note):
    """A deed met an override that let its service past gates. Of the proof it says what the worker found."""

    note: Literal["override"] = "override"
    override: Override

    @property
    def same_as(self) -> str:
        one = self.override
        signed = one.signature.ssh if one.signature else one.since.isoformat()
        return f"override {digest_of(canonical([word_of(one).model_dump(mode='json'), signed]).encode())}"


class QuarantineNote(_Note):
    """A promotion met what was said of its release: in quarantine, or released from it."""

    note: Literal["quarantine"] = "quarantine"
    quarantine: Quarantine

    @property
    def same_as(self) -> str:
        return f"quarantine {self.quarantine.digest()}"


class Attempt(_Note):
    """Somebody tried what may not be done, or what no honest use brings about; nothing came of it."""

    note: Literal["attempt"] = "attempt"
    environment: Identifier
    subject: Subject | None = None
    what: Told
    """What was tried."""
    by: Doer
    claimed: Told = ""
    """In whose name, as they claimed."""
    why: Told
    """Why it was refused."""
    times: int = Field(default=1, ge=1)
    """How often, where the like came again before this was written."""


Note = Annotated[
    WordNote | TidingsNote | OverrideNote | QuarantineNote | Attempt, Field(discriminator="note")
]


class LogPage(BoundPage):
    """A page of an environment's logbook: one note."""

    environment: Identifier
    note: Note


def is_about_a_gate(record: OverrideRecord) -> bool:
    """Tell whether what an environment recorded is a word about a freeze or a pin."""
    return record.did.partition(" ")[0] in GATES


def met(facts: Facts) -> tuple[TidingsNote | OverrideNote, ...]:
    """Return what a deed meets of people's words that is to be noted: what they said of gates, and overrode."""
    of = environment_id(facts.environment)
    return (
        *(TidingsNote(of=of, record=one, at=facts.now) for one in facts.tidings[-MOST_MET:]),
        *(OverrideNote(override=one, at=facts.now) for one in facts.overrides[-MOST_MET:]),
    )


def service_of(note: Note) -> str:
    """Return the service that a note is about; none where it is about all of them."""
    match note:
        case WordNote(saying=saying):
            return saying.service or ""
        case TidingsNote(of=of, record=record):
            _, service, *rest = (*of.split("/"), "")
            return service if any(rest) else record.did.partition(" ")[2]
        case OverrideNote(override=override):
            return override.service
        case QuarantineNote(quarantine=quarantine):
            return quarantine.service
        case Attempt(subject=subject):
            return subject.service if subject else ""


def version_of(note: Note) -> str:
    """Return the release that a note is about; none where it is about no single one."""
    match note:
        case OverrideNote(override=override):
            return override.version
        case QuarantineNote(quarantine=quarantine):
            return quarantine.version
        case WordNote() | TidingsNote() | Attempt():
            return ""
