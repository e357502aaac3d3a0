"""What stays open after somebody broke the glass, until somebody else has looked at it and signed."""

from datetime import datetime

from pydantic import Field

from domain.actor import Actor, PersonName, person
from domain.approval import Requester
from domain.names import Identifier, Subject
from domain.signature import Signature
from domain.urgency import Glass
from domain.value import Digest, Value


class Broken(Value):
    """Somebody let a release in alone. Sealed and written before the first deed, and never taken away."""

    subject: Subject
    turn: int
    version: Identifier
    plan: Digest
    by: Actor
    key: str = ""
    """By which key the request was signed, where it was."""
    reason: str
    past: tuple[str, ...] = Field(default=(), exclude_if=lambda said: not said)
    """Which gates were shut that it went past. Left out where none was: reviews are of what was written before."""
    at: datetime

    @property
    def requester(self) -> Requester:
        return Requester(self.by.name, self.key)


class Reviewed(Value):
    """Somebody else has looked at what was done in an emergency, and says what they found."""

    subject: Subject
    turn: int
    of: Digest
    """What was broken, as it was written then."""
    by: Actor
    comment: str = Field(min_length=1, max_length=2000)
    at: datetime
    signature: Signature | None = None


class ReviewWord(Value):
    """What a person writes to sign a review."""

    by: PersonName
    comment: str = Field(min_length=1, max_length=2000)
    signed: Signature | None = None


class ReviewOrder(Value):
    """Have a review of this turn written down, if it counts."""

    subject: Subject
    turn: int
    word: ReviewWord


class Review(Value):
    """What was broken, and the review of it, where there is one."""

    broken: Broken
    reviewed: Reviewed | None = None

    @property
    def is_open(self) -> bool:
        return self.reviewed is None

    def __str__(self) -> str:
        broken = self.broken
        who = f"{broken.by} broke the glass at {broken.at:%Y-%m-%d %H:%M} UTC: {broken.reason}"
        if self.reviewed is None:
            return f"{who}; nobody has reviewed it yet"
        return f"{who}; reviewed by {self.reviewed.by}: {self.reviewed.comment}"


def review_id(subject: Subject, turn: int) -> str:
    """Name the workflow by which a review is signed."""
    return f"review/{subject.service}/{subject.environment}/{turn}"


def why_no_review(broken: Broken, glass: Glass, word: ReviewWord) -> str:
    """Say why this word closes no review, or nothing where it does. Whether a signature is good is asked elsewhere."""
    key = word.signed.key if word.signed else ""
    if person(word.by) == person(broken.by.name) or (key and key == broken.key):
        return f"{broken.by.name} broke the glass, and nobody reviews what they did themselves"
    if person(word.by) not in {person(name) for name in glass.reviewers}:
        who = ", ".join(glass.reviewers) or "nobody"
        return f"{word.by} does not review here; those who may: {who}"
    if glass.signed and word.signed is None:
        return "reviews here are signed, and this one is not; name a key by --key, or in TOWPATH_SIGNING_KEY"
    return ""
