"""Who wrote a key first, where the store itself writes over what stands there.

Writers agree by Gafni and Lamport's Disk Paxos on a single disk, the store. Each makes an *offer* under a name of
its own, looks who else did, *votes*, looks again, and says what has *won*. Whoever meets a higher ballot than its
own at either look tries again, higher; whoever meets a vote takes its offer over. No object is ever written over,
and none is removed but by retention: so a write that lands late, after whoever sent it has given up or died,
changes nothing that was decided, and what stands under a key is the offer that has won.

That at most one wins takes no clock. It takes a store that shows what it has taken to every later listing and
reading. That somebody wins takes luck: so those who meet step back for a random while.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, Protocol
from uuid import uuid4

ROOM: Final = ".claims"
ROUNDS: Final = 30
_OFFER: Final = "offer"
_VOTE: Final = "vote"
_WON: Final = "won"


class UndecidedError(Exception):
    """Too many wrote the key at once. Nobody was told that it won, and trying again may help."""


class StaleListingError(Exception):
    """The store does not list what it has just taken: nobody can agree on anything there."""


class Shelf(Protocol):
    """What writers agree by: objects that are listed from the moment they are whole."""

    async def put(self, key: str, content: bytes) -> None:
        """Write an object; no other call ever writes the same."""
        ...

    async def names(self, prefix: str) -> list[str]: ...


class _Ballot(NamedTuple):
    """Higher rounds win, then names; no two writers have one ballot."""

    round: int
    writer: str

    def __str__(self) -> str:
        return f"{self.round:06d}-{self.writer}"


class _Records(NamedTuple):
    """What a listing shows: the ballots offered, the offer that each vote is for, and the one that has won."""

    offers: frozenset[_Ballot]
    votes: Mapping[_Ballot, _Ballot]
    won: _Ballot | None

    @property
    def favourite(self) -> _Ballot | None:
        """The offer that the highest vote is for: once anything is decided, it is that."""
        return self.votes[max(self.votes)] if self.votes else None

    @property
    def highest(self) -> int:
        return max((ballot.round for ballot in (*self.offers, *self.votes)), default=0)

    def above(self, own: _Ballot) -> bool:
        # A long listing may show a vote and miss its offer, where both came while it was read.
        return any(ballot > own for ballot in (*self.offers, *self.votes))


async def write_first(
    shelf: Shelf, key: str, content: bytes, step_back: Callable[[int], Awaitable[None]]
) -> bool:
    """Write a key unless somebody else has; tell whether this call did. When it returns, the key stands.

    Raises ``UndecidedError`` and ``StaleListingError``. After these, and whatever the shelf raises, the content may
    still come to stand: the next who writes the key finishes what was begun, and is told.
    """
    writer = uuid4().hex
    for number in range(ROUNDS):
        seen = await _look(shelf, key)
        if seen.won:
            # Another may have finished what this one began.
            return seen.won.writer == writer
        ballot = _Ballot(seen.highest + 1, writer)
        if decided := await _poll(shelf, key, ballot, content):
            await shelf.put(_name(key, ballot, _WON, decided), b"")
            return decided.writer == writer
        await step_back(number)
    raise UndecidedError


async def where_it_stands(shelf: Shelf, key: str) -> str | None:
    """Return the object that holds what stands under a key, or nothing."""
    won = (await _look(shelf, key)).won
    return _name(key, won, _OFFER) if won else None


async def standing(shelf: Shelf, prefix: str) -> set[str]:
    """Return every key below the prefix that something stands under."""
    found = [name.rpartition("/") for name in await shelf.names(_room(prefix))]
    return {room.removeprefix(f"{ROOM}/") for room, _, name in found if name.split(".")[1] == _WON}


async def records_to_remove(shelf: Shelf, key: str) -> list[str]:
    """Return every record of a key, in the order of removal.

    Without its votes nothing was decided, and until the last word of who has won is gone, it still stands: so
    whoever breaks off in the middle leaves the key either standing or free.
    """
    order = (_VOTE, _WON, _OFFER)
    found = await shelf.names(_room(key))
    return sorted(found, key=lambda name: order.index(name.rpartition("/")[2].split(".")[1]))


async def _poll(shelf: Shelf, key: str, ballot: _Ballot, content: bytes) -> _Ballot | None:
    """Go through one ballot; return the offer that was decided on, or nothing where a higher one was met."""
    await shelf.put(_name(key, ballot, _OFFER), content)
    seen = await _look(shelf, key)
    if ballot not in seen.offers:
        raise StaleListingError
    if seen.above(ballot):
        return None  # a vote could not win any more
    favourite = seen.favourite or ballot
    await shelf.put(_name(key, ballot, _VOTE, favourite), b"")
    seen = await _look(shelf, key)
    if ballot not in seen.votes:
        raise StaleListingError
    return None if seen.above(ballot) else favourite


async def _look(shelf: Shelf, key: str) -> _Records:
    offers: set[_Ballot] = set()
    votes: dict[_Ballot, _Ballot] = {}
    won: _Ballot | None = None
    for name in await shelf.names(_room(key)):
        ballot, kind, *of = name.rpartition("/")[2].split(".")
        match kind:
            case "offer":
                offers.add(_ballot(ballot))
            case "vote":
                votes[_ballot(ballot)] = _ballot(of[0])
            case _:
                won = _ballot(of[0])
    return _Records(frozenset(offers), votes, won)


def _ballot(text: str) -> _Ballot:
    number, _, writer = text.partition("-")
    return _Ballot(int(number), writer)


def _room(key: str) -> str:
    return f"{ROOM}/{key}"


def _name(key: str, ballot: _Ballot, kind: str, of: _Ballot | None = None) -> str:
    return f"{_room(key)}/{ballot}.{kind}" + (f".{of}" if of else "")
