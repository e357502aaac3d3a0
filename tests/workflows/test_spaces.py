"""Environments in namespaces of their own: a walk goes across, and whoever is in one of them does not."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.spaces import Reached, Spaces
from clients.client import Towpath
from clients.overview import find, look
from clients.spaces import sibling
from domain.actor import Actor
from domain.names import ENGINE_QUEUE, lane_id, pipeline_id, promotion_id
from domain.outcome import Outcome, Phase
from domain.terms import Request
from tests.conftest import APART
from tests.fakes import Bell
from tests.town import Town, engine_worker
from workflows import patience

pytestmark = pytest.mark.server


@workflow.defn(name="Crossing")
class MischiefWorkflow:
    """An attacker's own: it has the engine of its namespace run a walk's errand."""

    @workflow.run
    async def run(self, verb: str, order: Any) -> Any:
        return await workflow.execute_activity(
            verb,
            order,
            task_queue=ENGINE_QUEUE,
            start_to_close_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


@pytest.fixture
async def apart(
    town: Town, client: Client, bell: Bell, moved: dict[str, Reached], spaces: Spaces
) -> AsyncIterator[Client]:
    """A client of the namespace that production lives in now, where an engine runs and production's worker."""
    there = sibling(client, APART)
    await town.close(town.production)
    moved[town.production] = town.lives[town.production] = there
    async with engine_worker(there, bell, spaces, abroad=True):
        await town.open(town.production)
        yield there
        await town.close(town.production)
        for workflow_id in [row.id async for row in there.list_workflows("ExecutionStatus='Running'")]:
            await there.get_workflow_handle(workflow_id).terminate("the test is over")
    del moved[town.production]


async def test_a_release_is_walked_across_namespaces(town: Town, apart: Client, spaces: Spaces) -> None:
    """
    All of production's workflows are in its own namespace, and none at home; `after:` holds across, by the store.
    """
    towpath = Towpath(spaces)
    walk = await towpath.walk(town.service, _made(town, "1.0.0"), [town.production], by="ana@example.com")
    promotion = towpath.promotion(town.service, "1.0.0", town.production)
    await town.until_under_way(spaces.get_workflow_handle(walk.id), town.production)
    there = apart.get_workflow_handle(promotion.id)
    status = await town.until(there, Phase.WAITING_FOR_APPROVAL)
    seen = await look(spaces, walk.id)
    assert status.intent
    await promotion.approve(status.intent[7:15], by="bo@example.com")
    report = await asyncio.wait_for(walk.result(), 40)
    rows = {row.id for row in (await find(spaces, town.service)).rows}

    assert report.outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.production)) == "1.0.0"
    assert seen.stops[town.production].promotion
    assert {walk.id, promotion.id, lane_id(promotion.subject)} <= rows
    for workflow_id in (promotion.id, lane_id(promotion.subject)):
        with pytest.raises(RPCError) as missing:
            await town.client.get_workflow_handle(workflow_id).describe()
        assert missing.value.status is RPCStatusCode.NOT_FOUND


async def test_another_namespace_opens_nothing(
    town: Town, apart: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Asked for where it does not live, a promotion meets nobody, and says where production is; its lane is not there.
    """
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=0.2))
    _made(town, "1.0.0")

    asked = await town.promote("1.0.0", town.production)
    status = await town.until(asked, Phase.NO_WORKER)
    towpath = Towpath(town.client)
    there = await apart.count_workflows(f"TowpathService='{town.service}'")

    assert f"{town.production} lives in the namespace “{APART}”" in status.waits_for
    assert "temporal workflow cancel -n default -w promotion/" in status.remedy
    assert there.count == 0
    assert await towpath.lane(town.service, town.production).find() is None
    assert town.world.writes == []


@pytest.mark.parametrize("verb", ["set_out", "ask_way", "join"])
async def test_whoever_is_in_one_namespace_leads_no_walk_to_another(
    town: Town, apart: Client, verb: str
) -> None:
    """
    The engine of production's namespace may reach others, and does nothing there for those who are in this one.
    """
    request = Request(
        subject=town.subject(town.dev), version=_made(town, "1.0.0"), actor=Actor(name="eve@example.com")
    )
    order = promotion_id(request.subject, "1.0.0") if verb == "join" else request
    queue = f"mischief-{uuid.uuid4()}"
    async with Worker(
        apart,
        task_queue=queue,
        workflows=[MischiefWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="mischief",
    ):
        with pytest.raises(WorkflowFailureError) as failed:
            await apart.execute_workflow(
                "Crossing", args=[verb, order], id=f"mischief/{uuid.uuid4()}", task_queue=queue
            )

    assert isinstance(failed.value.cause, ActivityError)
    assert f"Activity function {verb}" in str(failed.value.cause.cause)
    assert (await town.client.count_workflows(f"TowpathService='{town.service}'")).count == 0
    assert pipeline_id(town.service, "1.0.0") not in {row.id async for row in apart.list_workflows()}


def _made(town: Town, version: str) -> str:
    town.make(version)
    return version
