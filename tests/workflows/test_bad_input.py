"""Bad human input: whatever comes through a door is refused in words, and nothing wedges, dies or opens."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from domain.approval_written import Approval
from domain.names import environment_id
from domain.outcome import Outcome, Phase
from domain.record import RefusedRecord
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PromotionStatus, Report
from domain.value import short
from tests.news import news
from tests.temporal_cli import Shell, heard, replays, send, written
from tests.town import Town
from workers.server import CLOSED
from workflows.doorkeeper import LONGEST_CANCEL

BO: Final = json.dumps({"by": "bo@example.com"})
LONG: Final = 1_000

BAD: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "no input": ((), "no inputs came, where one JSON object is wanted"),
    "two inputs": (("--input", BO, "--input", BO), "2 inputs came, where one JSON object is wanted"),
    "two inputs, the last a list": (("--input", BO, "--input", "[]"), "2 inputs came"),
    "a string": (("--input", '"yes"'), "it is a text, where one JSON object is wanted"),
    "a number": (("--input", "42"), "it is a number"),
    "null": (("--input", "null"), "it is null"),
    "a list": (("--input", "[1, 2]"), "it is a list"),
    "true": (("--input", "true"), "it is a truth value"),
    "an unknown field": (("--input", '{"by": "bo@example.com", "colour": "red"}'), "colour: "),
    "a missing field": (("--input", "{}"), "by: field required"),
    "a wrong type": (("--input", '{"by": 7}'), "by: input should be a valid string"),
    "a deep nest": (
        ("--input", '{"by": ' + "[" * 150 + "]" * 150 + "}"),
        "by: input should be a valid string",
    ),
    "half a character": (("--input", '{"by": "\\ud800"}'), "it is binary"),
    "bytes": (("--input", BO, "--input-meta", "encoding=binary/plain"), "it is binary"),
    "a protocol buffer as JSON": (("--input", BO, "--input-meta", "encoding=json/protobuf"), "it is binary"),
    "an unknown encoding": (("--input", BO, "--input-meta", "encoding=binary/encrypted"), "it is binary"),
    "a long name": (
        ("--input", json.dumps({"by": "b" * LONG})),
        "by: string should have at most 200 characters",
    ),
    "a blank name": (("--input", '{"by": "  "}'), "by: string should have at least 1 character"),
    "a book": (
        ("--input", json.dumps({"by": "bo", "comment": "b" * 20_000})),
        "16384 are the most that are read",
    ),
}
"""What is sent, and a part of the sentence that refuses it; as many as a status remembers."""

PROMOTION_DOORS: Final = ("approve", "reject", "hold", "resume", "retry", "skip")
CHANGE_DOORS: Final = ("hold", "resume", "retry", "skip")


@pytest.fixture
def shell(town: Town, tmp_path: Path) -> Shell:
    return Shell(town.client, tmp_path)


@pytest.fixture
async def waiting(town: Town) -> WorkflowHandle[Any, Any]:
    """A promotion that waits for an approval, in the first environment of the road."""
    one_of_two = Approval.model_validate({"quorum": 1, "from": ["managers"]})
    town.change_place(town.dev, approval=one_of_two)
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    return handle


@pytest.fixture
async def deploying(town: Town) -> WorkflowHandle[Any, Any]:
    """A promotion in the middle of its deploy, which goes on when the test calls ``finish``."""
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    return handle


async def finish(town: Town, handle: WorkflowHandle[Any, Any]) -> Report:
    """Let the slow deploy go on, and return how the promotion ended."""
    town.world.slow[town.place(town.dev)].set()
    report: Report = await asyncio.wait_for(handle.result(), 30)
    return report


async def approved(town: Town, handle: WorkflowHandle[Any, Any]) -> Report:
    """Approve properly, and return how the promotion ended."""
    await town.approve(handle)
    report: Report = await asyncio.wait_for(handle.result(), 30)
    return report


async def plan_of(handle: WorkflowHandle[Any, Any]) -> str:
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    assert status.intent
    return short(status.intent)


async def refusals(
    handle: WorkflowHandle[Any, Any], status: type[Any] = PromotionStatus
) -> list[RefusedRecord]:
    return list((await handle.query("status", result_type=status)).refused)


def unsaid(
    door: str, refused: Iterable[RefusedRecord], table: Mapping[str, tuple[tuple[str, ...], str]]
) -> list[str]:
    """Return the cases of a table that the refusals of a door do not mention."""
    whys = [record.why for record in refused if record.door == door]
    return [case for case, (_, why) in table.items() if not any(why in said for said in whys)]


async def type_all(shell: Shell, handle: WorkflowHandle[Any, Any], door: str) -> None:
    """Have the program send each line of the table."""
    sent = await asyncio.gather(*(shell.signal(handle, door, *inputs) for inputs, _ in BAD.values()))
    assert {said.code for said in sent} == {0}, sent


async def send_all(town: Town, handle: WorkflowHandle[Any, Any], door: str) -> None:
    """Send each line of the table as the program does, to the byte; that is what the next test is about."""
    await asyncio.gather(*(send(handle, town.client, door, *inputs) for inputs, _ in BAD.values()))


async def test_what_is_typed_is_refused_in_words(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    The program sends what the tests of the other doors send without it, and all of it is refused alike.
    """
    await type_all(shell, waiting, "approve")

    typed = await heard(waiting, "approve")
    for inputs, _ in BAD.values():
        assert written(*inputs) in typed
    assert len(typed) == len(BAD)
    assert unsaid("approve", await refusals(waiting), BAD) == []
    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED


