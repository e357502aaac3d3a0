"""A promotion's trail: its records as they are kept in the store, in segments, and the ledger that stands for them.

A trail grows by segments, each written once, sealed, and bound to the text of the one before. The ledger of a lane has
a page for each trail that was opened and one for each that was closed, bound likewise: so neither a record nor a
whole promotion can vanish unnoticed.
"""

from datetime import datetime
from typing import Final

from pydantic import Field

from domain.binding import BoundPage
from domain.names import Identifier, Subject
from domain.record import GENESIS, Chain, Record, links_hold
from domain.value import Digest, Value

ENDED: Final = "it ended"
"""How a trail is closed by its own promotion."""

_LEFT: Final = "its change left the receipt of turn "


def by_receipt(turn: int) -> str:
    """Say how a trail is closed by the receipt of its promotion's change."""
    return f"{_LEFT}{turn}"


def receipt_named_in(closed: str) -> int | None:
    """Return the turn of that receipt, or None where a trail was closed otherwise, or is open."""
    turn = closed.removeprefix(_LEFT)
    return int(turn) if closed.startswith(_LEFT) and turn.isdecimal() else None


class Trail(Value):
    """One promotion, in one run of its workflow."""

    subject: Subject
    version: Identifier
    run: Identifier

    def __str__(self) -> str:
        return f"{self.version} of {self.subject} (run {self.run[:8]})"


class Piece(Value):
    """The newest records of a trail, on their way to the store.

    ``first`` is the number of the first of them, from 0, and ``anchor`` the link of the one before. ``written`` is how
    many the promotion knows to be kept, in whatever run of its own.
    """

    first: int = Field(default=0, ge=0)
    anchor: Digest = GENESIS
    records: tuple[Record, ...] = ()
    written: int = Field(default=0, ge=0)
    closed: str = ""
    """How it ended, where these are the last."""

    @property
    def end(self) -> int:
        """The number of the record after the last."""
        return self.first + len(self.records)

    @property
    def head(self) -> Digest:
        return self.link_before(self.end)

    def link_before(self, number: int) -> Digest:
        """Return the link that record ``number`` of this piece, or the one after its last, stands on."""
        return self.records[number - self.first - 1].link if number > self.first else self.anchor

    def since(self, number: int) -> "Piece":
        """Return what comes from record ``number`` on, where this piece begins before it."""
        if number <= self.first:
            return self
        anchor = self.link_before(number)
        return self.but(first=number, anchor=anchor, records=self.records[number - self.first :])


def tail(chain: Chain, closed: str = "") -> Piece:
    """Return what a chain remembers and nobody has said is kept."""
    whole = Piece(
        first=chain.dropped, anchor=chain.anchor, records=chain.records, written=chain.written, closed=closed
    )
    return whole.since(min(chain.written, chain.count))


class Segment(Value):
    """Some records of a trail, as they are kept: written once, sealed by the environment's worker."""

    trail: Trail
    first: int = Field(ge=0)
    lost: int = Field(default=0, ge=0)
    """How many records before these the promotion had to let go before they could be kept."""
    anchor: Digest
    records: tuple[Record, ...] = ()
    before: Digest | None = None
    """Of the text of the segment before; None where it is the run's first."""
    closed: str = ""
    """How the promotion ended, where nothing comes after this."""
    at: datetime
    """When it was written, by the worker's own clock."""

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    @property
    def head(self) -> Digest:
        return self.records[-1].link if self.records else self.anchor


class Closed(Value):
    """What a closed trail comes to: how many records, the link of the last, and the digest of its last segment."""

    trail: Trail
    count: int
    head: Digest
    segment: Digest
    how: str


class Page(BoundPage):
    """A page of a lane's ledger: a trail was opened, or closed. ``open`` are all that are open since."""

    subject: Subject
    opened: Trail | None = None
    closed: Closed | None = None
    open: tuple[Trail, ...] = ()


class DisagreementError(Exception):
    """What a promotion says of itself is not what is kept of it. The text is a sentence."""


def next_segment(
    trail: Trail, piece: Piece, last: Segment | None, before: Digest | None, now: datetime
) -> Segment | None:
    """Return the segment that a piece adds after the last that is kept, or None where it adds nothing.

    Raises ``DisagreementError`` where the two tell different stories.
    """
    if not links_hold(piece.anchor, piece.records):
        raise DisagreementError(f"the records that came for {trail} are not bound to one another")
    if last is None:
        lost = max(piece.first - piece.written, 0)
        return _segment(trail, piece, lost, None, now)
    if last.closed or piece.end < last.end:
        return None
    if piece.first <= last.end and piece.link_before(last.end) != last.head:
        raise DisagreementError(
            f"the promotion of {trail} tells its first {last.end} records otherwise than they are kept in the store"
        )
    fresh = piece.since(last.end)
    if not (fresh.records or fresh.closed):
        return None
    return _segment(trail, fresh, fresh.first - last.end, before, now)


def _segment(trail: Trail, piece: Piece, lost: int, before: Digest | None, now: datetime) -> Segment:
    return Segment(
        trail=trail,
        first=piece.first,
        lost=lost,
        anchor=piece.anchor,
        records=piece.records,
        before=before,
        closed=piece.closed,
        at=now,
    )


def page_after(
    newest: Page | None, before: Digest | None, event: Trail | Closed, now: datetime
) -> Page | None:
    """Return the page that says that a trail was opened, or closed; None where the ledger says so already."""
    trail = event.trail if isinstance(event, Closed) else event
    known = newest.open if newest else ()
    is_opening = isinstance(event, Trail)
    if is_opening == (trail in known):
        return None
    return Page(
        subject=trail.subject,
        number=(newest.number if newest else 0) + 1,
        before=before,
        opened=event if isinstance(event, Trail) else None,
        closed=event if isinstance(event, Closed) else None,
        open=(*known, trail) if is_opening else tuple(one for one in known if one != trail),
        at=now,
    )
