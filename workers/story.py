"""The workflows, and the sandbox that workers and replayers run them in."""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.change import ChangeWorkflow
from workflows.environment import EnvironmentWorkflow
from workflows.lane import LaneWorkflow
from workflows.plan import PlanWorkflow
from workflows.promotion import PromotionWorkflow

WORKFLOWS: Final[list[type]] = [
    PromotionWorkflow,
    LaneWorkflow,
    ChangeWorkflow,
    EnvironmentWorkflow,
    PlanWorkflow,
]

PASSED_THROUGH: Final = (
    "activities",
    "domain",
    "workflows.chronicle",
    "workflows.doorkeeper",
    "workflows.patience",
    "workflows.undisturbed",
    "workflows.wire",
)
"""Modules without state of a workflow's: loaded once, not once a run."""


def sandbox() -> SandboxedWorkflowRunner:
    """Return the runner that workers and replayers share."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )
