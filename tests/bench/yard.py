"""Many services and environments: a target and a check that take no time, everything else as it is in production."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Self

from pydantic import JsonValue
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)

from activities.clock import SystemClock
from activities.keyring import Keyring, make_key
from activities.labels import search_attributes
from activities.ports import AlreadyExistsError, Deed, Expected, Finding, Observation, Place
from activities.signers import OpenSshSigners
from activities.stores.local import FolderStore
from activities.tools import Tools
from domain.actor import Actor
from domain.answer import Ask
from domain.approval import DecisionWord
from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import (
    ComponentFile,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
)
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
    effects_queue,
    lane_id,
    manifest_key,
    promotion_id,
)
from domain.order import StepOrder
from domain.outcome import Phase
from domain.release import Component, Kind, Release
from domain.status import Report
from domain.terms import CheckTerms, Proposal, Request, Sealed, Story, TargetTerms
from domain.value import digest_of, short
from tests.fakes import FakeCheck, FakeTarget, FixedSettings, World
from workers.metering import Metering
from workers.overseeing import GRACE
from workers.running import THROTTLE, engine_worker
from workers.settings import surroundings
from workers.staffing import effects

APPROVER = "bo@example.com"


class Watch:
    """When things happened at the target, and how long the target itself took, by place."""

    def __init__(self) -> None:
        self.plans: dict[str, Sealed] = {}
        self.ordered: dict[str, float] = {}
        self.placing: dict[str, float] = {}
        self.verified: dict[str, float] = {}
        self.taken: dict[str, float] = {}

    def take(self, place: str, since: float) -> None:
        self.taken[place] = self.taken.get(place, 0.0) + perf_counter() - since


class WatchedTarget(FakeTarget):
    """A fake target that looks at the clock."""

    def __init__(
        self,
        settings: Mapping[str, JsonValue],
        place: Place,
        world: World | None = None,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(settings, place, world)
        self._watch = watch or Watch()

    async def observe(self) -> Observation:
        began = perf_counter()
        try:
            return await super().observe()
        finally:
            self._watch.take(self._name, began)

    async def place(self, deed: Deed) -> None:
        self._watch.placing[self._name] = perf_counter()
        await super().place(deed)

    async def restore(self, deed: Deed) -> None:
        began = perf_counter()
        await super().restore(deed)
        self._watch.take(self._name, began)


class WatchedCheck(FakeCheck):
    """A fake check that looks at the clock."""

    def __init__(self, terms: CheckTerms, world: World, watch: Watch) -> None:
        super().__init__(terms, world)
        self._watch = watch

    async def look(self, expected: Expected) -> Finding:
        place = place_of(expected.subject)
        began = perf_counter()
        finding = await super().look(expected)
        self._watch.take(place, began)
        self._watch.verified[place] = perf_counter()
        return finding


class _Overseer(Interceptor):
    """Keeps the plan that people approve, and notes when a deed is ordered."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Oversight(next, self._watch)


class _Oversight(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, watch: Watch) -> None:
        super().__init__(inner)
        self._watch = watch

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        match input.args:
            case [StepOrder() as order]:
                self._watch.ordered[place_of(order.warrant.request.subject)] = perf_counter()
            case _:
                pass
        result = await self.next.execute_activity(input)
        match input.args, result:
            case [Request(version=str() as version) as request], Sealed():
                self._watch.plans[promotion_id(request.subject, version)] = result
            case _:
                pass
        return result


