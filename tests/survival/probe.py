"""The ports of an environment's worker: each call is counted, written down and, as told, its process's last."""

import asyncio
import errno
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple
from unittest.mock import patch

from pydantic import JsonValue

from activities.ports import (
    Deed,
    Expected,
    Finding,
    Observation,
    Place,
    Progress,
    Seals,
    Store,
    TargetRefusalError,
    TargetTroubleError,
    unheard,
)
from activities.targets.directory import DirectoryTarget
from domain.berth import berth_of
from domain.environment import Placement
from domain.marker import MARKER_PATH, Marker
from domain.plan import Undo
from domain.terms import Sealed
from domain.value import Value


class Controls:
    """What a test wants of the world, in files, so that every process obeys it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def set(self, name: str) -> None:
        (self._folder / name).touch()

    def clear(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def take(self, name: str) -> bool:
        """Tell whether it held, once."""
        held = self.holds(name)
        self.clear(name)
        return held

    def holds(self, name: str) -> bool:
        return (self._folder / name).exists()


class Landing(NamedTuple):
    """A switch that really happened: where, by which deed, and what the place leads to since."""

    root: str
    fence: tuple[int, int]
    link: str | None
    switch: tuple[int, int] | None
    """Tells one switch from another, so that one that two attempts have seen counts once."""


class Probe:
    """Counts calls once armed. At call number ``at`` the process is sent ``signal``, in the middle of its work."""

    def __init__(
        self, folder: Path, at: int = 0, sent: signal.Signals = signal.SIGKILL, only: str = ""
    ) -> None:
        self.controls = Controls(folder / "controls")
        self.gates: dict[str, asyncio.Event] = {}
        """Verbs that wait, in this process, until their event is set."""
        self.reached = asyncio.Event()
        self._folder = folder
        self._at = at
        self._sent = sent
        self._only = only
        self._count = 0

    @property
    def is_deaf(self) -> bool:
        """Tell whether this process, once it wakes, writes what it was about to, and hears no cancel."""
        return self._sent is signal.SIGSTOP

    def pass_by(self, point: str) -> None:
        if not self.controls.holds("armed"):
            return
        note(self._folder / "calls", f"{os.getpid()} {point}")
        self._count += self._only in point
        if self._only in point and self._count == self._at:
            os.kill(os.getpid(), self._sent)

    def land(self, landing: Landing) -> None:
        note(self._folder / "ledger", json.dumps(landing))

    async def wait_at(self, verb: str) -> None:
        if verb in self.gates:
            self.reached.set()
            await self.gates[verb].wait()


def note(file: Path, line: str) -> None:
    """Append a line in one write, so that no two processes mix theirs and no kill leaves half of one."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


class ProbedStore:
    """A store whose calls are counted, before and after."""

    def __init__(self, store: Store, probe: Probe) -> None:
        self._store = store
        self._probe = probe

    async def create(self, key: str, content: bytes) -> None:
        self._probe.pass_by(f"before create {key}")
        try:
            await self._store.create(key, content)
        finally:
            self._probe.pass_by(f"after create {key}")
        if key.startswith("receipt/"):
            await self._probe.wait_at("receipt left")

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        await self._store.upload(key, file, progress)

    async def remove(self, key: str) -> None:
        await self._store.remove(key)

    async def read(self, key: str) -> bytes:
        self._probe.pass_by(f"before read {key}")
        try:
            return await self._store.read(key)
        finally:
            self._probe.pass_by(f"after read {key}")

    def stream(self, key: str) -> AsyncIterator[bytes]:
        return self._store.stream(key)

    async def list(self, prefix: str) -> list[str]:
        self._probe.pass_by(f"before list {prefix}")
        found = await self._store.list(prefix)
        self._probe.pass_by(f"after list {prefix}")
        return found


class ProbedSeals:
    """Seals whose signing is counted."""

    def __init__(self, seals: Seals, probe: Probe) -> None:
        self._seals = seals
        self._probe = probe

    def seal(self, environment: str, kind: str, body: str) -> Sealed:
        self._probe.pass_by(f"before seal {kind}")
        sealed = self._seals.seal(environment, kind, body)
        self._probe.pass_by(f"after seal {kind}")
        return sealed

    def open(self, sealed: Sealed, environment: str, kind: str) -> str:
        return self._seals.open(sealed, environment, kind)


