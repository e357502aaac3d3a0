"""The workflows, and the sandbox that tests run them in."""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.change import ChangeWorkflow
from workflows.environment import EnvironmentWorkflow
from workflows.lane import LaneWorkflow
from workflows.notice import NoticeWorkflow
from workflows.pipeline import PipelineWorkflow
from workflows.plan import PlanWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.review import ReviewWorkflow
from workflows.way import WayWorkflow

WORKFLOWS: Final[list[type]] = [
    PromotionWorkflow,
    LaneWorkflow,
    ChangeWorkflow,
    EnvironmentWorkflow,
    PlanWorkflow,
    WayWorkflow,
    NoticeWorkflow,
    PipelineWorkflow,
    ReviewWorkflow,
]

ABROAD: Final[list[type]] = [one for one in WORKFLOWS if one is not PipelineWorkflow]
"""Where environments live that do not live at home: whoever is in there leads no walk to anywhere else."""

PASSED_THROUGH: Final = (
    "activities",
    "domain",
    "workflows.asking_back",
    "workflows.bookkeeper",
    "workflows.calling",
    "workflows.change_doors",
    "workflows.chronicle",
    "workflows.counting",
    "workflows.doorkeeper",
    "workflows.emergency",
    "workflows.errand",
    "workflows.lane_doors",
    "workflows.last_word",
    "workflows.lane_inbox",
    "workflows.patience",
    "workflows.promotion_doors",
    "workflows.silence",
    "workflows.steering",
    "workflows.troubles",
    "workflows.undisturbed",
    "workflows.wire",
)
"""Modules without state of a workflow's: loaded once, not once a run."""


def sandbox() -> SandboxedWorkflowRunner:
    """Return the runner that tests and replays use.

    It finds what a workflow must not do: read the clock, the disk, chance. What it costs, the import of a workflow
    for each run (20 ms of a change's first task), workers do not pay for what tests have shown.
    """
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )
