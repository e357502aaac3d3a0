"""What one id is about, put together from whoever knows: the promotion, its lane, the change that has it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from activities.asking import ask_status
from activities.clock import SystemClock
from activities.spaces import Anywhere, client_for
from clients.connection import explain
from clients.speaking import NO_ENGINE, START_ENGINE, hear_status, is_missing, why_in_vain
from clients.trouble import UsageError
from domain.hints import USUAL_NAMESPACE
from domain.names import (
    ACTOR,
    ENVIRONMENT,
    OUTCOME,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    Subject,
    change_id,
    lane_id,
    promotion_id,
)
from domain.outcome import Phase
from domain.road import under_way
from domain.status import (
    ChangeStatus,
    EnvironmentStatus,
    LaneStatus,
    PipelineStatus,
    PromotionStatus,
    Report,
    WalkReport,
)
from domain.terms import Story
from domain.value import Value
from domain.workflow_types import CHANGE


class Overview(Value):
    """Everything that is known of one workflow of ours.

    What nobody could say is None, and ``trouble`` says why.
    """

    schema_version: Literal[1] = 1
    id: str
    state: str
    """What the Temporal server calls it: running, completed, failed, terminated, …"""
    namespace: str = USUAL_NAMESPACE
    """Where it lives."""
    promotion: PromotionStatus | None = None
    report: Report | None = None
    """How a promotion ended."""
    pipeline: PipelineStatus | None = None
    walk: WalkReport | None = None
    """How a walk ended."""
    stops: dict[str, "Overview"] = {}
    """Environment → the promotion that a walk has under way there."""
    lane: LaneStatus | None = None
    change: ChangeStatus | None = None
    """The change that has the lane now."""
    environment: EnvironmentStatus | None = None
    in_vain: str = ""
    """Why what the change tries again and again has not worked yet."""
    trouble: str = ""

    @property
    def is_open(self) -> bool:
        return self.state == "running"

    @property
    def place(self) -> int:
        """Its number in the queue of its lane, from 1; 0 where it does not wait there."""
        queue = self.lane.queue if self.lane else ()
        return next((number for number, ask in enumerate(queue, start=1) if ask.asker == self.id), 0)

    @property
    def has_own_change(self) -> bool:
        """Tell whether the change that has the lane is this promotion's."""
        return bool(self.lane and self.lane.running and self.lane.running.asker == self.id)


class Row(Value):
    """One workflow of ours in a list, as visibility knows it: a moment late, never by much.

    Where a change is under way, its phase is what the change itself says.
    """

    id: str
    story: str
    service: str = ""
    environment: str = ""
    release: str = ""
    phase: str = ""
    outcome: str = ""
    actor: str = ""
    state: str
    started: datetime
    ended: datetime | None = None


class Rows(Value):
    schema_version: Literal[1] = 1
    rows: tuple[Row, ...]


ENVIRONMENT_IS_OVER: Final = (
    "whatever it kept shut or let past is forgotten, but for what was signed; say again what should hold"
)

SILENT: Final = f"{NO_ENGINE}. Start one ({START_ENGINE}), or see why: towpath doctor"
PROBLEMS: Final = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
"""By it the server marks what fails at every attempt, after some."""
FAILED_OFTEN: Final = 2
"""Attempts at one task of a workflow. More than these are no accident."""
WEDGED: Final = (
    "fails at every attempt to go on, so nobody answers for it; see docs/how-to/recover.md (a workflow is wedged): "
    "towpath doctor"
)
CHANGE_IS_LOST: Final = (
    "it has left no word; its lane has whatever it began settled, before anything else moves there"
)
LANE_IS_OVER: Final = (
    "nothing goes on in it and nobody waits there; whoever asks for something there begins the next one"
)

MOST_ASKED: Final = 20
"""So many changes are asked where they stand for one list."""


async def look(client: Anywhere, workflow_id: str) -> Overview:
    """Find out all about a workflow of ours. Raises ``UsageError`` where there is none of this id."""
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id)
    try:
        described = await handle.describe()
    except RPCError as error:
        if is_missing(error):
            raise UsageError(_say_unknown(workflow_id)) from error
        raise await explain(client_for(client, workflow_id), error) from error
    state = described.status.name.lower().replace("_", " ") if described.status else "unknown"
    seen = Overview(id=workflow_id, state=state, namespace=client_for(client, workflow_id).namespace)
    match workflow_id.split("/", maxsplit=1)[0]:
        case "promotion":
            return await _look_at_promotion(client, handle, seen)
        case "pipeline":
            return await _look_at_walk(client, handle, seen)
        case "lane":
            return await _look_at_lane(client, handle, seen)
        case "change":
            return _unless_lost(await _with_change(handle, seen))
        case "environment":
            return await _look_at_environment(handle, seen)
        case _:
            return seen


