"""A workflow started by hand in a way that it cannot go on from ends with a sentence, and changes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

from domain.actor import Actor
from domain.approval import Decision, Verdict
from domain.approval_written import Approval
from domain.attempt import Kind
from domain.lane import LaneState
from domain.names import ENGINE_QUEUE, change_id, environment_id, lane_id, pipeline_id, promotion_id
from domain.outcome import Outcome, Phase
from domain.review import review_id
from domain.road import WalkRequest
from domain.status import LaneStatus, PromotionStatus, Report
from domain.terms import Request, Story
from domain.value import short
from domain.warrant import Warrant
from tests.temporal_cli import Shell, begin, started_with, written
from tests.town import Town

Inputs = tuple[str, ...]
KINDS: Final = (
    "PromotionWorkflow",
    "LaneWorkflow",
    "ChangeWorkflow",
    "EnvironmentWorkflow",
    "PlanWorkflow",
    "PipelineWorkflow",
    "ReviewWorkflow",
)

RUBBISH: Final[Mapping[str, Inputs]] = {
    "no input": (),
    "a string": ("--input", '"1.0.0"'),
    "a number": ("--input", "42"),
    "null": ("--input", "null"),
    "a list": ("--input", "[1]"),
    "true": ("--input", "true"),
    "an empty object": ("--input", "{}"),
    "another object": ("--input", '{"turn": 4611686018427387904}'),
    "half a character": ("--input", '{"subject": "\\ud800"}'),
    "bytes": ("--input", "{}", "--input-meta", "encoding=binary/plain"),
    "a protocol buffer as JSON": ("--input", "{}", "--input-meta", "encoding=json/protobuf"),
    "an unknown encoding": ("--input", "{}", "--input-meta", "encoding=binary/encrypted"),
    "two inputs": ("--input", '"a"', "--input", '"b"'),
    "three inputs": ("--input", "{}", "--input", "{}", "--input", "{}"),
}
NEEDED: Final = "where one JSON object is wanted"

SAYS: Final[dict[str, Mapping[str, str]]] = {
    "a request": {
        "no input": f"it is null, {NEEDED}",
        "a string": f"it is a text, {NEEDED}",
        "a number": f"it is a number, {NEEDED}",
        "null": f"it is null, {NEEDED}",
        "a list": f"it is a list, {NEEDED}",
        "true": f"it is a truth value, {NEEDED}",
        "an empty object": "field required",
        "another object": "field required",
        "half a character": f"it is binary, {NEEDED}",
        "bytes": f"it is binary, {NEEDED}",
        "a protocol buffer as JSON": f"it is binary, {NEEDED}",
        "an unknown encoding": f"it is binary, {NEEDED}",
        "two inputs": "State is carried over from an earlier run only, never by hand",
        "three inputs": "It takes one JSON object to start this; 3 inputs came.",
    },
}
"""What each of them is told by workflows that are started with a request, and by the others."""
SAYS["ChangeWorkflow"] = SAYS["a request"]
SAYS["LaneWorkflow"] = SAYS["EnvironmentWorkflow"] = {
    **dict.fromkeys(RUBBISH, "is started without input"),
    "two inputs": SAYS["a request"]["two inputs"],
    "three inputs": SAYS["a request"]["three inputs"],
}

LEGAL: Final = {("LaneWorkflow", "no input"), ("EnvironmentWorkflow", "no input")}
LEGAL_NULL: Final = {("LaneWorkflow", "null"), ("EnvironmentWorkflow", "null")}


@pytest.fixture(autouse=True)
async def told(town: Town) -> AsyncIterator[None]:
    """Whoever starts by hand what nobody honest does is told of, and of nothing else."""
    yield
    assert {one for one in await town.alarmed() if "more attempt" not in one} <= {Kind.START}


@pytest.fixture
def shell(town: Town, tmp_path: Path) -> Shell:
    return Shell(town.client, tmp_path)


def own_id(kind: str, town: Town) -> str:
    subject = town.subject(town.dev)
    return {
        "PromotionWorkflow": promotion_id(subject, "1.0.0"),
        "LaneWorkflow": lane_id(subject),
        "ChangeWorkflow": change_id(subject, 1_700_000_000_000),
        "EnvironmentWorkflow": environment_id(town.dev),
        "PlanWorkflow": f"plan/{town.service}/{town.dev}/1.0.0",
        "PipelineWorkflow": pipeline_id(town.service, "1.0.0"),
        "ReviewWorkflow": review_id(subject, 1),
    }[kind]


async def failure_of(handle: WorkflowHandle[Any, Any]) -> str:
    """Return the sentence that a workflow failed with."""
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), 20)
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError), cause
    assert cause.type == "BadStart"
    return str(cause.message)


async def started(
    shell: Shell, town: Town, kind: str, workflow_id: str, *inputs: str
) -> WorkflowHandle[Any, Any]:
    said = await shell.start(kind, workflow_id, *inputs)
    assert said.code == 0, said.text
    return town.client.get_workflow_handle(workflow_id)


async def test_what_is_typed_ends_with_a_sentence(town: Town, shell: Shell) -> None:
    """
    The program sends what the tests of every kind send without it, and whoever typed it is told what is wanted.
    """
    for case, inputs in RUBBISH.items():
        handle = await started(shell, town, "PromotionWorkflow", own_id("PromotionWorkflow", town), *inputs)

        assert SAYS["a request"][case] in await failure_of(handle), case
        assert await started_with(handle) == written(*inputs)


@pytest.mark.parametrize("kind", KINDS)
async def test_rubbish_ends_with_a_sentence(town: Town, kind: str) -> None:
    """
    Whatever a workflow is started with, it fails at once and says what it wants.
    """
    town.make("1.0.0")
    says = SAYS[kind if kind in SAYS else "a request"]
    for case, inputs in RUBBISH.items():
        if (kind, case) in LEGAL | LEGAL_NULL:
            continue
        handle = await begin(town.client, kind, own_id(kind, town), *inputs)

        said = await failure_of(handle)

        assert says[case] in said, case
    assert town.world.writes == []
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED


@pytest.mark.parametrize("kind", ["LaneWorkflow", "EnvironmentWorkflow"])
async def test_what_needs_no_input_is_started_without(town: Town, shell: Shell, kind: str) -> None:
    """
    A lane and an environment know by their ids whose they are; started by hand they serve like any other.
    """
    handle = await started(shell, town, kind, own_id(kind, town))

    assert (await handle.query("status"))["refused"] == []
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED
    if kind == "EnvironmentWorkflow":
        await handle.terminate("the test is over")


MISNAMED: Final = (
    "1.0.0",
    "{kind}",
    "{kind}/",
    "{kind}//{dev}/1.0.0",
    "{kind}/{service}/{dev}/1.0.0/more",
    "{kind}/../{dev}/1.0.0",
    "{kind}/{service}/{dev}/+1",
    "{kind}/{service}/{dev}/٣",
    "{kind}/" + "x" * 900,
    "lane-of/{service}/{dev}/1",
    "{kind}/🚀/{dev}/1",
)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_id_ends_with_a_sentence(town: Town, kind: str) -> None:
    """
    An id that does not say what the workflow is about is refused, with the form that would.
    """
    story = kind.removesuffix("Workflow").lower()
    for form in MISNAMED:
        wrong = form.format(kind=story, service=town.service, dev=town.dev)
        handle = await begin(town.client, kind, wrong)

        said = await failure_of(handle)

        assert f"A {story} workflow must be started under the id {story}/<" in said


def request(town: Town, environment: str, version: str = "1.0.0", story: Story = Story.PROMOTION) -> Request:
    return Request(
        story=story, subject=town.subject(environment), version=version, actor=Actor(name="eve@example.com")
    )


async def test_the_id_of_another_subject_is_refused(town: Town, shell: Shell) -> None:
    """
    A promotion's id and its request agree, or it says in what they do not.
    """
    asked = request(town, town.dev)
    wrong = (
        promotion_id(town.subject(town.staging), "1.0.0"),
        promotion_id(town.subject(town.dev), "2.0.0"),
        promotion_id(asked.subject.but(service="other"), "1.0.0"),
    )
    for workflow_id in wrong:
        handle = await started(
            shell, town, "PromotionWorkflow", workflow_id, "--input", asked.model_dump_json()
        )

        assert "The request is for 1.0.0 of" in await failure_of(handle)
    rollback = request(town, town.dev, story=Story.ROLLBACK)
    handle = await started(
        shell,
        town,
        "PromotionWorkflow",
        promotion_id(rollback.subject, "1.0.0"),
        "--input",
        rollback.model_dump_json(),
    )
    assert "(rollback)" in await failure_of(handle)
    assert town.world.writes == []


async def test_a_promotion_is_not_born_approved(town: Town, shell: Shell) -> None:
    """
    Real terms, a real plan and a hand-made approval, brought in as carried state: refused, and nothing is deployed.
    """
    handle = await town.waiting_in_production("1.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.proposal
    await handle.terminate("to take its place")
    decision = Decision(
        actor=Actor(name="bo@example.com"),
        verdict=Verdict.APPROVE,
        intent=status.intent or "",
        at=status.since,
    )
    carried = {
        "sealed": {
            "kind": "proposal",
            "environment": town.production,
            "key": "",
            "body": status.proposal.canonical(),
            "signature": "",
        },
        "decisions": [decision.model_dump(mode="json")],
        "number": 1,
        "waiting_since": status.since.isoformat(),
        "memory": {},
    }
    asked = request(town, town.production).model_dump_json()

    again = await started(
        shell, town, "PromotionWorkflow", handle.id, "--input", asked, "--input", json.dumps(carried)
    )

    assert "State is carried over from an earlier run only" in await failure_of(again)
    assert await town.alarmed() == [Kind.START]
    assert town.world.version(town.place(town.production)) == "absent"


async def test_a_walk_does_not_begin_in_the_middle(town: Town, shell: Shell) -> None:
    """
    Another's id and a road that is walked already, brought in by hand, are refused; no promotion is begun.
    """
    town.make("1.0.0")
    asked = WalkRequest(
        service=town.service, version="1.0.0", through=(town.staging,), actor=Actor(name="eve@example.com")
    )
    road = [
        {"environment": town.dev, "stand": "through", "outcome": "promoted"},
        {"environment": town.staging, "after": [town.dev]},
    ]
    carried = json.dumps({"road": road, "memory": {}})
    mine, others = pipeline_id(town.service, "1.0.0"), pipeline_id(town.service, "2.0.0")

    forged = await started(
        shell, town, "PipelineWorkflow", mine, "--input", asked.model_dump_json(), "--input", carried
    )
    astray = await started(shell, town, "PipelineWorkflow", others, "--input", asked.model_dump_json())

    assert "State is carried over from an earlier run only" in await failure_of(forged)
    assert "The request is for 1.0.0 of" in await failure_of(astray)
    assert town.world.writes == []


async def test_a_change_is_started_by_its_lane_only(town: Town, shell: Shell) -> None:
    """
    A hand-made warrant, for a turn of today or of the far future, starts no change.
    """
    for turn in (1, 1_700_000_000_000, 2**62):
        warrant = Warrant(asker="promotion/x", turn=turn, request=request(town, town.dev))
        handle = await started(
            shell,
            town,
            "ChangeWorkflow",
            change_id(town.subject(town.dev), turn),
            "--input",
            warrant.model_dump_json(),
        )

        assert "is started by its lane" in await failure_of(handle)
        assert await town.alarmed() == [Kind.START]
    assert town.world.writes == []


def forged_lane(town: Town, turn: int) -> str:
    """Return carried state of a lane that would begin at this turn, with somebody in its queue."""
    state = LaneState(subject=town.subject(town.dev), last_turn=turn, recalled=True)
    lane = state.model_dump(mode="json") | {
        "queue": [{"asker": "person/eve", "request": request(town, town.dev).model_dump(mode="json")}]
    }
    return json.dumps({"lane": lane, "memory": {}})


@pytest.mark.parametrize("turn", [0, 2**62])
async def test_a_lane_takes_no_state_from_anybody(town: Town, shell: Shell, turn: int) -> None:
    """
    A forged queue and a turn from the far future are refused; the real lane is born as if nothing had been.
    """
    town.make("1.0.0")
    handle = await started(
        shell,
        town,
        "LaneWorkflow",
        lane_id(town.subject(town.dev)),
        "--input",
        "null",
        "--input",
        forged_lane(town, turn),
    )

    assert "State is carried over from an earlier run only" in await failure_of(handle)
    assert await town.alarmed() == [Kind.START]
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED
    assert (await town.lane_status(town.dev)).last_turn < 2**62


async def test_an_environment_takes_no_state_from_anybody(town: Town, shell: Shell) -> None:
    """
    Nobody brings a freeze, or the end of one, in by starting the environment.
    """
    carried = {
        "freeze": {"by": {"name": "eve"}, "reason": "x", "since": "2026-01-01T00:00:00Z"},
        "memory": {},
    }
    handle = await started(
        shell,
        town,
        "EnvironmentWorkflow",
        environment_id(town.dev),
        "--input",
        "null",
        "--input",
        json.dumps(carried),
    )

    assert "State is carried over from an earlier run only" in await failure_of(handle)
    assert await town.alarmed() == [Kind.START]
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED


@pytest.mark.parametrize("how", ["cron", "retries"])
async def test_a_second_run_of_a_bad_start_is_as_bad(town: Town, how: str) -> None:
    """
    A cron schedule and a retry make runs that look continued: they carry nothing in either.
    """
    options: dict[str, Any] = (
        {"cron_schedule": "@every 1s"} if how == "cron" else {"retry_policy": RetryPolicy(maximum_attempts=3)}
    )
    handle = await town.client.start_workflow(
        "LaneWorkflow",
        args=[None, json.loads(forged_lane(town, 2**62))],
        id=lane_id(town.subject(town.dev)),
        task_queue=ENGINE_QUEUE,
        **options,
    )

    first = town.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    assert "without a cron schedule, and without retries" in await _first_failure(first)
    second = await _newer_run(town, handle)
    if second:
        assert "without a cron schedule, and without retries" in await _first_failure(second)
        await handle.terminate("the test is over")
    assert town.world.writes == []


async def _first_failure(run: WorkflowHandle[Any, Any]) -> str:
    async with asyncio.timeout(20):
        async for event in run.fetch_history_events(wait_new_event=True):
            if event.HasField("workflow_execution_failed_event_attributes"):
                return event.workflow_execution_failed_event_attributes.failure.message
    return "it did not fail"


async def _newer_run(town: Town, handle: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any] | None:
    run_id = (await town.client.get_workflow_handle(handle.id).describe()).run_id
    return (
        None
        if run_id == handle.first_execution_run_id
        else town.client.get_workflow_handle(handle.id, run_id=run_id)
    )


@pytest.mark.parametrize("kind", ["LaneWorkflow", "ChangeWorkflow", "PromotionWorkflow"])
async def test_a_bad_start_disturbs_nobody_who_is_at_work(town: Town, shell: Shell, kind: str) -> None:
    """
    In mid-deploy a start by hand joins what runs, or fails beside it; the lane, the turn and the deploy stay.
    """
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    before: LaneStatus = await town.lane_status(town.dev)

    await shell.start(kind, own_id(kind, town), "--input", "null", "--input", forged_lane(town, 2**62))

    assert (await town.lane_status(town.dev)).turn == before.turn
    town.world.slow[town.place(town.dev)].set()
    assert (await asyncio.wait_for(handle.result(), 30)).outcome is Outcome.PROMOTED
    assert town.world.doubled() == []


async def test_a_reset_promotion_is_not_approved_by_its_old_approval(town: Town, shell: Shell) -> None:
    """
    Reset to its beginning, a promotion hears its old approval again, and waits: the plan is a new one.
    """
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}))
    handle = await town.promote("1.0.0", town.dev)
    town.world.refuses.add(town.place(town.dev))
    await town.approve(handle)
    first: Report = await handle.result()
    assert first.outcome is Outcome.ROLLED_BACK
    town.world.refuses.clear()

    said = await shell.temporal(
        "workflow", "reset", "-w", handle.id, "--type", "FirstWorkflowTask", "--reason", "to try it again"
    )

    assert said.code == 0, said.text
    status: PromotionStatus = await town.until(
        town.client.get_workflow_handle(handle.id), Phase.WAITING_FOR_APPROVAL
    )
    assert status.decisions == ()
    assert {record.door for record in status.refused} == {"approve", "told"}
    assert town.world.version(town.place(town.dev)) == "absent"
    await handle.signal("approve", {"by": "bo@example.com", "plan": short(status.intent or "")})
    again = town.client.get_workflow_handle(handle.id, result_type=Report)
    assert (await again.result()).outcome is Outcome.PROMOTED
