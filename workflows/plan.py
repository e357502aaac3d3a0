"""What a release would do to an environment, for whoever asks before they promote."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TimedOut

from workflows.doorkeeper import RefusedError, read_request

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from domain.names import effects_queue
    from domain.order import order_drawing
    from domain.terms import Proposal
    from workflows import patience

NOBODY_CAME: Final = timedelta(seconds=30)
"""Whoever asks for a plan sits and waits: an environment whose worker does not come is said so."""


@workflow.defn
class PlanWorkflow:
    """Has the environment's own worker draw up what a promotion would do.

    Nothing is kept, nothing is changed.
    """

    @workflow.run
    async def run(self, request: Any = None, _: Any = None) -> Proposal:
        asked = read_request(request, "plan")
        environment = asked.subject.environment
        try:
            sealed = await workflow.execute_activity_method(
                EffectActivities.draw_up,
                order_drawing(asked),
                task_queue=effects_queue(environment),
                schedule_to_start_timeout=NOBODY_CAME,
                schedule_to_close_timeout=patience.DRAWING_UP,
                heartbeat_timeout=patience.HEARTBEAT,
                retry_policy=patience.TRY_SOON,
                summary=f"draw up a plan for {asked.version} in {environment}",
            )
        except ActivityError as failure:
            raise ApplicationError(
                _why(failure, environment), type="NotPlanned", non_retryable=True
            ) from failure
        return Proposal.model_validate_json(sealed.text)

    @workflow.signal(dynamic=True, description="A plan takes no signals")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "a plan takes no signals: it is read, and then promoted or not"
        raise RefusedError(message)


def _why(failure: ActivityError, environment: str) -> str:
    """An ``ActivityError`` says only that it failed; its cause knows why."""
    if isinstance(failure.cause, TimedOut):
        return (
            f"No worker of {environment} answered in time. Start one: towpath worker --environments "
            f"{environment}"
        )
    return str(failure.cause or failure)
