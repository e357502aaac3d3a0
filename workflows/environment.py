"""What holds for a whole environment: freezes. Read by query at each effect, so that reading costs no events."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from workflows.doorkeeper import BadStartError, RefusedError, read_message, read_value

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities, ThawOrder
    from domain.actor import Actor, Channel
    from domain.clearance import Freeze
    from domain.doors import FreezeWord, Word
    from domain.names import read_id
    from domain.outcome import Phase
    from domain.record import OverrideRecord
    from domain.status import EnvironmentStatus
    from domain.value import Value
    from workflows.chronicle import Chronicle, Memory
    from workflows.errand import errand
    from workflows.steering import is_long


class Carried(Value):
    """What an environment takes along when it goes on in a new run."""

    freeze: Freeze | None = None
    waiting: tuple[str, ...] = ()
    memory: Memory


class Waiter(Value):
    """A promotion that wants to be told when the gate opens."""

    asker: str


@workflow.defn
class EnvironmentWorkflow:
    """Frozen, until when, by whom and why."""

    def __init__(self) -> None:
        self._environment = workflow.info().workflow_id.removeprefix("environment/")
        self._freeze: Freeze | None = None
        self._waiting: tuple[str, ...] = ()
        self._stirred = False
        self._log = Chronicle(Phase.IDLE, self._details)

    @workflow.run
    async def run(self, environment: Any = None, carried: Any = None) -> None:
        self._begin(environment, carried)
        while True:
            try:
                await self._tend()
            except asyncio.CancelledError:
                self.refused("cancel", "an environment is never cancelled; thaw it if it is frozen")

    async def _tend(self) -> None:
        while True:
            while self._waiting and not self._is_frozen():
                waiting, self._waiting = self._waiting, ()
                await errand(ErrandActivities.tell_of_thaw, ThawOrder(waiting=waiting), "tell of the thaw")
            if is_long() and workflow.all_handlers_finished():
                carried = Carried(freeze=self._freeze, waiting=self._waiting, memory=self._log.memory)
                workflow.continue_as_new(args=[None, carried])
            await self._until_something_changes()

    async def _until_something_changes(self) -> None:
        """Wait for a message, or for the end of a freeze that somebody waits for. Effects compare, they do not wait."""
        self._stirred = False
        thaws = self._freeze.until if self._freeze and self._waiting else None
        left = max(thaws - workflow.now(), timedelta()) if thaws else None
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._stirred or is_long(), timeout=left, timeout_summary="the freeze ends"
            )

    @workflow.signal(
        description='Freeze. Input: {"by": "you@example.com", "reason": "why", "lasts": "2h"}; lasts is optional'
    )
    def freeze(self, raw: RawValue) -> None:
        word = read_message(raw, FreezeWord)
        now = workflow.now()
        actor = Actor(name=word.by, channel=Channel.SIGNAL)
        until = now + word.lasts if word.lasts else None
        self._stirred = True
        self._freeze = Freeze(by=actor, reason=word.reason, since=now, until=until)
        self._log.record(OverrideRecord(at=now, actor=actor, did="freeze", comment=word.reason))

    @workflow.signal(description='Thaw. Input: {"by": "you@example.com", "comment": ""}')
    def thaw(self, raw: RawValue) -> None:
        word = read_message(raw, Word)
        if self._freeze is None:
            message = "it is not frozen"
            raise RefusedError(message)
        self._stirred = True
        self._freeze = None
        actor = Actor(name=word.by, channel=Channel.SIGNAL)
        self._log.record(OverrideRecord(at=workflow.now(), actor=actor, did="thaw", comment=word.comment))

    @workflow.signal(description="For a promotion: be told when the gate opens")
    def tell_of_thaw(self, raw: RawValue) -> None:
        asker = read_value(workflow.payload_converter().from_payload(raw.payload), Waiter).asker
        self._stirred = True
        self._waiting = tuple(dict.fromkeys([*self._waiting, asker]))

    @workflow.signal(dynamic=True, description="Anything else is refused")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "an environment takes freeze and thaw"
        raise RefusedError(message)

    @workflow.query
    def status(self) -> EnvironmentStatus:
        return EnvironmentStatus(
            environment=self._environment,
            freeze=self._freeze,
            refused=self._log.refused,
            records=self._log.chain.records,
            head=self._log.chain.head,
        )

    def refused(self, door: str, why: str) -> None:
        self._log.refuse(door, why)

    def _begin(self, environment: object, carried: object) -> None:
        (name,) = read_id(workflow.info().workflow_id, "environment", 1)
        if environment is not None:
            message = "An environment is started without input: its id says which it is."
            raise BadStartError(message)
        if carried is not None and not workflow.info().continued_run_id:
            message = "State is carried over from an earlier run only, never by hand. Start it without input."
            raise BadStartError(message)
        self._environment = name
        if carried is not None:
            state = read_value(carried, Carried)
            self._freeze, self._waiting = state.freeze, state.waiting
            self._log.remember(state.memory)
        self._log.show()

    def _is_frozen(self) -> bool:
        return self._freeze is not None and self._freeze.holds(workflow.now())

    def _details(self) -> str:
        return f"### {self._environment}: {self._freeze or 'open'}"
