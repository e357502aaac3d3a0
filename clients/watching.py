"""Following what goes on, by reading: histories say that something happened, queries say what.

Nothing is added.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Self, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.calls import is_away, is_unreadable
from activities.spaces import Anywhere
from clients.lane import Lane, Wish
from clients.overview import Overview, change_of, look
from clients.promotion import Promotion
from clients.speaking import is_missing
from clients.trouble import AwayError
from clients.walk import Walk
from domain.answer import Answer
from domain.names import change_id, lane_id
from domain.outcome import Phase

ASK_AGAIN_AFTER: Final = 1.0
"""Seconds, after a question that nobody answered."""
AWAY: Final = 30.0
"""Seconds: a server that is started anew is back by then."""

ResultT = TypeVar("ResultT")


async def patiently(asking: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Ask again while the server is away. Raises what is in the way where it stays away for long."""
    since = monotonic()
    while True:
        began = monotonic()
        try:
            return await asking()
        except (AwayError, RPCError) as error:
            if isinstance(error, RPCError) and not (is_away(error) or is_unreadable(error)):
                raise
            since = since if monotonic() - began < AWAY else monotonic()
            if monotonic() - since > AWAY:
                raise
        await asyncio.sleep(ASK_AGAIN_AFTER)


class Ears:
    """Listens to the histories of several workflows at once, and tells when any of them has grown."""

    def __init__(self, client: Anywhere) -> None:
        self._client = client
        self._listening: dict[str, asyncio.Task[None]] = {}
        self._grown = asyncio.Event()
        self._news: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._listening.values():
            task.cancel()
        await asyncio.gather(*self._listening.values(), return_exceptions=True)

    def listen(self, workflow_id: str) -> None:
        """Listen to one more workflow, to its end; twice is once."""
        if workflow_id not in self._listening:
            self._listening[workflow_id] = asyncio.create_task(self._follow(workflow_id))

    def listen_anew(self, workflow_id: str) -> None:
        """Listen to what has begun again under an id, whose earlier run may have been listened to."""
        if old := self._listening.pop(workflow_id, None):
            old.cancel()
        self.listen(workflow_id)

    async def hear(self) -> set[str]:
        """Return whose histories have grown, once any has since the last time.

        Raises what a listener stumbled over.
        """
        await self._grown.wait()
        self._grown.clear()
        news, self._news = self._news, set()
        for task in self._listening.values():
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        return news

    async def _follow(self, workflow_id: str) -> None:
        try:
            while await patiently(lambda: self._follow_run(self._client.get_workflow_handle(workflow_id))):
                pass
        except RPCError as error:
            if not is_missing(error):
                raise
        finally:
            self._grown.set()

    async def _follow_run(self, handle: WorkflowHandle[Any, Any]) -> bool:
        """Follow one run to its end; True where it goes on in another."""
        last = EventType.EVENT_TYPE_UNSPECIFIED
        async for event in handle.fetch_history_events(wait_new_event=True):
            last = event.event_type
            self._news.add(handle.id)
            self._grown.set()
        return last == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW


async def watch(promotion: Promotion) -> AsyncGenerator[Overview]:
    """Yield where a promotion stands whenever that may have changed, and last how it ended."""
    async with Ears(promotion.client) as ears:
        ears.listen(promotion.id)
        turn: int | None = None
        while True:
            seen = await patiently(lambda: look(promotion.client, promotion.id))
            if seen.lane and seen.has_own_change:
                turn = seen.lane.turn
            if not seen.is_open and turn:
                seen = seen.but(change=await change_of(promotion.client, promotion.subject, turn))
            yield seen
            if not seen.is_open:
                return
            await _until_news(ears, seen)


async def watch_walk(walk: Walk) -> AsyncGenerator[Overview]:
    """Yield how far a walk has come whenever that may have changed, and last how it ended."""
    async with Ears(walk.spaces) as ears:
        ears.listen(walk.id)
        while True:
            seen = await patiently(lambda: look(walk.spaces, walk.id))
            yield seen
            if not seen.is_open:
                return
            for stop in seen.stops.values():
                ears.listen(stop.id)
            await _until_news(ears, seen, *seen.stops.values())


async def watch_wish(wish: Wish) -> AsyncGenerator[tuple[Overview, Answer | None]]:
    """Yield where a lane stands whenever that may have changed, and last with its answer."""
    lane = wish.lane
    async with Ears(lane.client) as ears:
        ears.listen(lane.id)
        turn: int | None = None
        while True:
            seen = await patiently(lambda: look(lane.client, lane.id))
            answer = wish.answer_in(seen.lane) if seen.lane else None
            if seen.lane and seen.lane.running and seen.lane.running.asker == wish.asker:
                turn = seen.lane.turn
            if answer and turn:
                seen = seen.but(change=await change_of(lane.client, lane.subject, turn))
            yield seen, answer
            if answer or not seen.is_open:
                return
            await _until_news(ears, seen)


async def watch_lane(lane: Lane) -> AsyncGenerator[Overview]:
    """Yield where a lane stands whenever that may have changed, and last when it is idle."""
    async with Ears(lane.client) as ears:
        ears.listen(lane.id)
        while True:
            seen = await patiently(lambda: look(lane.client, lane.id))
            yield seen
            if not seen.is_open or (seen.lane and seen.lane.phase is Phase.IDLE and not seen.lane.queue):
                return
            await _until_news(ears, seen)


async def _until_news(ears: Ears, *views: Overview) -> None:
    """Wait for something to happen; where nobody answers, nothing will, and the question is asked again."""
    if any(seen.trouble for seen in views):
        await asyncio.sleep(ASK_AGAIN_AFTER)
        return
    for lane in [seen.lane for seen in views if seen.lane]:
        ears.listen(lane_id(lane.subject))
        if lane.turn is not None:
            ears.listen(change_id(lane.subject, lane.turn))
    # What is tried again leaves nothing in a history, so that an eye is kept on a change under way.
    busy = any(seen.change and seen.change.phase is not Phase.ENDED for seen in views)
    patience = ASK_AGAIN_AFTER * 5 if busy else None
    with suppress(TimeoutError):
        await asyncio.wait_for(ears.hear(), patience)