async def test_a_promotion_refuses_in_words(town: Town, waiting: WorkflowHandle[Any, Any]) -> None:
    """
    Whatever a signal carries, the status says why it was not taken, and a proper approval still works.
    """
    for door in PROMOTION_DOORS:
        await send_all(town, waiting, door)

        assert (door, unsaid(door, await refusals(waiting), BAD)) == (door, [])
    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED
    assert await replays(waiting)


async def test_an_update_is_refused_to_its_sender(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    ``decide`` answers each of them with exit code 1 and the sentence, once, and leaves nothing in the history.
    """
    said = await asyncio.gather(*(shell.decide(waiting, *inputs) for inputs, _ in BAD.values()))

    times = {case: answer.text.count(why) for (case, (_, why)), answer in zip(BAD.items(), said, strict=True)}
    assert times == dict.fromkeys(BAD, 1)
    assert not [answer.text for answer in said if "pydantic" in answer.text]
    assert {answer.code for answer in said} == {1}
    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED
    assert await replays(waiting)


DECISIONS: Final[Mapping[str, tuple[Mapping[str, str], str]]] = {
    "without a plan": ({"by": "bo@example.com"}, "a decision names the plan it is about"),
    "for another plan": ({"by": "bo@example.com", "plan": "00000000"}, "it names plan “00000000”, but"),
    "with too few digits": ({"by": "bo@example.com", "plan": "PLAN4"}, "is too short for a plan"),
    "by the requester": ({"by": "ana@example.com", "plan": "PLAN"}, "nobody decides on their own request"),
    "by the requester in capitals": (
        {"by": " ANA@Example.com ", "plan": "PLAN"},
        "ANA@Example.com asked for this",
    ),
    "by a stranger": ({"by": "eve@example.com", "plan": "PLAN"}, "eve@example.com is not an approver here"),
}
"""Well-formed decisions that do not count, and a part of the sentence that says so."""


def about(decision: Mapping[str, str], plan: str) -> dict[str, str]:
    return {key: value.replace("PLAN4", plan[:4]).replace("PLAN", plan) for key, value in decision.items()}


async def test_a_decision_that_does_not_count_is_refused(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    The wrong plan, no plan, the requester and a stranger neither let it in nor keep it out.
    """
    plan = await plan_of(waiting)
    for door in ("approve", "reject"):
        for decision, _ in DECISIONS.values():
            await shell.signal(waiting, door, "--input", json.dumps(about(decision, plan)))

        whys = [record.why for record in await refusals(waiting) if record.door == door]
        assert [why for _, why in DECISIONS.values() if not any(why in said for said in whys)] == []
    assert (await town.until(waiting, Phase.WAITING_FOR_APPROVAL)).decisions == ()
    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED


async def test_an_update_that_does_not_count_is_refused(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    The update says the same sentences, to its sender.
    """
    plan = await plan_of(waiting)
    for verdict, (decision, why) in product(("approve", "reject", "perhaps"), DECISIONS.values()):
        content = {**about(decision, plan), "decision": verdict}

        said = await shell.decide(waiting, "--input", json.dumps(content))

        assert said.code == 1
        assert ("decision: " if verdict == "perhaps" else why) in said.text
    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED


async def test_the_same_approval_twice_is_one(town: Town, shell: Shell) -> None:
    """
    Of a quorum of two the second word of the same person is refused, by signal and by update.
    """
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 2, "from": ["managers"]}))
    handle = await town.promote("2.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    word = {"by": "bo@example.com", "plan": await plan_of(handle)}

    await shell.signal(handle, "approve", "--input", json.dumps(word))
    await shell.signal(handle, "approve", "--input", json.dumps(word))
    said = await shell.decide(
        handle, "--input", json.dumps({**word, "by": "BO@example.com", "decision": "approve"})
    )

    assert "has said so already" in (await refusals(handle))[0].why
    assert (said.code, "BO@example.com has said so already" in said.text) == (1, True)
    await town.approve(handle, "cy@example.com")
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_an_update_that_counts_is_answered(shell: Shell, waiting: WorkflowHandle[Any, Any]) -> None:
    """
    The one update that is in order says that it was taken, and lets the release in.
    """
    plan = await plan_of(waiting)
    word = {"by": "bo@example.com", "decision": "approve", "plan": plan}

    said = await shell.decide(waiting, "--input", json.dumps(word))

    assert (said.code, f"of plan {plan} is taken" in said.text) == (0, True)
    assert (await waiting.result()).outcome is Outcome.PROMOTED


async def test_an_approval_before_there_is_a_plan_is_refused(town: Town, shell: Shell) -> None:
    """
    While the environment's worker is away nobody can approve; when it has come, the plan still needs its approval.
    """
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}))
    await town.close(town.dev)
    handle = await town.promote("1.0.0", town.dev)
    word = {"by": "bo@example.com", "plan": "3f9a12c4"}

    await shell.signal(handle, "approve", "--input", json.dumps(word))
    said = await shell.decide(handle, "--input", json.dumps({**word, "decision": "approve"}))

    assert "there is no plan to decide on yet" in (await refusals(handle))[0].why
    assert (said.code, "there is no plan to decide on yet" in said.text) == (1, True)
    await town.open(town.dev)
    assert (await town.until(handle, Phase.WAITING_FOR_APPROVAL)).decisions == ()
    assert (await approved(town, handle)).outcome is Outcome.PROMOTED


async def test_bad_input_in_the_first_moment_is_refused(town: Town) -> None:
    """
    A message that comes with the start itself is heard before the story begins, and is refused like any other.
    """
    town.change_place(town.dev, approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}))
    town.make("1.0.0")
    await town.close(town.dev)
    handle = await town.promote("1.0.0", town.dev)

    await send_all(town, handle, "approve")

    assert unsaid("approve", await refusals(handle), BAD) == []
    await town.open(town.dev)
    assert (await approved(town, handle)).outcome is Outcome.PROMOTED


async def test_an_approval_in_mid_deploy_is_refused(
    town: Town, shell: Shell, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    Once it is let in, a second approval changes nothing, and only who might have approved it can still reject it.
    """
    word = json.dumps({"by": "bo@example.com", "plan": await plan_of(deploying)})

    await shell.signal(deploying, "approve", "--input", word)
    await shell.signal(deploying, "reject", "--input", word)

    whys = {record.door: record.why for record in await refusals(deploying)}
    assert "it has been approved already" in whys["approve"]
    assert "is not an approver here" in whys["reject"]
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED


async def test_after_the_end_nobody_is_there_to_hear(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    A decision after the end fails for its sender, and what has ended stays as it is.
    """
    word = {"by": "cy@example.com", "plan": await plan_of(waiting)}
    await approved(town, waiting)

    late = [
        await shell.signal(waiting, "reject", "--input", json.dumps(word)),
        await shell.decide(waiting, "--input", json.dumps({**word, "decision": "reject"})),
    ]

    assert {said.code for said in late} == {1}
    assert town.world.version(town.place(town.dev)) == "1.0.0"


@pytest.mark.parametrize("second", ["bo@example.com", "cy@example.com"])
async def test_a_rejection_is_not_taken_back(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any], second: str
) -> None:
    """
    Reject, then approve: the release stays out, whoever approves.
    """
    plan = await plan_of(waiting)
    await shell.signal(
        waiting,
        "reject",
        "--input",
        json.dumps({"by": "bo@example.com", "plan": plan, "comment": "not today"}),
    )
    await shell.signal(waiting, "approve", "--input", json.dumps({"by": second, "plan": plan}))

    report = await waiting.result()

    assert (report.outcome, "not today" in report.why) == (Outcome.REJECTED, True)
    assert town.world.writes == []


UNKNOWN: Final = (
    "aprove",
    "x" * 1_000,
    "__temporal_mischief",
    "__stack_trace",
    "status",
    "run",
    "Approve",
    "🚀",
)


async def test_an_unknown_signal_is_refused(
    town: Town, shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    A door that is not there says which ones are; a name of any length is remembered by its beginning.
    """
    sent = [await shell.signal(waiting, name, "--input", BO) for name in UNKNOWN]

    taken = [name for name, said in zip(UNKNOWN, sent, strict=True) if said.code == 0]
    refused = {record.door: record.why for record in await refusals(waiting)}
    assert "aprove" in taken
    assert "x" * 1_000 in taken
    for name in taken:
        assert "this takes approve, reject, hold, resume, retry and skip" in refused[name[:80]]
    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED
    assert await replays(waiting)


async def test_the_doors_between_workflows_take_no_rubbish(
    town: Town, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    What lane and environment may say to a promotion moves nothing when it is said by somebody else, at the wrong time.
    """
    for door in ("told", "ask_again", "gate_opened"):
        await send_all(town, waiting, door)

    assert (await approved(town, waiting)).outcome is Outcome.PROMOTED
    assert await replays(waiting)


async def test_a_change_and_its_lane_refuse_in_words(town: Town, deploying: WorkflowHandle[Any, Any]) -> None:
    """
    In mid-deploy the same rubbish at the change and at the lane is refused there, and the deploy goes on.
    """
    change, lane = await town.change(town.dev), town.lane(town.dev)

    for door in CHANGE_DOORS:
        await send_all(town, change, door)
        await send_all(town, lane, door)

        assert (door, unsaid(door, await refusals(change, ChangeStatus), BAD)) == (door, [])
        assert (door, unsaid(door, await refusals(lane, LaneStatus), BAD)) == (door, [])
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED
    assert await replays(change)
    assert await replays(lane)


async def test_a_lane_outlives_rubbish_among_workflows(
    town: Town, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    What promotions and changes say to a lane is read as carefully as what people say.
    """
    lane = town.lane(town.dev)

    for door in ("ask", "withdraw", "steer", "stuck", "awake"):
        await send_all(town, lane, door)

    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED
    assert (await town.promoted("2.0.0", town.staging)).outcome is Outcome.REFUSED
    assert await replays(lane)


NOT_NOW: Final[Mapping[str, str]] = {
    "resume": "nothing is held",
    "retry": "nothing is stuck",
    "skip": "nothing is stuck",
}


async def test_a_word_that_does_not_fit_the_moment_is_refused_by_the_change(
    town: Town, shell: Shell, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    Said to promotion, lane or change, it reaches the change, which says what is not the case.
    """
    change = await town.change(town.dev)
    said_to = (deploying, town.lane(town.dev), change)
    for number, (door, why) in enumerate(NOT_NOW.items(), start=1):
        for handle in said_to:
            await shell.signal(handle, door, "--input", BO)

        refused = await _until_refused(change, number * len(said_to))

        newest = refused[-len(said_to) :]
        assert {(record.door, why in record.why) for record in newest} == {(door, True)}
        assert {record.claimed for record in newest} == {"bo@example.com"}
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED


async def _until_refused(handle: WorkflowHandle[Any, Any], count: int) -> list[RefusedRecord]:
    async with asyncio.timeout(20):
        async for _ in news(handle):
            refused = await refusals(handle, ChangeStatus)
            if len(refused) >= count:
                return refused
    return []


async def test_an_environment_refuses_in_words(town: Town, shell: Shell) -> None:
    """
    Rubbish neither freezes nor thaws an environment, and a proper word still does both.
    """
    environment = await town.freeze(town.dev)

    for door in ("freeze", "thaw"):
        await send_all(town, environment, door)

        assert (door, unsaid(door, await refusals(environment, EnvironmentStatus), BAD)) == (door, [])
    status = await environment.query("status", result_type=EnvironmentStatus)
    assert status.freeze
    assert status.freeze.reason == "stop the line"
    await shell.signal(environment, "thaw", "--input", BO)
    await shell.signal(environment, "thaw", "--input", BO)
    again = await environment.query("status", result_type=EnvironmentStatus)
    assert (again.freeze, again.refused[-1].why) == (None, "it is not frozen")
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED
    assert await replays(environment)


FREEZES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "no reason": (("--input", BO), "reason: field required"),
    "an empty reason": (("--input", '{"by": "bo", "reason": ""}'), "reason: "),
    "no duration": (("--input", '{"by": "bo", "reason": "x", "lasts": "soon"}'), "“soon” is not a duration"),
    "a negative one": (("--input", '{"by": "bo", "reason": "x", "lasts": -1}'), "cannot be negative"),
    "an age": (("--input", '{"by": "bo", "reason": "x", "lasts": "9999999w"}'), "lasts: "),
    "no number": (("--input", '{"by": "bo", "reason": "x", "lasts": "' + "9" * 400 + 'd"}'), "lasts: "),
}


async def test_a_freeze_that_makes_no_sense_is_refused(town: Town, shell: Shell) -> None:
    """
    Without a reason, or with a length that is none, nothing is frozen.
    """
    environment = await town.freeze(town.dev)
    await shell.signal(environment, "thaw", "--input", BO)

    for inputs, why in FREEZES.values():
        await shell.signal(environment, "freeze", *inputs)

        status = await environment.query("status", result_type=EnvironmentStatus)
        assert why in status.refused[-1].why
        assert status.freeze is None
    assert environment.id == environment_id(town.dev)


async def test_forty_books_in_mid_deploy_are_refused_by_the_server(
    town: Town, shell: Shell, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    Two megabytes of text, forty times: the server takes none of it, and no history grows.
    """
    book = json.dumps({"by": "bo@example.com", "comment": "b" * 2_000_000})
    change = await town.change(town.dev)
    doors = [deploying, change, town.lane(town.dev), deploying] * 10

    typed = await shell.signal(deploying, "hold", "--input-file", shell.file(book))
    sent = await asyncio.gather(
        *(send(door, town.client, "hold", "--input", book) for door in doors), return_exceptions=True
    )

    assert (typed.code, "size exceeds limit" in typed.text) == (1, True)
    assert len(sent) == 40
    assert all("size exceeds limit" in str(refusal) for refusal in sent)
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED
    assert (await change.describe()).history_length < 40


async def test_the_server_takes_nothing_beyond_its_limit(
    shell: Shell, waiting: WorkflowHandle[Any, Any]
) -> None:
    """
    The limit that the embedded server is started with is the limit that it holds.
    """
    size = int(CLOSED["limit.blobSize.error"]) + 1_000
    book = json.dumps({"by": "bo@example.com", "comment": "b" * size})

    said = await shell.signal(waiting, "hold", "--input-file", shell.file(book))

    assert said.code == 1


async def test_an_update_beyond_the_limit_is_not_taken(town: Town, waiting: WorkflowHandle[Any, Any]) -> None:
    """
    Taken, it would fail each of the workflow's tasks, and be handed out again for ever.
    """
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"%s"' % (b"x" * 230_000))
    request = UpdateWorkflowExecutionRequest(
        namespace=town.client.namespace, workflow_execution=WorkflowExecution(workflow_id=waiting.id)
    )
    request.request.meta.update_id = "big"
    request.request.input.name = "decide"
    request.request.input.args.payloads.append(payload)

    with pytest.raises(RPCError, match="limit") as refused:
        await town.client.workflow_service.update_workflow_execution(request, retry=False)

    assert refused.value.status is RPCStatusCode.RESOURCE_EXHAUSTED
    assert (await waiting.query("status"))["phase"] == Phase.WAITING_FOR_APPROVAL


async def test_what_the_server_lets_through_is_refused_at_the_door(
    town: Town, shell: Shell, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    Sixty kilobytes, a hundred and twenty times in mid-deploy: refused unread, and the deploy goes on.
    """
    size = int(CLOSED["limit.blobSize.error"]) - 4_000
    book = json.dumps({"by": "bo@example.com", "comment": "b" * size})
    change, lane = await town.change(town.dev), town.lane(town.dev)

    for door in (deploying, change, lane):
        said = await shell.signal(door, "hold", "--input-file", shell.file(book))
        assert said.code == 0
        await asyncio.gather(*(door.signal("hold", json.loads(book)) for _ in range(40)))

    for door, status in ((deploying, PromotionStatus), (change, ChangeStatus), (lane, LaneStatus)):
        refused = await refusals(door, status)
        assert all("16384 are the most that are read" in record.why for record in refused)
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED
    assert await replays(deploying)
    assert await replays(change)


async def bytes_said(handle: WorkflowHandle[Any, Any]) -> int:
    return len(json.dumps(await handle.query("status"), ensure_ascii=False).encode())


ROOM: Final = int(CLOSED["limit.blobSize.error"]) * 3 // 4
"""What a status, or the memory that goes into a new run, may take: a server that is told to refuses 64 KiB."""


async def test_a_flood_of_rubbish_leaves_the_status_readable(
    town: Town, shell: Shell, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    What is remembered of three hundred refusals fits into one answer, so that the environment still hears “it asks”.
    """
    change, lane = await town.change(town.dev), town.lane(town.dev)
    wordy = {"by": 1, "🚀" * 4_000: 1}
    for door, many in ((deploying, 300), (change, 60), (lane, 60)):
        assert (await shell.signal(door, "hold", "--input", json.dumps(wordy))).code == 0
        await asyncio.gather(*(door.signal("hold", wordy) for _ in range(many)))

    said = [await bytes_said(door) for door in (deploying, change, lane)]

    assert max(said) < ROOM
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED


async def test_a_flood_of_proper_words_leaves_the_status_readable(
    town: Town, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    Long comments, well-formed, are no way to make a promotion speechless either.
    """
    for door in ("hold", "resume"):
        word = {"by": "bo@example.com", "comment": "ö" * 2_000}
        await asyncio.gather(*(deploying.signal(door, word) for _ in range(60)))

    assert await bytes_said(deploying) < ROOM
    assert (await finish(town, deploying)).outcome is Outcome.PROMOTED


@pytest.mark.parametrize("moment", ["approval", "deploy"])
async def test_a_cancel_for_a_book_of_reasons_is_heard_and_cut(town: Town, moment: str) -> None:
    """A reason comes by no door of ours. Whatever its length, what runs is put back and the status can be read."""
    if moment == "approval":
        handle = await town.waiting_in_production("2.0.0")
    else:
        await town.stands("1.0.0", town.dev)
        town.world.slow[town.place(town.dev)] = asyncio.Event()
        handle = await town.promote("2.0.0", town.dev)
        await town.world.reached.wait()

    await town.client.workflow_service.request_cancel_workflow_execution(
        RequestCancelWorkflowExecutionRequest(
            namespace=town.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="é" * 30_000,
        )
    )

    report: Report = await asyncio.wait_for(handle.result(), 30)
    assert (report.outcome, report.why) == (Outcome.CANCELLED, "é" * (LONGEST_CANCEL // 2))
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    assert status.outcome is Outcome.CANCELLED
    if moment == "deploy":
        assert town.world.version(town.place(town.dev)) == "1.0.0"
        assert report.why in {one.why for one in await town.receipts(town.dev)}


async def test_words_for_a_change_that_ends_meanwhile_do_not_fell_the_lane(
    town: Town, deploying: WorkflowHandle[Any, Any]
) -> None:
    """
    What is passed on to a change that has just ended is refused by its lane, which goes on.
    """
    lane = town.lane(town.dev)
    town.world.slow[town.place(town.dev)].set()
    await asyncio.gather(*(lane.signal("retry", {"by": "bo@example.com"}) for _ in range(60)))

    assert (await deploying.result()).outcome is Outcome.PROMOTED
    assert (await lane.query("status", result_type=LaneStatus)).running is None
    assert (await town.promoted("2.0.0", town.dev)).outcome is Outcome.PROMOTED
