"""Refusing errands that no workflow of ours has ordered: whoever reaches the server may have any activity done."""

from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.attempt import Kind
from workers.story import WORKFLOWS
from workflows.doorkeeper import Sighting, Witness

OURS: Final = frozenset(one.__name__ for one in WORKFLOWS)


class Ordered(Interceptor):
    """Has the engine's worker do what is ordered by a kind of workflow of ours, and note what is not."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _Ordered(next, self._witness)


class _Ordered(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, witness: Witness) -> None:  # noqa: A002  # likewise
        super().__init__(next)
        self._witness = witness

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # likewise
        info = activity.info()
        if info.workflow_type not in OURS:
            by = (
                f"a workflow of the kind “{info.workflow_type[:80]}”" if info.workflow_type else "no workflow"
            )
            why = f"{info.activity_type} was ordered by {by}, and none of ours is of that"
            seen = Sighting(
                kind=Kind.STRANGER,
                door=info.activity_type,
                why=why,
                claimed="",
                workflow_id=info.workflow_id or "",
                run=info.workflow_run_id or "",
                namespace=info.namespace,
            )
            self._witness(seen)
            raise ApplicationError(why, type="NotOrdered", non_retryable=True)
        return await self.next.execute_activity(input)
