"""Handing notices to channels."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.ports import ChannelError, Courier
from domain.notice import Sending


class NoticeActivities:
    """Run on the engine's queue. A second run may tell the same again: the notice carries its key."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    @activity.defn
    async def send_notice(self, sending: Sending) -> None:
        try:
            await self._courier.carry(sending.channel, sending.notice)
        except ChannelError as error:
            raise ApplicationError(str(error), type="NotTold") from None
