"""Whatever people do, in whatever order, the real workflows come to what the rules say, by themselves or replayed."""

import asyncio
import tempfile
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

import pytest
from hypothesis import Phase as Part
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from domain.answer import NotBegun
from domain.approval import DecisionWord
from domain.approval_written import Approval
from domain.environment import Holding, Placement
from domain.journal import can_be_rolled_back
from domain.names import ENGINE_QUEUE, environment_id
from domain.outcome import Phase
from domain.status import LaneStatus, PromotionStatus, Report
from domain.terms import Story
from domain.value import short
from tests.fakes import Bell
from tests.news import news
from tests.replaying import histories_of, told_otherwise
from tests.town import PATIENCE, Town, engine_worker
from tests.workflows.lane_life import MANAGERS, Life, Mine, Stand
from workers.server import embedded, temporal_binary
from workflows.reaching import reach

pytestmark = pytest.mark.server

ResultT = TypeVar("ResultT")
ANA, OLGA = "ana@example.com", "olga@example.com"
LIVES: Final = 4
STEPS: Final = 20
FORGETFUL: Final = 4
"""Workflows that a worker keeps in mind. One that keeps none cannot ask a lane while it is at work for a promotion."""
FEW: Final = 100
"""Examples: what Hypothesis tries where nobody asks for more."""
WHICH: Final = st.integers(0, 5)
OPENS: Final = {"freeze": "thaw", "pin": "unpin"}
UNDER_WAY: Final = (Stand.WAITING, Stand.GATED, Stand.QUEUED, Stand.RUNNING, Stand.HELD)
HARMLESS: Final = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
)
"""Something arrived while a task was being ended: it is done again. Or the server ended it with the workflow."""
PHASES: Final = {
    Stand.WAITING: Phase.WAITING_FOR_APPROVAL,
    Stand.GATED: Phase.WAITING_FOR_GATE,
    Stand.QUEUED: Phase.IN_LANE,
    Stand.RUNNING: Phase.IN_LANE,
    Stand.HELD: Phase.IN_LANE,
    Stand.STUCK: Phase.IN_LANE,
    Stand.ENDED: Phase.ENDED,
}


class Stage:
    """A real server, and an engine whose worker remembers a few workflows only, or is another one suddenly."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.bell = Bell()
        self.loop = asyncio.get_running_loop()
        self._worker: Worker | None = None

    async def engine(self, remembers: int) -> None:
        """Have another worker take the engine's place."""
        await self.leave()
        self._worker = engine_worker(self.client, self.bell, remembers=remembers)
        await self._worker.__aenter__()

    async def leave(self) -> None:
        if self._worker:
            await self._worker.shutdown()
            self._worker = None

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Have it done in the server's loop, while Hypothesis waits in a thread of its own."""
        done: Future[ResultT] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result()


