"""What happened, in order, each record holding the hash of the one before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from domain.actor import Actor
from domain.approval import Decision
from domain.fence import Fence
from domain.outcome import Outcome, Phase
from domain.value import Digest, Value

GENESIS: Final = "sha256:" + "0" * 64


class _Link(Value):
    at: datetime
    previous: Digest = GENESIS


class PhaseRecord(_Link):
    """It stands elsewhere now."""

    record: Literal["phase"] = "phase"
    phase: Phase
    why: str = ""


class DecisionRecord(_Link):
    """Somebody approved or rejected it."""

    record: Literal["decision"] = "decision"
    decision: Decision


class JudgementRecord(_Link):
    """Something was judged: a validation, a health check, a clearance."""

    record: Literal["judgement"] = "judgement"
    of: str
    passed: bool
    sentences: tuple[str, ...] = ()


class EffectRecord(_Link):
    """The world was changed, or put back."""

    record: Literal["effect"] = "effect"
    fence: Fence
    did: str


class OverrideRecord(_Link):
    """A person steered: held, resumed, retried, skipped, cancelled."""

    record: Literal["override"] = "override"
    actor: Actor
    did: str
    comment: str = ""


class RefusedRecord(_Link):
    """Something came through a door and was not taken."""

    record: Literal["refused"] = "refused"
    door: str
    why: str


class OutcomeRecord(_Link):
    """It has ended as somebody foresaw."""

    record: Literal["outcome"] = "outcome"
    outcome: Outcome
    why: str = ""


Record = Annotated[
    PhaseRecord
    | DecisionRecord
    | JudgementRecord
    | EffectRecord
    | OverrideRecord
    | RefusedRecord
    | OutcomeRecord,
    Field(discriminator="record"),
]
RECORD: Final[TypeAdapter[Record]] = TypeAdapter(Record)


class Chain(Value):
    """Records in order. ``dropped`` older ones were let go, ``anchor`` is the hash of the last of those.

    Whoever keeps the head can prove later that nothing before it was edited, removed, added or moved.
    """

    records: tuple[Record, ...] = ()
    anchor: Digest = GENESIS
    dropped: int = 0

    @property
    def head(self) -> Digest:
        """The hash of the newest record, which stands for all before it."""
        return self.records[-1].digest() if self.records else self.anchor

    def with_record(self, record: Record) -> "Chain":
        """Return the chain with one more record, linked to the newest."""
        return self.but(records=(*self.records, record.but(previous=self.head)))

    def keeping(self, count: int) -> "Chain":
        """Return the chain with only its newest records, anchored to the rest by hash."""
        surplus = len(self.records) - count
        if surplus <= 0:
            return self
        last_dropped = self.records[surplus - 1].digest()
        return self.but(records=self.records[surplus:], anchor=last_dropped, dropped=self.dropped + surplus)


def first_broken(chain: Chain) -> int | None:
    """Return the position of the first record that does not hold the hash of the one before, or None."""
    previous = chain.anchor
    for position, record in enumerate(chain.records):
        if record.previous != previous:
            return position
        previous = record.digest()
    return None


def refusals(records: Sequence[Record]) -> list[RefusedRecord]:
    return [record for record in records if isinstance(record, RefusedRecord)]
