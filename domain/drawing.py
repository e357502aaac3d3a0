"""How a plan is drawn up from what is asked, what is configured and what is held."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from domain.berth import at_of, component_of
from domain.environment import Absent, Holding, Placement, Unknown, same_content
from domain.journal import Receipt, can_be_rolled_back
from domain.names import Subject
from domain.outcome import Outcome
from domain.plan import Deed, Plan, Step, Undo, Verb, is_nothing_to_do, put_back
from domain.release import Component, Release
from domain.terms import Fleet, Request, Story
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
    kept: Mapping[str, Holding] = MappingProxyType({})
    """What is left alone, since the release brings what stands there already."""


def draw_promotion(
    release: Release,
    held: Mapping[str, Holding],
    traits: Mapping[str, TargetTraits],
    fleets: Mapping[str, Fleet] = MappingProxyType({}),
) -> Drawn:
    """Place every component of the release in each of its berths, in the order of ``traits``.

    What stands somewhere already with the same content is left alone there. Where all of it does, under another
    version, all is placed: people see the version that they promoted.
    """
    steps = tuple(
        _place(component, release, held.get(berth, Unknown()), berth, traits[berth]).but(
            wave=fleets.get(component.name, _NO_FLEET).wave(at_of(berth))
        )
        for berth in traits
        if (component := release.component(component_of(berth)))
    )
    done = (
        f"every component of {release.version} stands there already"
        if steps and is_nothing_to_do(steps)
        else ""
    )
    kept = {} if done else _left_alone(steps)
    steps = tuple(step for step in steps if step.berth not in kept)
    return Drawn(steps, _image_refusals(release, traits), done, (*_notes(steps, kept),), kept)


_NO_FLEET: Final = Fleet()


def _left_alone(steps: Sequence[Step]) -> dict[str, Holding]:
    alike = {step.berth: step.before for step in steps if same_content(step.before, step.after)}
    return alike if len(alike) < len(steps) else {}


def _notes(steps: Sequence[Step], kept: Mapping[str, Holding]) -> Iterator[str]:
    """Say, a sentence each, what people should know of these steps before they let them happen."""
    for step in steps:
        if step.is_pivot:
            yield f"{step.berth} cannot be undone: it is a pivot. {_after_pivot(step, steps)}"
    for step in steps:
        if not step.fenced:
            yield f"{step.berth} is not fenced: its target cannot refuse a late write"
    for step in steps:
        if not step.repeatable:
            yield f"{step.berth} is not repeatable: its target cannot say what it holds, so a retry asks a person"
    for berth, holding in kept.items():
        yield f"{berth} is left alone: {holding} stands there with the same content"


def _after_pivot(pivot: Step, steps: Sequence[Step]) -> str:
    others = [step.berth for step in steps if step.berth != pivot.berth and not step.is_pivot]
    if not others:
        return "Once it has run it stays, whatever becomes of this change"
    return f"Once it has run it stays, even where {', '.join(others)} is put back"


def _image_refusals(release: Release, traits: Mapping[str, TargetTraits]) -> tuple[str, ...]:
    return tuple(
        f"{berth} is the image {component.image}, and its target {trait.target} takes "
        "files only: give it a target that takes images, such as command or git"
        for berth, trait in traits.items()
        if (component := release.component(component_of(berth))) and component.image and not trait.images
    )


def _place(component: Component, release: Release, before: Holding, berth: str, traits: TargetTraits) -> Step:
    after = Placement(version=release.version, release=release.digest(), artifact=component.artifact)
    return Step(
        component=component.name,
        at=at_of(berth),
        target=traits.target,
        verb=Verb.PLACE,
        before=before,
        after=after,
        undo=traits.undo,
        fenced=traits.fenced,
        repeatable=traits.repeatable,
    )


def draw_rollback(request: Request, receipts: Iterable[Receipt]) -> Drawn:
    """Put back, newest first, the deeds of the newest change that has not been undone.

    What would leave nothing is done only where the turn is named: two rollbacks in a row would empty a place otherwise.
    """
    candidates = can_be_rolled_back(receipts)
    if not candidates:
        return Drawn((), refusals=(f"there is no change of {request.subject} that could be rolled back",))
    newest = candidates[0]
    if request.of is not None and request.of != newest.turn:
        return Drawn((), nothing_to_do=f"turn {request.of} is not the newest change that still stands")
    drawn = draw_undo(request.subject, newest.deeds)
    pivots = [deed.step.berth for deed in newest.deeds if deed.step.is_pivot]
    if pivots:
        why = f"{', '.join(pivots)} of {newest.version} cannot be undone: promote a fix instead"
        return Drawn((), refusals=(why,))
    if request.of is None and _leaves_nothing(newest, drawn.steps):
        why = (
            f"nothing stood there before {newest.version} of {request.subject}, and to undo it leaves nothing. Promote "
            f"a fix, or, where nothing is what you want, name its turn: --turn {newest.turn}"
        )
        return Drawn((), refusals=(why,))
    return drawn


def _leaves_nothing(receipt: Receipt, steps: Sequence[Step]) -> bool:
    left = receipt.after | {step.berth: step.after for step in steps}
    return bool(steps) and all(isinstance(held, Absent) for held in left.values())


def draw_undo(subject: Subject, deeds: Sequence[Deed]) -> Drawn:
    """Put back these deeds, newest first."""
    plan = Plan(subject=subject, steps=(), terms=_NO_TERMS)
    return Drawn(put_back(plan, deeds).steps)


_NO_TERMS = "sha256:" + "0" * 64


def draw_adoption(held: Mapping[str, Holding], traits: Mapping[str, TargetTraits]) -> Drawn:
    """Look at everything, change nothing."""
    steps = tuple(
        Step(
            component=component_of(berth),
            at=at_of(berth),
            target=traits[berth].target,
            verb=Verb.OBSERVE,
            before=holding,
            after=holding,
            undo=traits[berth].undo,
            fenced=traits[berth].fenced,
            repeatable=traits[berth].repeatable,
        )
        for berth, holding in held.items()
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
