"""What happened, in order, each record holding the hash of the one before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from domain.actor import CLAIMED, Actor
from domain.approval import Decision, Policy
from domain.fence import Fence
from domain.outcome import Outcome, Phase
from domain.statement import Matter
from domain.terms import Request
from domain.value import Digest, Value, canonical, digest_of

GENESIS: Final = "sha256:" + "0" * 64


class _Link(Value):
    at: datetime
    previous: Digest = GENESIS

    @property
    def linked(self) -> str:
        """What the next record stands on: all but the time, which another worker that replays this may tell otherwise.

        So may an older worker of whom a refused message claimed to be from: it told nobody. Both are under the seal
        of the segment that the record is kept in. What is left at its default is left out, so that a field which a
        later version adds changes no hash.
        """
        said = self.model_dump(mode="json", exclude={"at", "claimed"}, exclude_defaults=True)
        return canonical({**said, "record": getattr(self, "record", "")})

    @property
    def link(self) -> Digest:
        """The hash that the next record holds."""
        return digest_of(self.linked.encode())


class RequestRecord(_Link):
    """Somebody asked for it."""

    record: Literal["request"] = "request"
    request: Request


class ProposalRecord(_Link):
    """A plan was drawn up: what decisions on it are about, and who decides."""

    record: Literal["proposal"] = "proposal"
    matter: Matter
    policy: Policy


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
    claimed: str = ""
    """In whose name it came, where that could be read: anybody may have written it."""

    def __str__(self) -> str:
        name = f" in the name of {self.claimed} ({CLAIMED})" if self.claimed else ""
        return f"{self.door}{name}, {self.at:%Y-%m-%d %H:%M:%S} UTC: {self.why}"


class OutcomeRecord(_Link):
    """It has ended as somebody foresaw."""

    record: Literal["outcome"] = "outcome"
    outcome: Outcome
    why: str = ""


Record = Annotated[
    RequestRecord
    | ProposalRecord
    | PhaseRecord
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
    written: int = 0
    """How many from the beginning are known to be kept in the store."""

    @property
    def count(self) -> int:
        return self.dropped + len(self.records)

    @property
    def unwritten(self) -> tuple[Record, ...]:
        """The newest records, of those that are remembered, which nobody has said are kept."""
        return self.records[max(self.written - self.dropped, 0) :]

    @property
    def head(self) -> Digest:
        """The hash of the newest record, which stands for all before it."""
        return self.records[-1].link if self.records else self.anchor

    def with_record(self, record: Record) -> "Chain":
        """Return the chain with one more record, linked to the newest."""
        return self.but(records=(*self.records, record.but(previous=self.head)))

    def keeping(self, count: int) -> "Chain":
        """Return the chain with only its newest records, anchored to the rest by hash."""
        surplus = len(self.records) - count
        if surplus <= 0:
            return self
        last_dropped = self.records[surplus - 1].link
        return self.but(records=self.records[surplus:], anchor=last_dropped, dropped=self.dropped + surplus)


def links_hold(anchor: Digest, records: Sequence[Record]) -> bool:
    """Tell whether each record holds the hash of the one before, and the first one the anchor."""
    return first_broken(Chain(records=tuple(records), anchor=anchor)) is None


def first_broken(chain: Chain) -> int | None:
    """Return the position of the first record that does not hold the hash of the one before, or None."""
    previous = chain.anchor
    for position, record in enumerate(chain.records):
        if record.previous != previous:
            return position
        previous = record.link
    return None


def steered(records: Sequence[Record]) -> tuple[OverrideRecord, ...]:
    """Return what people said that had it do something."""
    return tuple(record for record in records if isinstance(record, OverrideRecord))


def refusals(records: Sequence[Record]) -> list[RefusedRecord]:
    return [record for record in records if isinstance(record, RefusedRecord)]
