"""Having people told of what no honest use brings about: beside the work that was refused, and never in its way.

Whatever finds something of the kind says so by ``caught``, wherever it is called. Where an activity of an environment's
worker has that done, the attempt is noted when the activity ends; elsewhere, as for an auditor, it is not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Final, NamedTuple

import structlog

from activities.ports import Alarm, Clock, Notifier
from domain.attempt import Kind
from domain.attempt_telling import Tried, count, headline, remedy, summary
from domain.logbook import Attempt, Doer
from domain.names import Subject
from domain.notice import Event, key_of
from domain.value import Digest

AT_ONCE: Final = 3
"""So many attempts of one round have an alarm each; the rest of them share one."""
PAUSE: Final = timedelta(minutes=1)
"""Between two rounds, and twice as long after each in which more came than is told apart, up to ``LONGEST_PAUSE``."""
LONGEST_PAUSE: Final = timedelta(minutes=15)
MOST_PENDING: Final = 100
"""Attempts between two rounds that are kept apart; of the others the number is."""
MOST_TOLD: Final = 1000
"""Attempts that are known to have been told of."""
MOST_DOUBTED: Final = 100
"""Things of one round of which it is looked up whether they are honest."""
LOOKED_UP_AT_ONCE: Final = 8
LOOKING_UP: Final = timedelta(seconds=20)
"""So long what is known waits for what is looked up; that is looked up again with the next round."""
TRIES: Final = 5
"""What could not be looked up so many times is told as it is: somebody may keep it from being known."""
MOST_UNTOLD: Final = 20
"""Alarms that no channel has taken yet."""

log = structlog.get_logger(__name__)
Keep = Callable[..., Awaitable[None]]
"""Writes attempts where they last, now or later. Never raises."""
Ask = Callable[[], Awaitable[str]]
"""Says why something is an attempt, or nothing where it is honest. May raise: then it is asked again."""


class Caught(NamedTuple):
    """What was found while an activity ran."""

    kind: Kind
    why: str
    claimed: str
    by: str
    """The workflow that is to blame, where it is not the one that the activity runs for."""


_found: ContextVar[list[Caught] | None] = ContextVar("attempts_found", default=None)


def caught(kind: Kind, why: str, claimed: str = "", by: str = "") -> None:
    """Say that something was seen here that no honest use brings about. Changes nothing else, and never raises."""
    found = _found.get()
    if found is not None:
        found.append(Caught(kind, why, claimed, by))


@contextmanager
def watched() -> Iterator[list[Caught]]:
    """Yield what is caught while the block runs."""
    found: list[Caught] = []
    token = _found.set(found)
    try:
        yield found
    finally:
        _found.reset(token)


@contextmanager
def overlooked() -> Iterator[None]:
    """Note nothing of what is looked at again: what was good then may honestly be so no longer."""
    token = _found.set(None)
    try:
        yield
    finally:
        _found.reset(token)


async def _unkept(*_: Attempt) -> None:
    """Where there is no logbook."""


class Doubt(NamedTuple):
    """What may be an attempt, and how often it was looked up in vain."""

    tried: Tried
    ask: Ask
    tries: int = 1


class Attempts:
    """What was tried in one environment: each is told once, and how often it came again is told later, in sum."""

    def __init__(self, environment: str, notifier: Notifier, clock: Clock, keep: Keep = _unkept) -> None:
        self._environment = environment
        self._notifier = notifier
        self._clock = clock
        self._keep = keep
        self._doubted: dict[Digest, Doubt] = {}
        self._pending: dict[Digest, Tried] = {}
        self._unnamed = 0
        self._told: dict[Digest, None] = {}
        self._untold: list[Alarm] = []
        self._news = asyncio.Event()

    def note(self, tried: Tried) -> None:
        """Take note. Costs next to nothing, however often; waits for nobody."""
        known = self._pending.get(tried.key)
        if known:
            self._pending[tried.key] = known.again(tried.attempt.times)
        elif len(self._pending) < MOST_PENDING:
            self._pending[tried.key] = tried
        else:
            self._unnamed += tried.attempt.times
        self._news.set()

    def doubt(self, tried: Tried, ask: Ask) -> None:
        """Have it looked up whether this is an attempt: it may be honest, and look the same."""
        if len(self._doubted) < MOST_DOUBTED:
            self._doubted[tried.key] = Doubt(tried, ask)
        self._news.set()

    async def keep_telling(self, pause: timedelta = PAUSE) -> None:
        """Tell at once of what comes first, and then in rounds. Ends by being cancelled."""
        longer = pause
        while True:
            # What could not be told or looked up yet is tried again, whether or not anything comes.
            waits = self._untold or self._doubted
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), longer.total_seconds() if waits else None)
            try:
                came = await self.tell()
            except Exception:  # who made the attempt has chosen some of what is told of it
                log.exception("attempts_not_told", environment=self._environment)
                came = True
            if came:
                await asyncio.sleep(longer.total_seconds())
                longer = min(longer * 2, LONGEST_PAUSE) if self._is_flooded() else pause

    def _is_flooded(self) -> bool:
        """Tell whether more has come in a pause than is told apart: a few make nobody hear later of the next."""
        return count(self._pending.values()) + self._unnamed > AT_ONCE

    async def tell(self) -> bool:
        """Write down and tell what was noted since the last time, if anything. What fails is left for the next."""
        self._news.clear()
        await self._look_up()
        pending, unnamed = list(self._pending.values()), self._unnamed
        self._pending, self._unnamed = {}, 0
        self._untold = [*self._untold, *self._alarms(pending, unnamed)][-MOST_UNTOLD:]
        told = await asyncio.gather(*map(self._is_told, self._untold))
        self._untold = [alarm for alarm, done in zip(self._untold, told, strict=True) if not done]
        await self._keep(*(one.attempt for one in pending), *([self._many(unnamed)] if unnamed else []))
        return bool(pending)

    async def _look_up(self) -> None:
        doubted, self._doubted, turns = self._doubted, {}, asyncio.Semaphore(LOOKED_UP_AT_ONCE)
        await asyncio.gather(*(self._look_up_one(key, doubt, turns) for key, doubt in doubted.items()))

    async def _look_up_one(self, key: Digest, doubt: Doubt, turns: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(LOOKING_UP.total_seconds()), turns:
                why = await doubt.ask()
        except Exception as error:  # noqa: BLE001  # it is looked up again
            log.warning("attempt_in_doubt", environment=self._environment, why=str(error))
            if doubt.tries < TRIES:
                self._doubted.setdefault(key, doubt._replace(tries=doubt.tries + 1))
                return
            why = f"whether it was honest cannot be found out ({str(error)[:200]})"
        if why:
            attempt = doubt.tried.attempt
            self.note(doubt.tried._replace(attempt=attempt.but(why=f"{why}; {attempt.why}")))

    def _alarms(self, pending: Sequence[Tried], unnamed: int) -> Iterator[Alarm]:
        new = [one for one in pending if one.key not in self._told][:AT_ONCE]
        for one in new:
            _log(one)
            yield Alarm(self._about(one.attempt.subject), headline(one), remedy(one), one.key, Event.ATTEMPT)
        again = [one.again(-1) if one in new else one for one in pending]
        again = [one for one in again if one.attempt.times]
        if again or unnamed:
            yield self._summed(again, unnamed)
        self._told |= dict.fromkeys(one.key for one in pending)
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]

    def _summed(self, again: Sequence[Tried], unnamed: int) -> Alarm:
        times, now = count(again) + unnamed, self._clock.now()
        log.error("attempts", environment=self._environment, times=times, more=summary(again, unnamed))
        return Alarm(
            self._about(None),
            f"{self._environment}: {times} more {'attempt' if times == 1 else 'attempts'}",
            summary(again, unnamed),
            key_of("attempts", self._environment, now.isoformat()),
            Event.ATTEMPT,
        )

    def _many(self, times: int) -> Attempt:
        """Return what stands in the logbook for those that were too many to be kept apart."""
        return Attempt(
            at=self._clock.now(),
            environment=self._environment,
            what="others at the same time",
            by=Doer(workflow_id="many"),
            why=f"they were more than {MOST_PENDING} different ones: only their number is known",
            times=times,
        )

    def _about(self, subject: Subject | None) -> Subject:
        """What is about a whole environment is about no service in particular."""
        return subject or Subject.model_construct(service="", environment=self._environment)

    async def _is_told(self, alarm: Alarm) -> bool:
        try:
            await self._notifier.call(alarm)
        # Whatever keeps people from hearing of one attempt must not keep them from the next.
        except Exception as error:  # noqa: BLE001
            log.warning("attempt_untold", environment=self._environment, key=alarm.key, why=str(error))
            return False
        return True


def _log(tried: Tried) -> None:
    one = tried.attempt
    log.error(
        "attempt",
        kind=tried.kind.value,
        environment=one.environment,
        service=one.subject.service if one.subject else "",
        what=one.what,
        workflow=one.by.workflow_id,
        run=one.by.run,
        claimed=one.claimed,
        why=one.why,
    )
