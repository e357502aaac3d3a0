"""How a plan is drawn up from what is asked, what is configured and what is held."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.environment import Holding, Placement, Unknown
from domain.journal import Receipt, can_be_rolled_back
from domain.names import Subject
from domain.outcome import Outcome
from domain.plan import Deed, Plan, Step, Undo, Verb, is_nothing_to_do, put_back
from domain.release import Component, Release
from domain.terms import Request, Story
from domain.value import short


class TargetTraits(NamedTuple):
    """What a target can do, as it says itself."""

    target: str
    undo: Undo
    fenced: bool
    repeatable: bool
    images: bool = False
    """Whether it takes a container image in place of files."""


class Drawn(NamedTuple):
    """The steps, and, a sentence each, why it cannot be done or need not be."""

    steps: tuple[Step, ...]
    refusals: tuple[str, ...] = ()
    nothing_to_do: str = ""
    notes: tuple[str, ...] = ()


def draw_promotion(
    release: Release, held: Mapping[str, Holding], traits: Mapping[str, TargetTraits]
) -> Drawn:
    """Place every component of the release, in the release's order."""
    steps = tuple(
        _place(component, release, held.get(component.name, Unknown()), traits[component.name])
        for component in release.components
        if component.name in traits
    )
    done = (
        f"every component of {release.version} stands there already"
        if steps and is_nothing_to_do(steps)
        else ""
    )
    notes = [f"{step.component} cannot be undone: it is a pivot" for step in steps if step.undo is Undo.PIVOT]
    notes += [
        f"{step.component} is not fenced: its target cannot refuse a late write"
        for step in steps
        if not step.fenced
    ]
    notes += [
        f"{step.component} is not repeatable: its target cannot say what it holds, so a retry asks a person"
        for step in steps
        if not step.repeatable
    ]
    refusals = tuple(
        f"{component.name} is the image {component.image}, and its target {traits[component.name].target} takes "
        "files only: give it a target that takes images, such as command or git"
        for component in release.components
        if component.image and component.name in traits and not traits[component.name].images
    )
    return Drawn(steps, refusals, done, tuple(notes))


def _place(component: Component, release: Release, before: Holding, traits: TargetTraits) -> Step:
    after = Placement(version=release.version, release=release.digest(), artifact=component.artifact)
    return Step(
        component=component.name,
        target=traits.target,
        verb=Verb.PLACE,
        before=before,
        after=after,
        undo=traits.undo,
        fenced=traits.fenced,
        repeatable=traits.repeatable,
    )


def draw_rollback(request: Request, receipts: Iterable[Receipt]) -> Drawn:
    """Put back, newest first, the deeds of the newest change that has not been undone."""
    candidates = can_be_rolled_back(receipts)
    if not candidates:
        return Drawn((), refusals=(f"there is no change of {request.subject} that could be rolled back",))
    newest = candidates[0]
    if request.of is not None and request.of != newest.turn:
        return Drawn((), nothing_to_do=f"turn {request.of} is not the newest change that still stands")
    drawn = draw_undo(request.subject, newest.deeds)
    pivots = [deed.step.component for deed in newest.deeds if deed.step.undo is Undo.PIVOT]
    if pivots:
        why = f"{', '.join(pivots)} of {newest.version} cannot be undone: promote a fix instead"
        return Drawn((), refusals=(why,))
    return drawn


def draw_undo(subject: Subject, deeds: Sequence[Deed]) -> Drawn:
    """Put back these deeds, newest first."""
    plan = Plan(subject=subject, steps=(), terms=_NO_TERMS)
    return Drawn(put_back(plan, deeds).steps)


_NO_TERMS = "sha256:" + "0" * 64


def draw_adoption(held: Mapping[str, Holding], traits: Mapping[str, TargetTraits]) -> Drawn:
    """Look at everything, change nothing."""
    steps = tuple(
        Step(
            component=component,
            target=traits[component].target,
            verb=Verb.OBSERVE,
            before=holding,
            after=holding,
            undo=traits[component].undo,
            fenced=traits[component].fenced,
            repeatable=traits[component].repeatable,
        )
        for component, holding in held.items()
    )
    return Drawn(steps)


def outcome_of(story: Story) -> Outcome:
    """Return the outcome of a change of this story that was done."""
    match story:
        case Story.PROMOTION:
            return Outcome.PROMOTED
        case Story.ROLLBACK | Story.SETTLEMENT:
            return Outcome.ROLLED_BACK
        case Story.ADOPTION:
            return Outcome.NOTHING_TO_DO


def say_plan(plan: Plan) -> str:
    """Say a plan in one line: ``site: 1.0.0 (3f9a12c4) → 2.0.0 (77aa01bd) [plan 1c2d3e4f]``."""
    steps = "; ".join(str(step) for step in plan.steps) or "nothing"
    return f"{steps} [plan {short(plan.intent)}]"
