"""What will be done to an environment, in which order, and how each step is undone."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

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

    ``of`` names, for a step that restores, the deed that is undone: the journal entry with its capture.
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
    change: Digest | None = None

    @property
    def may_give_up(self) -> bool:
        """A deploy may give up; an undo may not."""
        return self.verb is not Verb.RESTORE

    def __str__(self) -> str:
        match self.verb:
            case Verb.PLACE:
                return f"{self.component}: {self.before} → {self.after}"
            case Verb.RESTORE:
                return f"{self.component}: put back {self.after}"
            case Verb.OBSERVE:
                return f"{self.component}: observe, change nothing"


class Plan(Value):
    """Ordered steps for one subject, with the terms that they are done by."""

    subject: Subject
    version: str = ""
    release: Digest | None = None
    steps: tuple[Step, ...]
    terms: Digest

    @property
    def intent(self) -> Digest:
        """Digest of what people approve: release, environment, actions, undo kinds, terms."""
        asked = [self.subject.service, self.subject.environment, self.release, _actions(self), self.terms]
        return digest_of(canonical(asked).encode())

    @property
    def basis(self) -> Digest:
        """Digest of what the plan was made against: the content held then."""
        held = [(step.component, step.target, _content(step.before)) for step in self.steps]
        return digest_of(canonical(held).encode())

    @property
    def goes_forward(self) -> bool:
        """Tell whether this plan may give up: what puts back may not."""
        return any(step.may_give_up for step in self.steps)

    @property
    def pivots(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.undo is Undo.PIVOT)

    @property
    def before(self) -> dict[str, Holding]:
        return {step.component: step.before for step in self.steps}

    @property
    def after(self) -> dict[str, Holding]:
        return {step.component: step.after for step in self.steps}


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
        f"{step.component} was to go from {step.before} to {step.after}, but {observed} stands there now, "
        "so undoing it would put back something else than was approved"
    )


def _actions(plan: Plan) -> list[tuple[str, ...]]:
    """What would be done, step by step, as far as people approve it."""
    return [
        (step.component, step.target, step.verb, step.undo, _content(step.after), *_promise(step))
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

    Left out are pivots, which cannot be undone, and observations, which did nothing.
    """
    steps = tuple(_restoring(deed) for deed in reversed(deeds) if _can_be_undone(deed.step))
    return plan.but(steps=steps)


def _can_be_undone(step: Step) -> bool:
    return step.undo is not Undo.PIVOT and step.verb is not Verb.OBSERVE


def _restoring(deed: Deed) -> Step:
    return deed.step.but(
        verb=Verb.RESTORE, before=deed.step.after, after=deed.step.before, of=deed.fence, change=None
    )


def is_nothing_to_do(steps: Iterable[Step]) -> bool:
    return all(step.verb is Verb.PLACE and same(step.before, step.after) for step in steps)
