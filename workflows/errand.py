"""Sending somebody on an errand: quick, always finished, one event in the history."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.value import Value
    from workflows import patience
    from workflows.undisturbed import undisturbed

OrderT = TypeVar("OrderT", bound=Value | str)
ResultT = TypeVar("ResultT")
Verb = Callable[[Any, OrderT], Awaitable[ResultT]]
"""Of ``ErrandActivities``, or of ``CrossingActivities``."""


async def errand(verb: "Verb[OrderT, ResultT]", order: OrderT, summary: str) -> ResultT:
    """Have an errand run, to its end whatever is cancelled meanwhile."""
    running: Any = workflow.start_local_activity_method(
        verb,
        order,
        start_to_close_timeout=patience.ERRAND,
        retry_policy=patience.TRY_SOON,
        summary=summary,
    )
    return await undisturbed(running)
