"""Infrastructure that Terraform or OpenTofu keeps: each release is a configuration, planned, approved and applied."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from pydantic import JsonValue

from activities.locks import locked_with_children
from activities.ports import Deed, Observation, Place, Preview, TargetRefusalError, TargetTroubleError
from activities.terraform.plans import Action, ReadPlan, beyond, say_actions, say_some
from activities.terraform.running import FailedError, Module, Setting, fail, opened
from activities.terraform.settings import TerraformSettings
from activities.terraform.standing import Applied, Ledger
from activities.trees import Trees
from domain.environment import Absent, Placement, Unknown, same
from domain.fence import Fence
from domain.journal import Capture
from domain.plan import Undo
from domain.value import Value, digest_of, say_duration

_LONGEST: Final = 4_000
"""How much of a plan is shown to people."""


class TerraformTarget:
    """Applies a release's configuration. See ``docs/how-to/targets/terraform.md``."""

    settings: ClassVar[type[Value]] = TerraformSettings

    def __init__(self, settings: Mapping[str, JsonValue], place: Place) -> None:
        self._given = TerraformSettings.model_validate(settings)
        self._trees = Trees(place.folder / self._given.root, self._given.keep, place)
        self._ledger = Ledger(self._trees.root)

    @property
    def undo(self) -> Undo:
        return Undo.RESTORE

    @property
    def fenced(self) -> bool:
        return self._trees.can_lock

    @property
    def repeatable(self) -> bool:
        return True

    async def observe(self) -> Observation:
        """Say which release's configuration is applied; what was begun only, or has drifted, nobody knows."""
        seen = await self._trees.observe()
        if why := await self._why_unknown(seen):
            return seen._replace(capture=seen.capture.model_copy(update={"holding": Unknown(why=why)}))
        return seen

    async def preview(self, deed: Deed) -> Preview:
        """Plan, without taking the state's lock. The set of actions is what people approve."""
        async with self._opened(_artifact(deed), Setting(self._given, self._trees.root)) as module:
            plan = await module.plan(locking=False)
            self._takes_over(plan)
            self._refuse_what_is_forbidden(plan)
            shown = await module.shown()
        said = say_actions(plan.actions)
        return Preview(_short([said, *_changes(shown)]), said)

    async def place(self, deed: Deed) -> None:
        """Apply the release's configuration by a plan with the approved actions, and no others.

        A second run does what the first has left undone.
        """
        async with self._turn(deed) as setting:
            if self._is_done(deed.fence):
                return
            async with self._opened(_artifact(deed), setting) as module:
                plan = await self._planned(module)
                begun = self._ledger.read()
                if begun is None or begun.fence != deed.fence:
                    begun = Applied(fence=deed.fence, approved=plan.actions, took_over=self._takes_over(plan))
                    _refuse_another(deed, plan)
                elif otherwise := beyond(begun.approved, plan):
                    raise TargetRefusalError(
                        f"Deed {deed.fence} was begun, and going on would now mean more than was approved: "
                        f"{say_actions(otherwise)}."
                    )
                self._refuse_what_is_forbidden(plan, begun.approved)
                await self._trees.place(deed)
                self._ledger.write(begun)
                await self._apply(module)
            self._ledger.write(begun.but(done=True))

    async def restore(self, deed: Deed) -> None:
        """Apply the configuration that stood before; where there was none, destroy what the deed has made.

        A second run does what the first has left undone. What the deed never touched is not touched either.
        """
        if deed.capture is None:
            raise TargetRefusalError(f"Deed {deed.fence} brings no capture, so nothing can be put back.")
        async with self._turn(deed) as setting:
            if self._is_done(deed.fence):
                return
            before = self._ledger.read()
            begun = Applied(fence=deed.fence, took_over=before.took_over if before else False)
            source = await self._source(deed)
            if source and not await self._stands_already(deed):
                destroying = isinstance(deed.capture.holding, Absent)
                if not destroying:
                    await self._trees.restore(deed)  # while it stands, it says what is to be destroyed
                self._ledger.write(begun)
                async with self._opened(source, setting) as module:
                    await self._planned(module, destroying=destroying)
                    await self._apply(module)
            await self._trees.restore(deed)
            self._ledger.write(begun.but(done=True))

    async def _why_unknown(self, seen: Observation) -> str:
        applied = self._ledger.read()
        begun = applied.fence if applied and not applied.done else seen.fence
        if begun and not (applied and applied.done and applied.fence == begun):
            return f"deed {begun} was begun in {self._trees.root} and not finished"
        if not (self._given.drift and isinstance(seen.capture.holding, Placement)):
            return ""
        setting = Setting(self._given, self._trees.root)
        async with self._opened(self._trees.root / "current", setting) as module:
            drifted = (await module.plan(locking=False)).actions
        if not drifted:
            return ""
        return f"{seen.capture.holding} was applied, but is no longer what there is: {say_actions(drifted)}"

    def _takes_over(self, plan: ReadPlan) -> bool:
        """Tell whether the first deed finds resources that it did not make. Raises where that is not wanted."""
        known, before = list(plan.known_before), self._ledger.read()
        if before or not known:
            return before.took_over if before else False
        if not self._given.adopt:
            raise TargetRefusalError(
                f"The state knows resources that were not applied from {self._trees.root}: {say_some(known)}. Write "
                "adopt: true to take them over; the undo of this first deed will then be left to people."
            )
        return True

    def _refuse_what_is_forbidden(self, plan: ReadPlan, approved: Mapping[str, Action] | None = None) -> None:
        """A resource that a first try has left unfinished may be replaced: nobody has used it."""
        unfinished = plan.tainted if approved else frozenset()
        found = {
            address: action
            for address, action in plan.actions.items()
            if action in self._given.forbid and address not in unfinished
        }
        if found:
            raise TargetRefusalError(
                f"{self._given.program} would {say_actions(found)}, which the target forbids. Change the release, or "
                f"take {' and '.join(sorted(set(found.values())))} out of forbid: for as long as that is wanted."
            )

    async def _stands_already(self, deed: Deed) -> bool:
        """Tell whether nothing was begun since the capture, so that nothing is to be put back."""
        applied, seen = self._ledger.read(), await self._trees.observe()
        if deed.capture is None or (applied and not applied.done):
            return False
        if isinstance(deed.capture.holding, Unknown):
            return deed.capture.note == seen.capture.note
        return same(deed.capture.holding, seen.capture.holding)

    async def _source(self, deed: Deed) -> Path | None:
        """Return the configuration that is applied, or destroyed, to put the capture back; None where none stands."""
        holding = deed.capture.holding if deed.capture else Absent()
        if isinstance(holding, Placement):
            return _artifact(deed)
        stands = (await self._trees.observe()).capture
        if isinstance(holding, Absent):
            return self._what_is_destroyed(stands)
        if stands.note == (deed.capture.note if deed.capture else ""):
            return self._trees.root / "current" if stands.note else None
        link = json.loads(deed.capture.note)["link"] if deed.capture and deed.capture.note else None
        if not link or not (self._trees.root / str(link)).is_dir():
            raise TargetRefusalError(
                f"What stood in {self._trees.root} before has no configuration that is known here. Put it back by "
                "hand, and then skip this undo."
            )
        return self._trees.root / str(link)

    def _what_is_destroyed(self, stands: Capture) -> Path | None:
        if isinstance(stands.holding, Absent):
            return None
        applied = self._ledger.read()
        if applied and applied.took_over:
            raise TargetRefusalError(
                f"Before the first deed in {self._trees.root} there were resources already, whose configuration is not "
                "known, so they are not destroyed. Put back by hand what was changed, and then skip this undo."
            )
        if isinstance(stands.holding, Unknown):
            raise TargetRefusalError(
                f"{stands.holding.why}, so it is not destroyed. Give each a root of its own."
            )
        return self._trees.root / "current"

    def _is_done(self, fence: Fence) -> bool:
        applied = self._ledger.read()
        return applied is not None and applied.fence == fence and applied.done

    async def _planned(self, module: Module, *, destroying: bool = False) -> ReadPlan:
        """Plan under the state's lock; one that a killed run of ours has left is taken away first."""
        try:
            return await module.plan(destroying=destroying)
        except FailedError as failed:
            lock, died = failed.lock, module.setting.died
            if not (lock and died and lock.is_left_behind(*died, self._given.program)):
                raise
            module.setting.said(f"The state is still locked by a run of ours that was killed: {lock}")
            await module.unlock(lock)
            return await module.plan(destroying=destroying)

    async def _apply(self, module: Module) -> None:
        try:
            await module.apply()
        except FailedError as failed:
            if failed.lock or failed.code is None or failed.code < 0:
                raise
            raise TargetRefusalError(
                f"{failed.verb} stopped half-way: {failed.reason}. What it has done until then is in the state."
            ) from failed

    @asynccontextmanager
    async def _opened(self, source: Path, setting: Setting) -> AsyncGenerator[Module, None]:
        try:
            async with opened(setting, source) as module:
                await module.begin()
                yield module
        except FailedError as failed:
            if failed.lock:
                raise TargetTroubleError(
                    f"The state is locked: {failed.lock}. It is tried again; where nobody works on it any more, "
                    f"take the lock away with {self._given.program} force-unlock."
                ) from failed
            raise fail(failed) from failed

    @asynccontextmanager
    async def _turn(self, deed: Deed) -> AsyncGenerator[Setting, None]:
        """Keep deeds apart. What a killed worker has started is waited for: it holds the lock too."""
        self._trees.root.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._given.timeout.total_seconds()):
                    lock = await held.enter_async_context(
                        locked_with_children(self._trees.root / "terraform.lock")
                    )
            except TimeoutError as busy:
                raise TargetTroubleError(
                    f"An earlier deed in {self._trees.root} still runs, after {say_duration(self._given.timeout)}."
                ) from busy
            self._trees.refuse_older(deed.fence)
            self._ledger.refuse_older(deed.fence)
            with self._ledger.running() as died:
                yield Setting(self._given, self._trees.root, (lock,), died, deed.said)


def _artifact(deed: Deed) -> Path:
    if deed.artifact is None:
        raise TargetRefusalError(
            f"Deed {deed.fence} brings no files, and a configuration is what is applied."
        )
    return deed.artifact


def _refuse_another(deed: Deed, plan: ReadPlan) -> None:
    now = say_actions(plan.actions)
    if deed.promised and digest_of(now.encode()) != deed.promised:
        raise TargetRefusalError(
            f"Nothing was applied, since the plan now has other actions than were approved: {now}. "
            "Promote again, to have them approved."
        )


def _changes(shown: list[str]) -> list[str]:
    """Return what a plan says of each resource, without what is said around it."""
    begin = next((at for at, line in enumerate(shown) if line.startswith("  # ")), len(shown))
    return [line.removeprefix("  ") for line in shown[begin:]]


def _short(lines: list[str]) -> str:
    text = "\n".join(lines)
    return (
        text
        if len(text) <= _LONGEST
        else f"{text[:_LONGEST].rpartition(chr(10))[0]}\n… the rest is not shown"
    )
