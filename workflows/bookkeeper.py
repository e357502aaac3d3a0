"""Having a promotion's record kept in the store: while it goes on, and when it ends."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from domain.names import Subject, effects_queue
    from domain.trail import ENDED, Piece, tail
    from workflows import patience
    from workflows.chronicle import Chronicle
    from workflows.undisturbed import undisturbed


class Bookkeeper:
    """Sends what a chronicle remembers along with what goes to the environment anyway, and by itself where it must."""

    def __init__(self, log: Chronicle, subject: Subject) -> None:
        self._log = log
        self._queue = effects_queue(subject.environment)
        self._keeping_up: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Keep up from now on: a flood of messages costs an activity now and then, and nothing that others said."""
        self._log.is_kept = True
        self._keeping_up = asyncio.create_task(self._keep_up())

    def piece(self) -> Piece:
        """Return what is not known to be kept, for an activity to take along."""
        return tail(self._log.chain)

    def kept(self, piece: Piece) -> None:
        """Know that an activity which took a piece along has ended well."""
        self._log.keep(piece.end)

    async def close(self) -> None:
        """Have the last records kept, whatever is cancelled meanwhile.

        Where the environment does not do it soon, its lane does it later, by asking this workflow's history.
        """
        self._log.own_up()
        closing = asyncio.create_task(self._keep(tail(self._log.chain, ENDED), patience.KEEPING))
        with suppress(ActivityError):
            await undisturbed(closing)

    async def _keep_up(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._log.is_filling)
            with suppress(ActivityError):  # what is still remembered is tried again
                await self._keep(self.piece(), patience.KEEPING_UP)

    async def _keep(self, piece: Piece, within: timedelta) -> None:
        await workflow.execute_activity_method(
            EffectActivities.keep,
            piece,
            task_queue=self._queue,
            schedule_to_start_timeout=min(within, patience.NOTICE_AFTER) if piece.closed else within,
            schedule_to_close_timeout=within,
            retry_policy=patience.TRY_SOON,
            summary="keep the record",
        )
        self.kept(piece)
