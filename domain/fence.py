"""The number that makes a late write harmless."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field

from domain.value import Value

FURTHEST_AHEAD: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FENCE: Final = re.compile(r"([0-9]+)\.([0-9]+)")


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
    """Read ``<turn>.<act>``, white space around it aside. Raises ``ValueError`` where it is anything else."""
    parts = _FENCE.fullmatch(text.strip())
    if parts is None:
        raise ValueError(f"“{text[:80]}” is not a fence: write <turn>.<act>, two whole numbers")
    return Fence(turn=int(parts[1]), act=int(parts[2]))


def milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds since 1970, exactly: no float rounds a turn down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def next_turn(last: int, dated: datetime) -> int:
    """Return the turn after ``last``, at least the milliseconds since 1970: a lane born again outranks."""
    return max(last + 1, milliseconds(dated))


def is_too_far_ahead(turn: int, now: datetime) -> bool:
    """Tell whether a turn lies more than a day ahead of this clock: nobody's lane has got that far."""
    return turn > milliseconds(now + FURTHEST_AHEAD)
