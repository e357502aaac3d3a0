"""Calling for a person in the log, where an alert rule can find it."""

from typing import Final

import structlog

from activities.ports import Alarm

REMEMBERED: Final = 10_000

log = structlog.get_logger(__name__)


class LogNotifier:
    """Writes one event for each alarm: a second call with the same key adds none."""

    def __init__(self) -> None:
        self._called: dict[str, None] = {}

    async def call(self, alarm: Alarm) -> None:
        if alarm.key in self._called:
            return
        log.error(
            "alarm",
            service=alarm.subject.service,
            environment=alarm.subject.environment,
            headline=alarm.headline,
            remedy=alarm.remedy,
            key=alarm.key,
        )
        self._called[alarm.key] = None
        while len(self._called) > REMEMBERED:
            del self._called[next(iter(self._called))]
