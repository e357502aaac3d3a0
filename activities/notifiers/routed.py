"""Calling for a person wherever alarms go: by every registered notifier, and each channel that a route leads to."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from activities.ports import Alarm, ChannelError, Courier, Notifier, Settings
from domain.notice import Event, Notice, key_of

_MEANS: Final = {
    Event.UNSETTLED: "Nothing else moves there until a person has decided.",
    Event.ATTEMPT: "It came to nothing. No honest use brings it about: who can reach Temporal, or write to the store?",
    Event.GLASS_BROKEN: "Nobody approves it beforehand. Somebody else has to look at it afterwards, and sign.",
}

log = structlog.get_logger(__name__)


class RoutedNotifier:
    """One channel that fails does not keep an alarm from another.

    It is told where at least one channel took it, or where no route leads to any: then the log has it.
    """

    def __init__(self, always: Sequence[Notifier], courier: Courier, settings: Settings) -> None:
        self._always = always
        self._courier = courier
        self._settings = settings

    async def call(self, alarm: Alarm) -> None:
        unable = [error for error in await self._call_all(alarm) if isinstance(error, Exception)]
        notice = notice_of(alarm)
        channels = self._settings.shared().channels(notice)
        whys = await asyncio.gather(*(self._failed(channel, notice) for channel in channels))
        if channels and all(whys):
            raise ChannelError(f"No channel took the alarm. {' '.join(whys)}")
        if unable:
            raise unable[0]

    async def _call_all(self, alarm: Alarm) -> list[BaseException | None]:
        return await asyncio.gather(*(one.call(alarm) for one in self._always), return_exceptions=True)

    async def _failed(self, channel: str, notice: Notice) -> str:
        """Tell a channel, and return why that did not work, or nothing."""
        try:
            await self._courier.carry(channel, notice)
        except ChannelError as error:
            log.warning("channel_failed", channel=channel, why=str(error))
            return str(error)
        return ""


def notice_of(alarm: Alarm) -> Notice:
    return Notice(
        key=key_of(alarm.key),
        event=alarm.event,
        service=alarm.subject.service,
        environment=alarm.subject.environment,
        title=alarm.headline,
        text=f"{_MEANS[alarm.event]}\n\n{alarm.remedy}",
    )