class Yard:
    """Services ``s0`` … in environments ``e0`` …; each pair is a lane, and asks for one approval."""

    def __init__(self, client: Client, folder: Path, services: int, environments: int) -> None:
        self.client = client
        self.folder = folder
        self.world = World()
        self.watch = Watch()
        self.store = FolderStore(folder / "store")
        self.subjects = [
            Subject(service=f"s{service}", environment=f"e{environment}")
            for service in range(services)
            for environment in range(environments)
        ]
        self.settings = FixedSettings(self._configuration(services, environments))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(engine_worker(self.client, surroundings(self.folder, {})))
        for environment in self.settings.configuration.environments:
            await self._stack.enter_async_context(self._worker(environment))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _worker(self, environment: str) -> Worker:
        return Worker(
            self.client,
            task_queue=effects_queue(environment),
            activities=effects(self._tools(environment)).activities,
            interceptors=[Metering(), _Overseer(self.watch)],
            max_heartbeat_throttle_interval=THROTTLE,
            default_heartbeat_throttle_interval=THROTTLE,
            graceful_shutdown_timeout=GRACE,
            build_id="towpath",
        )

    def _tools(self, environment: str) -> Tools:
        return Tools(
            environment=environment,
            settings=self.settings,
            store=self.store,
            seals=Keyring(self.folder / "keys", self.settings),
            signers=OpenSshSigners(self.folder),
            clock=SystemClock(),
            target=self._target,
            check=self._check,
            cache=self.folder / "cache",
        )

    def _target(self, terms: TargetTerms, subject: Subject, component: str) -> WatchedTarget:
        place = Place(self.folder, subject, component)
        return WatchedTarget(terms.settings, place, self.world, self.watch)

    def _check(self, terms: CheckTerms) -> WatchedCheck:
        return WatchedCheck(terms, self.world, self.watch)

    def _configuration(self, services: int, environments: int) -> Configuration:
        stop = ServiceEnvironment(
            targets={"site": TargetTerms(target="fake")},
            health=(CheckTerms(check="fake", within=timedelta()),),
            approval=Approval.model_validate({"quorum": 1, "from": ["managers"]}),
        )
        names = [f"e{number}" for number in range(environments)]
        return Configuration(
            organisation=Organisation(groups={"managers": (APPROVER,)}),
            environments={
                name: EnvironmentFile(environment=name, key=make_key(self.folder / "keys", name))
                for name in names
            },
            services={
                f"s{number}": ServiceFile(
                    service=f"s{number}",
                    components={"site": ComponentFile(kind=Kind.CONTENT)},
                    environments=dict.fromkeys(names, stop),
                )
                for number in range(services)
            },
        )

    async def make(self, version: str) -> None:
        """Put a release of every service into the store, where it is not there already."""
        content = f"site {version}".encode()
        digest = digest_of(content)
        await self._put(artifact_key(digest), content)
        part = Component(name="site", kind=Kind.CONTENT, artifact=digest, size=len(content), files=1)
        for service in self.settings.configuration.services:
            release = Release(service=service, version=version, components=(part,), created=datetime.now(UTC))
            await self._put(manifest_key(service, version), release.canonical().encode())

    async def _put(self, key: str, content: bytes) -> None:
        try:
            await self.store.create(key, content)
        except AlreadyExistsError:
            return

    async def start(self, subject: Subject, version: str) -> WorkflowHandle[Any, Report]:
        """Start a promotion as the client does."""
        request = Request(subject=subject, version=version, actor=Actor(name="ana@example.com"))
        attributes = {
            SERVICE: subject.service,
            ENVIRONMENT: subject.environment,
            STORY: Story.PROMOTION,
            RELEASE: version,
            PHASE: Phase.PREPARING,
            ACTOR: "ana@example.com",
        }
        return await self.client.start_workflow(
            "PromotionWorkflow",
            request,
            id=promotion_id(subject, version),
            task_queue=ENGINE_QUEUE,
            result_type=Report,
            search_attributes=search_attributes(attributes),
        )

    def approval(self, workflow_id: str) -> DecisionWord:
        """Return the approval of a plan that was drawn up in this process."""
        proposal = Proposal.model_validate_json(self.watch.plans[workflow_id].text)
        return DecisionWord(by=APPROVER, plan=short(proposal.plan.intent))

    async def ask_rollback(self, subject: Subject) -> None:
        """Ask a lane as an operator's command does."""
        request = Request(story=Story.ROLLBACK, subject=subject, actor=Actor(name="olga@example.com"))
        await self.client.start_workflow(
            "LaneWorkflow",
            id=lane_id(subject),
            task_queue=ENGINE_QUEUE,
            start_signal="ask",
            start_signal_args=[Ask(asker=f"person/{perf_counter()}", number=1, request=request)],
        )


def place_of(subject: Subject) -> str:
    return f"{subject.environment}/{subject.service}/site"
