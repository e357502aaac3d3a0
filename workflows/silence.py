"""An environment does not answer: finding out why, and saying so."""

from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.errands import Silence, WhySilent
    from domain.names import PHASE, environment_of
    from domain.outcome import Phase
    from workflows.chronicle import Chronicle, publish
    from workflows.errand import errand

Asking = Callable[[Any, Silence], Awaitable[WhySilent | None]]
"""``why_silent`` of ``ErrandActivities``, or ``why_no_way`` of ``CrossingActivities``."""


async def notice_silence(log: Chronicle, asking: Asking, workflow_id: str, queue: str) -> None:
    """Find out why nobody serves what waits on an environment's queue; say nothing where somebody is at work on it."""
    silence = Silence(workflow_id=workflow_id, queue=queue)
    if why := await errand(asking, silence, "why is there no answer?"):
        log.enter(Phase.NO_WORKER, f"{environment_of(queue)}: {why.text}", why.remedy)
        publish({PHASE: Phase.NO_WORKER})
