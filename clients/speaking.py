"""How clients speak with workflows: how long they listen, and what they take for an answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import LISTENING, ask_status
from clients.connection import explain
from clients.trouble import ClientError, DeclinedError, NobodyPollsError, UsageError
from domain.names import ENGINE_QUEUE, Subject, effects_queue, is_identifier
from domain.value import Value

DECIDING: Final = timedelta(seconds=5)
"""An update that was not taken up within this long meets no engine worker."""

LOOKS: Final = 3
BETWEEN_LOOKS: Final = 0.3
"""Seconds."""

A_MOMENT: Final = 1.0
"""Seconds, within which the server hears of an engine that has just been started."""

NO_ENGINE: Final = f"no engine worker has answered within {LISTENING.seconds} s"
START_ENGINE: Final = "towpath worker --engine"

Params = ParamSpec("Params")
ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=Value)


class HasClient(Protocol):
    @property
    def client(self) -> Client: ...


SelfT = TypeVar("SelfT", bound=HasClient)


def in_words(
    method: Callable[Concatenate[SelfT, Params], Awaitable[ResultT]],
) -> Callable[Concatenate[SelfT, Params], Coroutine[Any, Any, ResultT]]:
    """Have a method raise a ``ClientError`` with a sentence where the server refuses a call."""

    @wraps(method)
    async def spoken(self: SelfT, /, *args: Params.args, **kwargs: Params.kwargs) -> ResultT:
        try:
            return await method(self, *args, **kwargs)
        except RPCError as error:
            raise await explain(self.client, error) from error

    return spoken


def subject_of(service: str, environment: str) -> Subject:
    """Raises ``UsageError`` where one of them cannot be a name."""
    return Subject(service=name_of("service", service), environment=name_of("environment", environment))


def name_of(what: str, text: str) -> str:
    """Return a text that may be a name. Raises ``UsageError`` with a sentence."""
    if is_identifier(text):
        return text
    shown = text if len(text) <= 63 else f"{text[:63]}…"
    raise UsageError(
        f"“{shown}” cannot be the name of a{'n' if what[0] in 'aeiou' else ''} {what}: use letters, "
        "digits, dot, dash and underscore, a letter or digit at both ends, at most 63 characters."
    )


def made(model: Callable[..., ModelT], **fields: object) -> ModelT:
    """Make a value of what a person wrote.

    Raises ``UsageError`` with a clause for each field that does not fit.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        clauses = map(_clause, error.errors()[:5])
        raise UsageError(f"That cannot be sent: {'; '.join(clauses)}.") from error


def _clause(fault: ErrorDetails) -> str:
    """Say what does not fit, in words of ours where there are any."""
    where = ".".join(map(str, fault["loc"])) or "it"
    match fault["type"]:
        case "string_too_short":
            return f"“{where}” is empty"
        case "string_too_long":
            return f"“{where}” is longer than {fault.get('ctx', {}).get('max_length')} characters"
        case _:
            return f"“{where}”: {fault['msg'].removeprefix('Value error, ')}"


async def hear_status(handle: WorkflowHandle[Any, Any], model: type[ModelT]) -> ModelT | None:
    """Ask a workflow where it stands; None where nobody answers for it.

    Where the server at once knows of nobody to ask, it is asked once more: an engine may have just been started.
    """
    began = asyncio.get_running_loop().time()
    answer = await ask_status(handle, model)
    if answer is None and asyncio.get_running_loop().time() - began < A_MOMENT:
        await asyncio.sleep(A_MOMENT)
        answer = await ask_status(handle, model)
    return answer


async def why_in_vain(handle: WorkflowHandle[Any, Any]) -> str:
    """Say why what a workflow has tried did not work yet; nothing where it has not failed."""
    described = await handle.describe()
    for pending in described.raw_description.pending_activities:
        if pending.last_failure.message:
            return pending.last_failure.message
    return ""


async def is_at_work(handle: WorkflowHandle[Any, Any]) -> bool:
    """Tell whether a worker is busy with what a workflow wants done, for the first time."""
    described = await handle.describe()
    return any(
        pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        and not pending.last_failure.message
        for pending in described.raw_description.pending_activities
    )


def is_missing(error: RPCError) -> bool:
    """Tell whether it was the workflow, and not the namespace, that is not there."""
    return error.status is RPCStatusCode.NOT_FOUND and not error.message.startswith("Namespace")


async def tell(handle: WorkflowHandle[Any, Any], signal: str, word: Value, missing: ClientError) -> None:
    """Send a signal. Raises ``missing`` where nobody is there to hear it."""
    try:
        await handle.signal(signal, word)
    except RPCError as error:
        if is_missing(error):
            raise missing from error
        raise


async def decide(handle: WorkflowHandle[Any, Any], word: Value, missing: ClientError) -> str:
    """Send a decision and hear what comes of it. Raises ``DeclinedError`` and ``NobodyPollsError``."""
    try:
        taken: str = await handle.execute_update("decide", word, result_type=str, rpc_timeout=DECIDING)
    except WorkflowUpdateFailedError as error:
        why = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
        raise DeclinedError(f"It was not taken: {why}.") from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise NobodyPollsError(
            f"Nobody took the decision within {DECIDING.seconds} s: no engine worker serves the queue "
            f"“{ENGINE_QUEUE}” ({START_ENGINE}), or it cannot go on (`towpath doctor` says why). Decide again "
            "later, or leave the decision as a signal, to be found then: add --signal."
        ) from error
    except RPCError as error:
        if is_missing(error):
            raise missing from error
        raise
    return taken


async def count_pollers(
    client: Client, queue: str, kind: "TaskQueueType.ValueType", looks: int = LOOKS
) -> int:
    """Return how many workers have asked a queue for work in the last minutes.

    A worker that has just started is given a moment to ask.
    """
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
    )
    for look in range(looks):
        if look:
            await asyncio.sleep(BETWEEN_LOOKS)
        answer = await client.workflow_service.describe_task_queue(request)
        if answer.pollers:
            return len(answer.pollers)
    return 0


async def need_engine(client: Client) -> None:
    """Raise ``NobodyPollsError`` where no worker serves the engine's queue."""
    if not await count_pollers(client, ENGINE_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW):
        raise NobodyPollsError(
            f"No engine worker serves the queue “{ENGINE_QUEUE}”, so nothing would come of it. "
            f"Start one: {START_ENGINE}"
        )


async def need_environment(client: Client, environment: str) -> None:
    """Raise ``NobodyPollsError`` where no worker serves an environment's queue."""
    if not await is_served(client, environment):
        queue = effects_queue(environment)
        raise NobodyPollsError(
            f"No worker serves {environment} (its queue is “{queue}”), so nothing would come of it. "
            f"Start one where its key is: towpath worker --environments {environment}",
            environment,
        )


async def is_served(client: Client, environment: str, looks: int = LOOKS) -> bool:
    """Tell whether a worker has asked an environment's queue for work in the last minutes."""
    queue = effects_queue(environment)
    return await count_pollers(client, queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, looks) > 0
