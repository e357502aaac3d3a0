"""A harbour of two components, one of them at six targets in three waves, and everything that may befall it."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from domain.berth import at_of, berth_of, component_of
from domain.journal import Entry, Settled
from domain.marker import MARKER_PATH
from domain.outcome import Outcome, Phase
from domain.status import Report
from domain.terms import CheckTerms, Fleet, TargetTerms
from tests.survival.harbour import Harbour
from tests.survival.probe import root_of
from tests.survival.waiting import until

WAVES: Final = (("eu-1",), ("eu-2", "us-1"), ("us-2", "ap-1", "ap-2"))
BERTHS: Final = ("settings", *(berth_of("site", at) for wave in WAVES for at in wave))
CALLS: Final = 160
"""About as many calls of a port as a change makes that is undone."""

Tree = dict[str, bytes]


class Injection(NamedTuple):
    """What goes wrong: of which kind, where, and at which call where a worker is killed."""

    kind: str
    berth: str
    at: int = 0


class Verdict(NamedTuple):
    """What became of one change that failed."""

    injection: Injection
    restored: bool
    equal: bool
    needless: int
    """Undos that changed a place where nothing had begun."""
    noticed: bool
    why: str

    @property
    def good(self) -> bool:
        return self.restored and self.equal and self.noticed and not self.needless


class Flotilla(Harbour):
    """Its releases fail, one after another, and each time all of it is put back."""

    def _settle_in(self) -> None:
        self.components = ("settings", "site")
        super()._settle_in()
        targets = {
            berth: TargetTerms(target="directory", settings={"root": f"live/{self.dev}/{berth}"})
            for berth in BERTHS
        }
        health = tuple(
            CheckTerms(check="world", component=component_of(berth), target=at_of(berth), within=timedelta())
            for berth in BERTHS
        )
        self.change_place(self.dev, targets=targets, fleets={"site": Fleet(waves=WAVES)}, health=health)

    def holds(self, component: str = "settings") -> str:
        text = (root_of(self.folder, self.dev, component) / "current" / "index.html").read_text()
        return text.split()[1]

    def trees(self) -> dict[str, Tree]:
        """Read what every place leads to, but for what says by which deed it stands there."""
        return {berth: _tree(root_of(self.folder, self.dev, berth) / "current") for berth in BERTHS}

    async def suffer(self, injection: Injection, version: str) -> Verdict:
        """Promote a version while this goes wrong, and judge what was left."""
        before = self.trees()
        for name in self._troubles(injection, version):
            self.controls.set(name)
        handle = await self.promote(version)
        helping = asyncio.create_task(self._help())
        try:
            report = await (
                self._killed(handle, injection) if injection.at else self._mended(handle, injection)
            )
        except TimeoutError as error:
            described = await (await self.change(self.dev)).describe()
            pending = described.raw_description.pending_activities
            error.add_note(f"{injection}: {await self.change_status(self.dev)}; {pending}")
            raise
        finally:
            helping.cancel()
        for name in (*self._troubles(injection, version), f"refuses-{injection.berth}"):
            self.controls.clear(name)
        await self.until_idle()
        return await self._judge(injection, report, before)

    async def _help(self) -> None:
        """Do what a person does who is called: say that it shall be tried again."""
        while True:
            await asyncio.sleep(1)
            with suppress(AssertionError, RPCError, WorkflowQueryFailedError):  # it may end under our eyes
                if (await self.change_status(self.dev)).phase is Phase.STUCK:
                    await (await self.change(self.dev)).signal("retry", {"by": "olga@example.com"})

    def _troubles(self, injection: Injection, version: str) -> Iterator[str]:
        match injection.kind:
            case "deploy fails":
                yield f"refuses-{injection.berth}"
            case "health fails":
                yield f"sick-{version}"
            case "worker killed":
                yield from (f"sick-{version}", "armed")
            case "target away":
                yield f"leaves-{injection.berth}"
            case "disk full":
                yield f"full-{injection.berth}"
            case _:
                yield from (f"sick-{version}", f"once-{injection.berth}")

    async def _mended(self, handle: WorkflowHandle[object, Report], injection: Injection) -> Report:
        """What is away or full is so until the way back has begun, which waits for it."""
        ending = asyncio.create_task(self.ended(handle))
        if injection.kind in {"target away", "disk full"}:
            await self._until_undoing(ending)
        self.controls.clear(f"away-{injection.berth}")
        self.controls.clear(f"full-{injection.berth}")
        return await ending

    async def _until_undoing(self, ending: "asyncio.Task[Report]") -> None:
        async def undoing() -> bool:
            lane = await self.lane_status(self.dev)
            if ending.done() or lane.turn is None:
                return ending.done()
            return (await self.change_status(self.dev)).phase in {Phase.UNDOING, Phase.STUCK}

        await until(undoing)

    async def _killed(self, handle: WorkflowHandle[object, Report], injection: Injection) -> Report:
        """The worker dies at a call of its own; another, in this process, ends what it began."""
        await self.close(self.dev)
        dying = self.launch(injection.at)
        ending = asyncio.create_task(self.ended(handle))
        dead = asyncio.create_task(dying.ended())
        await asyncio.wait([ending, dead], return_when=asyncio.FIRST_COMPLETED)
        await dying.kill()
        self.controls.clear("armed")
        await self.open(self.dev)
        return await ending

    async def _judge(self, injection: Injection, report: Report, before: dict[str, Tree]) -> Verdict:
        newest = (await self.receipts())[0]
        entries = await self._entries(newest.turn)
        begun = {str(root_of(self.folder, self.dev, entry.step.berth)) for entry in entries}
        landed = {landing.root for landing in self.landings if landing.fence[0] == newest.turn}
        told = {berth: getattr(held, "version", held.held) for berth, held in newest.after.items()}
        return Verdict(
            injection=injection,
            restored=report.outcome is Outcome.ROLLED_BACK and newest.settled is Settled.UNDONE,
            equal=self.trees() == before and told == {berth: self.holds(berth) for berth in BERTHS},
            needless=len(landed - begun),
            noticed=bool(report.why) and await self.open_turns() == () and newest.turn == report.turn,
            why=report.why,
        )

    async def _entries(self, turn: int) -> list[Entry]:
        subject = self.subject(self.dev)
        found = [await self.archive.entry(subject, turn, act) for act in range(1, len(BERTHS) + 1)]
        return [entry for entry in found if entry and not entry.void]


def injections(seed: int, count: int, kills: int) -> list[Injection]:
    """Return so many failures, every kind as often as any other but for kills, at random places."""
    chance = random.Random(seed)
    kinds = ("deploy fails", "health fails", "undo fails once", "target away", "disk full")
    made = [Injection(kinds[number % len(kinds)], chance.choice(BERTHS)) for number in range(count - kills)]
    made += [
        Injection("worker killed", chance.choice(BERTHS), chance.randint(1, CALLS)) for _ in range(kills)
    ]
    chance.shuffle(made)
    return made


def _tree(current: Path) -> Tree:
    if not current.exists():
        return {}
    folder = current.resolve()
    files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if name != MARKER_PATH}
