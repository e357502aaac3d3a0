"""One notice on its way: told by each of its channels, or given up on after a day."""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.counting import count_notices
from workflows.doorkeeper import BadStartError, RefusedError, read_value

with workflow.unsafe.imports_passed_through():
    from activities.notices import NoticeActivities
    from domain.doors import NUDGE
    from domain.names import notice_id
    from domain.notice import NoticeOrder, Sending, Sent
    from workflows import patience
    from workflows.undisturbed import undisturbed


@workflow.defn
class NoticeWorkflow:
    """Tells people something, by every channel that it was meant for. None waits for another.

    Its id is made of what it tells, and no id is used twice: so the same is told once, whoever starts it.
    """

    @workflow.run
    async def run(self, order: Any = None, _: Any = None) -> Sent:
        asked = self._begin(order)
        # Nobody keeps it from being told by a cancel.
        whys = await undisturbed(asyncio.create_task(self._tell_all(asked)))
        told = tuple(channel for channel, why in zip(asked.channels, whys, strict=True) if not why)
        untold = tuple(channel for channel, why in zip(asked.channels, whys, strict=True) if why)
        count_notices("told", len(told))
        count_notices("given up", len(untold))
        return Sent(told=told, untold=untold)

    async def _tell_all(self, order: NoticeOrder) -> list[str]:
        return await asyncio.gather(*(self._tell(order, channel) for channel in order.channels))

    async def _tell(self, order: NoticeOrder, channel: str) -> str:
        """Return nothing where the channel took it, else why it did not."""
        try:
            await workflow.execute_activity_method(
                NoticeActivities.send_notice,
                Sending(notice=order.notice, channel=channel),
                start_to_close_timeout=patience.ERRAND,
                schedule_to_close_timeout=patience.TELLING,
                retry_policy=patience.TRY_LESS_AND_LESS,
                summary=f"tell {channel}",
            )
        except ActivityError as failure:
            why = _why(failure)
            workflow.logger.error(
                "notice_given_up", extra={"channel": channel, "title": order.notice.title, "why": why}
            )
            return why
        return ""

    @workflow.signal(name=NUDGE, description="For the engine: see whether there is anything to do")
    def nudge(self, _: RawValue) -> None:
        """It is the task that comes of it which matters."""

    @workflow.signal(dynamic=True, description="A notice takes no signals")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "a notice takes no signals: it is told, or given up on after a day"
        raise RefusedError(message)

    def _begin(self, order: object) -> NoticeOrder:
        asked = read_value(order, NoticeOrder)
        rightful = notice_id(asked.notice.key)
        if workflow.info().workflow_id != rightful:
            message = f"This notice is told once, by a workflow with the id {rightful}."
            raise BadStartError(message)
        return asked


def _why(failure: ActivityError) -> str:
    """The last failure says more than that the time is up."""
    cause: BaseException = failure
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return cause.message if isinstance(cause, ApplicationError) else str(cause)