class LaneLife(RuleBasedStateMachine):
    """Does something to real workflows, and the same to the model; then waits until the one is as the other says."""

    stage: ClassVar[Stage]

    @initialize(quorum=st.sampled_from([1, 2]))
    def begin(self, quorum: int) -> None:
        self.life = Life(quorum)
        self.intents: dict[str, list[str]] = {}
        self.seen = ""
        self.stack = AsyncExitStack()
        self.run(self._build())

    async def _build(self) -> None:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.town = Town(self.stage.client, self.stage.bell, folder)
        self.stack.push_async_exit(self.town)
        approval = Approval.model_validate({"quorum": self.life.quorum, "from": ["managers"]})
        self.approval = approval
        self.town.change_place(self.place, after=(), approval=approval)
        await self.town.open(self.place)

    # What people do.

    @rule(by=st.sampled_from([ANA, *MANAGERS]), sick=st.sampled_from([False, False, True]))
    def promote(self, by: str, sick: bool) -> None:  # noqa: FBT001 - Hypothesis gives it by name
        version = self._version(sick=sick)
        self.life.promote(version, by, sick=sick)
        self.run(self.town.promote(version, self.place, by))

    @precondition(lambda self: self.life.can_line_up)
    @rule(sick=st.sampled_from([False, False, True]))
    def let_in(self, sick: bool) -> None:  # noqa: FBT001 - Hypothesis gives it by name
        """Promote, and have as many approve as have to."""
        self.promote(ANA, sick)
        one = self.life.mine[-1]
        self.run(asyncio.wait_for(self._agree_on(one), PATIENCE.total_seconds()))
        for who in MANAGERS[: self.life.quorum]:
            self.life.approve(one, who)
            self.run(self._decide("approve", one, who))

    @rule()
    def promote_what_nobody_waits_for(self) -> None:
        version = self._version(sick=False)
        self.life.promote(version, ANA, sick=False, waits=False)
        self.town.change_place(self.place, approval=self.approval.but(wait=timedelta()))
        self.run(self.town.promoted_without_waiting(version, self.place))
        self.town.change_place(self.place, approval=self.approval)

    @precondition(lambda self: self.life.those(Stand.WAITING))
    @rule(which=WHICH, who=st.sampled_from(MANAGERS))
    def approve(self, which: int, who: str) -> None:
        one = self._one(which, Stand.WAITING)
        if self.life.can_line_up:
            self.life.approve(one, who)
            self.run(self._decide("approve", one, who))

    @precondition(lambda self: self.life.those(Stand.WAITING, Stand.GATED))
    @rule(which=WHICH)
    def reject(self, which: int) -> None:
        """Somebody who may have approved it before."""
        one = self._one(which, Stand.WAITING, Stand.GATED)
        who = next(name for name in MANAGERS if name != one.by)
        self.life.reject(one)
        self.run(self._decide("reject", one, who))

    @precondition(lambda self: self.life.those(*UNDER_WAY))
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        one = self._one(which, *UNDER_WAY)
        self.life.cancel(one)
        self.run(self._handle(one).cancel())

    @precondition(lambda self: len(self.life.queue) <= 1)
    @rule(gate=st.sampled_from(["freeze", "pin"]))
    def shut(self, gate: str) -> None:
        if gate not in self.life.gates:
            self._let_deed_begin()
            self.life.shut(gate)
            word = {"by": OLGA, "reason": "stop the line", **self._of(gate)}
            self.run(self._tell_environment(gate, word))

    def _let_deed_begin(self) -> None:
        """A gate that is shut between the turn and its first deed stops that: here it comes later."""
        if self.life.blocked and self.life.running:
            with suppress(TimeoutError):  # one that is held has none
                self.run(asyncio.wait_for(self.town.world.reached.wait(), 3))

    @precondition(lambda self: self.life.gates)
    @rule(which=WHICH)
    def open(self, which: int) -> None:
        gates = sorted(self.life.gates)
        gate = gates[which % len(gates)]
        self.life.open(gate)
        self.run(self._tell_environment(OPENS[gate], {"by": OLGA, **self._of(gate)}))

    @precondition(lambda self: self.life.is_idle and not self.life.blocked)
    @rule()
    def block(self) -> None:
        """The next deed will stay in its middle."""
        self.life.blocked = True
        self.town.world.slow[self.at] = asyncio.Event()
        self.town.world.reached.clear()

    @precondition(lambda self: self.life.blocked)
    @rule()
    def release(self) -> None:
        self.life.release()
        event = self.town.world.slow.pop(self.at)
        self.stage.loop.call_soon_threadsafe(event.set)

    @rule()
    def rust(self) -> None:
        """Nothing can be put back any more."""
        self.life.rusty = True
        self.town.world.stuck.add(self.at)

    @precondition(lambda self: self.life.rusty)
    @rule()
    def oil(self) -> None:
        """It can again, and somebody says to retry what is stuck."""
        self.town.world.stuck.clear()
        if one := self.life.oil():
            self.run(self._handle(one).signal("retry", {"by": OLGA}))

    @precondition(lambda self: self.life.those(Stand.RUNNING, Stand.HELD) and not self.life.running.on_hold)
    @rule()
    def hold(self) -> None:
        one = self.life.running
        assert one
        one.on_hold = True
        self.run(self._handle(one).signal("hold", {"by": OLGA}))
        self.run(self.town.until_recorded(self.place, "hold"))

    @precondition(lambda self: self.life.those(Stand.RUNNING, Stand.HELD) and self.life.running.on_hold)
    @rule()
    def resume(self) -> None:
        one = self.life.running
        assert one
        self.life.resume()
        self.run(self._handle(one).signal("resume", {"by": OLGA}))

    @precondition(lambda self: self.life.is_idle and not self.life.rusty)
    @rule()
    def roll_back(self) -> None:
        goes = self.life.roll_back()
        # By its turn: what would leave nothing there is done only where that is named.
        newest = [receipt.turn for receipt in can_be_rolled_back(self.run(self.town.receipts(self.place)))][
            :1
        ]
        answer = self.run(self.town.ask_lane(self.place, Story.ROLLBACK, of=next(iter(newest), None)))
        assert isinstance(answer, NotBegun) is not goes

    @precondition(lambda self: self.life.those(Stand.RUNNING, Stand.HELD) and not self.life.rusty)
    @rule()
    def terminate_the_change(self) -> None:
        change = self.run(self.town.change(self.place))
        self.life.lose()
        self.run(change.terminate("somebody with a raw client"))

    @rule(remembers=st.sampled_from([FORGETFUL, 1000]))
    def restart_the_engine(self, remembers: int) -> None:
        self.run(self.stage.engine(remembers))

    # What must hold.

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if hasattr(self, "town"):
            try:
                self.run(asyncio.wait_for(self._agree(), PATIENCE.total_seconds()))
            except TimeoutError:
                pytest.fail(self.seen)

    async def _agree(self) -> None:
        for one in self.life.mine:
            await self._agree_on(one)
        lane = await self._until_lane_agrees()
        world = self.town.world
        fences = [(fence.turn, fence.act) for _, fence, _ in world.writes]
        assert [said(holding) for _, _, holding in world.writes] == self.life.writes
        assert not world.doubled()
        assert not world.overlaps or self.life.lost
        assert fences == sorted(fences)
        if lane and lane.phase is Phase.UNSETTLED:
            await self._until_called()
        if lane and lane.phase is Phase.IDLE:
            assert world.version(self.at) == self.life.held
            left = [said(receipt.after["site"]) for receipt in await self.town.receipts(self.place)]
            assert left[:1] in ([], [self.life.held])

    async def _until_called(self) -> None:
        """A person is called about what is unsettled."""
        change = await self.town.change(self.place)
        async for _ in news(change):
            if any(change.id in alarm.key for alarm in self.stage.bell.alarms):
                return

    async def _agree_on(self, one: Mine) -> None:
        handle = self._handle(one)
        if one.stand is Stand.ENDED:
            report = await handle.result()
            assert (one.version, report.outcome) == (one.version, one.outcome)
            return
        plans = self.intents.setdefault(one.version, [])
        async for _ in news(handle):
            status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
            approvers = {vote.actor.name for vote in status.decisions if vote.intent == status.intent}
            is_this_plan = (
                status.intent == plans[-1] if len(plans) == one.plans else status.intent not in plans
            )
            self.seen = f"{one}, and really: {status.phase}, approved by {approvers}, {status.why}"
            if status.phase is PHASES[one.stand] and approvers == one.approvals and is_this_plan:
                self.intents[one.version] = [*plans[: one.plans - 1], status.intent or ""]
                return

    async def _until_lane_agrees(self) -> LaneStatus | None:
        """Who has it and who waits, in order; at most one change runs, and it is idle only where nobody has it."""
        if not await self._is_there():
            assert not self.life.writes
            return None
        wanted = [self._handle(one).id for one in self.life.queue]
        async for _ in news(self.town.lane(self.place)):
            lane = await self.town.lane_status(self.place)
            running = self._handle(self.life.running).id if self.life.running else None
            shown = (lane.running.asker if lane.running else None, [ask.asker for ask in lane.queue])
            self.seen = f"the lane should have {running}, {wanted}, and has {shown}, {lane.phase}"
            if shown == (running, wanted) and lane.phase is self._lane_phase():
                return lane
        return None

    def _lane_phase(self) -> Phase:
        if self.life.running is None:
            return Phase.IDLE
        return Phase.UNSETTLED if self.life.running.stand is Stand.STUCK else Phase.BUSY

    def teardown(self) -> None:
        if hasattr(self, "town"):
            self.run(self._end())

    async def _end(self) -> None:
        """Whatever was in the middle is let go; then everything that happened is replayed."""
        for event in self.town.world.slow.values():
            event.set()
        await self.stack.aclose()
        histories = await histories_of(self.stage.client, self.town.service, [self.place])
        assert not await told_otherwise(histories)
        assert not [history.workflow_id for history in histories for event in history.events if broke(event)]

    # What it is made of.

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.stage.run(work)

    @property
    def place(self) -> str:
        return self.town.production

    @property
    def at(self) -> str:
        return self.town.place(self.place)

    def _version(self, *, sick: bool) -> str:
        version = f"{len(self.life.mine) + 1}.0.0"
        if sick:
            self.town.world.sick.add(version)
        return version

    def _one(self, which: int, *stands: Stand) -> Mine:
        those = self.life.those(*stands)
        return those[which % len(those)]

    def _handle(self, one: Mine) -> WorkflowHandle[Any, Report]:
        return self.town.promotion_of(one.version, self.place)

    def _of(self, gate: str) -> dict[str, str]:
        return {"service": self.town.service} if gate == "pin" else {}

    async def _decide(self, verdict: str, one: Mine, who: str) -> None:
        plan = short(self.intents[one.version][-1])
        await self._handle(one).signal(verdict, DecisionWord(by=who, plan=plan))

    async def _tell_environment(self, signal: str, word: dict[str, str]) -> None:
        await self.stage.client.start_workflow(
            "EnvironmentWorkflow",
            id=environment_id(self.place),
            task_queue=ENGINE_QUEUE,
            start_signal=signal,
            start_signal_args=[word],
        )

    async def _is_there(self) -> bool:
        """There is no lane until somebody has asked for it."""
        try:
            await self.town.lane(self.place).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True


