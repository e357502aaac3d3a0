"""What is said between a promotion, its lane and a change."""

from typing import Annotated, Literal

from pydantic import Field

from domain.approval import Decision
from domain.clearance import Refusal
from domain.environment import Holding
from domain.names import Identifier
from domain.outcome import Outcome
from domain.terms import Request, Sealed
from domain.value import Value


class Ask(Value):
    """Somebody wants a change in a lane. ``number`` tells one asker's asks apart, and comes back in the answer."""

    asker: str
    number: int = 0
    request: Request
    proposal: Sealed | None = None
    decisions: tuple[Decision, ...] = ()


class Withdrawal(Value):
    """The asker no longer wants it: what waits is dropped, what runs is undone."""

    asker: str
    reason: str = ""


class Order(Value):
    """What a person says to a change that is under way."""

    signal: str
    by: str
    comment: str = ""
    asker: str = ""


class Done(Value):
    """The change was made and stands."""

    said: Literal["done"] = "done"
    turn: int
    outcome: Outcome
    after: dict[Identifier, Holding] = {}
    evidence: tuple[str, ...] = ()


class Undone(Value):
    """The change was begun and put back."""

    said: Literal["undone"] = "undone"
    turn: int
    outcome: Outcome
    why: str
    after: dict[Identifier, Holding] = {}


class NotBegun(Value):
    """Nothing was touched."""

    said: Literal["not begun"] = "not begun"
    turn: int
    refusal: Refusal


Answer = Annotated[Done | Undone | NotBegun, Field(discriminator="said")]


class Told(Value):
    """An answer on its way from the lane to the asker."""

    number: int
    answer: Answer
