"""A small town for workflow tests: a service and its road, on a real server, in a world made of dicts."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.archive import Archive
from activities.attempts import Attempts
from activities.auditing import Auditor
from activities.crossing import CrossingActivities
from activities.errands import ErrandActivities
from activities.keyring import Keyring, make_key
from activities.labels import search_attributes
from activities.logbook import Logbook
from activities.ports import Desk, Notifier, Place, Rule
from activities.rules import RULES
from activities.signers import OpenSshSigners
from activities.spaces import Spaces
from activities.tools import Tools
from domain.actor import Actor
from domain.answer import Ask
from domain.approval import DecisionWord
from domain.approval_written import Approval
from domain.attempt import SAYS
from domain.attempt import Kind as Attempted
from domain.audit import Audit
from domain.configuration import Configuration
from domain.configuration_files import (
    ComponentFile,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
)
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence, milliseconds
from domain.journal import Receipt, Settled, Soaked
from domain.names import (
    ACTOR,
    ENGINE_QUEUE,
    ENVIRONMENT,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    Subject,
    artifact_key,
    change_id,
    effects_queue,
    environment_id,
    lane_id,
    manifest_key,
    pipeline_id,
    promotion_id,
)
from domain.outcome import Outcome, Phase
from domain.release import Component, Kind, Release
from domain.road import Stand, Stop, WalkRequest
from domain.rule import RuleTerms
from domain.status import ChangeStatus, LaneStatus, PipelineStatus, PromotionStatus, Report, WalkReport
from domain.terms import CheckTerms, Request, Story, TargetTerms
from domain.urgency import Urgency
from domain.value import digest_of, short
from tests.fakes import Bell, FakeCheck, FakeTarget, FixedSettings, MemoryStore, ShiftedClock, World
from tests.news import news
from workers.ordered import Ordered
from workers.staffing import effects, messages
from workers.story import ABROAD, WORKFLOWS
from workers.watching import Watching
from workflows.doorkeeper import Doorkeeper, Witness, unseen

PATIENCE = timedelta(seconds=20)


def engine_worker(
    client: Client,
    notifier: Notifier,
    spaces: Spaces | None = None,
    *,
    abroad: bool = False,
    remembers: int = 1000,
    witness: Witness = unseen,
) -> Worker:
    """Return the engine's worker. One that ``remembers`` few workflows replays most of them at every step."""
    verbs, crossing = ErrandActivities(notifier, spaces), CrossingActivities(spaces or Spaces(client))
    return Worker(
        client,
        task_queue=ENGINE_QUEUE,
        workflows=ABROAD if abroad else WORKFLOWS,
        activities=messages(verbs, crossing, abroad=abroad),
        interceptors=[Doorkeeper(witness), Ordered(witness)],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        max_cached_workflows=remembers,
        build_id="tests",
    )


