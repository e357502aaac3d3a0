"""What an environment's own worker sees of a rehearsal: that it stood, and that what was before stood again.

And what it tells of those that environments before have seen.
"""

import asyncio
from collections.abc import Mapping, Sequence

from activities.archive import RECEIPTS_REMEMBERED, Archive
from activities.clearance import Clearing
from activities.health import look_until_well
from activities.ports import BadSealError
from activities.refusing import not_cleared
from activities.tools import Tools
from activities.transcribing import transcribed
from domain.attempt import Kind
from domain.configuration import Configuration
from domain.dossier import rehearsed
from domain.environment import Holding, Unknown, same
from domain.journal import Entry, Receipt
from domain.names import Subject
from domain.order import LookOrder
from domain.plan import Plan, Step
from domain.refusal import Cause, Refusal
from domain.rehearsal import Rehearsal, Scene, Seen, put_back_in, say_ahead, say_seen, untried
from domain.terms import Proposal, Sealed, Terms


class Rehearsing:
    """Looks for one environment. Touches nothing."""

    def __init__(self, tools: Tools, archive: Archive, clearing: Clearing) -> None:
        self._tools = tools
        self._archive = archive
        self._clearing = clearing

    async def look(self, order: LookOrder) -> Sealed:
        """Return sealed evidence of one scene: whether all stands there as it should in it, and is well."""
        proposal, turn = self._clearing.unseal(order.warrant), order.warrant.turn
        scene = Scene.PUT_BACK if order.placed else Scene.PLACED
        if order.placed:
            self._believe(order.placed, proposal, turn)
        wanted = await self._captured(proposal, turn) if order.placed else proposal.plan.after
        async with transcribed(
            self._tools, proposal.plan.subject, turn, scene.name.lower(), f"rehearse: {scene}"
        ):
            verdict = await look_until_well(self._tools, proposal, wanted)
            seen = await self._observed(proposal)
        astray = _astray(proposal.plan, wanted, seen)
        rehearsal = Rehearsal(
            subject=proposal.plan.subject,
            turn=turn,
            intent=proposal.plan.intent,
            scene=scene,
            passed=verdict.passed and not astray,
            undone=put_back_in(proposal.plan, seen) if order.placed else (),
            untried=untried(proposal.plan, seen),
            sentences=astray or verdict.sentences,
            at=self._tools.clock.now(),
        )
        return self._archive.seal(self._tools.environment, rehearsal)

    def _believe(self, placed: Sealed, proposal: Proposal, turn: int) -> None:
        seen = self._archive.unseal(placed, self._tools.environment, Rehearsal)
        own = (proposal.plan.subject, turn, proposal.plan.intent, Scene.PLACED)
        if not seen.passed or (seen.subject, seen.turn, seen.intent, seen.scene) != own:
            why = (
                f"Turn {turn} of {proposal.plan.subject} was not seen to stand before its undo was rehearsed."
            )
            refusal = Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.EVIDENCE)
            raise not_cleared(refusal, journaled=True)

    async def _captured(self, proposal: Proposal, turn: int) -> Mapping[str, Holding]:
        """Return what should stand where it was put back: what was captured, but for pivots, which stay."""
        acts = range(1, len(proposal.plan.steps) + 1)
        entries = await self._archive.entries(proposal.plan.subject, turn, acts)
        return proposal.plan.kept | {entry.step.berth: _left(entry) for entry in entries if not entry.void}

    async def _observed(self, proposal: Proposal) -> dict[str, Holding]:
        """Look at every berth of the plan whose target can show what it holds."""
        subject, terms = proposal.plan.subject, proposal.terms
        targets = {
            step.berth: self._tools.target(terms.targets[step.berth], subject, step.berth)
            for step in proposal.plan.steps
        }
        visible = {berth: target for berth, target in targets.items() if target.repeatable}
        looks = await asyncio.gather(*(target.observe() for target in visible.values()))
        return {berth: look.capture.holding for berth, look in zip(visible, looks, strict=True)}


async def rehearsal_notes(
    archive: Archive, steps: Sequence[Step], terms: Terms, configuration: Configuration, subject: Subject
) -> list[str]:
    """Say what the environments before have proven of the undo, and whether it will be rehearsed here."""
    place = configuration.place(subject)
    earlier = [subject.but(environment=name) for name in (place.after if place else ())]
    way = [
        Seen(one.environment, rehearsed(await _believed(archive, one)))
        for one in earlier
        if configuration.rehearses(one)
    ]
    return [*say_seen(steps, way), *(say_ahead(steps) if terms.rehearse else ())]


async def _believed(archive: Archive, subject: Subject) -> list[Receipt]:
    """Return an environment's newest receipts; none where one is not its own: that is said of its way."""
    try:
        return await archive.newest_receipts(subject, RECEIPTS_REMEMBERED)
    except BadSealError:
        return []


def _left(entry: Entry) -> Holding:
    return entry.capture.holding if entry.step.can_be_undone else entry.step.after


def _astray(plan: Plan, wanted: Mapping[str, Holding], seen: Mapping[str, Holding]) -> tuple[str, ...]:
    """Say what does not stand there although it should."""
    return tuple(
        f"{step.berth} should hold {wanted.get(step.berth, 'what was captured')}, and holds {seen[step.berth]}"
        for step in plan.steps
        if step.berth in seen and not _as_wanted(step, wanted, seen)
    )


def _as_wanted(step: Step, wanted: Mapping[str, Holding], seen: Mapping[str, Holding]) -> bool:
    expected = wanted.get(step.berth)
    return isinstance(expected, Unknown) or (expected is not None and same(expected, seen[step.berth]))
