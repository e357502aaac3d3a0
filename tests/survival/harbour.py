"""A town whose world is on disk: real folders that survive any process, and workers that may be processes."""

import asyncio
import copy
import json
import signal
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from activities.archive import Archive
from activities.auditing import Auditor
from activities.keyring import Keyring, make_key
from activities.ports import Notifier
from activities.releases import create_release
from activities.signers import OpenSshSigners
from activities.stores.local import FolderStore
from activities.tools import Tools
from domain.actor import Actor
from domain.answer import Ask
from domain.configuration_files import ComponentFile, ServiceEnvironment
from domain.fence import Fence
from domain.journal import OpenTurn, Receipt
from domain.names import manifest_key, promotion_id
from domain.outcome import Phase
from domain.release import Kind
from domain.status import LaneStatus, Report
from domain.terms import CheckTerms, Request, Story, TargetTerms
from tests.survival.probe import Controls, Landing, Probe, marker_of, root_of
from tests.survival.process import Berth, Process, start, tools_of, worker_of
from tests.survival.waiting import PATIENCE, until
from tests.town import Town


class Harbour(Town):
    """Two environments, ``dev`` and ``staging``, of one or more components, all in files below a folder."""

    def __init__(
        self, client: Client, bell: Notifier, folder: Path, components: Sequence[str] = ("site",)
    ) -> None:
        super().__init__(client, bell, folder / uuid.uuid4().hex[:8])
        self.folder.mkdir(parents=True)
        self.components = tuple(components)
        self.controls = Controls(self.folder / "controls")
        self.probe = Probe(self.folder)
        self.processes: list[Process] = []
        self._settle_in()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes:
            await process.kill()
        await super().__aexit__()

    def _settle_in(self) -> None:
        configuration = self.settings.configuration
        service = configuration.services[self.service]
        road = {self.dev: self._stop(self.dev), self.staging: self._stop(self.staging, self.dev)}
        files = {
            name: configuration.environments[name].but(key=make_key(self.folder / "keys", name))
            for name in road
        }
        service = service.but(
            components={name: ComponentFile(kind=Kind.CONTENT) for name in self.components}, environments=road
        )
        self.settings.configuration = configuration.but(environments=files, services={self.service: service})

    def _stop(self, environment: str, *after: str) -> ServiceEnvironment:
        targets = {
            name: TargetTerms(target="directory", settings={"root": f"live/{environment}/{name}"})
            for name in self.components
        }
        health = tuple(CheckTerms(check="world", component=name, within=timedelta()) for name in targets)
        return ServiceEnvironment(after=after, targets=targets, health=health)

    # Workers.

    def _berth(self, environment: str) -> Berth:
        address = self.client.service_client.config.target_host
        return Berth(address, self.client.namespace, self.folder, environment, self.settings.configuration)

    @property
    def berth(self) -> Berth:
        """What a process of ``dev`` is told of its place."""
        return self._berth(self.dev)

    def elsewhere(self, folder: Path) -> "Harbour":
        """Look at a copy of this harbour's world."""
        other = copy.copy(self)
        other.folder = folder
        return other

    def tools(self, environment: str) -> Tools:
        return tools_of(self._berth(environment), self.probe, self.settings)

    async def open(self, environment: str) -> None:
        """Start a worker in this process."""
        worker = worker_of(self.client, self.tools(environment))
        self._workers[environment] = worker
        await worker.__aenter__()

    def launch(self, at: int = 0, sent: signal.Signals = signal.SIGKILL, only: str = "") -> Process:
        """Start a worker in a process of its own, which dies, or stops, at the ``at``-th call of a port."""
        process = start(self._berth(self.dev)._replace(at=at, sent=sent, only=only))
        self.processes.append(process)
        return process

    def stop_at(self, verb: str) -> asyncio.Event:
        """Have a verb, such as ``place site``, wait in this process for the event that is returned."""
        self.probe.reached = asyncio.Event()
        self.probe.gates[verb] = asyncio.Event()
        return self.probe.gates[verb]

    def let_go(self) -> None:
        """Open every gate, for those who wait there and those who come."""
        for gate in self.probe.gates.values():
            gate.set()
        self.probe.gates.clear()

    async def reached(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.probe.reached.wait()

    # Releases and the world.

    async def release(self, version: str) -> None:
        """Make a real release of real files, once."""
        key = manifest_key(self.service, version)
        if key in self.store.content:
            return
        sources: dict[str, tuple[Kind, Path]] = {}
        for name in self.components:
            source = self.folder / "source" / version / name
            source.mkdir(parents=True)
            (source / "index.html").write_text(f"{name} {version}\n")
            sources[name] = (Kind.CONTENT, source)
        await create_release(
            FolderStore(self.folder / "store"), self.service, version, sources, now=datetime.now(UTC)
        )
        self.store.content[key] = b"on disk"

    async def promote(
        self, version: str, environment: str = "", by: str = "ana@example.com"
    ) -> WorkflowHandle[Any, Any]:
        await self.release(version)
        return await super().promote(version, environment or self.dev, by)

    def holds(self, component: str = "site") -> str:
        """Say what really stands in a place, by its files and by what they say of themselves."""
        root = root_of(self.folder, self.dev, component)
        if not (root / "current").is_symlink():
            return "absent"
        standing = marker_of(root)
        assert standing
        assert (root / "current" / "index.html").read_text() == f"{component} {standing.version}\n"
        return standing.version

    @property
    def standing(self) -> tuple[str, ...]:
        """Say what really stands, component by component."""
        return tuple(self.holds(component) for component in self.components)

    @property
    def landings(self) -> list[Landing]:
        ledger = self.folder / "ledger"
        lines = ledger.read_text().splitlines() if ledger.exists() else []
        seen = [
            Landing(root, (fence[0], fence[1]), link, switch and (switch[0], switch[1]))
            for root, fence, link, switch in map(json.loads, lines)
        ]
        return list(dict.fromkeys(seen))

    @property
    def calls(self) -> list[str]:
        """Every call of a port since the probes were armed: by which process, and which."""
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    # Asking, and waiting for what comes of it.

    def promotion(self, version: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(
            promotion_id(self.subject(self.dev), version), result_type=Report
        )

    async def ended(self, handle: WorkflowHandle[Any, Any]) -> Report:
        report: Report = await asyncio.wait_for(handle.result(), PATIENCE)
        return report

    async def rolled_back(self, of: int | None = None) -> Any:
        """Ask for a rollback as an operator's command does, and wait for the answer."""
        return await self.answer(await self.ask_for_rollback(of))

    async def ask_for_rollback(self, of: int | None = None) -> str:
        asker = f"person/{uuid.uuid4()}"
        actor = Actor(name="olga@example.com")
        request = Request(story=Story.ROLLBACK, subject=self.subject(self.dev), actor=actor, of=of)
        await self.lane(self.dev).signal("ask", Ask(asker=asker, number=1, request=request))
        return asker

    async def is_over(self, workflow_id: str) -> bool:
        described = await self.client.get_workflow_handle(workflow_id).describe()
        return described.status is not WorkflowExecutionStatus.RUNNING

    async def answer(self, asker: str) -> Any:
        lane = await self.until_lane(lambda lane: asker in lane.answers)
        return lane.answers[asker].answer

    # What must be true whatever happened.

    async def assert_sound(self) -> None:
        """Nothing landed twice or late or unnoted, no half was left, and nothing is unaccounted for."""
        seen = [(landing.root, landing.fence) for landing in self.landings]
        assert len(seen) == len(set(seen)), f"doubled: {seen}"
        for component in self.components:
            root = str(root_of(self.folder, self.dev, component))
            fences = [fence for place, fence in seen if place == root]
            assert fences == sorted(fences), f"an older deed landed after a newer one: {fences}"
        assert await self.open_turns() == ()
        receipts = await self.receipts(self.dev)
        accounted = await self.archive.receipt_turns(self.subject(self.dev))
        assert {fence[0] for _, fence in seen} <= set(accounted)
        assert [receipt.turn for receipt in receipts] == accounted[: len(receipts)]
        for component, holding in receipts[0].after.items():
            says = getattr(holding, "version", holding.held)
            assert says in {self.holds(component), "unknown"}, f"the newest receipt says {says}"

    async def found_by_an_auditor(self) -> list[str]:
        """Return what does not hold, of all that the store says of this place."""
        auditor = Auditor(FolderStore(self.folder / "store"), self.archive, OpenSshSigners(self.folder))
        audit = await auditor.audit(self.service, self.dev, "")
        return [finding.what for finding in audit.findings]

    @property
    def archive(self) -> Archive:
        return Archive(FolderStore(self.folder / "store"), Keyring(self.folder / "keys", self.settings))

    async def receipts(self, environment: str = "") -> list[Receipt]:
        return await self.archive.newest_receipts(self.subject(environment or self.dev), 50)

    async def open_turns(self) -> tuple[OpenTurn, ...]:
        subject = self.subject(self.dev)
        return await self.archive.open_turns(subject, await self.archive.receipt_turns(subject))

    async def until_lane(self, ready: Callable[[LaneStatus], bool]) -> LaneStatus:
        """Wait until the lane is there and stands so."""

        async def look() -> LaneStatus | None:
            described = await self.lane(self.dev).describe()
            if described.status is not WorkflowExecutionStatus.RUNNING:
                return None
            status = await self.lane_status(self.dev)
            return status if ready(status) else None

        found: LaneStatus = await until(look)
        return found

    async def until_idle(self) -> LaneStatus:
        return await self.until_lane(lambda lane: lane.phase is Phase.IDLE and not lane.queue)


def fence_of(landing: Landing) -> Fence:
    return Fence(turn=landing.fence[0], act=landing.fence[1])
