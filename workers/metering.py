"""What is counted of activities: deeds, refused clearances, alarms. The SDK counts the rest."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from typing import Any, Final

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.refusing import NOT_CLEARED
from domain.order import Call, StepOrder
from domain.refusal import Cause, Refusal

DEED: Final = "towpath_deed"
CLEARANCES_REFUSED: Final = "towpath_clearances_refused"
ALARMS: Final = "towpath_alarms"

log = structlog.get_logger(__name__)


class Metering(Interceptor):
    """Counts what a worker's activities do, and changes nothing about it."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _Meter(next)


class _Meter(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # likewise
        match input.args:
            case [StepOrder() as order]:
                with _timed(order):
                    return await self.next.execute_activity(input)
            case [Call() as call]:
                _count_alarm(call)
            case _:
                pass
        with _judged():
            return await self.next.execute_activity(input)


@contextmanager
def _timed(order: StepOrder) -> Iterator[None]:
    """Time an attempt at a deed or an undo, clearance included."""
    began = perf_counter()
    result = "failed"
    try:
        with _judged():
            yield
        result = "done"
    except asyncio.CancelledError:
        result = "cancelled"
        raise
    except ApplicationError as error:
        result = "refused" if error.type == NOT_CLEARED else "failed"
        raise
    finally:
        labels = {
            "environment": order.warrant.request.subject.environment,
            "verb": order.step.verb,
            "result": result,
        }
        meter = activity.metric_meter()
        histogram = meter.create_histogram_timedelta(DEED, "Attempts at deeds and undos", "duration")
        histogram.record(timedelta(seconds=perf_counter() - began), labels)


@contextmanager
def _judged() -> Iterator[None]:
    """Count what an environment did not let in, by its reason, and say so in a line."""
    try:
        yield
    except ApplicationError as error:
        match error:
            case ApplicationError(type=type_, details=[Refusal() as refusal, *_]) if type_ == NOT_CLEARED:
                counter = activity.metric_meter().create_counter(
                    CLEARANCES_REFUSED, "Effects that the environment's own worker did not let in"
                )
                counter.add(1, {"cause": refusal.cause})
                say = log.warning if refusal.cause is Cause.FORBIDDEN else log.info
                say("not_cleared", cause=refusal.cause.value, why=refusal.why)
            case _:
                pass
        raise


def _count_alarm(call: Call) -> None:
    """Count an alarm when it is raised, whether or not anybody can be told: for that it is tried again."""
    if activity.info().attempt == 1:
        counter = activity.metric_meter().create_counter(ALARMS, "Alarms: a person is needed")
        counter.add(1, {"environment": call.subject.environment})
