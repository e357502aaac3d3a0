"""What a workflow remembers of itself: where it stands, since when, what happened, what it refused."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from domain.outcome import Phase
from domain.record import Chain, Record, RefusedRecord
from domain.value import Value
from workflows.counting import count_phase, count_record
from workflows.patience import REMEMBERED_BYTES, REMEMBERED_RECORDS, REMEMBERED_REFUSALS

LONG: Final = 0.25
FULL: Final = 0.75


class Memory(Value):
    """A chronicle on its way into a new run."""

    chain: Chain = Chain()
    refused: tuple[RefusedRecord, ...] = ()
    untold: int = 0
    """Refused messages that there was no room to record one by one."""


class Chronicle:
    """Keeps where the workflow stands, the record chain, and the last refusals."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.since: datetime = workflow.now()
        self.is_kept = False
        """Whether somebody has its records kept in the store."""
        self.waits_for = ""
        self.remedy = ""
        self._memory = Memory()
        self._sizes: list[int] = []
        """Bytes of each record that is remembered: a flood is not the time to measure all of them again and again."""

    @property
    def memory(self) -> Memory:
        return self._memory

    @property
    def chain(self) -> Chain:
        return self._memory.chain

    @property
    def refused(self) -> tuple[RefusedRecord, ...]:
        return self._memory.refused

    def keep(self, count: int) -> None:
        """Know that the first ``count`` records are kept in the store."""
        chain = self.chain
        self._memory = self._memory.but(chain=chain.but(written=max(chain.written, count)))
        if not self._fills(FULL):
            self.own_up()

    def own_up(self) -> None:
        """Record how many refusals are not written down, if any."""
        if untold := self._memory.untold:
            self._memory = self._memory.but(untold=0)
            why = f"so many messages came at once that {untold} more which were refused are not written down"
            self.record(RefusedRecord(at=workflow.now(), door="any", why=why))

    @property
    def is_filling(self) -> bool:
        """Tell whether so much is not kept yet that it should be soon."""
        return self._fills(LONG)

    def _fills(self, part: float) -> bool:
        """Tell whether what is not kept yet takes more than this part of what can be remembered."""
        count = len(self.chain.unwritten)
        size = sum(self._sizes[len(self._sizes) - count :])
        return count > REMEMBERED_RECORDS * part or size > REMEMBERED_BYTES * part

    def remember(self, memory: Memory) -> None:
        """Go on from what an earlier run remembered."""
        self._memory = memory
        self._sizes = [_size(record) for record in memory.chain.records]

    def enter(self, phase: Phase, waits_for: str = "", remedy: str = "") -> None:
        """Stand in a phase from now on, waiting for something that the remedy would bring about."""
        if phase is not self.phase:
            self.since = workflow.now()
        self.phase, self.waits_for, self.remedy = phase, waits_for, remedy
        count_phase(phase)
        workflow.logger.info("phase_entered", extra={"phase": phase.value, "waits_for": waits_for})

    def record(self, record: Record) -> None:
        chain = self.chain.with_record(record)
        sizes = [*self._sizes, _size(chain.records[-1])]
        count = _how_many_fit(sizes)
        self._sizes = sizes[-count:]
        self._memory = self._memory.but(chain=chain.keeping(count))
        count_record(record)

    def refuse(self, door: str, why: str, claimed: str = "") -> None:
        """Remember what came through a door and was not taken, and in whose name."""
        record = RefusedRecord(at=workflow.now(), door=door, why=why, claimed=claimed)
        refused = (*self.refused, record)[-REMEMBERED_REFUSALS:]
        self._memory = self._memory.but(refused=refused)
        if self.is_kept and self._fills(FULL):
            # Nobody pushes out what others said by sending nonsense.
            self._memory = self._memory.but(untold=self._memory.untold + 1)
            count_record(record)
        else:
            self.record(record)


def _how_many_fit(sizes: Sequence[int]) -> int:
    """Return how many of the newest records are remembered: the newest always is."""
    fitting = [total for total in accumulate(reversed(sizes)) if total <= REMEMBERED_BYTES]
    return min(max(len(fitting), 1), REMEMBERED_RECORDS)


def _size(record: Record) -> int:
    return len(record.model_dump_json().encode())


def publish(attributes: Mapping[str, str]) -> None:
    """Let visibility find this workflow by these search attributes. One history event, however many."""
    workflow.upsert_search_attributes(
        [SearchAttributeKey.for_keyword(name).value_set(value) for name, value in attributes.items()]
    )