class ProbedDirectory:
    """The real ``directory`` target, watched: what really switches is written into a ledger."""

    settings: ClassVar[type[Value]] = DirectoryTarget.settings

    def __init__(self, settings: Mapping[str, JsonValue], place: Place, probe: Probe) -> None:
        self._target = DirectoryTarget(settings, place)
        self._root = place.folder / str(settings["root"])
        self._component = berth_of(place.component, place.at)
        self._probe = probe

    @property
    def undo(self) -> Undo:
        return self._target.undo

    @property
    def fenced(self) -> bool:
        return self._target.fenced

    @property
    def repeatable(self) -> bool:
        return self._target.repeatable

    async def observe(self) -> Observation:
        await self._probe.wait_at(f"observe {self._component}")
        self._unless_away()
        self._probe.pass_by(f"before observe {self._component}")
        seen = await self._target.observe()
        self._probe.pass_by(f"after observe {self._component}")
        return seen

    async def place(self, deed: Deed) -> None:
        await self._probe.wait_at(f"place {self._component}")
        self._probe.pass_by(f"before place {self._component} {deed.fence}")
        if self._probe.controls.holds(f"refuses-{self._component}"):
            raise TargetRefusalError(f"{self._component} will not take {deed.after}")
        if self._probe.controls.take(f"leaves-{self._component}"):
            self._probe.controls.set(f"away-{self._component}")
        self._unless_away()
        await self._switching(deed, self._target.place)
        self._probe.pass_by(f"after place {self._component} {deed.fence}")

    async def restore(self, deed: Deed) -> None:
        await self._probe.wait_at(f"restore {self._component}")
        self._probe.pass_by(f"before restore {self._component} {deed.fence}")
        if self._probe.controls.holds(f"stuck-{self._component}"):
            raise TargetRefusalError(f"{self._component} cannot be put back")
        if self._probe.controls.holds(f"troubled-{self._component}"):
            raise TargetTroubleError(f"{self._component} cannot be put back just now")
        if self._probe.controls.take(f"once-{self._component}"):
            raise TargetTroubleError(f"{self._component} cannot be put back this time")
        self._unless_away()
        await self._switching(deed, self._target.restore)
        self._probe.pass_by(f"after restore {self._component} {deed.fence}")

    def _unless_away(self) -> None:
        if self._probe.controls.holds(f"away-{self._component}"):
            raise TargetTroubleError(f"{self._component} does not answer")

    async def _switching(self, deed: Deed, verb: Callable[[Deed], Awaitable[None]]) -> None:
        """Write down what lands, also where it was cancelled in the middle and landed all the same."""
        before = self._switched()
        doing = asyncio.ensure_future(self._on_a_disk(lambda: verb(deed)))
        try:
            await (asyncio.shield(doing) if self._probe.is_deaf else doing)
        except BaseException as failure:
            await asyncio.wait([doing])
            how = doing.exception() if not doing.cancelled() else None
            self._probe.pass_by(f"failed {self._component} {deed.fence} {type(how or failure).__name__}")
            raise
        finally:
            self._record(before, deed)

    async def _on_a_disk(self, do: Callable[[], Awaitable[None]]) -> None:
        """Do it on a disk that may be full: all is written, and there is no room for the last link."""
        if not self._probe.controls.holds(f"full-{self._component}"):
            await do()
            return
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        placements = self._target._trees._placements  # pyright: ignore[reportPrivateUsage]
        with patch.object(placements, "switch", side_effect=full):
            await do()

    def _switched(self) -> tuple[int, int] | None:
        """Tell one switch of ``current`` from the next, also where both lead to the same."""
        current = self._root / "current"
        try:
            seen = current.lstat()
        except FileNotFoundError:
            return None
        return seen.st_ino, seen.st_ctime_ns

    def _record(self, before: tuple[int, int] | None, deed: Deed) -> None:
        after = self._switched()
        if after == before:
            return
        current = self._root / "current"
        link = str(current.readlink()) if current.is_symlink() else None
        self._probe.land(
            Landing(str(self._root), _made_by(link) or (deed.fence.turn, deed.fence.act), link, after)
        )


def _made_by(link: str | None) -> tuple[int, int] | None:
    """Return the deed that a switch was made by, as what it leads to is named: it may be another that came late."""
    named = re.fullmatch(r"placements/(\d+)\.(\d+)", link or "")
    return (int(named[1]), int(named[2])) if named else None


class WorldCheck:
    """Looks at what a place really leads to: it is well unless the test made that version sick."""

    def __init__(self, folder: Path, probe: Probe, target: str | None = None) -> None:
        self._folder = folder
        self._probe = probe
        self._target = target

    async def look(self, expected: Expected) -> Finding:
        await self._probe.wait_at("check")
        berth = berth_of(str(expected.component), self._target)
        root = root_of(self._folder, expected.subject.environment, berth)
        standing = marker_of(root)
        if standing is None:
            return Finding(passed=False, proven=False, sentence="nothing answers")
        proven = isinstance(expected.holding, Placement) and standing.release == expected.holding.release
        well = not self._probe.controls.holds(f"sick-{standing.version}")
        sentence = f"{standing.version} {'answers' if well else 'is sick'}"
        return Finding(passed=well and proven, proven=proven, sentence=sentence)


def root_of(folder: Path, environment: str, component: str) -> Path:
    return folder / "live" / environment / component


def marker_of(root: Path) -> Marker | None:
    """Read who stands in a place, from its own files."""
    try:
        return Marker.model_validate_json((root / "current" / MARKER_PATH).read_bytes())
    except FileNotFoundError:
        return None
