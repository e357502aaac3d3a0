"""Keeping what an attempt prints, in the release store, while it runs: never in a payload, a history or a paper.

Nothing is written of an attempt that succeeds in silence. A store that does not take it fails no deed and holds
none up for longer than a few seconds: it costs the lines, and the worker's log says so.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Final

from temporalio import activity

from activities.finishing import to_the_end
from activities.ports import AlreadyExistsError, Clock, Store, StoreError
from activities.tools import Tools
from domain.fence import milliseconds
from domain.names import Subject, transcript_key
from domain.transcript import Printed, Segment

LONGEST: Final = 1 << 20
"""Bytes that are kept of an attempt from its beginning on."""
TAIL: Final = 32 * 1024
"""Bytes that are kept of its end, where it was longer."""
IN_LOG: Final = 16 * 1024
"""Bytes of an attempt that the worker's own log repeats."""
SHORTEST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(seconds=10)
LAST_WORDS: Final = 5.0
"""Seconds for the store to take the end."""


class Scribe:
    """Notes the lines of one attempt, and writes them to the store in numbered segments."""

    def __init__(self, store: Store, clock: Clock, heading: Segment) -> None:
        self._store = store
        self._clock = clock
        self._next = heading
        self._unsaved: list[Printed] = []
        self._room = LONGEST
        self._tail: deque[Printed] = deque()
        self._in_tail = 0
        self._dropped = 0
        self._to_log = IN_LOG

    def note(self, text: str) -> None:
        """Take a line. Never blocks."""
        size = _size(text)
        if self._to_log > 0:
            self._to_log -= size
            activity.logger.info("target_said", extra={"line": text})
        line = Printed(at=self._clock.now(), text=text)
        if self._room > 0:
            self._room -= size
            self._unsaved.append(line)
            return
        self._tail.append(line)
        self._in_tail += size
        while self._in_tail > TAIL and len(self._tail) > 1:
            gone = _size(self._tail.popleft().text)
            self._in_tail -= gone
            self._dropped += gone

    def close(self) -> None:
        """Take the end in, and say what lies between."""
        if self._dropped:
            cut = f"… {self._dropped:,} bytes are not kept: of an attempt its first MiB is, and its end …"
            self._unsaved.append(Printed(at=self._tail[0].at, text=cut))
        self._unsaved += self._tail
        self._tail.clear()

    async def save(self) -> None:
        """Write what is new, if anything."""
        lines = tuple(self._unsaved)
        if not lines:
            return
        segment = self._next.but(lines=lines)
        piece = f"{segment.act}-{segment.attempt}.{milliseconds(segment.began)}.{segment.number:05}"
        key = transcript_key(segment.subject, segment.turn, piece)
        with suppress(AlreadyExistsError):  # an earlier try landed after all
            await self._store.create(key, segment.canonical().encode())
        del self._unsaved[: len(lines)]
        self._next = segment.but(number=segment.number + 1, lines=())

    async def save_now_and_then(self, ended: asyncio.Event) -> None:
        """Write every few seconds, less often as it goes on, until it has ended."""
        while not await _within(ended, self._pause()):
            await self._try()
        self.close()
        await self._try()

    async def _try(self) -> None:
        try:
            await self.save()
        except StoreError as error:
            activity.logger.warning("lines_not_kept", extra={"why": str(error)})

    def _pause(self) -> timedelta:
        age: timedelta = self._clock.now() - self._next.began
        return min(max(age / 30, SHORTEST_PAUSE), LONGEST_PAUSE)


_HERE: ContextVar[Scribe | None] = ContextVar("scribe", default=None)


def say(line: str) -> None:
    """Take a line that is to be read by people, its secrets masked. Never blocks."""
    if scribe := _HERE.get():
        scribe.note(line)
    else:
        activity.logger.info("target_said", extra={"line": line})


@asynccontextmanager
async def transcribed(
    tools: Tools, subject: Subject, turn: int, act: str, what: str
) -> AsyncGenerator[None, None]:
    """Keep whatever is said meanwhile, and why it failed where it did."""
    heading = Segment(
        subject=subject,
        turn=turn,
        act=act,
        attempt=activity.info().attempt if activity.in_activity() else 1,
        what=what,
        began=tools.clock.now(),
        number=1,
        lines=(),
    )
    scribe, ended = Scribe(tools.store, tools.clock, heading), asyncio.Event()
    saving = asyncio.ensure_future(scribe.save_now_and_then(ended))
    here = _HERE.set(scribe)
    try:
        yield
    except asyncio.CancelledError:
        scribe.note(f"{what}: stopped, since it was cancelled")
        raise
    except Exception as error:
        scribe.note(f"{what}: not done: {str(error) or type(error).__name__}")
        raise
    finally:
        _HERE.reset(here)
        ended.set()
        await to_the_end(_last_words(saving))


async def _last_words(saving: "asyncio.Future[None]") -> None:
    """Wait for the end to be written, but not for long, and whatever becomes of it."""
    await asyncio.wait({saving}, timeout=LAST_WORDS)
    if not saving.done():
        saving.cancel()
    elif error := saving.exception():
        activity.logger.warning("lines_not_kept", extra={"why": str(error)})


async def _within(event: asyncio.Event, limit: timedelta) -> bool:
    try:
        await asyncio.wait_for(event.wait(), limit.total_seconds())
    except TimeoutError:
        return False
    return True


def _size(text: str) -> int:
    return len(text.encode()) + 1
