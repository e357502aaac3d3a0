"""Telling people of attempts from the environment's own host, or by the engine where no channel is in reach."""

from temporalio.client import Client

from activities.notifiers.routed import notice_of
from activities.ports import Alarm, ChannelError, Notifier, Settings
from domain.notice import NoticeOrder
from workers.posting import post


class EnginesNotifier:
    """Tells itself, and has the engine tell, for a day, what no channel has taken.

    Itself first: whoever made the attempt may reach Temporal, and end there what is to tell of it.
    """

    def __init__(self, here: Notifier, client: Client, settings: Settings) -> None:
        self._here = here
        self._client = client
        self._settings = settings

    async def call(self, alarm: Alarm) -> None:
        try:
            await self._here.call(alarm)
        except ChannelError:
            notice = notice_of(alarm)
            channels = self._settings.shared().channels(notice)
            await post(self._client, NoticeOrder(notice=notice, channels=channels))
