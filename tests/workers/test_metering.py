"""What becomes of a refusal on its way out of a worker."""

import pytest
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.refusing import not_cleared
from domain.refusal import Cause, Refusal
from workers.metering import Metering


class _Refusing(ActivityInboundInterceptor):
    """An activity that is not cleared."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002, ARG002  # the SDK's name
        raise not_cleared(self._refusal, journaled=False)


@pytest.mark.parametrize("cause", Cause)
async def test_a_refusal_is_a_line_in_the_log_and_no_mishap(cause: Cause) -> None:
    """The SDK prints a trace of every failure but a benign one. Only what was not answered is tried again."""
    meter = Metering().intercept_activity(_Refusing(Refusal(cause=cause, why="production is frozen")))
    order = ExecuteActivityInput(fn=print, args=[], executor=None, headers={})

    with capture_logs() as events, pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(meter.execute_activity, order)

    level = "warning" if cause is Cause.FORBIDDEN else "info"
    line = {"event": "not_cleared", "log_level": level, "cause": cause, "why": "production is frozen"}
    assert events == [line]
    assert caught.value.category is ApplicationErrorCategory.BENIGN
    assert caught.value.non_retryable == (cause is not Cause.UNANSWERED)
