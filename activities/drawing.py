"""Drawing up a proposal: what is asked, held against configuration, release, the way here and what stands there."""

import asyncio
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from temporalio import activity

from activities.admitting import Admitting
from activities.archive import RECEIPTS_REMEMBERED, Archive
from activities.gatehouse import Gatehouse
from activities.judging import Candidate, Judged, Judging
from activities.ports import BadSealError, ImageTarget, PlacedTarget, TargetRefusalError, TargetTroubleError
from activities.previewing import Previewed, previews
from activities.rehearsing import rehearsal_notes
from activities.releases import ReleaseRefusedError, fetch_artifact, read_release
from activities.tools import Tools
from activities.turns import Turns
from domain.berth import component_of
from domain.configuration import Configuration
from domain.drawing import (
    Drawn,
    TargetTraits,
    draw_adoption,
    draw_promotion,
    draw_rollback,
    draw_undo,
)
from domain.environment import Holding, Placement
from domain.fence import Fence
from domain.gate import say_observing
from domain.journal import Entry, OpenTurn, called_off
from domain.names import Subject
from domain.plan import Deed, Plan
from domain.release import ROLLBACK_BUDGET, Release
from domain.rule import notes, refusals
from domain.soak import cut_soak
from domain.terms import LaneTerms, Proposal, Request, Sealed, Story, Terms, in_waves
from domain.value import digest_of

LOOKS: Final = 5
"""A target that has not answered so often, within some seconds, is said to be away."""
UNCONFIGURED = digest_of(b"")


class _Draft(NamedTuple):
    drawn: Drawn
    terms: Terms
    release: Release | None = None
    refusals: tuple[str, ...] = ()
    judged: Judged = Judged()
    previews: Mapping[str, str] = MappingProxyType({})


