"""Telling people what happens, beside the promotions and never in their way.

Nothing in a promotion's workflow knows of notices. What has cause to be told is read from visibility and from what
workflows say of themselves, and a workflow of its own sends it. Its id is made of what is told: whatever is found
again, by another engine or after a crash, has been told already, and the server says so.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import (
    SearchAttributeKey,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import ask_status
from activities.calls import concerns_all, describe
from activities.mistakes import BrokenConfigurationError
from activities.ports import Clock, Notifier, Settings
from domain.configuration import Configuration
from domain.names import (
    ENGINE_QUEUE,
    ENVIRONMENT,
    OUTCOME,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    Subject,
    notice_id,
)
from domain.notice import Event, Notice, NoticeOrder
from domain.noticing import Last, ended, forgotten, lost, lost_in_lane, of_environment, of_promotion, say_done
from domain.outcome import Outcome, Phase
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PromotionStatus, Report
from domain.value import Value
from domain.workflow_types import CHANGE, ENVIRONMENT_WORKFLOW, LANE, NOTICE, PROMOTION
from workers.posting import post
from workers.rounds import Rounds

EVERY: Final = timedelta(seconds=2)
ASKED_AT_ONCE: Final = 20
"""Workflows that one round asks where they stand: those that nobody has asked yet, then the longest unasked."""
AGAIN_AFTER: Final = timedelta(seconds=10)
"""A promotion that waits is asked again for what people have said to it, and for its age."""
OVERLAP: Final = timedelta(minutes=1)
"""Visibility is late by seconds, and not in order."""
LOOKING_BACK: Final = timedelta(hours=1)
"""How long before the newest notice a new engine begins to look, for what the one before may have missed."""
FURTHEST_BACK: Final = timedelta(days=1)
REMEMBERED: Final = 10_000
ROW: Final = timedelta(seconds=20)
TRIES: Final = 8
"""What could not be told of one workflow so often, in some nine minutes, is given up."""
AT_ONCE: Final = 10
POSTED_AGAIN: Final = 3
"""So many times a notice is posted again that somebody has ended."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_HERE: Final = f"TaskQueue='{ENGINE_QUEUE}'"
_PROMOTIONS: Final = f"{STORY}='promotion' AND WorkflowType='{PROMOTION}'"
_ENDLESS: Final = (
    f"WorkflowType IN ('{LANE}', '{ENVIRONMENT_WORKFLOW}') AND ExecutionStatus!='ContinuedAsNew'"
)
"""What never ends by itself."""
_CHANGES: Final = f"{STORY} IN ('rollback', 'settlement', 'adoption') AND WorkflowType='{CHANGE}'"
_STANDING: Final = ", ".join(
    f"'{phase}'"
    for phase in (Phase.WAITING_FOR_APPROVAL, Phase.WAITING_FOR_GATE, Phase.NO_WORKER, Phase.IN_LANE)
)
_WAITING: Final = f"{_PROMOTIONS} AND {PHASE} IN ({_STANDING})"
_RUNNING: Final = f"{_HERE} AND ExecutionStatus='Running' AND (({_WAITING}) OR {STORY}='environment')"
_UNFORESEEN: Final = {
    WorkflowExecutionStatus.CANCELED: "cancelled by force",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed out",
}
_WAITING_EVENTS: Final = (
    Event.APPROVAL_WANTED,
    Event.REMINDER,
    Event.ESCALATED,
    Event.APPROVED,
    Event.NO_WORKER,
    Event.WAITING_FOR_GATE,
)
StatusT = TypeVar("StatusT", bound=Value)
log = structlog.get_logger(__name__)


async def keep_telling(
    client: Client, settings: Settings, notifier: Notifier, clock: Clock, every: timedelta = EVERY
) -> None:
    """Look, now and then, for what people want to be told of, and have it told. Ends by being cancelled."""
    teller = Teller(client, settings, clock)
    await Rounds("what people are to be told of", "teller_blind", notifier).keep(teller.look_round, every)


