"""Doubles of our own ports: a world made of dicts, and a store to match."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from activities.ports import (
    Alarm,
    AlreadyExistsError,
    Deed,
    Expected,
    Finding,
    NotInStoreError,
    Observation,
    Place,
    Preview,
    Progress,
    StaleFenceError,
    TargetRefusalError,
    unheard,
)
from domain.berth import berth_of
from domain.configuration import Configuration
from domain.environment import Absent, Holding, Placement, same
from domain.fence import Fence
from domain.journal import Capture
from domain.plan import Undo
from domain.terms import CheckTerms
from domain.value import Value


class World:
    """What really stands where, which fences were seen, and every write that landed, in order."""

    def __init__(self) -> None:
        self.held: dict[str, Holding] = {}
        self.fences: dict[str, Fence] = {}
        self.writes: list[tuple[str, Fence, Holding]] = []
        self.says: dict[str, tuple[str, ...]] = {}
        """What a deploy to a place prints."""
        self.actions: dict[str, str] = {}
        """What a deploy to a place would do, where it says so beforehand."""
        self.previewed: list[str] = []
        """Places that were asked what a deploy would do."""
        self.refuses: set[str] = set()
        """Places that refuse to be deployed to."""
        self.away: set[str] = set()
        """Places that cannot even be looked at."""
        self.stuck: set[str] = set()
        """Places whose undo fails."""
        self.sick: set[str] = set()
        """Versions that are not healthy, anywhere or, as ``version at place``, at one place."""
        self.baffling: set[str] = set()
        """Versions at which a health check breaks."""
        self.looks: list[str] = []
        """Places whose health was looked at, in order."""
        self.slow: dict[str, asyncio.Event] = {}
        """Places whose deploy waits for this event."""
        self.reached = asyncio.Event()
        self.overlaps = 0
        self.busy: set[str] = set()
        self.before_write: Callable[[str, Fence], None] = _let_it

    def write(self, place: str, fence: Fence, holding: Holding) -> None:
        newest = self.fences.get(place)
        if newest and newest.outranks(fence):
            raise StaleFenceError(f"{place} has seen {newest}, and {fence} is older")
        if newest == fence and same(self.held.get(place, Absent()), holding):
            return
        self.before_write(place, fence)
        self.fences[place] = fence
        standing = holding.but(fence=fence) if isinstance(holding, Placement) else holding
        self.held[place] = standing
        self.writes.append((place, fence, holding))

    def version(self, place: str) -> str:
        holding = self.held.get(place, Absent())
        return holding.version if isinstance(holding, Placement) else holding.held

    def doubled(self) -> list[tuple[str, Fence]]:
        """Deeds that landed more than once: there should be none."""
        seen = [(place, fence) for place, fence, _ in self.writes]
        return [deed for deed in set(seen) if seen.count(deed) > 1]


def _let_it(_: str, __: Fence) -> None:
    """Let a write land."""


class FakeSettings(Value):
    model_config = Value.model_config | {"extra": "allow"}


class FakeTarget:
    """A target in a world."""

    settings: ClassVar[type[Value]] = FakeSettings

    def __init__(self, settings: Mapping[str, JsonValue], place: Place, world: World | None = None) -> None:
        self._settings = settings
        self._world = world or World()
        self._name = f"{place.subject.environment}/{place.subject.service}/{place.component}"

    @property
    def undo(self) -> Undo:
        return Undo(str(self._settings.get("undo", "restore")))

    @property
    def fenced(self) -> bool:
        return True

    @property
    def repeatable(self) -> bool:
        return bool(self._settings.get("repeatable", True))

    async def observe(self) -> Observation:
        if self._name in self._world.away:
            raise TargetRefusalError(f"{self._name} is away")
        holding = self._world.held.get(self._name, Absent())
        return Observation(Capture(holding=holding), self._world.fences.get(self._name))

    async def preview(self, deed: Deed) -> Preview:
        self._world.previewed.append(self._name)
        actions = self._world.actions.get(self._name, "")
        return Preview(f"+ {deed.after}" if actions else "", actions)

    async def place(self, deed: Deed) -> None:
        for line in self._world.says.get(self._name, ()):
            deed.said(line)
        if self._name in self._world.refuses:
            raise TargetRefusalError(f"{self._name} will not take {deed.after}")
        self._world.overlaps += self._name in self._world.busy
        self._world.busy.add(self._name)
        try:
            if self._name in self._world.slow:
                self._world.reached.set()
                await self._world.slow[self._name].wait()
            self._world.write(self._name, deed.fence, deed.after)
        finally:
            self._world.busy.discard(self._name)

    async def restore(self, deed: Deed) -> None:
        self._world.overlaps += self._name in self._world.busy
        if self._name in self._world.stuck:
            raise TargetRefusalError(f"{self._name} cannot be put back")
        if deed.capture is None:
            raise TargetRefusalError("there is nothing to put back")
        self._world.write(self._name, deed.fence, deed.capture.holding)


class FakeCheck:
    """Well is what is not sick in the world, and is what was expected."""

    def __init__(self, terms: CheckTerms, world: World) -> None:
        self._at = terms.target
        self._world = world

    async def look(self, expected: Expected) -> Finding:
        berth = berth_of(expected.component or "None", self._at)
        place = f"{expected.subject.environment}/{expected.subject.service}/{berth}"
        holding = self._world.held.get(place, Absent())
        self._world.looks.append(place)
        if isinstance(holding, Placement) and holding.version in self._world.baffling:
            raise RuntimeError(f"{holding.version} is too much for this check")
        sick = self._world.sick
        if isinstance(holding, Placement) and {holding.version, f"{holding.version} at {place}"} & sick:
            return Finding(passed=False, proven=True, sentence=f"{holding.version} is sick")
        proven = same(holding, expected.holding)
        return Finding(passed=proven, proven=proven, sentence=f"{holding} answers")


class FixedSettings:
    """A configuration in memory, that a test may change under way."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    def current(self) -> Configuration:
        return self.configuration

    def about(self, service: str = "", environment: str = "") -> Configuration:
        del service, environment
        return self.configuration

    def shared(self) -> Configuration:
        return self.configuration


class MemoryStore:
    """A release store in a dict, shared by whoever is given it."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    async def create(self, key: str, content: bytes) -> None:
        if key in self.content:
            raise AlreadyExistsError(key)
        self.content[key] = content

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        self.content[key] = await asyncio.to_thread(file.read_bytes)
        progress(len(self.content[key]))

    async def remove(self, key: str) -> None:
        self.content.pop(key, None)

    async def read(self, key: str) -> bytes:
        if key not in self.content:
            raise NotInStoreError(key)
        return self.content[key]

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        yield await self.read(key)

    async def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self.content if key.startswith(prefix.rstrip("/") + "/"))


class ShiftedClock:
    """The real time, and an offset that a test may change."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset


class Bell:
    """A notifier that remembers whom it called. The same key twice is one alarm, as with any other."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []

    async def call(self, alarm: Alarm) -> None:
        if alarm.key not in {one.key for one in self.alarms}:
            self.alarms.append(alarm)