def said(holding: Holding) -> str:
    return holding.version if isinstance(holding, Placement) else holding.held


def broke(event: HistoryEvent) -> bool:
    """Tell whether a workflow's worker could not go on with it."""
    failed = event.workflow_task_failed_event_attributes
    return event.HasField("workflow_task_failed_event_attributes") and failed.cause not in HARMLESS


async def test_lanes_and_promotions_live_as_the_rules_say() -> None:
    """
    Asked, approved, rejected, cancelled, frozen, held, rolled back, lost, in any order, by an engine that forgets.

    One change at a time; nothing is written that was not approved; each promotion waits or ends as the rules say.
    """
    async with embedded(temporal_binary(), None) as server:
        client = await reach(server.address)
        stage = LaneLife.stage = Stage(client)
        await stage.engine(FORGETFUL)
        try:
            await asyncio.to_thread(run_state_machine_as_test, LaneLife, settings=lives())
        finally:
            await stage.leave()


def lives() -> settings:
    """A few of them, or many where properties are to be proven: only there is a bad one made shorter."""
    here = settings()
    is_long = here.max_examples > FEW
    return settings(
        here,
        max_examples=here.max_examples // FEW if is_long else LIVES,
        stateful_step_count=STEPS,
        report_multiple_bugs=False,
        phases=here.phases if is_long else (Part.explicit, Part.reuse, Part.generate),
    )