class _Failed(NamedTuple):
    """How often a workflow could not be told of, and when that is tried again."""

    times: int
    again: datetime


class _Asked(NamedTuple):
    """When a workflow was asked where it stands, and what visibility said of it then."""

    phase: str
    at: datetime


class Teller:
    """Finds what has cause to be told since an hour before the newest notice, and has each told once."""

    def __init__(self, client: Client, settings: Settings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._horizon: datetime | None = None
        self._closed_since = _NEVER
        self._asked: dict[str, _Asked] = {}
        self._done: set[str] = set()
        self._told: dict[str, None] = {}
        self._posted: dict[str, NoticeOrder] = {}
        self._ended: dict[str, int] = {}
        self._mourned: set[str] = set()
        self._failed: dict[str, _Failed] = {}

    async def look_round(self) -> None:
        """Look once. Where it raises, nothing is taken for told that was not."""
        configuration = self._settings.shared()
        if not configuration.organisation.notify:
            return
        if self._horizon is None:
            self._horizon = self._closed_since = await self._beginning()
        try:
            await self._look_at_running(configuration)
        finally:  # what keeps one from being told of keeps nobody from hearing of the other
            try:
                await self._look_at_closed(configuration)
            finally:
                await self._look_at_notices()

    async def _beginning(self) -> datetime:
        """Return since when things are told: whoever writes a first route does not hear of the whole past."""
        now = self._clock.now()
        newest = now
        async for row in self._client.list_workflows(f"{_HERE} AND WorkflowType='{NOTICE}'", limit=1):
            newest = min(row.start_time, now)
        return max(newest - LOOKING_BACK, now - FURTHEST_BACK)

    # What runs.

    async def _look_at_running(self, configuration: Configuration) -> None:
        rows = [row async for row in self._client.list_workflows(_RUNNING)]
        wanted = [row for row in rows if _may_matter(configuration, row)]
        self._asked = {row.run_id: self._asked[row.run_id] for row in wanted if row.run_id in self._asked}
        due = sorted(filter(self._is_due, wanted), key=self._turn)[:ASKED_AT_ONCE]
        async for row, _ in self._told_of(due, lambda row: self._tell_of_running(configuration, row)):
            self._asked[row.run_id] = _Asked(_said(row, PHASE), self._clock.now())

    async def _tell_of_running(self, configuration: Configuration, row: WorkflowExecution) -> None:
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(row.id, run_id=row.run_id)
        if notices := await self._ask(configuration, row, handle):
            await self._tell(configuration, notices)

    async def _told_of(
        self, rows: Sequence[WorkflowExecution], tell: Callable[[WorkflowExecution], Awaitable[None]]
    ) -> AsyncIterator[tuple[WorkflowExecution, bool]]:
        """Tell of some at once, and yield whether that is done: one that does not answer has few wait for it."""
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            telling = (self._is_done_with(row, tell(row)) for row in some)
            for row, done in zip(some, await asyncio.gather(*telling, return_exceptions=True), strict=True):
                if isinstance(done, BaseException):
                    raise done
                yield row, done

    async def _is_done_with(self, row: WorkflowExecution, telling: Awaitable[None]) -> bool:
        """Tell of one workflow, and say whether that was done, or was tried often enough.

        What one of them says or ended with, whoever started it may have made up: it keeps nobody from the others.
        """
        try:
            async with asyncio.timeout(ROW.total_seconds()):
                await telling
        except BrokenConfigurationError:
            raise
        except Exception as error:
            if isinstance(error, RPCError) and concerns_all(error):
                raise
            times = self._times(row) + 1
            self._failed[row.run_id] = _Failed(times, self._clock.now() + EVERY * 2**times)
            log.warning("not_told", workflow=row.id, run=row.run_id, why=str(error) or type(error).__name__)
            return times >= TRIES
        self._failed.pop(row.run_id, None)
        return True

    def _times(self, row: WorkflowExecution) -> int:
        failed = self._failed.get(row.run_id)
        return failed.times if failed else 0

    def _is_tried(self, row: WorkflowExecution) -> bool:
        failed = self._failed.get(row.run_id)
        return failed is None or failed.again <= self._clock.now()

    def _is_due(self, row: WorkflowExecution) -> bool:
        """What has a place in the lane has nothing more to say until it ends; what waits is asked now and then."""
        asked = self._asked.get(row.run_id)
        if asked is None or asked.phase != _said(row, PHASE) or _said(row, STORY) == "environment":
            return True
        return asked.phase != Phase.IN_LANE and self._clock.now() - asked.at >= AGAIN_AFTER

    def _turn(self, row: WorkflowExecution) -> datetime:
        asked = self._asked.get(row.run_id)
        return asked.at if asked and asked.phase == _said(row, PHASE) else _NEVER

    async def _ask(
        self, configuration: Configuration, row: WorkflowExecution, handle: WorkflowHandle[Any, Any]
    ) -> list[Notice]:
        if _said(row, STORY) == "environment":
            environment = await _status(handle, EnvironmentStatus)
            return list(of_environment(environment)) if environment else []
        promotion = await _status(handle, PromotionStatus)
        if promotion is None:
            return []
        remind = configuration.remind(promotion.subject)
        now, namespace = self._clock.now(), self._client.namespace
        return list(of_promotion(promotion, row.run_id, now, remind, namespace))

    # What has ended.

    async def _look_at_closed(self, configuration: Configuration) -> None:
        since = self._closed_since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ended = f"({_PROMOTIONS}) OR ({_CHANGES}) OR ({_ENDLESS})"
        query = f"{_HERE} AND ({ended}) AND CloseTime >= '{since}'"
        rows = [row async for row in self._client.list_workflows(query)]
        ends = {row.run_id: row.close_time for row in rows if row.close_time}
        new = [row for row in rows if row.run_id in ends and row.run_id not in self._done]
        # What failed before comes last: whoever made it up keeps nobody waiting.
        due = sorted(filter(self._is_tried, new), key=lambda row: (self._times(row), ends[row.run_id]))
        async for row, done in self._told_of(due, lambda row: self._tell_of_end(configuration, row)):
            if done:
                self._done.add(row.run_id)
        self._done &= ends.keys()
        while len(self._failed) > REMEMBERED:
            del self._failed[next(iter(self._failed))]
        if ends:
            untold = [close for run, close in ends.items() if run not in self._done]
            self._closed_since = max(self._closed_since, min([max(ends.values()) - OVERLAP, *untold]))

    async def _tell_of_end(self, configuration: Configuration, row: WorkflowExecution) -> None:
        if row.workflow_type in {LANE, ENVIRONMENT_WORKFLOW}:
            await self._tell(configuration, await self._left_by(row))
        else:
            await self._tell(configuration, [one async for one in self._ending(configuration, row)])

    async def _ending(self, configuration: Configuration, row: WorkflowExecution) -> AsyncIterator[Notice]:
        subject, outcome = _subject(row), _said(row, OUTCOME)
        story = _said(row, STORY)
        what = _said(row, RELEASE) if story == "promotion" else f"the {story}"
        close = row.close_time or row.start_time
        if how := _UNFORESEEN.get(row.status or WorkflowExecutionStatus.RUNNING):
            if not await self._goes_on(row):
                yield lost(row.id, Last(subject, what, close, row.run_id), how, self._client.namespace)
        elif outcome and story != "promotion":
            why = await self._why_ended(row)
            yield ended(row.id, Last(subject, what, close, row.run_id), Outcome(outcome), why)
        elif outcome:
            handle = self._client.get_workflow_handle(row.id, run_id=row.run_id, result_type=Report)
            if configuration.wants(subject, Event.APPROVED):
                status = await _status(handle, PromotionStatus)
                for notice in of_promotion(status, row.run_id, close, timedelta()) if status else ():
                    yield notice
            if configuration.wants(subject, Event(outcome)) and (report := await _report(handle)):
                yield ended(row.id, Last(subject, what, close, row.run_id), report.outcome, report.why)

    async def _left_by(self, row: WorkflowExecution) -> list[Notice]:
        """Return what is nobody's any more, of what was in a lane, or was kept shut by an environment."""
        how = _UNFORESEEN.get(row.status or WorkflowExecutionStatus.RUNNING)
        handle = self._client.get_workflow_handle(row.id, run_id=row.run_id)
        last = Last(_subject(row), "", row.close_time or row.start_time, row.run_id)
        if how and row.workflow_type == LANE and (lane := await _status(handle, LaneStatus)):
            return list(lost_in_lane(lane, last, how))
        if how and row.workflow_type != LANE and (left := await _status(handle, EnvironmentStatus)):
            newest = self._client.get_workflow_handle(row.id)
            now = await _status(newest, EnvironmentStatus) if await self._goes_on(row) else None
            return list(forgotten(left.at(last.at), now, last, how))
        return []

    async def _why_ended(self, row: WorkflowExecution) -> str:
        """Return what a change that was asked for by itself says of its end."""
        handle = self._client.get_workflow_handle(row.id, run_id=row.run_id)
        status = await _status(handle, ChangeStatus)
        return say_done(status) if status else ""

    async def _goes_on(self, row: WorkflowExecution) -> bool:
        """Tell whether another run took its place: a reset terminates the one before, and so may a person."""
        newest = await describe(self._client, row.id)
        return newest is not None and newest.workflow_execution_info.execution.run_id != row.run_id

    # What is told.

    async def _tell(self, configuration: Configuration, notices: Iterable[Notice]) -> None:
        for notice in self._news(notices):
            channels = configuration.channels(notice)
            if channels:
                order = NoticeOrder(notice=notice, channels=channels)
                await post(self._client, order)
                self._told[notice.key] = None
                self._posted[notice_id(notice.key)] = order
        while len(self._posted) > REMEMBERED:
            self._ended.pop(next(iter(self._posted)), None)
            del self._posted[next(iter(self._posted))]
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]

    async def _look_at_notices(self) -> None:
        """Post again what somebody ended before it was told; one that is ended each time is left, and logged."""
        if not self._posted:
            return
        since = (self._clock.now() - OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        query = (
            f"{_HERE} AND WorkflowType='{NOTICE}' AND ExecutionStatus='Terminated' AND CloseTime >= '{since}'"
        )
        rows = [row async for row in self._client.list_workflows(query)]
        for row in rows:
            order, times = self._posted.get(row.id), self._ended.get(row.id, 0)
            if order and row.run_id not in self._mourned and times < POSTED_AGAIN:
                log.error("notice_ended", workflow=row.id, title=order.notice.title, times=times + 1)
                await post(self._client, order)
                self._ended[row.id] = times + 1
        self._mourned = {row.run_id for row in rows}

    def _news(self, notices: Iterable[Notice]) -> Iterator[Notice]:
        """Leave out what was told, and what happened before anybody asked to be told."""
        for notice in notices:
            is_old = notice.at and self._horizon and notice.at < self._horizon
            if not is_old and notice.key not in self._told:
                yield notice


def _may_matter(configuration: Configuration, row: WorkflowExecution) -> bool:
    if _said(row, STORY) == "environment":
        return True
    return configuration.wants(_subject(row), *_WAITING_EVENTS)


def _subject(row: WorkflowExecution) -> Subject:
    return Subject.model_construct(service=_said(row, SERVICE), environment=_said(row, ENVIRONMENT))


def _said(row: WorkflowExecution, name: str) -> str:
    return row.typed_search_attributes.get(SearchAttributeKey.for_keyword(name), "") or ""


async def _status(handle: WorkflowHandle[Any, Any], model: type[StatusT]) -> StatusT | None:
    """Ask where a workflow stands; None where it cannot say now: what runs is asked again."""
    try:
        return await ask_status(handle, model)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None


async def _report(handle: WorkflowHandle[Any, Report]) -> Report | None:
    try:
        return await handle.result(follow_runs=False)
    except (WorkflowFailureError, WorkflowContinuedAsNewError):
        return None