class Drawing:
    """Draws up proposals for one environment."""

    def __init__(self, tools: Tools, archive: Archive, gatehouse: Gatehouse) -> None:
        self._tools = tools
        self._archive = archive
        self._admitting = Admitting(tools, archive, gatehouse)
        self._judging = Judging(tools, archive)

    async def propose(self, request: Request) -> Sealed:
        """Return the sealed proposal. What speaks against it is in it, as sentences; only a bug or a fault raises."""
        configuration = self._tools.configuration(request.subject.service)
        match request.story:
            case Story.PROMOTION:
                draft = await self._promotion(request, configuration)
            case Story.ROLLBACK:
                draft = await self._rollback(request, configuration)
            case Story.SETTLEMENT:
                draft = await self._settlement(request, configuration)
            case Story.ADOPTION:
                draft = await self._adoption(request, configuration)
        plan = Plan(
            subject=request.subject,
            version=draft.release.version if draft.release else "",
            release=draft.release.digest() if draft.release else None,
            steps=draft.drawn.steps,
            kept=dict(draft.drawn.kept),
            terms=draft.terms.digest(),
        )
        proposal = Proposal(
            request=request,
            release=draft.release,
            terms=draft.terms,
            plan=plan,
            drawn_up=self._tools.clock.now(),
            refusals=(*draft.refusals, *draft.drawn.refusals),
            nothing_to_do=draft.drawn.nothing_to_do,
            notes=(*draft.drawn.notes, *notes(draft.judged.rulings)),
            rulings=draft.judged.rulings,
            held_to=draft.judged.held_to,
            risk=draft.judged.risk,
            previews=dict(draft.previews),
        )
        return self._archive.seal(self._tools.environment, proposal)

    async def _promotion(self, request: Request, configuration: Configuration) -> _Draft:
        subject = request.subject
        if refusal := unknown_place(configuration, subject):
            return _Draft(Drawn(()), self._no_terms(), refusals=(refusal,))
        try:
            release = await read_release(self._tools.store, subject.service, request.version or "")
            artifacts = {
                part.name: await fetch_artifact(self._tools.store, part.artifact, self._tools.cache)
                for part in release.components
                if not part.image
            }
        except ReleaseRefusedError as error:
            terms = configuration.terms(subject, ROLLBACK_BUDGET, _nonce())
            return _Draft(Drawn(()), terms, refusals=(str(error),))
        terms = configuration.terms(subject, release.budget, _nonce())
        terms = terms.but(budget=in_waves(release.budget, terms.fleets.values()))
        astray = tuple(
            f"release {release.version} has a component {component.name}, which {subject.environment} has no "
            f"target for; add it under environments.{subject.environment} in services/{subject.service}.yaml"
            for component in release.components
            if component.name not in map(component_of, terms.targets)
        )
        carried = {component.name for component in release.components}
        held, traits, faults = await self._look(subject, terms, carried)
        drawn = draw_promotion(release, held, traits, terms.fleets)
        if drawn.nothing_to_do:
            drawn = await self._unless_cut_short(drawn, release, subject)
        if terms.lane != LaneTerms():
            drawn = drawn._replace(notes=(*drawn.notes, f"its lane: {terms.lane}"))
        kept_out = await self._admitting.of_release(release, configuration, subject)
        posed = await self._admitting.of_requester(request)
        unwarranted = self._admitting.unwarranted(request, configuration)
        shown = Previewed(drawn.steps, {})
        # A plan of Terraform's runs what the release says: nothing is looked at of one that may not come in.
        if not (faults or kept_out or posed or unwarranted):
            shown = await previews(self._tools, request, terms, drawn.steps)
        drawn = drawn._replace(steps=shown.steps)
        judged = Judged()
        if not drawn.nothing_to_do:
            told = await rehearsal_notes(self._archive, drawn.steps, terms, configuration, subject)
            drawn = drawn._replace(notes=(*drawn.notes, *told))
            candidate = Candidate(request, release, drawn.steps, artifacts)
            judged = await self._judging.judge(candidate, configuration)
        pivots, level = any(step.is_pivot for step in drawn.steps), judged.risk.level if judged.risk else None
        urgency = request.urgency
        terms = terms.but(
            approval=configuration.approval(subject, level, pivots=pivots, urgency=urgency),
            soak=configuration.soak(subject, urgency),
            urgency=urgency,
        )
        if terms.observe_only:
            drawn = drawn._replace(notes=(*drawn.notes, say_observing(subject.environment)))
        refused = (
            *unwarranted,
            *posed,
            *kept_out,
            *astray,
            *faults,
            *shown.faults,
            *refusals(judged.rulings),
        )
        return _Draft(drawn, terms, release, refused, judged, shown.diffs)

    async def _unless_cut_short(self, drawn: Drawn, release: Release, subject: Subject) -> Drawn:
        """Where a release stands whose soak was cut short, or that has no receipt yet, there is something to do."""
        try:
            receipts = await self._archive.receipts_of(subject, release.digest())
        except BadSealError:
            return drawn  # whoever comes after it says so
        cut = cut_soak(release, receipts) or await self._brought_by_open_turn(subject)
        if not cut:
            return drawn
        note = f"{release.version} stands there already, but {cut}: it is placed again, and soaks anew"
        return drawn._replace(nothing_to_do="", notes=(*drawn.notes, note))

    async def _brought_by_open_turn(self, subject: Subject) -> str:
        """Say so where a change is at work, or was lost: what it brought may be put back yet."""
        begun, closed = await self._archive.journal_turns(subject), await self._archive.receipt_turns(subject)
        turn = max(set(begun) - set(closed), default=0)
        return f"turn {turn}, which touched it, has not ended" if turn else ""

    async def _rollback(self, request: Request, configuration: Configuration) -> _Draft:
        terms = self._undo_terms(configuration, request.subject)
        try:
            receipts = await self._archive.newest_receipts(request.subject, RECEIPTS_REMEMBERED)
        except BadSealError as error:
            return _Draft(Drawn((), refusals=(f"a receipt cannot be believed: {error}",)), terms)
        if refused := await self._admitting.of_requester(request, receipts):
            return _Draft(Drawn(()), terms, refusals=refused)
        # Without the engine, a turn that was begun is gone on with.
        if activity.in_activity() and (lost := await self._lost(request.subject)):
            return _Draft(Drawn(()), terms, refusals=(lost,))
        drawn = draw_rollback(request, receipts)
        back = (step.after.version for step in drawn.steps if isinstance(step.after, Placement))
        # A rollback restores what was let in before: it is told, and not kept from it.
        notes = await self._admitting.banned(request.subject.service, back)
        return _Draft(drawn._replace(notes=(*drawn.notes, *notes)), terms)

    async def _settlement(self, request: Request, configuration: Configuration) -> _Draft:
        terms = self._undo_terms(configuration, request.subject)
        if request.of is None:
            return _Draft(Drawn((), refusals=("a settlement names the turn that it settles",)), terms)
        if await self._archive.receipt(request.subject, request.of):
            return _Draft(Drawn((), nothing_to_do=f"turn {request.of} has its receipt"), terms)
        entries = await self._closed_journal(request.subject, request.of, request.slots)
        lost = OpenTurn(turn=request.of, entries=tuple(entries))
        return _Draft(draw_undo(request.subject, await self._to_undo(lost)), terms)

    async def _to_undo(self, lost: OpenTurn) -> tuple[Deed, ...]:
        """A promotion that was lost is undone. A rollback without the engine that was lost is made after all."""
        going_back = next((deed.step.of for deed in lost.deeds if deed.step.of), None)
        if going_back is None:
            return lost.deeds
        subject, turn = lost.entries[0].subject, going_back.turn
        acts = (await self._archive.journal_turns(subject)).get(turn, [])
        entries = await self._archive.entries(subject, turn, acts)
        return await self._to_undo(OpenTurn(turn=turn, entries=tuple(entries)))

    async def _closed_journal(self, subject: Subject, turn: int, slots: int) -> list[Entry]:
        """Return the journal of a lost turn once nothing can be added to it: what has not begun is called off."""
        acts = (await self._archive.journal_turns(subject)).get(turn, [])
        known = await self._archive.entries(subject, turn, acts)
        last = max([slots, *(entry.steps for entry in known)])
        now = self._tools.clock.now()
        return [
            await self._archive.write_entry(called_off(subject, Fence(turn=turn, act=act), now))
            for act in range(1, last + 1)
        ]

    async def _adoption(self, request: Request, configuration: Configuration) -> _Draft:
        subject = request.subject
        if refusal := unknown_place(configuration, subject):
            return _Draft(Drawn(()), self._no_terms(), refusals=(refusal,))
        terms = self._undo_terms(configuration, subject).but(health=())
        asked = await Turns(self._archive).since_asked(request)
        if refused := await self._admitting.of_requester(request, asked):
            return _Draft(Drawn(()), terms, refusals=refused)
        if lost := await self._lost(subject):
            return _Draft(Drawn(()), terms, refusals=(lost,))
        held, traits, faults = await self._look(subject, terms, set(map(component_of, terms.targets)))
        return _Draft(draw_adoption(held, traits), terms, refusals=faults)

    async def _lost(self, subject: Subject) -> str:
        """Say so where the newest change is not accounted for: nobody knows then what the one before it is."""
        begun, closed = await self._archive.journal_turns(subject), await self._archive.receipt_turns(subject)
        if lost := sorted(begun.keys() - set(closed)):
            return f"turn {lost[-1]} of {subject} was begun, and no receipt says how it ended: it is settled first"
        return ""

    async def _look(
        self, subject: Subject, terms: Terms, components: set[str]
    ) -> tuple[dict[str, Holding], dict[str, TargetTraits], tuple[str, ...]]:
        """Observe the targets of these components, all at once; what cannot be looked at is said."""
        names = [name for name in terms.targets if component_of(name) in components]
        targets: Mapping[str, PlacedTarget] = {
            name: self._tools.target(terms.targets[name], subject, name) for name in names
        }
        seen = await asyncio.gather(
            *(target.observe() for target in targets.values()), return_exceptions=True
        )
        held: dict[str, Holding] = {}
        faults: list[str] = []
        for name, look in zip(names, seen, strict=True):
            match look:
                case TargetTroubleError() if not _is_new():
                    faults.append(f"{name} is away from {subject.environment}: {look}")
                case TargetRefusalError():
                    faults.append(f"{name} cannot be deployed to {subject.environment}: {look}")
                case BaseException():
                    raise look
                case _:
                    held[name] = look.capture.holding
        traits = {
            name: TargetTraits(
                target=terms.targets[name].target,
                undo=target.undo,
                fenced=target.fenced,
                repeatable=target.repeatable,
                images=isinstance(target, ImageTarget),
            )
            for name, target in targets.items()
        }
        return held, traits, tuple(faults)

    def _undo_terms(self, configuration: Configuration, subject: Subject) -> Terms:
        """Terms for what puts back or looks: no soak, and no gate. A service that is no longer configured has none."""
        if unknown_place(configuration, subject):
            return self._no_terms()
        return configuration.terms(subject, ROLLBACK_BUDGET, _nonce()).but(
            soak=Terms.model_fields["soak"].default, rehearse=False
        )

    def _no_terms(self) -> Terms:
        guarded = self._tools.configuration().is_guarded(self._tools.environment)
        return Terms(targets={}, configuration=UNCONFIGURED, guarded=guarded, nonce=_nonce())


def unknown_place(configuration: Configuration, subject: Subject) -> str:
    """Say why a service cannot go to an environment at all, or nothing where it can."""
    if subject.environment not in configuration.environments:
        name = subject.environment
        return f"there is no environment {name}; environments/{name}.yaml would be its file"
    if subject.service not in configuration.services:
        return f"there is no service {subject.service}; services/{subject.service}.yaml would be its file"
    if configuration.place(subject) is None:
        return (
            f"{subject.service} does not go to {subject.environment}; add it under environments in its file"
        )
    return ""


def _is_new() -> bool:
    """Tell whether this has hardly been tried yet, so that who is away may only be slow."""
    return activity.in_activity() and activity.info().attempt < LOOKS


def _nonce() -> str:
    return secrets.token_hex(16)
