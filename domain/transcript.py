"""What programs printed while something was done, kept beside the papers: people read it, and it proves nothing."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from domain.names import Identifier, Subject
from domain.value import Value


class Printed(Value):
    """A line, and when it came."""

    at: datetime
    text: str


class Segment(Value):
    """A piece of what one attempt printed, as it is kept: ``number`` counts from 1, in order."""

    subject: Subject
    turn: int
    act: str
    """The deed’s number, or ``health`` or ``soak``; ``health-`` and its number for a deed's own target."""
    attempt: int
    what: str
    """What was attempted, in words."""
    began: datetime
    number: int
    lines: tuple[Printed, ...]


class Told(Value):
    """A line of a transcript, and whose it is: a program's, the journal's or the receipt's."""

    at: datetime
    source: Literal["program", "journal", "receipt"]
    act: str
    attempt: int = 0
    what: str = ""
    text: str


class Transcript(Value):
    """All that is kept of one turn, oldest first. ``outcome`` is empty while it has no receipt."""

    schema_version: Literal[1] = 1
    service: Identifier
    environment: Identifier
    turn: int
    story: str = ""
    version: str = ""
    outcome: str = ""
    lines: tuple[Told, ...] = ()
    unread: tuple[str, ...] = ()


def printed(segments: Iterable[Segment]) -> list[Told]:
    """Return what segments hold: an attempt after the other, each in its own order."""
    return [
        Told(
            at=line.at,
            source="program",
            act=segment.act,
            attempt=segment.attempt,
            what=segment.what,
            text=line.text,
        )
        for segment in sorted(segments, key=lambda one: (one.began, one.act, one.attempt, one.number))
        for line in segment.lines
    ]
