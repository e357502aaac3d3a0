"""What the demo shows: two releases on their way to production, one that is sick, and a rollback."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from activities.clock import SystemClock
from activities.releases import create_release
from clients.cli.demo.processes import DemoError, find_program, said_by
from clients.cli.demo.proof import check, fetch
from clients.cli.demo.records import happened, undone_within
from clients.cli.demo.scene import SAMPLE, SERVICE, Scene
from clients.cli.demo.telling import Telling, typed
from clients.overview import Overview
from clients.promotion import Promotion
from clients.watching import watch, watch_wish
from domain.answer import Answer, Undone
from domain.names import change_id
from domain.outcome import Outcome, Phase
from domain.release import Kind, Release
from domain.status import PromotionStatus
from domain.value import canonical, say_duration, short
from workers.wiring import store_of

ENGINEER: Final = "lin@example.com"
APPROVERS: Final = {"1.0.0": "grace@example.com", "2.0.0": "ada@example.com"}
SILENCE: Final = 60.0
"""Seconds without anything new after which the story is given up."""
ANSWERING: Final = 30.0

SeenT = TypeVar("SeenT")


class Took(NamedTuple):
    """How long something took, as the Temporal server noted it."""

    what: str
    where: str
    length: timedelta
    note: str = ""


class Story:
    """Told chapter by chapter. Raises ``DemoError`` where something does not come true."""

    def __init__(self, scene: Scene, telling: Telling, *, yes: bool) -> None:
        self._scene = scene
        self._say = telling
        self._yes = yes
        self._releases: dict[str, Release] = {}
        self.let_in = True
        """Whether 2.0.0 was let into production: a person may say no."""
        self.took: list[Took] = []
        self.histories: list[str] = []

    async def tell(self) -> None:
        await self._pack()
        await self._walk_first()
        await self._walk_second()
        await self._promote_sick()
        await self._roll_back()
        await self._prove()

    async def _pack(self) -> None:
        self._say.chapter("Three releases of a small shop’s site are packed")
        store = store_of(self._scene.place)
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            folder = SAMPLE / "site" / version
            stored = await create_release(
                store, SERVICE, version, {"site": (Kind.CONTENT, folder)}, author=ENGINEER, now=SystemClock().now()
            )
            release = self._releases[version] = stored.release
            sick = ", and sick: its health page says so" if version == "3.0.0" else ""
            self._say.row(version, f"{release.components[0].files} files, digest {short(release.digest())}{sick}")

    async def _walk_first(self) -> None:
        self._say.chapter("1.0.0 walks to production")
        for environment in self._scene.sites:
            await self._promoted("1.0.0", environment)

    async def _walk_second(self) -> None:
        self._say.chapter("2.0.0 walks to production, where somebody must let it in")
        for environment in ("dev", "staging"):
            await self._promoted("2.0.0", environment)
        seen = await self._promote("2.0.0", "production")
        if self.let_in:
            self._expect(seen, Outcome.PROMOTED)

    async def _promote_sick(self) -> None:
        self._say.chapter("3.0.0 is sick: dev does not notice, staging does, and puts it back")
        await self._promoted("3.0.0", "dev")
        seen = await self._promote("3.0.0", "staging")
        self._expect(seen, Outcome.ROLLED_BACK)
        if seen.change:
            self.took.append(Took("3.0.0", "put back in staging", undone_within(seen.change.records)))

    async def _roll_back(self) -> None:
        if not self.let_in:
            self._say.chapter("There is nothing to roll back: production was left at 1.0.0, as you said")
            return
        self._say.chapter("Production is rolled back to 1.0.0, on request")
        answer = await self._wished()
        if not isinstance(answer, Undone) and answer.said != "done":
            raise DemoError(f"Production was not rolled back: {answer}")

    async def _prove(self) -> None:
        self._say.chapter("What every environment serves now, fetched over HTTP")
        served = await fetch(self._scene.sites)
        for environment, found in served.items():
            self._say.row(environment, f"{found}, from {found.address}")
        check(served, {"dev": self._releases["3.0.0"], "staging": self._release_in_staging, "production": self._releases["1.0.0"]})
