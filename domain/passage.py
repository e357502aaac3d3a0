"""What has gone through, as people look back on it: from the server's lists and from sealed receipts, as one."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from domain.journal import Receipt
from domain.names import change_id
from domain.terms import Story
from domain.urgency import Urgency
from domain.value import Value


class Source(StrEnum):
    """Who remembers."""

    SERVER = "server"
    RECEIPT = "receipt"


class Passage(Value):
    """Something was asked for, and has ended."""

    id: str
    story: str
    service: str
    environment: str
    release: str = ""
    outcome: str
    """How it ended; where nobody foresaw that, what the server calls it."""
    by: str = ""
    approved_by: tuple[str, ...] = ()
    """Who let it in, by its receipt."""
    proven: bool = False
    """Whether those names were proven by signatures when it was let in. Else they are claims."""
    reason: str = ""
    urgency: Urgency = Urgency.USUAL
    """By which way it came in, by its receipt."""
    turn: int | None = None
    began: datetime
    """When it was asked for, where the server knows; else when its change began."""
    ended: datetime
    known_from: tuple[Source, ...]

    @property
    def took(self) -> timedelta:
        return max(self.ended - self.began, timedelta())


class Wanted(Value):
    """Which passages one asks for. What is left empty does not matter."""

    service: str = ""
    environment: str = ""
    release: str = ""
    since: datetime | None = None
    limit: int = 20

    def fits(self, passage: Passage) -> bool:
        named = (
            (self.service, passage.service),
            (self.environment, passage.environment),
            (self.release, passage.release),
        )
        fits = all(not wanted or wanted == found for wanted, found in named)
        return fits and (self.since is None or passage.ended >= self.since)


class History(Value):
    """Passages, newest first, and what could not be read."""

    schema_version: Literal[1] = 1
    passages: tuple[Passage, ...] = ()
    unread: tuple[str, ...] = ()


def passage_of(receipt: Receipt) -> Passage:
    """Return what a receipt tells of. A promotion goes by its own id, everything else by its change's."""
    is_promotion = receipt.story is Story.PROMOTION and bool(receipt.asker)
    return Passage(
        id=receipt.asker if is_promotion else change_id(receipt.subject, receipt.turn),
        story=receipt.story,
        service=receipt.subject.service,
        environment=receipt.subject.environment,
        release=receipt.version or "",
        outcome=receipt.outcome,
        by=receipt.actor.name,
        approved_by=receipt.approved_by,
        proven=receipt.has_proven_names,
        reason=receipt.reason,
        urgency=receipt.let_in.request.urgency if receipt.let_in else Urgency.USUAL,
        turn=receipt.turn,
        began=receipt.began,
        ended=receipt.ended,
        known_from=(Source.RECEIPT,),
    )


def together(listed: Iterable[Passage], sealed: Iterable[Passage], limit: int) -> tuple[Passage, ...]:
    """Return both accounts as one, newest first.

    The server's goes before the receipt's: it knows when it was asked for. A promotion may be asked for again
    under the same id, so that a receipt belongs to the run in whose time its change began.
    """
    told = {(passage.id, passage.began): passage for passage in listed}
    for receipt in sorted(sealed, key=lambda passage: passage.began):
        run = next((key for key, passage in told.items() if _is_of(receipt, passage)), None)
        if run is None:
            told[receipt.id, receipt.began] = receipt
        else:
            told[run] = told[run].but(
                turn=receipt.turn,
                reason=receipt.reason,
                urgency=receipt.urgency,
                by=receipt.by if receipt.proven else told[run].by or receipt.by,
                approved_by=receipt.approved_by,
                proven=receipt.proven,
                outcome=told[run].outcome or receipt.outcome,
                known_from=(Source.SERVER, Source.RECEIPT),
            )
    return tuple(sorted(told.values(), key=lambda passage: passage.ended, reverse=True)[:limit])


def _is_of(receipt: Passage, passage: Passage) -> bool:
    is_listed = Source.SERVER in passage.known_from
    return is_listed and receipt.id == passage.id and passage.began <= receipt.began <= passage.ended
