"""Following on the terminal: a line for each thing that happened, and a quiet one for now."""

from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Self

from clients.cli.showing import is_own, where
from clients.cli.terminal import console, plain, quoted, say
from clients.overview import Overview
from domain.hints import approve_command
from domain.outcome import Phase
from domain.record import (
    DecisionRecord,
    EffectRecord,
    JudgementRecord,
    OutcomeRecord,
    OverrideRecord,
    PhaseRecord,
    ProposalRecord,
    Record,
    RefusedRecord,
    RequestRecord,
)
from domain.value import say_duration

if TYPE_CHECKING:
    from rich.status import Status


class Progress:
    """Says what is new in each overview. On a terminal one more line shows where it stands now."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._known: set[str] = set()
        self._stands = ""
        self._said: set[str] = set()
        self._live: Status | None = None
        self._had_its_turn = False

    def __enter__(self) -> Self:
        if console().is_terminal:
            self._live = console().status("", spinner="dots")
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, seen: Overview) -> None:
        for line in self._news(seen):
            self._say(line)
        if seen.in_vain and seen.in_vain not in self._said:
            self._said.add(seen.in_vain)
            self._say(f"tried again and again, and fails: {seen.in_vain}")
        stands = self._where(seen)
        if stands and stands != self._stands:
            self._stands = stands
            if self._live:
                self._live.update(plain(f"{stands} …"))
            elif stands not in self._said:
                self._say(stands)
            self._said.add(stands)
            self._say_approval(seen)

    def _where(self, seen: Overview) -> str:
        """Say where it stands now; a moment after its turn a promotion has not heard yet how that went."""
        has_turn = bool(seen.has_own_change and seen.change)
        waits_for_turn = bool(seen.promotion and seen.promotion.phase is Phase.IN_LANE and not has_turn)
        over, self._had_its_turn = self._had_its_turn and waits_for_turn, has_turn or self._had_its_turn
        return "" if over else where(seen)

    def _say_approval(self, seen: Overview) -> None:
        status = seen.promotion
        if status and status.phase is Phase.WAITING_FOR_APPROVAL and status.proposal:
            self._say(f"approve it: {approve_command(seen.id, status.proposal)}")

    def _news(self, seen: Overview) -> Iterator[str]:
        records = [
            *(seen.promotion.records if seen.promotion else ()),
            *(seen.change.records if seen.change and is_own(seen) else ()),
        ]
        for record in sorted(records, key=lambda record: record.at):
            digest = record.digest()
            if digest not in self._known:
                self._known.add(digest)
                yield from tell_record(record)

    def _say(self, line: str) -> None:
        say(f"{say_duration_so_far(monotonic() - self._began):>6}  {line}")


def say_duration_so_far(seconds: float) -> str:
    from datetime import timedelta

    return say_duration(timedelta(seconds=seconds))


def tell_record(record: Record) -> Iterator[str]:
    """Say a record in a line; what the outcome is, is said at the end."""
    match record:
        case DecisionRecord(decision=decision):
            comment = f": {quoted(decision.comment)}" if decision.comment else ""
            yield f"{decision.actor} says {decision.verdict}{comment}"
        case JudgementRecord(of=of, passed=passed, sentences=sentences):
            said = f": {'; '.join(sentences)}" if sentences else ""
            yield f"{of} {'passed' if passed else 'did not pass'}{said}"
        case EffectRecord(did=did, fence=fence):
            yield f"{did} [fence {fence}]"
        case OverrideRecord(actor=actor, did=did, comment=comment):
            yield f"{actor} says {did}{f': {quoted(comment)}' if comment else ''}"
        case RefusedRecord():
            yield f"refused: {record}"
        case RequestRecord() | ProposalRecord() | PhaseRecord() | OutcomeRecord():
            return