class Engine:
    """The engine's worker, which can be sent away for a while."""

    def __init__(self, hire: Callable[[], Worker]) -> None:
        self._hire = hire
        self._worker: Worker | None = None

    @property
    def is_there(self) -> bool:
        return self._worker is not None

    async def __aenter__(self) -> Self:
        self._worker = self._hire()
        await self._worker.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._worker:
            await self._worker.shutdown()
        self._worker = None

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Have nobody of ours ask its queue for work while the block runs."""
        await self.__aexit__()
        try:
            yield
        finally:
            await self.__aenter__()


class Town:
    """Three environments on a road, dev → staging → production; production asks for one approval."""

    def __init__(
        self, client: Client, bell: Notifier, folder: Any, doors: dict[str, Attempts] | None = None
    ) -> None:
        self.client = client
        self.engine: Engine | None = None
        self.bell = bell
        self.lives: dict[str, Client] = {}
        self.folder = Path(folder)
        mark = uuid.uuid4().hex[:8]
        self.service = f"shop-{mark}"
        self.dev, self.staging, self.production = (
            f"{name}-{mark}" for name in ("dev", "staging", "production")
        )
        self.world = World()
        self.store = MemoryStore()
        self.clock = ShiftedClock()
        self.settings = FixedSettings(self._configuration())
        self._stack = AsyncExitStack()
        self._workers: dict[str, Worker] = {}
        self._attempts: dict[str, Attempts] = {}
        self._doors = {} if doors is None else doors
        self._ear = Bell()

    async def __aenter__(self) -> Self:
        for environment in (self.dev, self.staging, self.production):
            await self.open(environment)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*map(self.close, list(self._workers)))
        for handle in await self._still_running():
            try:
                await handle.terminate("the test is over")
            except RPCError as error:  # it may end by itself between the look and the word
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def _still_running(self) -> list[WorkflowHandle[Any, Any]]:
        found = self.client.list_workflows(f"{SERVICE}='{self.service}' AND ExecutionStatus='Running'")
        return [self.client.get_workflow_handle(row.id) async for row in found]

    async def open(self, environment: str) -> None:
        """Start the worker of an environment, wherever it lives."""
        tools, client = self.tools(environment), self.lives.get(environment, self.client)
        worker = Worker(
            client,
            task_queue=effects_queue(environment),
            activities=effects(tools).activities,
            interceptors=[Watching(client, environment, self._attempts_on(tools), self.clock)],
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            build_id="tests",
        )
        self._workers[environment] = worker
        await worker.__aenter__()

    def _attempts_on(self, tools: Tools) -> Attempts:
        """Return who notes what is tried in an environment, in its logbook too; nobody is told before a test asks."""
        environment = tools.environment
        if environment not in self._attempts:
            keep = Logbook(tools, Archive(tools.store, tools.seals)).note
            self._attempts[environment] = Attempts(environment, self._ear, self.clock, keep)
            self._doors[environment] = self._attempts[environment]
        return self._attempts[environment]

    def attempts_on(self, environment: str) -> Attempts:
        return self._attempts[environment]

    async def alarmed(self) -> list[str]:
        """Have people told of what was tried since they were told last, and return of what: kinds, and sums."""
        for attempts in self._attempts.values():
            await attempts.tell()
        told, self._ear.alarms = self._ear.alarms, []
        kinds = {says: kind for kind, says in SAYS.items()}
        heard = [alarm.headline.partition(": ")[2] for alarm in told]
        return [kinds.get(one, one) for one in heard]

    async def until_alarmed(self, *kinds: Attempted) -> None:
        """Wait until people have been told of all of these, and of nothing else."""
        heard: set[str] = set()
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while heard < {*kinds}:
                heard |= {one for one in await self.alarmed() if "more attempt" not in one}
                await asyncio.sleep(0.1)
        assert heard == {*kinds}

    async def close(self, environment: str) -> None:
        """Stop the worker of an environment."""
        await self._workers.pop(environment).shutdown()

    def tools(self, environment: str) -> Tools:
        keys = self.folder / "keys"
        public = make_key(keys, environment)
        files = self.settings.configuration.environments
        self.settings.configuration = self.settings.configuration.but(
            environments=files | {environment: files[environment].but(key=public)}
        )
        return Tools(
            environment=environment,
            settings=self.settings,
            store=self.store,
            seals=Keyring(keys, self.settings),
            signers=OpenSshSigners(self.folder),
            clock=self.clock,
            target=self._target,
            check=self._check,
            cache=self.folder / "cache",
            rule=self._rule,
        )

    def _target(self, terms: TargetTerms, subject: Subject, component: str) -> FakeTarget:
        return FakeTarget(terms.settings, Place(self.folder, subject, component), self.world)

    def _rule(self, terms: RuleTerms) -> Rule:
        return RULES[terms.rule](terms.settings, Desk(self.folder, {}))

    def _check(self, terms: CheckTerms) -> FakeCheck:
        return FakeCheck(terms, self.world)

    def _configuration(self) -> Configuration:
        def stop(*after: str, approval: Approval | None = None) -> ServiceEnvironment:
            return ServiceEnvironment(
                after=after,
                targets={"site": TargetTerms(target="fake")},
                health=(CheckTerms(check="fake", within=timedelta(seconds=0)),),
                approval=approval,
            )

        one_of_two = Approval.model_validate({"quorum": 1, "from": ["managers"]})
        return Configuration(
            organisation=Organisation(groups={"managers": ("bo@example.com", "cy@example.com")}),
            environments={
                name: EnvironmentFile(environment=name) for name in (self.dev, self.staging, self.production)
            },
            services={
                self.service: ServiceFile(
                    service=self.service,
                    components={"site": ComponentFile(kind=Kind.CONTENT)},
                    environments={
                        self.dev: stop(),
                        self.staging: stop(self.dev),
                        self.production: stop(self.staging, approval=one_of_two),
                    },
                )
            },
        )

    def change_place(self, environment: str, **changes: object) -> None:
        """Change what the service says of an environment, as an edit of its file would."""
        configuration = self.settings.configuration
        service = configuration.services[self.service]
        place = service.environments[environment].but(**changes)
        changed = service.but(environments=service.environments | {environment: place})
        self.settings.configuration = configuration.but(services={self.service: changed})

    def change_floor(self, environment: str, **changes: object) -> None:
        """Change what the platform says of an environment, as an edit of its file would."""
        files = self.settings.configuration.environments
        changed = files | {environment: files[environment].but(**changes)}
        self.settings.configuration = self.settings.configuration.but(environments=changed)

    async def branch(self, sides: Sequence[str], after: str, before: str) -> None:
        """Put environments of their own, side by side, between two that are there, and start their workers."""
        for side in sides:
            configuration = self.settings.configuration
            files = configuration.environments | {side: EnvironmentFile(environment=side)}
            service = configuration.services[self.service]
            stop = service.environments[after].but(after=(after,))
            service = service.but(environments=service.environments | {side: stop})
            self.settings.configuration = configuration.but(
                environments=files, services={self.service: service}
            )
            await self.open(side)
        self.change_place(before, after=tuple(sides))

    async def walk(
        self, version: str, *through: str, by: str = "ana@example.com"
    ) -> WorkflowHandle[Any, WalkReport]:
        """Start a walk through these environments, else to production; make the release first if there is none."""
        if manifest_key(self.service, version) not in self.store.content:
            self.make(version)
        request = WalkRequest(
            service=self.service,
            version=version,
            through=through or (self.production,),
            actor=Actor(name=by),
            reason="a feature",
        )
        handle: WorkflowHandle[Any, WalkReport] = await self.client.start_workflow(
            "PipelineWorkflow",
            request,
            id=pipeline_id(self.service, version),
            task_queue=ENGINE_QUEUE,
            result_type=WalkReport,
            search_attributes=search_attributes({SERVICE: self.service, STORY: "pipeline"}),
        )
        return handle

    async def until_under_way(self, handle: WorkflowHandle[Any, WalkReport], environment: str) -> Stop:
        """Wait until a walk has set out for an environment."""
        newest: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(handle.id)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(newest):
                status: PipelineStatus = await newest.query("status", result_type=PipelineStatus)
                for stop in status.road:
                    if (stop.environment, stop.stand) == (environment, Stand.UNDER_WAY):
                        return stop
        message = f"it never set out for {environment}"
        raise AssertionError(message)

    def promotion_of(self, version: str, environment: str) -> WorkflowHandle[Any, Report]:
        """Name a promotion that is there, or will be."""
        workflow_id = promotion_id(self.subject(environment), version)
        return self.client.get_workflow_handle(workflow_id, result_type=Report)

    def subject(self, environment: str) -> Subject:
        return Subject(service=self.service, environment=environment)

    def place(self, environment: str, component: str = "site") -> str:
        return f"{environment}/{self.service}/{component}"

    def make(self, version: str, components: Sequence[str] = ("site",)) -> Release:
        """Put a release into the store, with content of its own."""
        return self.make_of(version, dict.fromkeys(components, version))

    def make_of(self, version: str, contents: Mapping[str, str]) -> Release:
        """Put a release of these components and contents into the store."""
        parts = []
        for name, inside in contents.items():
            content = f"{name} {inside}".encode()
            digest = digest_of(content)
            self.store.content[artifact_key(digest)] = content
            parts.append(Component(name=name, kind=Kind.CONTENT, artifact=digest, size=len(content), files=1))
        release = Release(
            service=self.service,
            version=version,
            components=tuple(parts),
            created=datetime(2026, 1, 1, tzinfo=UTC),
        )
        self.store.content[manifest_key(self.service, version)] = release.canonical().encode()
        return release

    async def promote(
        self, version: str, environment: str, by: str = "ana@example.com"
    ) -> WorkflowHandle[Any, Any]:
        """Start a promotion; make the release first if there is none."""
        return await self.ask(
            Request(subject=self.subject(environment), version=version, actor=Actor(name=by))
        )

    async def hurry(
        self, urgency: Urgency, version: str, environment: str, by: str = "ana@example.com"
    ) -> WorkflowHandle[Any, Any]:
        """Start a promotion by a shorter way in."""
        subject, actor = self.subject(environment), Actor(name=by)
        request = Request(subject=subject, version=version, actor=actor, reason="it burns", urgency=urgency)
        return await self.ask(request)

    async def ask(self, request: Request) -> WorkflowHandle[Any, Any]:
        version = request.version or ""
        if manifest_key(self.service, version) not in self.store.content:
            self.make(version)
        attributes = {
            SERVICE: self.service,
            ENVIRONMENT: request.subject.environment,
            STORY: Story.PROMOTION,
            RELEASE: version,
            PHASE: Phase.PREPARING,
            ACTOR: request.actor.name,
        }
        return await self.client.start_workflow(
            "PromotionWorkflow",
            request,
            id=promotion_id(request.subject, version),
            task_queue=ENGINE_QUEUE,
            result_type=Report,
            search_attributes=search_attributes(attributes),
        )

    async def promoted(self, version: str, environment: str, approver: str = "bo@example.com") -> Report:
        """Promote, approve where that is asked for, and return how it ended."""
        handle = await self.promote(version, environment)
        if self.settings.configuration.approval(self.subject(environment)).quorum:
            await self.approve(handle, approver)
        report: Report = await asyncio.wait_for(handle.result(), 30)
        return report

    async def approve(self, handle: WorkflowHandle[Any, Any], by: str = "bo@example.com") -> None:
        status = await self.until(handle, Phase.WAITING_FOR_APPROVAL)
        assert status.intent
        await handle.signal("approve", DecisionWord(by=by, plan=short(status.intent)))

    async def until(self, handle: WorkflowHandle[Any, Any], *phases: Phase) -> PromotionStatus:
        """Wait until a promotion stands in one of these phases."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(handle):
                status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
                if status.phase in phases:
                    return status
        message = f"it never stood in {phases}"
        raise AssertionError(message)

    def lane(self, environment: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(lane_id(self.subject(environment)))

    async def lane_status(self, environment: str) -> LaneStatus:
        status: LaneStatus = await self.lane(environment).query("status", result_type=LaneStatus)
        return status

    async def change(self, environment: str) -> WorkflowHandle[Any, Any]:
        """Return the change that has the lane now."""
        turn = (await self.lane_status(environment)).turn
        assert turn is not None
        return self.client.get_workflow_handle(change_id(self.subject(environment), turn))

    async def change_status(self, environment: str) -> ChangeStatus:
        status: ChangeStatus = await (await self.change(environment)).query(
            "status", result_type=ChangeStatus
        )
        return status

    async def ask_lane(
        self, environment: str, story: Story, by: str = "olga@example.com", of: int | None = None
    ) -> Any:
        """Ask a lane for a rollback or adoption as an operator's command does, and wait for its answer."""
        asker = f"person/{uuid.uuid4()}"
        request = Request(story=story, subject=self.subject(environment), actor=Actor(name=by), of=of)
        ask = Ask(asker=asker, number=1, request=request, dated=datetime.now(UTC))
        await self.client.start_workflow(
            "LaneWorkflow",
            id=lane_id(request.subject),
            task_queue=ENGINE_QUEUE,
            start_signal="ask",
            start_signal_args=[ask],
        )
        handle = self.lane(environment)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(handle):
                told = (await self.lane_status(environment)).answers.get(asker)
                if told:
                    return told.answer
        message = "the lane never answered"
        raise AssertionError(message)

    async def freeze(
        self, environment: str, reason: str = "stop the line", **more: Any
    ) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            "EnvironmentWorkflow",
            id=environment_id(environment),
            task_queue=ENGINE_QUEUE,
            start_signal="freeze",
            start_signal_args=[{"by": "olga@example.com", "reason": reason, **more}],
        )

    async def until_change(self, environment: str, *phases: Phase) -> ChangeStatus:
        """Wait until the change that has the lane stands in one of these phases."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await self._until_born(self.lane(environment))
            async for _ in news(self.lane(environment)):
                if (await self.lane_status(environment)).turn is not None:
                    break
            handle = await self.change(environment)
            async for _ in news(handle):
                status: ChangeStatus = await handle.query("status", result_type=ChangeStatus)
                if status.phase in phases:
                    return status
        message = f"the change never stood in {phases}"
        raise AssertionError(message)

    @staticmethod
    async def _until_born(handle: WorkflowHandle[Any, Any]) -> None:
        while True:
            try:
                await handle.describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(0.02)
            else:
                return

    async def promoted_without_waiting(self, version: str, environment: str) -> Report:
        """Promote, and return how it ended without anybody's approval."""
        report: Report = await (await self.promote(version, environment)).result()
        return report

    async def stands(self, version: str, *environments: str) -> None:
        """Leave in environments what a promotion leaves there: what it brought, and its receipt; it has no history."""
        made = self.store.content.get(manifest_key(self.service, version))
        release = Release.model_validate_json(made) if made else self.make(version)
        for environment in environments:
            before, after = self._put(release, environment)
            await self._leave_receipt(release, environment, before, after)

    def _put(self, release: Release, environment: str) -> tuple[dict[str, Holding], dict[str, Placement]]:
        """Have a release stand, and return what stood there before and what does now."""
        turn, before, after = milliseconds(self.clock.now()), dict[str, Holding](), dict[str, Placement]()
        for act, part in enumerate(release.components, start=1):
            place, fence = self.place(environment, part.name), Fence(turn=turn, act=act)
            before[part.name] = self.world.held.get(place, Absent())
            after[part.name] = Placement(
                version=release.version, release=release.digest(), artifact=part.artifact, fence=fence
            )
            self.world.write(place, fence, after[part.name])
        return before, after

    async def _leave_receipt(
        self,
        release: Release,
        environment: str,
        before: Mapping[str, Holding],
        after: Mapping[str, Placement],
    ) -> None:
        now = self.clock.now()
        (turn,) = {one.fence.turn for one in after.values() if one.fence}
        receipt = Receipt(
            subject=self.subject(environment),
            turn=turn,
            story=Story.PROMOTION,
            settled=Settled.DONE,
            outcome=Outcome.PROMOTED,
            version=release.version,
            release=release.digest(),
            before=dict(before),
            after=dict(after),
            soaked=Soaked.FULL,
            proven=True,
            actor=Actor(name="ana@example.com"),
            began=now,
            ended=now,
        )
        await self._archive.write_receipt(receipt)

    async def reach_production(self, version: str) -> None:
        """Promote to production what stands before it."""
        await self.stands(version, self.dev, self.staging)
        await self.promoted(version, self.production)

    async def waiting_in_production(self, version: str) -> WorkflowHandle[Any, Any]:
        """Return a promotion that waits for its approval in production."""
        await self.stands(version, self.dev, self.staging)
        handle = await self.promote(version, self.production)
        await self.until(handle, Phase.WAITING_FOR_APPROVAL)
        return handle

    async def until_new_plan(self, handle: WorkflowHandle[Any, Any], old: str | None) -> PromotionStatus:
        """Wait until a promotion waits for approval with another plan than this one."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(handle):
                status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
                if status.phase is Phase.WAITING_FOR_APPROVAL and status.intent != old:
                    return status
        message = "it never had another plan"
        raise AssertionError(message)

    async def until_recorded(self, environment: str, did: str) -> None:
        """Wait until the change that has the lane has taken somebody's word."""
        handle = await self.change(environment)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(handle):
                status: ChangeStatus = await handle.query("status", result_type=ChangeStatus)
                if any(record.record == "override" and record.did == did for record in status.records):
                    return

    async def audit(self, environment: str) -> Audit:
        """Return what an auditor finds of one environment, with real OpenSSH."""
        archive = Archive(self.store, Keyring(self.folder / "keys", self.settings))
        return await Auditor(self.store, archive, OpenSshSigners(self.folder)).audit("", environment, "")

    async def receipts(self, environment: str) -> list[Receipt]:
        """Return the environment's receipts, newest first."""
        return await self._archive.newest_receipts(self.subject(environment), 20)

    @property
    def _archive(self) -> Archive:
        return Archive(self.store, Keyring(self.folder / "keys", self.settings))
