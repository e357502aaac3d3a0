"""Keeping an eye on workers: one that cannot go on ends the process that it is in, for others to begin it anew."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from temporalio.worker import Worker

GRACE: Final = timedelta(seconds=10)
"""So long what a worker does has to end, once it is to end."""
PATIENCE: Final = timedelta(seconds=10)
"""So long beyond that it may take."""

log = structlog.get_logger(__name__)


class WorkerFailedError(RuntimeError):
    """A worker has met what it cannot go on after, and whoever waits for it would wait in vain."""


class Oversight:
    """Of the workers of one block: it is cancelled once one of them cannot go on."""

    def __init__(self, longest: timedelta) -> None:
        self.why: BaseException | None = None
        self._longest = longest.total_seconds()
        self._block = asyncio.current_task()

    async def failed(self, error: BaseException) -> None:
        """Hear why a worker cannot go on: the SDK asks for it before it tries to end the worker."""
        if self.why is None:
            self.why = error
            if self._block:
                self._block.cancel()

    @asynccontextmanager
    async def over(self, worker: Worker) -> AsyncIterator[None]:
        """Run a worker meanwhile. One that lost a task when it failed waits for it without end, and is left at that."""
        run = asyncio.create_task(self._run(worker))
        try:
            yield
        finally:
            leaving = asyncio.create_task(worker.shutdown())
            _, waiting = await asyncio.wait([run, leaving], timeout=self._longest)
            if waiting:
                log.critical("worker_does_not_end", queue=worker.task_queue)
            for one in waiting:
                one.cancel()

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin what goes on beside the workers, and ends by being cancelled: they do not go on without it."""
        return asyncio.create_task(self._ending_all(work))

    async def _run(self, worker: Worker) -> None:
        await self._ending_all(worker.run())

    async def _ending_all(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody would miss it
            await self.failed(error)


@asynccontextmanager
async def overseeing(longest: timedelta = GRACE + PATIENCE) -> AsyncIterator[Oversight]:
    """Oversee workers while the block runs; then each of them has this long to end.

    Raises ``WorkerFailedError`` in place of the cancel that ended the block.
    """
    oversight = Oversight(longest)
    try:
        yield oversight
    except asyncio.CancelledError:
        if oversight.why is None:
            raise
        if task := asyncio.current_task():
            task.uncancel()
        message = f"A worker cannot go on, and is to be started again: {_first(oversight.why)}"
        raise WorkerFailedError(message) from oversight.why


def _first(error: BaseException) -> BaseException:
    """Return what brought it about: the SDK says only which of its parts failed."""
    return _first(error.__cause__) if error.__cause__ else error
