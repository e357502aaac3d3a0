"""The split of the design with nothing in it: promotion, lane, change, and effects of another worker.

What ours costs above this is the engine's own; what this costs above the bare workflow is the price of the split.
"""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.workflow import ParentClosePolicy

from tests.bench.bare import WAITING, BareActivities

WITHIN = timedelta(seconds=30)
EFFECTS = "split-effects"


class SplitActivities:
    """What the workflows have carried between one another."""

    @activity.defn
    async def ask(self, name: str) -> None:
        await activity.client().get_workflow_handle(f"split-lane/{name}").signal("ask", name)

    @activity.defn
    async def tell(self, name: str) -> None:
        await activity.client().get_workflow_handle(f"split/{name}").signal("told")


@workflow.defn
class SplitPromotion:
    """Validate, wait for a signal, ask the lane, wait for its answer."""

    def __init__(self) -> None:
        self._approved = False
        self._told = False

    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.execute_activity_method(
            BareActivities.validate, name, task_queue=EFFECTS, start_to_close_timeout=WITHIN
        )
        workflow.logger.info("phase_entered", extra={"phase": WAITING})
        await workflow.wait_condition(lambda: self._approved, timeout=timedelta(days=1))
        await workflow.execute_local_activity_method(SplitActivities.ask, name, start_to_close_timeout=WITHIN)
        await workflow.wait_condition(lambda: self._told)
        return name

    @workflow.signal
    def approve(self) -> None:
        self._approved = True

    @workflow.signal
    def told(self) -> None:
        self._told = True


@workflow.defn
class SplitLane:
    """Run one change as a child, and tell who asked."""

    def __init__(self) -> None:
        self._asked: list[str] = []

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: bool(self._asked))
        name = self._asked.pop()
        change = await workflow.start_child_workflow(
            SplitChange.run,
            name,
            id=f"split-change/{name}",
            parent_close_policy=ParentClosePolicy.ABANDON,
        )
        await change
        await workflow.execute_local_activity_method(
            SplitActivities.tell, name, start_to_close_timeout=WITHIN
        )

    @workflow.signal
    def ask(self, name: str) -> None:
        self._asked.append(name)


@workflow.defn
class SplitChange:
    """Deploy and report."""

    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.execute_activity_method(
            BareActivities.deploy, name, task_queue=EFFECTS, start_to_close_timeout=WITHIN
        )
        return await workflow.execute_activity_method(
            BareActivities.report, name, task_queue=EFFECTS, start_to_close_timeout=WITHIN
        )
