"""The number that makes a late write harmless."""

from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from domain.value import Value

FURTHEST_AHEAD: Final = timedelta(days=1)


class Fence(Value):
    """``turn`` grows with every change of a lane, ``act`` with every deed and undo in it.

    A target refuses whatever is older than the newest fence it has seen.
    """

    turn: int = Field(ge=0)
    act: int = Field(ge=0)

    def __str__(self) -> str:
        return f"{self.turn}.{self.act}"

    def outranks(self, other: "Fence") -> bool:
        """Tell whether this fence is strictly newer than the other."""
        return (self.turn, self.act) > (other.turn, other.act)


def read_fence(text: str) -> Fence:
    """Read ``<turn>.<act>``. Raises ``ValueError`` where it is anything else."""
    turn, act = text.split(".")
    return Fence(turn=int(turn), act=int(act))


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def next_turn(last: int, now: datetime) -> int:
    """Return the turn after ``last``: at least the milliseconds since 1970, so that a lane born again outranks."""
    return max(last + 1, milliseconds(now))


def is_too_far_ahead(turn: int, now: datetime) -> bool:
    """Tell whether a turn lies more than a day ahead of this clock: nobody's lane has got that far."""
    return turn > milliseconds(now + FURTHEST_AHEAD)
