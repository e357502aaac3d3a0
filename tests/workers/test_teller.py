"""Notices of real promotions: a real server, real workers, a real webhook and a real mail server."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.clock import SystemClock
from activities.labels import search_attributes
from clients.client import Towpath
from domain.actor import Actor
from domain.answer import Ask
from domain.approval import DecisionWord
from domain.names import ENGINE_QUEUE, ENVIRONMENT, OUTCOME, STORY, lane_id, promotion_id
from domain.names import SERVICE as ABOUT
from domain.notice import NoticeOrder
from domain.outcome import Outcome, Phase
from domain.status import PromotionStatus, Report
from domain.terms import Request, Story
from domain.value import short
from domain.workflow_types import LANE
from tests.channels import Hook, MailBox
from tests.fakes import Bell, ShiftedClock
from tests.survival.waiting import until as come_true
from tests.workers.site import SUBJECT, lay_out, release, until
from workers.posting import post
from workers.running import engine_worker, environment_worker
from workers.server import embedded, temporal_binary
from workers.settings import Surroundings, variables_for
from workers.teller import EVERY, TRIES, Teller, keep_telling
from workers.wiring import settings_of
from workflows.reaching import reach

SOON = timedelta(milliseconds=100)
SERVICE = """\
service: shop
components:
  site: {kind: content}
environments:
  dev:
    site: {target: directory, root: live/dev}
    health: [{command: [test, -e, well], within: 0s}]
    approval: {quorum: 1, from: [managers], remind: 2h}
"""


@pytest.fixture
async def server() -> AsyncIterator[Client]:
    """A server of its own: whoever tells of things tells of all that is there."""
    async with embedded(temporal_binary(), None) as one:
        yield await reach(one.address)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with Hook().open() as opened:
        yield opened


def written(folder: Path, organisation: str) -> Surroundings:
    place = lay_out(folder)
    (folder / "towpath.yaml").write_text(f"groups:\n  managers: [bo@example.com]\n{organisation}")
    (folder / "services/shop.yaml").write_text(SERVICE)
    return place


@asynccontextmanager
async def at_work(client: Client, place: Surroundings) -> AsyncIterator[None]:
    """The engine and its environment, with nobody who tells of anything but whom a test puts there."""
    async with engine_worker(client, place), environment_worker(client, place, SUBJECT.environment):
        yield


async def decide(handle: WorkflowHandle[Any, Report], verdict: str) -> Report:
    """DecisionWord as an approver does, and wait for the end."""
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    assert status.intent
    await handle.signal(
        verdict, DecisionWord(by="bo@example.com", comment="indeed", plan=short(status.intent))
    )
    return await handle.result()


async def asked(client: Client, place: Surroundings, version: str) -> WorkflowHandle[Any, Report]:
    """Ask for a promotion that waits for approval."""
    await release(place, version)
    await Towpath(client).promote("shop", version, "dev", by="ana@example.com", reason="it is time")
    handle = client.get_workflow_handle(promotion_id(SUBJECT, version), result_type=Report)
    await until(handle, Phase.WAITING_FOR_APPROVAL)
    return handle


async def test_a_day_is_told_to_whom_it_concerns(server: Client, hook: Hook, tmp_path: Path) -> None:
    """
    Approvals, endings and freezes are told by the channels that are routed for them, each once.

    They are also told once where two engines look, and where a third looks at it all anew. A channel that hangs and
    one that is down delay nothing. A channel that comes back hears of what it missed. A promotion that was terminated
    and begun again is not lost.
    """
    hanging, late, box = Hook(), Hook(), MailBox()
    hanging.hangs = True
    place = written(
        tmp_path,
        f"""\
channels:
  hook: {hook.url}
  late: {late.url}
  hanging: {hanging.url}
  mail: "mailto://127.0.0.1:{box.port}?from=towpath@example.com&to=bo@example.com"
notify:
  - {{to: [hook]}}
  - {{to: [mail], events: [approval wanted], services: [shop], environments: [dev]}}
  - {{to: [late, hanging], severity: warning}}
