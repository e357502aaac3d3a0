"""The waits of a change: while it soaks, is held, or a gate is shut. Its budget counts none of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from activities.errands import ErrandActivities, ThawRequest
    from domain.journal import Evidence
    from domain.names import PHASE
    from domain.outcome import Phase
    from domain.refusal import Refusal
    from domain.terms import Sealed
    from domain.value import say_duration
    from workflows import patience
    from workflows.change_doors import ChangeDoors
    from workflows.chronicle import publish
    from workflows.errand import errand
    from workflows.troubles import FAILURES, Trouble, cancelled, trouble_with
    from workflows.undisturbed import heed_cancel


class Waiting(ChangeDoors):
    """How a change waits, and what ends a wait."""

    async def _soak(self) -> None:
        """Watch it for as long as the terms say, or until it yields; the budget does not count this."""
        soak, began = self._terms.soak, workflow.now()
        if not soak:
            return
        self._log.enter(Phase.SOAKING, f"{say_duration(soak)} of good health")
        with self._not_counted():
            self._soaked = await self._watch_until_it_yields(soak)
        if self._soaked is None:
            lasted = f"{say_duration(workflow.now() - began)} of {say_duration(soak)}"
            self._cut = f"its soak was cut short after {lasted}, for {self._makes_way_for}"
            self._note_judgement("soak", self._cut, passed=True)
        else:
            evidence = Evidence.model_validate_json(self._soaked.body)
            self._note_judgement("soak", *evidence.sentences, passed=evidence.passed)
            if not evidence.passed:
                message = f"it turned sick while it soaked: {'; '.join(evidence.sentences)}"
                raise Trouble(message)
        self._stop_if_cancelled()

    async def _watch_until_it_yields(self, soak: timedelta) -> Sealed | None:
        """Return the evidence of the whole soak; None where it was not waited for, since somebody newer waits."""
        if self._yields_to:
            self._makes_way_for = self._yields_to
            return None
        soaking = workflow.start_activity_method(
            EffectActivities.soak,
            self._warrant,
            task_queue=self._queue,
            start_to_close_timeout=soak + patience.UNDOING,
            schedule_to_close_timeout=soak + patience.UNDOING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"soak {self._subject} for {say_duration(soak)}",
        )
        yielding = asyncio.create_task(self._end_when_it_yields(soaking))
        try:
            return await soaking
        except FAILURES as failure:
            if self._makes_way_for and workflow.cancellation_reason() is None:
                return None
            raise trouble_with(failure) from failure
        finally:
            yielding.cancel()

    async def _end_when_it_yields(self, soaking: asyncio.Task[Sealed]) -> None:
        await workflow.wait_condition(lambda: bool(self._yields_to))
        self._makes_way_for = self._yields_to
        soaking.cancel()

    async def _unless_held(self) -> None:
        """Stop here while somebody holds the change, for as long as the terms allow."""
        if not self._held:
            return
        limit = self._terms.hold_limit
        self._log.enter(Phase.HELD, "somebody to let it go on", self._command("resume"))
        try:
            with self._not_counted():
                await workflow.wait_condition(lambda: not self._held, timeout=limit, timeout_summary="held")
        except TimeoutError:
            message = f"it was held for longer than {say_duration(limit)}"
            raise Trouble(message) from None
        except asyncio.CancelledError as cancel:
            raise cancelled() from cancel

    async def _wait_for_gate(self, closed: Refusal) -> None:
        """Wait between two steps until a gate opens, for as long as somebody might hold the change."""
        with self._not_counted():
            await self._until_it_opens(closed)

    async def _until_it_opens(self, closed: Refusal) -> None:
        since, limit = workflow.now(), self._terms.hold_limit
        self._note_judgement("clearance", closed.why, passed=False)
        self._log.enter(Phase.WAITING_FOR_GATE, closed.why, closed.remedy)
        publish({PHASE: Phase.WAITING_FOR_GATE})
        opened = self._times_opened
        request = ThawRequest(environment=self._subject.environment, asker=workflow.info().workflow_id)
        opens = closed.opens - since + patience.CLOCKS_DIFFER if closed.opens else limit
        will_hear = closed.planned or await errand(
            ErrandActivities.hear_of_thaw, request, "be told when the gate opens"
        )
        try:
            heed_cancel()
            await workflow.wait_condition(
                lambda: self._times_opened > opened or not will_hear,
                timeout=max(min(opens, limit), timedelta()),
                timeout_summary="the gate opens",
            )
        except TimeoutError:
            if opens >= limit:
                message = f"it waited for longer than {say_duration(limit)}, and still {closed.why}"
                raise Trouble(message) from None
        except asyncio.CancelledError as cancel:
            raise cancelled() from cancel

    @contextmanager
    def _not_counted(self) -> Iterator[None]:
        """Wait outside the budget. What waits side by side waits once: from the first that waits to the last.

        A wait that fails ends the way there, and with it the budget.
        """
        if not self._waits:
            self._waits_since = workflow.now()
        self._waits += 1
        yield
        self._waits -= 1
        if not self._waits:
            self._paused += workflow.now() - self._waits_since
