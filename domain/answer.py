"""What is said between a promotion, its lane and a change."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from domain.approval import Decision
from domain.berth import Berth
from domain.environment import Holding
from domain.journal import Receipt, Settled
from domain.outcome import Outcome
from domain.refusal import Cause, Refusal
from domain.signature import WordSignature
from domain.terms import LaneTerms, Request, Sealed, Story
from domain.value import Value, canonical, digest_of


class Ask(Value):
    """Somebody wants a change in a lane.

    ``number`` tells one asker's asks apart: it grows from ask to ask, and comes back in the answer.
    """

    asker: str
    number: int = 0
    intent: str = ""
    request: Request
    proposal: Sealed | None = None
    decisions: tuple[Decision, ...] = ()
    lane: LaneTerms = LaneTerms()
    """What its own terms say of the lane. The lane reads it there, whatever else is written here."""
    since: AwareDatetime | None = None
    """When it was first asked for, in whatever run. The lane writes its arrival where nobody says."""
    dated: AwareDatetime | None = None
    """When it was sent: no turn of it is older. The sender says so, for a lane has to say the same in every replay."""
    comes_back: bool = False
    """It was in this lane before."""
    rollbacks: int | None = None
    """How many rollbacks of the lane whoever asks for one more knew of."""

    @property
    def is_rollback(self) -> bool:
        return self.request.story is Story.ROLLBACK

    @property
    def gist(self) -> "Ask":
        """What is asked, whenever and however often it is sent. Whoever asks in another's name asks something else."""
        since = self.since if self.request.story is Story.PROMOTION else None
        return self.but(lane=LaneTerms(), since=since, dated=None, comes_back=False)

    @property
    def mark(self) -> str:
        """A digest of its gist, by which the asker knows the answer to its own ask."""
        return digest_of(canonical(self.gist.model_dump(mode="json", exclude_defaults=True)).encode())

    def __str__(self) -> str:
        what = self.request.version or f"a {self.request.story}"
        since = f" at {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        return f"{what}, asked for by {self.request.said_by}{since}"


class Withdrawal(Value):
    """The asker no longer wants it: what waits is dropped, what runs is undone."""

    asker: str
    number: int = 0
    reason: str = ""
    spares_running: bool = False
    """Only what waits is dropped: whether a change that runs has begun, its own first deed finds out."""


class OwnWord(Value):
    """What a promotion itself says of its turn, where something was said in its name."""

    known: bool = True
    """There is one of that name."""
    open: bool = True
    """It has not ended."""
    waits: bool = True
    """It waits for what its lane answers."""
    number: int = 0
    """Of its newest ask, 0 before the first; whether it still wants that turn, ``withdrawal`` says."""
    since: AwareDatetime | None = None
    """When it was first asked for."""
    mark: str = ""
    """Of that ask; empty where it does not say."""
    withdrawal: Withdrawal | None = None

    def withdraws(self, asker: str) -> Withdrawal | None:
        """Return how it says that it wants its turn no more, if it does."""
        return self.withdrawal if self.withdrawal and self.withdrawal.asker == asker else None

    def has_asked(self, ask: Ask) -> bool:
        """Tell whether that is its newest ask, asked for when that says, and not answered yet."""
        return self.waits and self._has_sent(ask)

    def belies(self, ask: Ask) -> bool:
        """Tell whether nobody honest said that. One of a promotion that has ended, or asked anew, may come late."""
        return not self.known or (self.open and self.number <= ask.number and not self._has_sent(ask))

    def _has_sent(self, ask: Ask) -> bool:
        newest = self.number > 0 and (self.number, self.since) == (ask.number, ask.since)
        return newest and self.mark in {"", ask.mark}

    def belies_withdrawal(self, asker: str) -> bool:
        """Tell whether nobody honest said that it withdraws. A promotion that does may end before it is asked."""
        return not self.known or (self.open and self.withdraws(asker) is None)


class Stuck(Value):
    """A change tells its lane that it needs a person, or no longer does."""

    turn: int
    stuck: bool


class Yielding(Value):
    """A lane tells its change whom its soak is to make way for; nobody any more where ``to`` is empty."""

    to: str = Field(default="", max_length=500)


class Awake(Value):
    """Be there; and learn of this turn, where it is not known yet, or was taken for ended and is ``lost``."""

    turn: int = Field(default=0, ge=0)
    lost: bool = False


class Order(Value):
    """What a person says to a change that is under way."""

    signal: str
    by: str
    comment: str = ""
    asker: str = ""
    signed: WordSignature | None = None


class Done(Value):
    """The change was made and stands."""

    said: Literal["done"] = "done"
    turn: int
    outcome: Outcome
    after: dict[Berth, Holding] = Field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    recorded: bool = False
    """The promotion's record was closed with it."""


class Undone(Value):
    """The change was begun and put back."""

    said: Literal["undone"] = "undone"
    turn: int
    outcome: Outcome
    why: str
    after: dict[Berth, Holding] = Field(default_factory=dict)
    recorded: bool = False
    """The promotion's record was closed with it."""


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
    ask: str = ""
    """The mark of the ask that this answers; empty where the asker withdrew, or an older engine answered."""

    def is_for(self, number: int, mark: str) -> bool:
        """Tell whether this answers the asker's own ask, and no other in its name."""
        return self.number == number and self.ask in {"", mark}


def answer_of(receipt: Receipt) -> Done | Undone:
    """Return what a receipt answers to whoever asked for its change."""
    after = dict(receipt.after)
    if receipt.settled is Settled.DONE:
        return Done(turn=receipt.turn, outcome=receipt.outcome, after=after, evidence=receipt.evidence)
    return Undone(turn=receipt.turn, outcome=receipt.outcome, why=receipt.why, after=after)


def answer_withdrawal(withdrawal: Withdrawal, before: Told | None, *, waited: bool) -> Told:
    """Return what whoever withdraws an ask that has not begun is told: that it is gone, where it ``waited``.

    What was answered ``before``, while the withdrawal was looked into, has happened, and is not taken back.
    """
    if before and before.number == withdrawal.number and not waited:
        return before
    gone = Refusal(cause=Cause.GONE, why=withdrawal.reason or "it was withdrawn before its turn")
    return Told(number=withdrawal.number, answer=NotBegun(turn=0, refusal=gone))


def remember(answers: Mapping[str, Told], asker: str, told: Told, *, most: int, size: int) -> dict[str, Told]:
    """Return the newest answers by asker with this one: so many at most, and of so many bytes; the newest always.

    Beside it stays, by its mark, what another ask of the same name and number was told.
    """
    others = {key: said for key, said in answers.items() if key not in {asker, told.ask}}
    before = answers.get(asker)
    if before and before.ask and before.number == told.number and told.ask not in {"", before.ask}:
        others[before.ask] = before
    newest = [*others.items(), (asker, told)][-most:]
    sizes = [len(said.canonical()) for _, said in newest]
    fits = [sum(sizes[index:]) <= size for index in range(len(newest))]
    return dict(one for one, fit in zip(newest, [*fits[:-1], True], strict=True) if fit)
