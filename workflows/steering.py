"""The doors that promotion, lane and change have in common: people hold, resume, retry and skip at each."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final

from temporalio import workflow
from temporalio.common import RawValue

from workflows.doorkeeper import RefusedError, read_message

with workflow.unsafe.imports_passed_through():
    from domain.actor import Actor, Channel, Proof
    from domain.doors import NUDGE, Signal, Word
    from domain.record import OverrideRecord
    from workflows import patience
    from workflows.chronicle import Chronicle


ABANDON: Final = workflow.HandlerUnfinishedPolicy.ABANDON
"""A word that is still being looked at when the workflow ends comes too late."""


class Steered(ABC):
    """A workflow that people steer. Handlers record; what comes of it, the workflow's own story decides."""

    _log: Chronicle
    takes: ClassVar[str] = "hold, resume, retry and skip"

    @abstractmethod
    async def _steer(self, signal: Signal, word: Word) -> None:
        """Take a person's word, or raise ``RefusedError``."""

    @workflow.signal(
        description='Stop before the next step. Input: {"by": "you@example.com", "comment": ""}',
        unfinished_policy=ABANDON,
    )
    async def hold(self, raw: RawValue) -> None:
        await self._steer(Signal.HOLD, read_message(raw, Word))

    @workflow.signal(  # noqa: B027 - nothing is all that it does
        name=NUDGE, description="For the engine: see whether there is anything to do"
    )
    def nudge(self, _: RawValue) -> None:
        """It is the task that comes of it which matters."""

    @workflow.signal(
        description='Let what is held go on. Input: {"by": "you@example.com", "comment": ""}',
        unfinished_policy=ABANDON,
    )
    async def resume(self, raw: RawValue) -> None:
        await self._steer(Signal.RESUME, read_message(raw, Word))

    @workflow.signal(
        description='Try what is stuck again. Input: {"by": "you@example.com", "comment": ""}',
        unfinished_policy=ABANDON,
    )
    async def retry(self, raw: RawValue) -> None:
        await self._steer(Signal.RETRY, read_message(raw, Word))

    @workflow.signal(
        description='Leave what is stuck. Input: {"by": "you@example.com", "comment": "why"}',
        unfinished_policy=ABANDON,
    )
    async def skip(self, raw: RawValue) -> None:
        await self._steer(Signal.SKIP, read_message(raw, Word))

    @workflow.signal(dynamic=True, description="Anything else is refused")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        message = f"there is no signal “{name[:80]}” here; this takes {self.takes}"
        raise RefusedError(message)

    def refused(self, door: str, why: str, claimed: str = "") -> None:
        """Remember what was not taken, for everybody to see."""
        self._log.refuse(door, why, claimed)

    def _note_override(self, did: str, word: Word, proof: Proof = Proof.NONE) -> None:
        actor = Actor(name=word.by, proof=proof, channel=Channel.SIGNAL)
        self._log.record(OverrideRecord(at=workflow.now(), actor=actor, did=did, comment=word.comment))


def wants_new_run() -> bool:
    """Tell whether this run's history is long enough to go on in a new one."""
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() > patience.LONGEST_HISTORY