async def _look_at_environment(handle: WorkflowHandle[Any, Any], seen: Overview) -> Overview:
    if not seen.is_open:
        return seen.but(trouble=ENVIRONMENT_IS_OVER)
    status = await hear_status(handle, EnvironmentStatus)
    return await _or_silent(handle, seen, environment=status and status.at(SystemClock().now()))


async def _look_at_promotion(client: Anywhere, handle: WorkflowHandle[Any, Any], seen: Overview) -> Overview:
    if not seen.is_open:
        seen = await _with_report(client, seen)
        return seen.but(promotion=await ask_status(handle, PromotionStatus))
    status = await hear_status(handle, PromotionStatus)
    seen = await _or_silent(handle, seen, promotion=status)
    if status is None or status.phase is not Phase.IN_LANE:
        return seen
    lane = client.get_workflow_handle(lane_id(status.subject))
    try:
        return await _look_at_lane(client, lane, seen)
    except RPCError as error:
        if is_missing(error):
            return seen
        raise


async def _look_at_walk(client: Anywhere, handle: WorkflowHandle[Any, Any], seen: Overview) -> Overview:
    if not seen.is_open:
        seen = await _with_walk(client, seen)
    hear = hear_status if seen.is_open else ask_status
    status = await hear(handle, PipelineStatus)
    seen = await _or_silent(handle, seen, pipeline=status)
    if status is None:
        return seen
    names = under_way(status.road)
    ids = [promotion_id(Subject(service=status.service, environment=name), status.version) for name in names]
    stops = await asyncio.gather(*(look(client, workflow_id) for workflow_id in ids))
    return seen.but(stops=dict(zip(names, stops, strict=True)))


async def _with_walk(client: Anywhere, seen: Overview) -> Overview:
    handle = client.get_workflow_handle(seen.id, result_type=WalkReport)
    try:
        return seen.but(walk=await handle.result())
    except WorkflowFailureError as failure:
        return seen.but(trouble=getattr(failure.cause, "message", None) or str(failure.cause))


async def _look_at_lane(client: Anywhere, handle: WorkflowHandle[Any, Any], seen: Overview) -> Overview:
    if handle.id == seen.id and not seen.is_open:
        left = await ask_status(handle, LaneStatus)
        return seen.but(lane=left and left.over, trouble=_say_over(left))
    lane = await hear_status(handle, LaneStatus)
    seen = await _or_silent(handle, seen, lane=lane)
    if lane is None or lane.turn is None:
        return seen
    change = client.get_workflow_handle(change_id(lane.subject, lane.turn))
    try:
        return await _with_change(change, seen)
    except RPCError as error:
        if is_missing(error):
            return seen
        raise


def _say_over(left: LaneStatus | None) -> str:
    lost = " and ".join(map(str, left.wishes if left else ()))
    return f"{LANE_IS_OVER}{f'. Lost with it: {lost}; ask again' if lost else ''}"


async def _with_change(handle: WorkflowHandle[Any, Any], seen: Overview) -> Overview:
    change = await ask_status(handle, ChangeStatus)
    if change and change.phase is not Phase.ENDED:
        seen = seen.but(in_vain=await why_in_vain(handle))
    return await _or_silent(handle, seen, change=change) if handle.id == seen.id else seen.but(change=change)


def _unless_lost(seen: Overview) -> Overview:
    """Say so of a change that has ended without a word."""
    is_lost = not seen.is_open and seen.change and seen.change.phase is not Phase.ENDED
    return seen.but(trouble=CHANGE_IS_LOST) if is_lost else seen


async def change_of(client: Anywhere, subject: Subject, turn: int) -> ChangeStatus | None:
    """Return where the change of a turn stands; None where it has not begun, or nobody answers for it."""
    try:
        return await ask_status(client.get_workflow_handle(change_id(subject, turn)), ChangeStatus)
    except RPCError as error:
        if is_missing(error):
            return None
        raise


async def _with_report(client: Anywhere, seen: Overview) -> Overview:
    handle = client.get_workflow_handle(seen.id, result_type=Report)
    try:
        return seen.but(report=await handle.result())
    except WorkflowFailureError as failure:
        return seen.but(trouble=getattr(failure.cause, "message", None) or str(failure.cause))


