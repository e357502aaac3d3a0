"""Hearing at once, and for nothing, that a workflow has come to a phase: what runs in this process logs it."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from temporalio import workflow

from domain.outcome import Phase

WAITED_FOR: Final = (Phase.WAITING_FOR_APPROVAL, Phase.ENDED)


class Ear(logging.Handler):
    """Ours and the bare workflow are overheard in the same way, so that approving them costs the same.

    Of ours, which say more, only what somebody may wait for is passed on.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._loop = asyncio.get_running_loop()
        self._heard: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def hears(self, workflow_id: str, phase: str) -> None:
        await self._note(workflow_id, phase)
        del self._heard[workflow_id, phase]

    def forget(self, workflow_id: str, phase: str) -> None:
        """Hear only what is said from now on."""
        self._heard.pop((workflow_id, phase), None)

    def emit(self, record: logging.LogRecord) -> None:
        said = record.__dict__
        if said.get("phase") in WAITED_FOR:
            workflow_id = said["temporal_workflow"]["workflow_id"]
            if workflow_id.startswith("change/"):  # whose turn nobody outside knows beforehand
                workflow_id = workflow_id.rpartition("/")[0]
            self._loop.call_soon_threadsafe(self._hear, workflow_id, str(said["phase"]))

    def _hear(self, workflow_id: str, phase: str) -> None:
        noted = self._note(workflow_id, phase)
        if not noted.done():
            noted.set_result(None)

    def _note(self, workflow_id: str, phase: str) -> asyncio.Future[None]:
        return self._heard.setdefault((workflow_id, phase), self._loop.create_future())


@contextmanager
def listening() -> Iterator[Ear]:
    """Listen to the workflows of this process while the block runs."""
    ear, logger = Ear(), workflow.logger.logger
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(ear)
    try:
        yield ear
    finally:
        logger.removeHandler(ear)
        logger.setLevel(before)
