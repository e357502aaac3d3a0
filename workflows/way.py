"""What lies before an environment, for a walk that may come from another namespace."""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.doorkeeper import RefusedError, read_request

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from domain.names import effects_queue
    from domain.road import Waymark
    from workflows import patience


@workflow.defn
class WayWorkflow:
    """Has the environment's own worker say what lies before it.

    Nothing is kept, nothing is changed. It waits for that worker for as long as the walk does.
    """

    @workflow.run
    async def run(self, request: Any = None, _: Any = None) -> Waymark:
        asked = read_request(request, "way")
        environment = asked.subject.environment
        try:
            return await workflow.execute_activity_method(
                EffectActivities.road,
                asked,
                task_queue=effects_queue(environment),
                start_to_close_timeout=patience.DRAWING_UP,
                heartbeat_timeout=patience.HEARTBEAT,
                retry_policy=patience.TRY_SOON,
                summary=f"what lies before {environment}?",
            )
        except ActivityError as failure:
            why = str(failure.cause or failure)
            raise ApplicationError(why, type="NoWay", non_retryable=True) from failure

    @workflow.signal(dynamic=True, description="The way takes no signals")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "the way takes no signals: it is asked for by a walk"
        raise RefusedError(message)