""",
    )
    towpath, settings, clock = Towpath(server), settings_of(place), ShiftedClock()
    with box.open():
        async with hanging.open(), at_work(server, place):
            tellers = [
                asyncio.create_task(keep_telling(server, settings, Bell(), clock, SOON)) for _ in range(2)
            ]
            first = await asked(server, place, "1.0.0")
            await hook.until_told("1.0.0 of shop in dev: approval wanted")
            assert (await decide(first, "approve")).outcome is Outcome.PROMOTED
            await hook.until_told("1.0.0 of shop in dev: approved", "1.0.0 of shop in dev: promoted")

            await (await towpath.adopt("shop", "dev", by="olga@example.com", reason="who was here?")).result()
            await hook.until_told("the adoption of shop in dev: ")

            await towpath.environment("dev").freeze("stop the line", by="olga@example.com")
            await hook.until_told("dev is frozen by olga@example.com (claimed, not proven)")
            await hanging.until_asked(1)
            await towpath.environment("dev").thaw(by="olga@example.com")
            await hook.until_told("dev is thawed by olga@example.com")

            (place.folder / "well").unlink()
            second = await asked(server, place, "2.0.0")
            await hook.until_told("2.0.0 of shop in dev: approval wanted")
            await second.terminate("somebody meant well")
            await hook.until_told("2.0.0 of shop in dev: terminated")
            for teller in tellers:
                teller.cancel()
            await asyncio.gather(*tellers, return_exceptions=True)

            # Of what happened since, nobody has looked yet: the next engine does.
            (place.folder / "well").touch()
            third = await asked(server, place, "3.0.0")
            await decide(third, "reject")
            fourth = await asked(server, place, "4.0.0")
            await fourth.terminate("to begin again")
            await towpath.promote("shop", "4.0.0", "dev", by="ana@example.com")
            await until(fourth, Phase.WAITING_FOR_APPROVAL)
        async with late.open(), at_work(server, place):
            await Teller(server, settings, clock).look_round()
            await hook.until_told("3.0.0 of shop in dev: rejected")
            await hook.until_told("4.0.0 of shop in dev: approval wanted")
            await late.until_told("dev is frozen", "2.0.0 of shop in dev: terminated")

    assert sorted(hook.titles) == sorted(set(hook.titles))
    assert [title for title in hook.titles if "rejected" in title] == ["3.0.0 of shop in dev: rejected"]
    assert "4.0.0 of shop in dev: terminated" not in hook.titles
    assert sorted(late.titles) == [
        "2.0.0 of shop in dev: terminated",
        "dev is frozen by olga@example.com (claimed, not proven)",
    ]
    assert {body["type"] for body in hook.bodies if "terminated" in body["title"]} == {"failure"}
    adopted = next(body["message"] for body in hook.bodies if "adoption" in body["title"])
    assert "Asked for by olga@example.com (claimed, not proven): who was here?" in adopted
    wanted = [mail for mail in box.mails if mail[0].startswith("1.0.0 of shop in dev: approval wanted")]
    assert len(wanted) == 1
    assert "towpath approve shop 1.0.0 dev --plan" in wanted[0][1]
    assert "it is time" in wanted[0][1]
    assert all("approval wanted" in subject for subject, _, _ in box.mails)


@asynccontextmanager
async def an_engine(client: Client, place: Surroundings) -> AsyncIterator[asyncio.subprocess.Process]:
    """The engine as a process of its own, killed with -9 at the end."""
    address = client.service_client.config.target_host
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "towpath"),
        *("worker", "--engine"),
        env=variables_for({"TOWPATH_CONFIG": str(place.folder), "TEMPORAL_ADDRESS": address}),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


@pytest.mark.processes
async def test_what_a_killed_engine_has_not_told_the_next_one_tells(
    server: Client, hook: Hook, tmp_path: Path
) -> None:
    """And nothing that was told is told again."""
    place = written(tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n")
    async with environment_worker(server, place, SUBJECT.environment):
        async with an_engine(server, place):
            handle = await asked(server, place, "1.0.0")
            await hook.until_told("1.0.0 of shop in dev: approval wanted")
            status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
        assert status.intent
        await handle.signal("approve", DecisionWord(by="bo@example.com", plan=short(status.intent)))
        async with an_engine(server, place):
            assert (await handle.result()).outcome is Outcome.PROMOTED
            await hook.until_told("1.0.0 of shop in dev: approved", "1.0.0 of shop in dev: promoted")

    assert len(hook.titles) == len(set(hook.titles)) == 3


async def test_approvers_are_reminded(server: Client, hook: Hook, tmp_path: Path) -> None:
    """
    After two hours, six, fourteen and so on, once each, until there is a decision.

    Of those that were missed only the newest is sent.
    """
    place = written(
        tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook], events: [reminder]}}]\n"
    )
    clock = ShiftedClock()
    teller = Teller(server, settings_of(place), clock)
    async with at_work(server, place):
        await teller.look_round()
        handle = await asked(server, place, "1.0.0")

        async def reminded_after(hours: float) -> list[str]:
            clock.offset = timedelta(hours=hours)
            await _seen(server, teller)
            return [title.rpartition(" ")[2].split("h")[0] for title in hook.titles]

        assert await reminded_after(1.9) == []
        assert await reminded_after(2.1) == ["2"]
        assert await reminded_after(5.9) == ["2"]
        assert await reminded_after(6.1) == ["2", "6"]
        assert await reminded_after(31) == ["2", "6", "1d7"]
        await decide(handle, "reject")
        assert await reminded_after(70) == ["2", "6", "1d7"]


async def _seen(client: Client, teller: Teller) -> None:
    """Let a teller look, and wait until what it has found is told."""
    await teller.look_round()
    async for row in client.list_workflows("WorkflowType='NoticeWorkflow'"):
        await client.get_workflow_handle(row.id).result()


async def test_a_first_route_does_not_tell_the_past(server: Client, hook: Hook, tmp_path: Path) -> None:
    """What ended more than an hour before anybody wanted to hear of anything is not told."""
    place = written(tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n")
    late = ShiftedClock()
    late.offset = timedelta(hours=1, minutes=1)
    async with at_work(server, place):
        handle = await asked(server, place, "1.0.0")
        await decide(handle, "reject")
        await Towpath(server).environment("dev").freeze("stop the line", by="olga@example.com")
        await _seen(server, Teller(server, settings_of(place), late))

    assert hook.titles == []


@workflow.defn(name="PromotionWorkflow")
class Liar:
    """Somebody's own, by the name of ours and on the queue of ours: it ends in ways in which none of ours does."""

    @workflow.run
    async def run(self, how: str) -> Any:
        if how == "again":
            workflow.continue_as_new("wait", task_queue="nobodys")
        await workflow.wait_condition(lambda: how != "wait")
        return RawValue(Payload(metadata={"encoding": b"binary/zlib"}, data=b"x"))


