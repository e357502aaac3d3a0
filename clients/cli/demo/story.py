"""What the demo shows: two releases on their way to production, one that is sick, and a rollback."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from datetime import timedelta
from typing import Final, NamedTuple, TypeVar

from activities.clock import SystemClock
from activities.releases import create_release
from clients.cli.demo import kiosk
from clients.cli.demo.answering import Approver
from clients.cli.demo.processes import DemoError
from clients.cli.demo.proof import check, fetch
from clients.cli.demo.records import decisions, events, waited, way_back
from clients.cli.demo.scene import SAMPLE, SERVICE, Scene
from clients.cli.demo.telling import Telling
from clients.overview import Overview, change_of
from clients.promotion import Promotion
from clients.watching import watch
from domain.answer import NotBegun
from domain.marker import MARKER_PATH
from domain.names import change_id
from domain.outcome import Outcome, Phase
from domain.release import Kind, Release
from domain.status import LaneStatus, PromotionStatus, Report
from domain.terms import Proposal
from domain.value import say_duration, short
from workers.wiring import store_of

ENGINEER: Final = "lin@example.com"
VERSIONS: Final = ("1.0.0", "2.0.0", "3.0.0")
SILENCE: Final = 60.0
"""Seconds without anything new after which the story is given up."""

SeenT = TypeVar("SeenT")


class Took(NamedTuple):
    """How long one thing took, as the Temporal server noted it."""

    what: str
    said: str


class Story:
    """Told chapter by chapter. Raises ``DemoError`` where something does not come true."""

    def __init__(self, scene: Scene, telling: Telling, approver: Approver) -> None:
        self._scene = scene
        self._say = telling
        self._approver = approver
        self._releases: dict[str, Release] = {}
        self._took: list[Took] = []
        self.turn = 0
        """Of the rollback."""

    async def tell(self) -> None:
        self._say.chapter("Three releases of a small shop’s site are packed")
        await self._pack()
        self._say.chapter("1.0.0 walks to production")
        self._say.row("", "healthy: its checks passed; proven: this release answered them")
        await self._walk("1.0.0")
        self._say.chapter("2.0.0 walks to production, where somebody must let it in")
        await self._walk("2.0.0")
        self._say.chapter("3.0.0 is sick: dev does not notice, staging does, and puts it back")
        await self._promote("3.0.0", "dev")
        await self._promote("3.0.0", "staging", Outcome.ROLLED_BACK)
        self._say.chapter("A release of two components: the second fails, and both are put back")
        await self._fail_half_way()
        if self._approver.said_no:
            self._say.chapter("Production was left at 1.0.0, as you said: there is nothing to roll back")
        else:
            self._say.chapter("Production is rolled back to 1.0.0, on request")
            await self._roll_back()
        self._say.chapter("What every environment serves now, fetched over HTTP")
        await self._prove()
        self._say.chapter("How long it took, as the Temporal server noted it")
        self._tell_times()

    async def _pack(self) -> None:
        store = store_of(self._scene.place)
        for version in VERSIONS:
            parts = {"site": (Kind.CONTENT, SAMPLE / "site" / version)}
            stored = await create_release(
                store, SERVICE, version, parts, author=ENGINEER, now=SystemClock().now()
            )
            release = self._releases[version] = stored.release
            sick = ", and sick: its own health page says so" if version == "3.0.0" else ""
            self._say.row(
                version, f"{release.components[0].files} files, digest {short(release.digest())}{sick}"
            )

    async def _fail_half_way(self) -> None:
        """The settings are in when the board refuses its text: they go back too."""
        store = store_of(self._scene.place)
        for version in kiosk.VERSIONS:
            made = kiosk.parts(SAMPLE, version)
            await create_release(store, kiosk.KIOSK, version, made, author=ENGINEER, now=SystemClock().now())
        await self._promote("1.0.0", "dev", service=kiosk.KIOSK)
        await self._promote("2.0.0", "dev", Outcome.ROLLED_BACK, service=kiosk.KIOSK)
        self._say.row("", f"as before: {kiosk.check(SAMPLE, self._scene.place.folder, '1.0.0')}")

    async def _walk(self, version: str) -> None:
        for environment in self._scene.sites:
            await self._promote(version, environment)

    async def _promote(
        self, version: str, environment: str, wanted: Outcome = Outcome.PROMOTED, service: str = SERVICE
    ) -> None:
        """Ask, answer where somebody must, and follow it to its end."""
        promotion = await self._scene.towpath.promote(service, version, environment, by=ENGINEER)
        where, last = environment, None
        with self._say.live():
            async with aclosing(_in_time(watch(promotion))) as overviews:
                async for seen in overviews:
                    last = seen
                    self._say.now(environment, _stands(seen))
                    if where and (proposal := _undecided(seen)):
                        where = ""
                        self._tell_plan(environment, proposal)
                        await self._approver.answer(promotion, proposal)
        if last is None or last.promotion is None or last.report is None:
            became = f"{last.state}: {last.trouble}" if last else "it was never seen"
            raise DemoError(f"{promotion} did not end as foreseen: {became}")
        if last.report.outcome is not self._expected(version, environment, wanted):
            raise DemoError(
                f"{promotion} was to be {wanted}, and was {last.report.outcome}: {last.report.why}"
            )
        await self._tell_end(where, promotion, last.promotion, last.report)

    def _expected(self, version: str, environment: str, wanted: Outcome) -> Outcome:
        refused = self._approver.said_no and (version, environment) == ("2.0.0", "production")
        return Outcome.REJECTED if refused else wanted

    def _tell_plan(self, environment: str, proposal: Proposal) -> None:
        approval = proposal.terms.approval
        self._say.rows(
            environment,
            [
                f"plan {short(proposal.plan.intent)}, asked for by {proposal.request.actor.name}",
                *(f"{step}; undo: {step.undo}" for step in proposal.plan.steps),
                f"needs {approval}",
            ],
        )

    async def _tell_end(
        self, where: str, promotion: Promotion, status: PromotionStatus, report: Report
    ) -> None:
        change = await change_of(promotion.client, promotion.subject, report.turn) if report.turn else None
        records = change.records if change else ()
        soak = status.proposal.terms.soak if status.proposal else timedelta()
        lines = [*decisions(status.records), *events(records, soak)]
        length = say_duration(await self._length(promotion.id))
        aside = ""
        if people := waited(status.records):
            aside = f" (approval {say_duration(people)})"
        if report.outcome is not Outcome.PROMOTED:
            lines.append(f"ended: {report.outcome}")
            lines += [f"- {report.why}"] if promotion.subject.service != SERVICE else []
        if report.outcome is Outcome.ROLLED_BACK:
            aside = f" (way back {say_duration(way_back(records))})"
        if promotion.subject.service != SERVICE:
            lines.insert(0, f"{promotion.subject.service} {promotion.version}")
        self._say.rows(where, lines, length)
        of = promotion.version if promotion.subject.service == SERVICE else promotion.subject.service
        self._took.append(Took(of, f"{promotion.subject.environment} {length}{aside}"))

    async def _roll_back(self) -> None:
        wish = await self._scene.towpath.rollback(
            SERVICE, "production", by=ENGINEER, reason="to show the way back"
        )
        with self._say.live():
            self._say.now("production", "rolling back")
            answer = await _soon(wish.result())
        if isinstance(answer, NotBegun) or answer.outcome is not Outcome.ROLLED_BACK:
            raise DemoError(f"Production was to be rolled back, and was not: {answer}")
        self.turn, subject = answer.turn, wish.lane.subject
        change = await change_of(wish.lane.client, subject, answer.turn)
        length = await self._length(change_id(subject, answer.turn))
        lines = [f"asked for by {ENGINEER}; the way back needs no approval"]
        lines += events(change.records if change else ())
        self._say.rows("production", lines, say_duration(length))
        self._took.append(Took("rollback", f"production {say_duration(length)}"))

    async def _prove(self) -> None:
        served = await fetch(self._scene.sites)
        for environment, found in served.items():
            self._say.row(environment, f"{found} at {found.address}")
        self._say.row("", f"each proven by its /{MARKER_PATH}")
        expected = {"dev": "3.0.0", "staging": "2.0.0", "production": "1.0.0"}
        check(served, {environment: self._releases[version] for environment, version in expected.items()})

    def _tell_times(self) -> None:
        for what in dict.fromkeys(took.what for took in self._took):
            self._say.row(what, " · ".join(took.said for took in self._took if took.what == what))

    async def _length(self, workflow_id: str) -> timedelta:
        described = await self._scene.towpath.client.get_workflow_handle(workflow_id).describe()
        return (described.close_time or described.start_time) - described.start_time


async def _in_time(seen: AsyncGenerator[SeenT]) -> AsyncGenerator[SeenT]:
    """Yield what is seen. Raises ``DemoError`` where nothing new comes for too long."""
    async with aclosing(seen):
        while True:
            try:
                news = await _soon(anext(seen))
            except StopAsyncIteration:
                return
            yield news


async def _soon(work: Awaitable[SeenT]) -> SeenT:
    try:
        return await asyncio.wait_for(work, SILENCE)
    except TimeoutError as error:
        raise DemoError(f"Nothing has happened for {SILENCE:.0f} s.") from error


def _undecided(seen: Overview) -> Proposal | None:
    """Return what waits to be decided on, if it does."""
    waits = seen.promotion is not None and seen.promotion.phase is Phase.WAITING_FOR_APPROVAL
    return seen.promotion.proposal if seen.promotion and waits else None


def _stands(seen: Overview) -> str:
    """Say where it stands; nothing once it has ended."""
    stands = seen.change or seen.promotion or seen.lane
    if stands is None or stands.phase is Phase.ENDED:
        return ""
    waits_for = "" if isinstance(stands, LaneStatus) else stands.waits_for
    return f"{stands.phase}: {waits_for}" if waits_for else str(stands.phase)
