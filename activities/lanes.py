"""Whose turn it is, by the server's own word: a change is the child of the lane that gave it its turn."""

from typing import NamedTuple

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import LISTENING
from domain.names import ENGINE_QUEUE, MisnamedWorkflowError, Subject, change_id, lane_id, read_id
from domain.workflow_types import CHANGE, LANE


class Caller(NamedTuple):
    """The workflow that an effect is done for, in which run, and how its server is reached."""

    client: Client
    workflow_id: str
    run: str


class Lane(NamedTuple):
    """What a lane has open: a turn, and the run in which it began its change."""

    turn: int | None = None
    run: str = ""


async def find_lane(client: Client, subject: Subject) -> Lane | None:
    """Return what a lane has open, or None where the engine's worker runs none. Raises ``RPCError``."""
    try:
        found = await client.get_workflow_handle(lane_id(subject)).describe(rpc_timeout=LISTENING)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    if found.status is not WorkflowExecutionStatus.RUNNING or not is_run_by_engine(found, LANE):
        return None
    for child in found.raw_description.pending_children:
        turn = _turn(child.workflow_id, subject)
        if turn is not None and child.workflow_type_name == CHANGE:
            return Lane(turn, child.run_id)
    return Lane()


async def gave(lane: Lane, subject: Subject, caller: Caller) -> bool:
    """Tell whether the lane gave its turn to this caller: to this very run, or to the one that it was reset from."""
    if lane.turn is None or caller.workflow_id != change_id(subject, lane.turn):
        return False
    return bool(lane.run) and (caller.run == lane.run or await _began_as(caller) == lane.run)


def is_run_by_engine(found: WorkflowExecutionDescription, kind: str) -> bool:
    """Tell whether it is what its id says, by the server's own word: anybody may go by that id."""
    return (found.task_queue, found.workflow_type) == (ENGINE_QUEUE, kind)


def _turn(workflow_id: str, subject: Subject) -> int | None:
    try:
        service, environment, turn = read_id(workflow_id, "change")
    except MisnamedWorkflowError:
        return None
    return int(turn) if (service, environment) == (subject.service, subject.environment) else None


async def _began_as(caller: Caller) -> str:
    handle = caller.client.get_workflow_handle(caller.workflow_id, run_id=caller.run)
    found = await handle.describe(rpc_timeout=LISTENING)
    return found.raw_description.workflow_execution_info.first_run_id
