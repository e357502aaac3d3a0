"""Asking a workflow where it stands, whoever asks."""

from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_unreadable
from activities.remembering import Remembered
from domain.value import Value

LISTENING: Final = timedelta(seconds=3)
"""A workflow that has not answered a query for this long has no engine worker."""

_SILENCE: Final = {
    RPCStatusCode.CANCELLED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.FAILED_PRECONDITION,
}

ModelT = TypeVar("ModelT", bound=Value)


class Runs(Remembered[str, str]):
    """The runs of workflows, by the server's own word: what is asked by its run need not be looked up.

    A run that is over answers no more, so that an old one is never taken for the one that runs now.
    """


async def ask_status(handle: WorkflowHandle[Any, Any], model: type[ModelT]) -> ModelT | None:
    """Ask a workflow where it stands; None where nobody answers for it in time, or with what nobody can read."""
    try:
        answer: ModelT = await handle.query("status", result_type=model, rpc_timeout=LISTENING)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError, ApplicationError):
        return None
    except RPCError as error:
        if error.status in _SILENCE or is_unreadable(error):
            return None
        raise
    return answer
