"""What everything is compared with: three activities and one signal, and nothing else."""

from datetime import timedelta

from temporalio import activity, workflow

WAITING = "waiting for approval"


class BareActivities:
    """``deploy`` notes when it began; the rest does nothing at all."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    @activity.defn
    async def validate(self, name: str) -> str:
        return name

    @activity.defn
    async def deploy(self, name: str) -> str:
        # The sandbox runs this module again, without what it has no use for.
        from time import perf_counter  # noqa: PLC0415

        self.began[name] = perf_counter()
        return name

    @activity.defn
    async def report(self, name: str) -> str:
        return name


@workflow.defn
class BareWorkflow:
    """Validate, wait for a signal, deploy, report."""

    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self, name: str) -> str:
        within = timedelta(seconds=30)
        await workflow.execute_activity_method(BareActivities.validate, name, start_to_close_timeout=within)
        workflow.logger.info("phase_entered", extra={"phase": WAITING})
        await workflow.wait_condition(lambda: self._approved, timeout=timedelta(days=1))
        await workflow.execute_activity_method(BareActivities.deploy, name, start_to_close_timeout=within)
        return await workflow.execute_activity_method(
            BareActivities.report, name, start_to_close_timeout=within
        )

    @workflow.signal
    def approve(self) -> None:
        self._approved = True
