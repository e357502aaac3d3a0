"""Watching a walk: a picture that is drawn anew on a terminal, and a line for each thing that happened elsewhere."""

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Self

from clients.cli.advising import remedies, say_next
from clients.cli.following import shown
from clients.cli.progress import say_duration_so_far
from clients.cli.showing import draw, show_walk, where
from clients.cli.terminal import console, plain, say
from clients.overview import Overview
from clients.trouble import FailedError
from clients.walk import Walk
from clients.watching import watch_walk
from domain.hints import approve_command
from domain.outcome import EXIT_OF, Exit, Phase
from domain.picture import say_stop
from domain.road import Stand, Stop

if TYPE_CHECKING:
    from rich.live import Live


async def follow_walk(walk: Walk) -> Exit:
    """Follow a walk to its end; return what its outcome tells the shell."""
    try:
        seen, given_up = await shown(watch_walk(walk), WalkProgress())
    except asyncio.CancelledError:
        say(f"No longer watched; the walk goes on. See: {walk.see} --watch")
        raise
    if seen.walk is None and given_up is None:
        why = f": {seen.trouble}" if seen.trouble else "."
        raise FailedError(f"The walk of {walk} {seen.state}, which nobody foresaw{why}")
    show_walk(seen)
    if seen.walk is None:
        say_next(remedies(seen))
        return given_up or Exit.BUG
    return EXIT_OF[seen.walk.outcome]


class WalkProgress:
    """Shows how far a walk has come."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._said: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if console().is_terminal:
            from rich.live import Live

            self._live = Live(console=console(), auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, seen: Overview) -> None:
        if self._live:
            self._draw(self._live, seen)
            return
        for subject, line in _lines(seen):
            if self._said.get(subject) != line:
                self._said[subject] = line
                say(f"{say_duration_so_far(monotonic() - self._began):>6}  {line}")

    def _draw(self, live: "Live", seen: Overview) -> None:
        from rich.console import Group
        from rich.text import Text

        status = seen.pipeline
        road = draw(status.road, seen.stops) if status else ()
        head = f"{status.phase}: {status.waits_for}" if status and not road else ""
        drawn = "\n".join([*([head] if head else []), *(f"  {line}" for line in road)])
        parts = [Text(plain(drawn), no_wrap=True, overflow="ellipsis")]
        parts += [Text(plain(line)) for line in _approvals(seen)]
        live.update(Group(*parts), refresh=True)


def _lines(seen: Overview) -> Iterator[tuple[str, str]]:
    """Yield what there is to say, each with what it is about."""
    status = seen.pipeline
    if status is None:
        return
    if status.phase in {Phase.PREPARING, Phase.NO_WORKER}:
        yield "", f"{status.phase}: {status.waits_for}"
    for stop in status.road:
        if stop.stand is not Stand.AHEAD:
            yield stop.environment, f"{stop.environment}: {_stands(stop, seen.stops.get(stop.environment))}"
    for number, line in enumerate(_approvals(seen)):
        yield f"approve {number}", line


def _stands(stop: Stop, promotion: Overview | None) -> str:
    now = where(promotion) if promotion else ""
    return f"{now}{' (joined)' if stop.joined else ''}" if now else say_stop(stop)


def _approvals(seen: Overview) -> Iterator[str]:
    """Yield the commands by which people let in what waits for them."""
    for stop in seen.stops.values():
        status = stop.promotion
        if status and status.phase is Phase.WAITING_FOR_APPROVAL and status.proposal:
            yield f"approve it: {approve_command(stop.id, status.proposal)}"