async def _or_silent(handle: WorkflowHandle[Any, Any], seen: Overview, **answers: Value | None) -> Overview:
    if all(answers.values()) or not seen.is_open:
        return seen.but(**answers)
    found = await handle.describe()
    marked = found.typed_search_attributes.get(PROBLEMS)
    fails = marked or found.raw_description.pending_workflow_task.attempt > FAILED_OFTEN
    return seen.but(**answers, trouble=f"{handle.id} {WEDGED}" if fails else SILENT)


def _say_unknown(workflow_id: str) -> str:
    kind, *names = workflow_id.split("/")
    if kind == "promotion" and len(names) == 3:
        service, environment, version = names
        return (
            f"There is no promotion of {version} of {service} in {environment}. The order is SERVICE VERSION "
            f"ENVIRONMENT. What there is of it: towpath status {service}"
        )
    return f"There is no workflow “{workflow_id[:200]}”. What there is: towpath status"


_LISTED: Final = ("promotion", "pipeline", "lane", "environment", "rollback", "settlement", "adoption")
"""What people ask for, and where. The change of a promotion is told of with that."""


async def find(client: Anywhere, service: str = "", *, only_open: bool = False, limit: int = 50) -> Rows:
    """List our workflows, newest first: of a service, or of all."""
    query = f"{SERVICE}='{service}'" if service else f"{STORY} IN ({', '.join(map(repr, _LISTED))})"
    query += " AND ExecutionStatus='Running'" if only_open else ""
    found, phases = await asyncio.gather(
        list_rows(client, query, limit=limit), _phases_of_changes(client, service)
    )
    return Rows(rows=tuple(await asyncio.gather(*(_as_it_stands(client, row, phases) for row in found))))


async def list_rows(client: Anywhere, query: str, limit: int | None = None) -> list[Row]:
    """List what a visibility query finds, newest first."""
    return [_row(execution) async for execution in client.list_workflows(query, limit=limit)]


async def _phases_of_changes(client: Anywhere, service: str) -> dict[str, Phase]:
    """Ask what is under way where it stands: visibility is told only of what takes long.

    Returned by the ids of the change, its lane and its promotion; of the newest ``MOST_ASKED``.
    """
    query = f"WorkflowType='{CHANGE}' AND {STORY} IS NOT NULL AND ExecutionStatus='Running'"
    query += f" AND {SERVICE}='{service}'" if service else ""
    ids = [row.id for row in await list_rows(client, query, limit=MOST_ASKED)]
    said = await asyncio.gather(*(ask_status(client.get_workflow_handle(one), ChangeStatus) for one in ids))
    phases: dict[str, Phase] = {}
    for own_id, status in zip(ids, said, strict=True):
        if status is None or status.phase is Phase.ENDED or change_id(status.subject, status.turn) != own_id:
            continue  # nobody answers; it has ended since; or somebody made it up, and it speaks of another
        subject = status.subject
        phases[own_id] = status.phase
        phases[lane_id(subject)] = Phase.BUSY
        if status.story is Story.PROMOTION:
            phases[promotion_id(subject, status.version)] = status.phase
    return phases


async def _as_it_stands(client: Anywhere, row: Row, phases: Mapping[str, Phase]) -> Row:
    """An environment alone can say whether it is frozen; what a change is at, its own words say.

    Visibility is told of a lane when it is unsettled, and what it is when it no longer is, which may be busy: it is for
    as long as it has a change.
    """
    if row.state != "running":
        return row
    if row.story == "environment":
        status = await ask_status(client.get_workflow_handle(row.id), EnvironmentStatus)
        holds = status and status.at(SystemClock().now()).freeze
        return row.but(phase="frozen" if holds else "open") if status else row
    if row.phase == Phase.UNSETTLED:
        return row
    return row.but(phase=phases.get(row.id, Phase.IDLE if row.story == "lane" else row.phase))


def _row(execution: WorkflowExecution) -> Row:
    def said(name: str) -> str:
        return execution.typed_search_attributes.get(SearchAttributeKey.for_keyword(name), "") or ""

    status = execution.status or WorkflowExecutionStatus.RUNNING
    return Row(
        id=execution.id,
        story=said(STORY),
        service=said(SERVICE),
        environment=said(ENVIRONMENT),
        release=said(RELEASE),
        phase=said(PHASE),
        outcome=said(OUTCOME),
        actor=said(ACTOR),
        state=status.name.lower().replace("_", " "),
        started=execution.start_time,
        ended=execution.close_time,
    )
