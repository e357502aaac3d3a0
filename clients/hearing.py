"""Hearing what becomes of a word: a signal's sender is told nothing, and so looks whether it was taken or refused."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Self

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.asking import ask_status
from activities.spaces import Anywhere
from clients.speaking import is_missing
from clients.trouble import DeclinedError, NobodyPollsError
from domain.outcome import Phase
from domain.record import OverrideRecord, Record, RefusedRecord
from domain.value import Value

LISTENING: Final = 10.0
"""Seconds. A word that is signed is looked at by the environment's worker first."""
BETWEEN: Final = 0.1


class Told(Value):
    """What any status says of words: those that were taken are among the records."""

    refused: tuple[RefusedRecord, ...] = ()
    records: tuple[Record, ...] = ()
    phase: Phase | None = None


class Ear:
    """Listens at one workflow, from the moment on when it is put there."""

    def __init__(self, client: Anywhere, workflow_id: str, before: Told) -> None:
        self._handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id)
        self._id = workflow_id
        self._before = before

    @classmethod
    async def at(cls, client: Anywhere, workflow_id: str) -> Self:
        return cls(client, workflow_id, await _told(client.get_workflow_handle(workflow_id)) or Told())

    async def hear(self, door: str, did: str = "") -> None:
        """Return once the word was taken, which is recorded as ``did``.

        Raises ``DeclinedError`` with the reason where it was refused, and ``NobodyPollsError`` where nothing is heard.
        """
        deadline = asyncio.get_running_loop().time() + LISTENING
        while asyncio.get_running_loop().time() < deadline:
            told = await _told(self._handle)
            if told and (why := self._refused(told, door)):
                raise DeclinedError(f"{self._id} did not take {door}: {why}.")
            if told and (self._took(told, did or door) or told.phase is Phase.ENDED):
                return
            await asyncio.sleep(BETWEEN)
        raise NobodyPollsError(
            f"{door} was sent to {self._id}, and nobody has said within {LISTENING:.0f} s what becomes of it: the "
            f"worker that has to look at it may be away. See: towpath status {self._id}"
        )

    def _refused(self, told: Told, door: str) -> str:
        new = [one for one in _new(told.refused, self._before.refused) if one.door == door]
        return new[-1].why.rstrip(".") if new else ""

    def _took(self, told: Told, did: str) -> bool:
        return any(
            isinstance(one, OverrideRecord) and one.did == did
            for one in _new(told.records, self._before.records)
        )


def _new(now: Sequence[Value], before: Sequence[Value]) -> list[Any]:
    known = {one.digest() for one in before}
    return [one for one in now if one.digest() not in known]


async def _told(handle: WorkflowHandle[Any, Any]) -> Told | None:
    try:
        return await ask_status(handle, Told)
    except RPCError as error:
        if is_missing(error):
            return None
        raise
