"""What will be done to an environment, in which order, and how each step is undone."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby

from pydantic import Field

from domain.berth import Berth, berth_of
from domain.environment import Holding, Placement, Unknown, same
from domain.fence import Fence
from domain.names import Identifier, Subject
from domain.value import Digest, Value, canonical, digest_of, short


class Verb(StrEnum):
    PLACE = "place"
    """Put the component's artifact there."""
    RESTORE = "restore"
    """Put back what a journal entry captured."""
    OBSERVE = "observe"
    """Learn what stands there, and change nothing."""


class Undo(StrEnum):
    RESTORE = "restore"
    """The target puts back what it held before, by itself."""
    COMMAND = "command"
    """The owner's program puts it back."""
    PIVOT = "pivot"
    """There is no way back from here."""


class Step(Value):
    """One deed on one component at one target.

    ``of`` names, for a step that restores, the deed that is undone: the journal entry with its capture. ``at``
    says which target it is where the component has many; steps of one ``wave`` are done side by side.
    ``change`` is the digest of the actions that its target promises, where people approve those too.
    """

    component: Identifier
    target: Identifier
    verb: Verb
    before: Holding
    after: Holding
    undo: Undo
    fenced: bool
    repeatable: bool
    of: Fence | None = None
    at: Identifier | None = None
    wave: int = 0
    change: Digest | None = None

    @property
    def berth(self) -> str:
        return berth_of(self.component, self.at)

    @property
    def is_pivot(self) -> bool:
        """Tell whether there is no way back from this step."""
        return self.undo is Undo.PIVOT and self.verb is Verb.PLACE

    @property
    def can_be_undone(self) -> bool:
        """Tell whether there is anything to undo, and a way to."""
        return self.undo is not Undo.PIVOT and self.verb is not Verb.OBSERVE

    @property
    def may_give_up(self) -> bool:
        """A deploy may give up; an undo may not."""
        return self.verb is not Verb.RESTORE

    def __str__(self) -> str:
        match self.verb:
            case Verb.PLACE:
                pivot = " (PIVOT: cannot be undone)" if self.is_pivot else ""
                return f"{self.berth}: {self.before} → {self.after}{pivot}"
            case Verb.RESTORE:
                return f"{self.berth}: put back {self.after}"
            case Verb.OBSERVE:
                return f"{self.berth}: observe, change nothing"


class Plan(Value):
    """Ordered steps for one subject, with the terms that they are done by."""

    subject: Subject
    version: str = ""
    release: Digest | None = None
    steps: tuple[Step, ...]
    terms: Digest
    kept: dict[Berth, Holding] = Field(default_factory=dict)
    """What the release has too and stands there already, with the same content: it is left alone."""

    @property
    def waves(self) -> tuple[tuple[Step, ...], ...]:
        """The steps in the order of their doing. What is in one wave is done side by side."""
        return tuple(
            tuple(steps) for _, steps in groupby(self.steps, lambda step: (step.component, step.wave))
        )

    @property
    def components(self) -> tuple["Plan", ...]:
        """The plan cut into one for each component, in the order of their doing."""
        return tuple(
            self.but(steps=tuple(steps)) for _, steps in groupby(self.steps, lambda step: step.component)
        )

    def is_waited_for(self, step: Step) -> bool:
        """Tell whether another wave of the same component begins only once this step is well."""
        return any(one.component == step.component and one.wave > step.wave for one in self.steps)

    @property
    def intent(self) -> Digest:
        """Digest of what people approve: release, environment, actions, undo kinds, terms."""
        asked = [self.subject.service, self.subject.environment, self.release, _actions(self), self.terms]
        return digest_of(canonical(asked).encode())

    @property
    def basis(self) -> Digest:
        """Digest of what the plan was made against: the content held then."""
        held = [(step.berth, step.target, _content(step.before)) for step in self.steps]
        held += [(berth, "", _content(holding)) for berth, holding in self.kept.items()]
        return digest_of(canonical(held).encode())

    @property
    def goes_forward(self) -> bool:
        """Tell whether this plan may give up: what puts back may not."""
        return any(step.may_give_up for step in self.steps)

    @property
    def pivots(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.is_pivot)

    @property
    def before(self) -> dict[str, Holding]:
        return self.kept | {step.berth: step.before for step in self.steps}

    @property
    def after(self) -> dict[str, Holding]:
        return self.kept | {step.berth: step.after for step in self.steps}


def _content(holding: Holding) -> str:
    return f"{holding.release}@{holding.artifact}" if isinstance(holding, Placement) else holding.held


def material(old: Plan, new: Plan) -> tuple[str, ...]:
    """Say, a sentence each, how a new plan differs from the approved one in ways that approvers care about.

    Nothing is said, and the approval stands, where only times, turns and fences differ, or the terms: what
    was approved is still done by its own.
    """
    if (old.subject, old.release, _actions(old)) != (new.subject, new.release, _actions(new)):
        return (f"what would be done has changed since plan {short(old.intent)} was approved",)
    return tuple(
        material_difference(step, now.before)
        for step, now in zip(old.steps, new.steps, strict=True)
        if differs(step, now.before)
    )


def differs(step: Step, observed: Holding) -> bool:
    """Tell whether a target holds something else than the step was planned against.

    What could not be told then and cannot be told now has not been seen to change.
    """
    both_unknown = isinstance(step.before, Unknown) and isinstance(observed, Unknown)
    return not both_unknown and not same(step.before, observed)


def material_difference(step: Step, observed: Holding) -> str:
    return (
        f"{step.berth} was to go from {step.before} to {step.after}, but {observed} stands there now, "
        "so undoing it would put back something else than was approved"
    )


def _actions(plan: Plan) -> list[tuple[str, ...]]:
    """What would be done, step by step, as far as people approve it."""
    return [
        (step.berth, step.target, step.verb, step.undo, _content(step.after), *_promise(step))
        for step in plan.steps
    ]


def _promise(step: Step) -> tuple[str, ...]:
    return (step.change,) if step.change else ()


class Deed(Value):
    """A step that was begun, under this fence: it may have acted, so it will be undone."""

    step: Step
    fence: Fence


def put_back(plan: Plan, deeds: Sequence[Deed]) -> Plan:
    """Return the plan that undoes these deeds, newest first.

    Left out are pivots, which cannot be undone and stay, and observations, which did nothing.
    """
    steps = tuple(_restoring(deed) for deed in reversed(deeds) if deed.step.can_be_undone)
    return plan.but(steps=steps)


def say_staying(deeds: Iterable[Deed]) -> str:
    """Say which of these deeds stays, since there is no way back from it; nothing where all are put back."""
    staying = [deed.step.berth for deed in deeds if deed.step.is_pivot]
    return f"; {', '.join(staying)} cannot be undone, and was left as it is" if staying else ""


def _restoring(deed: Deed) -> Step:
    return deed.step.but(
        verb=Verb.RESTORE, before=deed.step.after, after=deed.step.before, of=deed.fence, change=None
    )


def is_nothing_to_do(steps: Iterable[Step]) -> bool:
    return all(step.verb is Verb.PLACE and same(step.before, step.after) for step in steps)
