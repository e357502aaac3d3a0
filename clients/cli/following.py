"""Watching to the end, and what the shell is told of it.

What only a person can move on, and nobody is on the way to move, ends the watch: a stuck change with 20, an
environment or engine without a worker with 4; an engine that is silent is given half a minute to come back. The
promotion itself goes on waiting. Approvals, holds, freezes and other people's changes are waited for.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Final, Protocol, Self

from clients.cli.advising import remedies, say_next
from clients.cli.progress import Progress
from clients.cli.showing import show_report
from clients.cli.terminal import say
from clients.lane import Lane, Wish, say_lost
from clients.overview import Overview
from clients.promotion import Promotion
from clients.trouble import FailedError
from clients.watching import watch, watch_lane, watch_wish
from domain.answer import Answer, Done, NotBegun, Undone
from domain.outcome import EXIT_OF, Exit, Outcome, Phase
from domain.refusal import Cause
from domain.terms import Story

SILENCE: Final = 30.0
"""Seconds: a worker that is replaced is back by then."""


class Doubt:
    """Judges whether there is any use in watching on."""

    def __init__(self) -> None:
        self._silent_since: float | None = None

    def verdict(self, seen: Overview) -> Exit | None:
        """Return what to end the watch with, or None to go on."""
        if not seen.is_open:
            return None
        if seen.change and seen.change.phase is Phase.STUCK:
            return Exit.UNSETTLED
        if Phase.NO_WORKER in {view.phase for view in (seen.promotion, seen.pipeline, seen.change) if view}:
            return Exit.NOBODY_POLLS
        for stop in seen.stops.values():
            if (verdict := self.verdict(stop)) is not None:
                return verdict
        return self._judge_silence(seen)

    def _judge_silence(self, seen: Overview) -> Exit | None:
        if not seen.trouble:
            self._silent_since = None
            return None
        self._silent_since = self._silent_since or monotonic()
        if monotonic() - self._silent_since < SILENCE:
            return None
        say(f"{seen.id} is kept, but {seen.trouble}", "yellow")
        return Exit.NOBODY_POLLS


async def follow(promotion: Promotion) -> Exit:
    """Follow a promotion; return what its outcome tells the shell."""
    try:
        seen, given_up = await shown(watch(promotion), Progress())
    except asyncio.CancelledError:
        say(f"No longer watched; the promotion goes on. See: {promotion.see} --watch")
        raise
    if given_up is not None:
        say_next(remedies(seen))
        return given_up
    if seen.report is None:
        why = f": {seen.trouble}" if seen.trouble else "."
        raise FailedError(f"The promotion of {promotion} {seen.state}, which nobody foresaw{why}")
    show_report(seen.report)
    return EXIT_OF[seen.report.outcome]


async def follow_wish(wish: Wish) -> Exit:
    """Follow a rollback or adoption; 0 where it came about."""
    try:
        seen, given_up = await shown(_views(wish), Progress())
    except asyncio.CancelledError:
        say(f"No longer watched; the {wish.story} goes on. See: {see_lane(wish)} --watch")
        raise
    answer = wish.answer_in(seen.lane) if seen.lane else None
    if answer is None and not seen.is_open:
        raise FailedError(say_lost(wish.lane.subject, wish.story, seen.state))
    if answer is None:
        say_next(remedies(seen))
        return given_up or Exit.UNSETTLED
    return say_answer(wish, answer)


async def follow_lane(lane: Lane) -> Exit:
    """Follow whatever goes on in a lane, until nothing does."""
    seen, given_up = await shown(watch_lane(lane), Progress())
    if given_up is not None:
        say_next(remedies(seen))
        return given_up
    say(f"Nothing goes on in the lane of {lane.subject}.")
    return Exit.DONE


async def _views(wish: Wish) -> AsyncGenerator[Overview]:
    async with aclosing(watch_wish(wish)) as watched:
        async for seen, _ in watched:
            yield seen


class Shows(Protocol):
    """Shows each overview, while it is entered."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, seen: Overview) -> None: ...


async def shown(watched: AsyncGenerator[Overview], progress: Shows) -> tuple[Overview, Exit | None]:
    """Show what is watched to its end, or to where there is no use in watching on; return the last of it."""
    doubt, seen = Doubt(), Overview(id="", state="")
    with progress:
        async with aclosing(watched):
            async for seen in watched:
                progress.show(seen)
                if (given_up := doubt.verdict(seen)) is not None:
                    return seen, given_up
    return seen, None


def say_answer(wish: Wish, answer: Answer) -> Exit:
    """Say how a wish was answered, and return what the shell is told: 0 where it is as was wished."""
    subject = wish.lane.subject
    match answer:
        case NotBegun(refusal=refusal):
            say(f"The {wish.story} of {subject} was not begun: {refusal.why}", "bold yellow")
            return Exit.CANCELLED if refusal.cause is Cause.GONE else Exit.REFUSED
        case Done(outcome=Outcome.NOTHING_TO_DO) if wish.story is Story.ROLLBACK:
            say(f"There was nothing to roll back of {subject}: {'; '.join(answer.evidence)}.", "bold green")
            return Exit.DONE
        case Done() | Undone():
            did = "was recorded as it stands" if wish.story is Story.ADOPTION else "was rolled back"
            by_hand = answer.outcome is Outcome.SETTLED_BY_HAND
            say(
                f"{subject} {'was settled by hand' if by_hand else did}.",
                "bold yellow" if by_hand else "bold green",
            )
            for component, holding in answer.after.items():
                say(f"  {component} is now {holding}")
            return Exit.SETTLED_BY_HAND if by_hand else Exit.DONE


def see_lane(wish: Wish) -> str:
    return f"towpath status {wish.lane.subject.service} {wish.lane.subject.environment}"
