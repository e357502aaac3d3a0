"""A cancel that comes in the middle of an errand is heard before the next wait, however long that would be."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowHandle

from activities import crossing, errands
from domain.outcome import Outcome, Phase
from tests.survival.waiting import until
from tests.town import Town
from tests.workflows.test_windows import frozen_in_mid_rollout
from workflows import patience

pytestmark = pytest.mark.server


class Slow:
    """An errand that takes until it is let go, as one does whose server is away for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: object, name: str, about: str = "") -> None:
        self._about = about
        self._really: Callable[..., Awaitable[Any]] = getattr(room, name)
        self._go = asyncio.Event()
        self.begun = asyncio.Event()
        monkeypatch.setattr(room, name, self._take_long)

    async def _take_long(self, *words: object) -> object:
        if not self._about or self._about in map(str, words):
            self.begun.set()
            await self._go.wait()
        return await self._really(*words)

    async def cancel_meanwhile(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Cancel in mid-errand; it ends when the workflow has been told so."""
        await asyncio.wait_for(self.begun.wait(), 20)
        await handle.cancel()

        async def is_told() -> bool:
            events = (await handle.fetch_history()).events
            asked = [
                event.event_id
                for event in events
                if event.HasField("workflow_execution_cancel_requested_event_attributes")
            ]
            return bool(asked) and any(
                event.event_id > asked[0] and event.HasField("workflow_task_started_event_attributes")
                for event in events
            )

        await until(is_told)
        await asyncio.sleep(0.3)  # from the server, which notes it first, to the worker
        self._go.set()


@pytest.fixture(autouse=True)
def _told_soon(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an errand runs, its workflow hears nothing for most of the time that one of its tasks may take."""
    shortly = partial(town.client.start_workflow, task_timeout=timedelta(seconds=1))
    monkeypatch.setattr(town.client, "start_workflow", shortly)
    child = partial(workflow.start_child_workflow, task_timeout=timedelta(seconds=1))
    monkeypatch.setattr(workflow, "start_child_workflow", child)
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=0.2))


async def test_while_a_promotion_finds_out_why_nobody_answers(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, errands, "why_silent_at")
    await town.close(town.dev)
    handle = await town.promote("1.0.0", town.dev)

    await slow.cancel_meanwhile(handle)

    assert (await asyncio.wait_for(handle.result(), 20)).outcome is Outcome.CANCELLED


async def test_while_a_promotion_asks_to_be_told_of_a_thaw(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, errands, "_signal", errands.TELL_OF_THAW)
    await town.freeze(town.dev)
    handle = await town.promote("1.0.0", town.dev)

    await slow.cancel_meanwhile(handle)

    assert (await asyncio.wait_for(handle.result(), 20)).outcome is Outcome.CANCELLED


async def test_while_a_walk_finds_out_why_nobody_answers(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(monkeypatch, crossing, "why_silent_at")
    await town.close(town.dev)
    handle = await town.walk("1.0.0", town.dev)

    await slow.cancel_meanwhile(handle)

    assert (await asyncio.wait_for(handle.result(), 20)).outcome is Outcome.CANCELLED


async def test_while_a_change_asks_to_be_told_of_a_thaw(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has done is put back at once, and not when it may be held no longer."""
    slow = Slow(monkeypatch, errands, "_signal", errands.TELL_OF_THAW)
    handle = await frozen_in_mid_rollout(town)
    await town.until_change(town.dev, Phase.WAITING_FOR_GATE)

    await slow.cancel_meanwhile(await town.change(town.dev))

    assert (await asyncio.wait_for(handle.result(), 20)).outcome is Outcome.CANCELLED
    assert town.world.version(town.place(town.dev, "site")) == "absent"


async def test_a_withdrawal_that_is_looked_at_when_the_change_has_ended_takes_nothing_back(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The promotion said that it was cancelled, and its release stood there, with a receipt."""
    goes_on, begun, asked = asyncio.Event(), asyncio.Event(), asyncio.Event()
    client, status_of = activity.client, errands._status_of  # pyright: ignore[reportPrivateUsage]

    class Slowly:
        """A client that takes long to say what a promotion says itself."""

        def get_workflow_handle(self, workflow_id: str) -> Any:
            handle = client().get_workflow_handle(workflow_id)
            describe = handle.describe

            async def describe_late() -> Any:
                begun.set()
                await goes_on.wait()
                return await describe()

            monkeypatch.setattr(handle, "describe", describe_late)
            return handle

    async def ask_late(*words: Any) -> Any:
        await asked.wait()
        return await status_of(*words)

    monkeypatch.setattr(
        activity,
        "client",
        lambda: Slowly() if activity.info().activity_type == "hear_promotion" else client(),
    )
    monkeypatch.setattr(errands, "_status_of", ask_late)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    change = await town.change(town.dev)
    await handle.cancel()
    await asyncio.wait_for(begun.wait(), 20)
    gate.set()
    await asyncio.wait_for(change.result(), 20)

    async def is_answered() -> bool:
        return (await town.lane_status(town.dev)).turn is None

    await until(is_answered)
    goes_on.set()

    async def is_looked_at() -> bool:
        events = (await town.lane(town.dev).fetch_history()).events
        asking = {
            event.event_id
            for event in events
            if event.activity_task_scheduled_event_attributes.activity_type.name == "hear_promotion"
        }
        return any(
            event.activity_task_completed_event_attributes.scheduled_event_id in asking for event in events
        )

    await until(is_looked_at)
    asked.set()
    report = await asyncio.wait_for(handle.result(), 20)

    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert report.outcome is Outcome.PROMOTED
    assert report.why == "the cancel came too late: it was done"
