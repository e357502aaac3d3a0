"""Playing histories again: whatever a worker forgot, it finds as it was."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    StartActivityInput,
    StartChildWorkflowInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
    WorkflowReplayResult,
)
from temporalio.workflow import ActivityHandle, ChildWorkflowHandle

from domain.hints import USUAL_NAMESPACE
from workers.story import WORKFLOWS
from workflows.doorkeeper import Doorkeeper
from workflows.wire import DATA_CONVERTER

KINDS: Final = ("promotion", "lane", "change", "pipeline")
STEP: Final = 7
"""Milliseconds by which each event comes later than the one before it did."""
OFTEN_LATE: Final = 2
"""Seconds by which a local activity's end is read later."""
PUPPET: Final = "puppet"
"""In the memo of what goes by a name of ours and is an attacker's own."""
OURS: Final = {workflow.__name__ for workflow in WORKFLOWS}
_CONVERTER: Final = DATA_CONVERTER.payload_converter


class Listener(Interceptor):
    """Writes down what replayed workflows give away: to their activities, to their children, and as their result."""

    def __init__(self) -> None:
        self.said: defaultdict[str, list[bytes]] = defaultdict(list)
        """By run."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        del input
        listener = self

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
                listener.hear(*input.args)
                return super().start_activity(input)

            async def start_child_workflow(
                self, input: StartChildWorkflowInput
            ) -> ChildWorkflowHandle[Any, Any]:
                listener.hear(*input.args)
                return await super().start_child_workflow(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                result = await super().execute_workflow(input)
                listener.hear(result)
                return result

        return Inbound

    def hear(self, *values: object) -> None:
        self.said[workflow.info().run_id].append(_joined(_CONVERTER.to_payloads(values)))


def _joined(payloads: Sequence[Payload]) -> bytes:
    return b"\n".join(payload.data for payload in payloads)


async def histories_of(client: Client, service: str, environments: Iterable[str]) -> list[WorkflowHistory]:
    """Return the history of each run of ours for a service and in these environments."""
    beginnings = [
        *(f"{kind}/{service}/" for kind in KINDS),
        *(f"environment/{name}" for name in environments),
    ]
    query = " OR ".join(f"WorkflowId STARTS_WITH '{text}'" for text in beginnings)
    return [
        await client.get_workflow_handle(row.id, run_id=row.run_id).fetch_history()
        async for row in client.list_workflows(query)
        if row.workflow_type in OURS and PUPPET not in await row.memo()
    ]


async def told_otherwise(histories: Sequence[WorkflowHistory]) -> list[str]:
    """Replay histories; say of each that comes out differently in what.

    The engine compares the kinds and names of commands alone. What they carry is compared here: a head of records
    that a replay makes anew is another proof than the one that was given. Read at other times, a history need give
    the same commands only.
    """
    findings = []
    for some in _apart(histories):
        findings += [
            _why(result.history, said, result.replay_failure) async for result, said in _replayed(some)
        ]
        later = [skewed(history) for history in some]
        findings += [
            f"{result.history.workflow_id}, at other times, does not replay: {result.replay_failure}"
            async for result, _ in _replayed(later)
            if result.replay_failure
        ]
    return [finding for finding in findings if finding]


def _apart(histories: Iterable[WorkflowHistory]) -> Sequence[list[WorkflowHistory]]:
    """Part those that replay under one run id: a reset run does so under that of the run it was reset from."""
    parts: list[list[WorkflowHistory]] = []
    for history in histories:
        free = (part for part in parts if all(other.run_id != history.run_id for other in part))
        part = next(free, None)
        if part is None:
            parts.append(part := [])
        part.append(history)
    return parts


async def _replayed(
    histories: Sequence[WorkflowHistory],
) -> AsyncIterator[tuple[WorkflowReplayResult, Sequence[bytes]]]:
    listener = Listener()
    replayer = Replayer(
        workflows=WORKFLOWS,
        interceptors=[Doorkeeper(), listener],
        data_converter=DATA_CONVERTER,
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="tests",
        namespace=USUAL_NAMESPACE,
    )
    async with replayer.workflow_replay_iterator(_each(histories)) as results:
        async for result in results:
            yield result, listener.said[result.history.run_id]


def skewed(history: WorkflowHistory) -> WorkflowHistory:
    """Return the history as a replay may read it: everything later and later, and local activities at other times.

    No id and no branch may depend on that. What is told in words may.
    """
    events = [_later(event, number * STEP) for number, event in enumerate(history.events)]
    return WorkflowHistory(history.workflow_id, events)


def _later(event: HistoryEvent, milliseconds: int) -> HistoryEvent:
    copy = HistoryEvent.FromString(event.SerializeToString())
    copy.event_time.FromMilliseconds(event.event_time.ToMilliseconds() + milliseconds)
    if copy.HasField("marker_recorded_event_attributes"):
        for payload in copy.marker_recorded_event_attributes.details["data"].payloads:
            said = json.loads(payload.data)
            said["complete_time"]["seconds"] += OFTEN_LATE
            payload.data = json.dumps(said).encode()
    return copy


async def _each(histories: Sequence[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in histories:
        yield history


def _why(history: WorkflowHistory, said: Sequence[bytes], failure: Exception | None) -> str:
    if failure:
        return f"{history.workflow_id} does not replay: {failure}"
    for then, now in zip_longest(_recorded(history.events), said, fillvalue=b"nothing"):
        if then not in {now, b"nothing"}:
            return f"{history.workflow_id} gave {then.decode()}\nand gives, replayed, {now.decode()}"
    return ""


def _recorded(events: Sequence[HistoryEvent]) -> Iterator[bytes]:
    for event in events:
        match event.WhichOneof("attributes"):
            case "activity_task_scheduled_event_attributes":
                yield _joined(event.activity_task_scheduled_event_attributes.input.payloads)
            case "start_child_workflow_execution_initiated_event_attributes":
                yield _joined(event.start_child_workflow_execution_initiated_event_attributes.input.payloads)
            case "workflow_execution_completed_event_attributes":
                yield _joined(event.workflow_execution_completed_event_attributes.result.payloads)
            case _:
                pass
