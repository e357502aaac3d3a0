"""Calling for a person in the log, where an alert rule can find it."""

import structlog

from activities.ports import Alarm

log = structlog.get_logger(__name__)


class LogNotifier:
    """Writes one event for each alarm: a second call with the same key adds none."""

    def __init__(self) -> None:
        self._called: set[str] = set()

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
        self._called.add(alarm.key)