@pytest.mark.parametrize(
    ("own_id", "outcome", "how"),
    [
        ("promotion/shop/dev/0.0.1", "garbage", "end"),
        ("promotion/shop/dev/0.0.1", "promoted", "end"),
        ("promotion/shop/dev/0.0.1", "promoted", "again"),
        ("promotion/shop", "promoted", "end"),
    ],
)
async def test_what_somebody_made_up_keeps_nobody_from_hearing_of_others(
    server: Client, hook: Hook, tmp_path: Path, *, own_id: str, outcome: str, how: str
) -> None:
    """One such row in the list ended whoever tells, or had them wait for ever, and again after each restart."""
    place = written(tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n")
    said = {STORY: "promotion", OUTCOME: outcome, ABOUT: "shop", ENVIRONMENT: "dev"}
    pairs = [SearchAttributePair(SearchAttributeKey.for_keyword(name), word) for name, word in said.items()]
    async with Worker(
        server, task_queue=ENGINE_QUEUE, workflows=[Liar], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        liar = await server.start_workflow(
            Liar.run, how, id=own_id, task_queue=ENGINE_QUEUE, search_attributes=TypedSearchAttributes(pairs)
        )
        await _until_ended(server, liar)
    async with at_work(server, place), asyncio.timeout(60):
        await decide(await asked(server, place, "1.0.0"), "reject")
        teller = Teller(server, settings_of(place), SystemClock())
        while "1.0.0 of shop in dev: rejected" not in hook.titles:
            await _seen(server, teller)

    assert not [title for title in hook.titles if "0.0.1" in title]


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (ValueError("for a while"), TRIES - 1),
        (RPCError("too much is asked", RPCStatusCode.RESOURCE_EXHAUSTED, b""), 2 * TRIES),
    ],
    ids=["of its own", "of the server"],
)
async def test_what_could_not_be_told_for_a_while_is_told_later(
    server: Client,
    hook: Hook,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: Exception,
    left: int,
) -> None:
    """Others that have ended since are told meanwhile, and do not have it forgotten."""
    monkeypatch.setattr("workers.teller.OVERLAP", timedelta())
    place = written(tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n")

    async def fail_first(client: Client, order: NoticeOrder) -> None:
        nonlocal left
        if "1.0.0" in order.notice.title and left:
            left -= 1
            raise error
        await post(client, order)

    monkeypatch.setattr("workers.teller.post", fail_first)
    clock = ShiftedClock()
    teller = Teller(server, settings_of(place), clock)
    async with at_work(server, place), asyncio.timeout(60):
        await decide(await asked(server, place, "1.0.0"), "reject")
        await decide(await asked(server, place, "2.0.0"), "reject")
        while "1.0.0 of shop in dev: rejected" not in hook.titles:
            clock.offset += EVERY * 2**TRIES
            with suppress(RPCError):
                await _seen(server, teller)

    assert left == 0
    assert "2.0.0 of shop in dev: rejected" in hook.titles


@pytest.mark.parametrize("end", ["terminate", "cancel"])
async def test_a_notice_that_somebody_ends_before_it_is_told_is_told(
    server: Client, hook: Hook, tmp_path: Path, *, end: str
) -> None:
    """Whoever reaches the server can terminate it: it is posted again. A cancel does nothing to it."""
    place = written(tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n")
    teller = Teller(server, settings_of(place), SystemClock())
    async with at_work(server, place), asyncio.timeout(60):
        await decide(await asked(server, place, "1.0.0"), "reject")
    posted = "WorkflowType='NoticeWorkflow' AND ExecutionStatus='Running'"

    async def is_posted() -> bool:
        await teller.look_round()
        return bool((await server.count_workflows(posted)).count)

    await come_true(is_posted)
    async for row in server.list_workflows(posted):
        notice = server.get_workflow_handle(row.id)
        await (notice.terminate() if end == "terminate" else notice.cancel())

    async def is_told() -> bool:
        await teller.look_round()
        return "1.0.0 of shop in dev: rejected" in hook.titles

    async with at_work(server, place):
        await come_true(is_told)

    assert hook.titles.count("1.0.0 of shop in dev: rejected") == 1


async def _until_ended(client: Client, handle: WorkflowHandle[Any, Any]) -> None:
    first = client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)

    async def has_ended() -> bool:
        return (await first.describe()).status is not WorkflowExecutionStatus.RUNNING

    await come_true(has_ended)


async def test_what_is_lost_with_a_lane_or_an_environment_is_told(
    server: Client, hook: Hook, tmp_path: Path
) -> None:
    """
    Nobody but they knew of it: a rollback that was asked for vanished, and a freeze, and nobody heard of either.

    Where something else keeps it shut since, nothing is forgotten.
    """
    place = written(tmp_path, f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n")
    teller = Teller(server, settings_of(place), SystemClock())
    towpath = Towpath(server)
    async with engine_worker(server, place):
        await teller.look_round()
        request = Request(story=Story.ROLLBACK, subject=SUBJECT, actor=Actor(name="bo@example.com"))
        await server.start_workflow(
            LANE,
            id=lane_id(SUBJECT),
            task_queue=ENGINE_QUEUE,
            start_signal="ask",
            start_signal_args=[Ask(asker="person/1", number=1, request=request)],
            search_attributes=search_attributes({ABOUT: "shop", ENVIRONMENT: "dev", STORY: "lane"}),
        )
        await towpath.environment("dev").freeze("the fair", by="olga@example.com")
        await towpath.environment("staging").freeze("the fair", by="olga@example.com")
        for name in ("lane/shop/dev", "environment/dev", "environment/staging"):
            await _answers(server.get_workflow_handle(name))
            await server.get_workflow_handle(name).terminate("somebody did")
        await towpath.environment("staging").freeze("still the fair", by="olga@example.com")

        async def are_told() -> bool:
            await teller.look_round()
            return {"A rollback of shop in dev was lost", "What was shut in dev is forgotten"} <= _heads(hook)

        await come_true(are_told)

    assert "What was shut in staging is forgotten" not in _heads(hook)
    texts = "\n".join(body["message"] for body in hook.bodies)
    assert "a rollback, asked for by bo@example.com" in texts
    assert "towpath rollback shop dev" in texts
    assert "dev is frozen by olga@example.com" in texts


def _heads(hook: Hook) -> set[str]:
    return {title.partition(":")[0] for title in hook.titles}


async def _answers(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until it has taken what it was begun with: what a status says before was not there yet."""

    async def knows() -> bool:
        said = await handle.query("status")
        return bool(said.get("running") or said.get("queue") or said.get("freeze"))

    await come_true(knows)
