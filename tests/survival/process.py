"""Workers as processes of their own, that can be killed, stopped and started again.

They are forked from a server that has imported everything, so that starting one takes milliseconds; the worker
itself, its connection and its ports are its own.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from contextlib import AsyncExitStack
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from temporalio import activity
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Worker
from temporalio.worker import Interceptor as WorkerInterceptor
from temporalio.worker._workflow_instance import (
    _WorkflowInstanceImpl as _Instance,  # pyright: ignore[reportPrivateUsage]
)

from activities import effects
from activities.keyring import Keyring
from activities.ports import Place
from activities.signers import OpenSshSigners
from activities.stores.local import FolderStore
from activities.tools import Tools
from domain.berth import at_of, component_of
from domain.configuration import Configuration
from domain.names import Subject, effects_queue
from domain.terms import CheckTerms, TargetTerms
from tests.fakes import Bell, FixedSettings, ShiftedClock
from tests.survival.probe import Probe, ProbedDirectory, ProbedSeals, ProbedStore, WorldCheck
from tests.survival.waiting import until
from tests.town import engine_worker
from workers import staffing
from workflows import patience
from workflows.reaching import reach

BEAT: Final = timedelta(milliseconds=300)
HEARTBEAT: Final = timedelta(seconds=2)
"""In these tests a worker is taken for dead after two seconds, where production waits for fifteen."""

FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.survival.process"])


class Berth(NamedTuple):
    """Where a worker works, and what is to become of it: ``sent`` to itself at the ``at``-th call of a port."""

    address: str
    namespace: str
    folder: Path
    environment: str
    configuration: Configuration
    at: int = 0
    sent: signal.Signals = signal.SIGKILL
    only: str = ""


def tools_of(berth: Berth, probe: Probe, settings: FixedSettings) -> Tools:
    """Wire the real folder store, keyring and directory target, each behind its probe."""

    def target(terms: TargetTerms, subject: Subject, name: str) -> ProbedDirectory:
        place = Place(berth.folder, subject, component_of(name), at_of(name))
        return ProbedDirectory(terms.settings, place, probe)

    def check(terms: CheckTerms) -> WorldCheck:
        return WorldCheck(berth.folder, probe, terms.target)

    return Tools(
        environment=berth.environment,
        settings=settings,
        store=ProbedStore(FolderStore(berth.folder / "store"), probe),
        seals=ProbedSeals(Keyring(berth.folder / "keys", settings), probe),
        signers=OpenSshSigners(berth.folder),
        clock=ShiftedClock(),
        target=target,
        check=check,
        cache=berth.folder / "cache",
    )


def worker_of(client: Client, tools: Tools) -> Worker:
    return Worker(
        client,
        task_queue=effects_queue(tools.environment),
        activities=staffing.effects(tools).activities,
        max_heartbeat_throttle_interval=BEAT,
        default_heartbeat_throttle_interval=BEAT,
        build_id="tests",
    )


def start(berth: Berth) -> "Process":
    """Start an environment's worker in a process of its own."""
    process = FORKS.Process(target=_live, args=(berth,), daemon=True)
    process.start()
    return Process(process)


class Process:
    """A worker's process, as the test sees it from outside."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    async def ended(self) -> int:
        """Wait until it has ended, and say how: minus nine where it was killed."""
        await until(lambda: not self._process.is_alive())
        assert self._process.exitcode is not None
        return self._process.exitcode

    @property
    def is_stopped(self) -> bool:
        """Tell whether it is there and does nothing, by the kernel's own word."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def kill(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        await self.ended()


def launch_engine(address: str, namespace: str, folder: Path, at: int) -> Process:
    """Start an engine's worker in a process of its own, which dies at its ``at``-th step once armed."""
    process = FORKS.Process(target=_run_engine, args=(address, namespace, folder, at), daemon=True)
    process.start()
    return Process(process)


def _live(berth: Berth) -> None:
    _write_to(berth.folder / "worker.log")
    with patch.object(effects, "BEAT", BEAT):
        asyncio.run(_work(berth))


def _run_engine(address: str, namespace: str, folder: Path, at: int) -> None:
    _write_to(folder / "engine.log")
    probe = Probe(folder, at, only="engine")
    activate = _Instance.activate

    def counted(instance: _Instance, activation: WorkflowActivation) -> WorkflowActivationCompletion:
        probe.pass_by("engine: before a workflow task")
        done = activate(instance, activation)
        probe.pass_by("engine: after a workflow task")
        return done

    with patch.object(_Instance, "activate", counted), patch.object(patience, "HEARTBEAT", HEARTBEAT):
        asyncio.run(_engine(address, namespace, probe))


async def _engine(address: str, namespace: str, probe: Probe) -> None:
    client = await reach(address, namespace=namespace, interceptors=[CountedErrands(probe)])
    async with engine_worker(client, Bell()):
        await asyncio.Event().wait()


class CountedErrands(ClientInterceptor, WorkerInterceptor):
    """Lets every errand of an engine pass a probe, before and after."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        probe = self._probe

        class Counted(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
                errand = activity.info().activity_type
                probe.pass_by(f"engine: before {errand}")
                done = await super().execute_activity(input)
                probe.pass_by(f"engine: after {errand}")
                return done

        return Counted(next)


def _write_to(file: Path) -> None:
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())


async def _work(berth: Berth) -> None:
    client = await reach(berth.address, namespace=berth.namespace)
    probe = Probe(berth.folder, berth.at, berth.sent, berth.only)
    async with AsyncExitStack() as stack:
        tools = tools_of(berth, probe, FixedSettings(berth.configuration))
        await stack.enter_async_context(worker_of(client, tools))
        await asyncio.Event().wait()
