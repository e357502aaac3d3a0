"""Looking up whether what an environment's worker met was honest: the server knows who started and ended what."""

from typing import NamedTuple

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable
from domain.logbook import Doer
from domain.names import ENGINE_QUEUE, MisnamedWorkflowError, Subject, lane_id, read_id

GONE = "its workflow is not on the server any more"


class Task(NamedTuple):
    """One attempt of a worker's at an activity."""

    of: Doer
    activity_id: str
    attempt: int


async def why_no_change(client: Client, doer: Doer) -> str:
    """Say why a workflow is no change of its lane's, or nothing where it is one: anybody can give one that name."""
    try:
        service, environment, _ = read_id(doer.workflow_id, "change")
    except MisnamedWorkflowError:
        return ""
    lane = lane_id(Subject(service=service, environment=environment))
    try:
        seen = await client.get_workflow_handle(doer.workflow_id, run_id=doer.run).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return GONE
    is_ours = (seen.parent_id, seen.task_queue) == (lane, ENGINE_QUEUE)
    return "" if is_ours else f"it is named like a change, and {lane} did not start it"


async def why_ended(client: Client, task: Task) -> str:
    """Say that somebody ended an activity in a worker's place, or nothing where it came to another end.

    It is taken out of a worker's hands too where its workflow has ended, or where others have it after a time-out.
    """
    handle = client.get_workflow_handle(task.of.workflow_id, run_id=task.of.run)
    try:
        events = (await handle.fetch_history()).events
    except RPCError as error:
        if is_unreadable(error):
            return "what its history holds is more than anybody can read, and nothing of ours is"
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ""
    scheduled = {event.event_id for event in events if _is_of(event, task)}
    started = {
        event.event_id
        for event in events
        if event.activity_task_started_event_attributes.scheduled_event_id in scheduled
        and event.activity_task_started_event_attributes.attempt == task.attempt
    }
    for event in events:
        completed, failed = (
            event.activity_task_completed_event_attributes,
            event.activity_task_failed_event_attributes,
        )
        if completed.started_event_id in started:
            return f"“{completed.identity[:80]}” completed it by hand"
        if failed.started_event_id in started:
            return f"“{failed.identity[:80]}” had it fail by hand"
    return ""


def _is_of(event: HistoryEvent, task: Task) -> bool:
    return event.activity_task_scheduled_event_attributes.activity_id == task.activity_id
