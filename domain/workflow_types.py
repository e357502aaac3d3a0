"""The kinds of workflow by the names of their types, and the queries that find them in the server's list."""

from typing import Final

from domain.names import ENGINE_QUEUE, ENVIRONMENT, SERVICE, STORY

PROMOTION: Final = "PromotionWorkflow"
LANE: Final = "LaneWorkflow"
CHANGE: Final = "ChangeWorkflow"
ENVIRONMENT_WORKFLOW: Final = "EnvironmentWorkflow"
PLAN: Final = "PlanWorkflow"
WAY: Final = "WayWorkflow"
REVIEW: Final = "ReviewWorkflow"
NOTICE: Final = "NoticeWorkflow"
PIPELINE: Final = "PipelineWorkflow"
TYPE_OF: Final = {"lane": LANE, "environment": ENVIRONMENT_WORKFLOW, "change": CHANGE, "promotion": PROMOTION}
"""Whose ids others go by, with what their ids begin with: whatever else has such an id stands in their way."""

_RUNS: Final = "ExecutionStatus='Running'"
_HAS_SUCH_AN_ID: Final = " OR ".join(f"WorkflowId STARTS_WITH '{story}/'" for story in TYPE_OF)
_IS_ABOUT_OURS: Final = " OR ".join(f"{name} IS NOT NULL" for name in (STORY, SERVICE, ENVIRONMENT))

RUNNING_HERE: Final = f"TaskQueue='{ENGINE_QUEUE}' AND {_RUNS}"
"""All that an engine's worker is to run, whatever its kind, and whoever started it."""
CHANGES: Final = f"{RUNNING_HERE} AND WorkflowType='{CHANGE}'"
"""The changes among them."""
WEDGED: Final = f"{RUNNING_HERE} AND TemporalReportedProblems IS NOT NULL"
"""What of it fails at every attempt to go on."""
IN_OUR_WAY: Final = f"{_RUNS} AND (TaskQueue='{ENGINE_QUEUE}' OR {_HAS_SUCH_AN_ID})"
"""What runs here, or under an id of ours."""
OURS: Final = f"TaskQueue='{ENGINE_QUEUE}' OR {_IS_ABOUT_OURS} OR {_HAS_SUCH_AN_ID}"
"""Whatever anybody of ours may list, whether it runs or not."""
