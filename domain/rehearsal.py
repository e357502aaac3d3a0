"""Undoing before it is needed: what a rehearsal goes through, what it proves, and of which plan."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from domain.attempt import Kind
from domain.berth import Berth, component_of
from domain.environment import Holding, Placement, Unknown
from domain.names import Subject
from domain.plan import Plan, Step, Verb
from domain.refusal import Cause, Refusal
from domain.terms import Proposal, Terms
from domain.value import Digest, Value

NEVER: Final = "it is a pivot, and a pivot is never rehearsed"


class Scene(StrEnum):
    """How far a rehearsal has come."""

    PLACED = "placed"
    """What was asked for stands, and is well."""
    PUT_BACK = "put back"
    """What stood there before stands again, and is well."""


class PutBack(Value):
    """One berth whose undo was seen to work: what was taken away, and what stood there again."""

    berth: Berth
    away: Holding
    back: Holding

    def __str__(self) -> str:
        return f"{self.berth} {self.away} → {self.back}"


class Rehearsal(Value):
    """What the environment's own worker saw in one scene of a turn's rehearsal; sealed by it.

    ``untried`` says of each other berth of the plan why its undo is not proven.
    """

    subject: Subject
    turn: int
    intent: Digest
    scene: Scene
    passed: bool
    undone: tuple[PutBack, ...] = ()
    untried: dict[Berth, str] = {}
    sentences: tuple[str, ...] = ()
    at: datetime

    def __str__(self) -> str:
        undone = "; ".join(map(str, self.undone)) or "nothing"
        untried = "".join(f"; {berth} not: {why}" for berth, why in self.untried.items())
        return (
            f"undo rehearsed in {self.subject.environment}, {self.at:%Y-%m-%d %H:%M} UTC: {undone}{untried}"
        )


def rehearses(terms: Terms, plan: Plan) -> bool:
    """Tell whether a change by these terms undoes this plan once, and does it again."""
    return terms.rehearse and any(step.verb is Verb.PLACE and step.can_be_undone for step in plan.steps)


def again(plan: Plan) -> Plan:
    """Return what is done a second time: all that was put back. A pivot is done once, and stays."""
    return plan.but(steps=tuple(step for step in plan.steps if step.can_be_undone))


def acts(terms: Terms, plan: Plan) -> int:
    """Return how many deeds and undos a change takes that goes as planned."""
    extra = 2 * len(again(plan).steps) if rehearses(terms, plan) else 0
    return len(plan.steps) + extra


def untried(plan: Plan, seen: Mapping[Berth, Holding]) -> dict[Berth, str]:
    """Say of each berth why a rehearsal proves nothing of it: a pivot, or what cannot be seen to stand there."""
    said = {step.berth: NEVER for step in plan.pivots}
    blind = (step.berth for step in again(plan).steps if isinstance(seen.get(step.berth, Unknown()), Unknown))
    return said | dict.fromkeys(blind, "its target cannot show what it holds")


def put_back_in(plan: Plan, seen: Mapping[Berth, Holding]) -> tuple[PutBack, ...]:
    """Return what was undone, as it was seen then."""
    blind = untried(plan, seen)
    return tuple(
        PutBack(berth=step.berth, away=step.after, back=seen[step.berth])
        for step in plan.steps
        if step.berth not in blind
    )


def judge_rehearsal(proposal: Proposal, turn: int, seen: Rehearsal | None) -> Refusal | None:
    """A change is done only with evidence of its own rehearsal, where its terms ask for one."""
    if not rehearses(proposal.terms, proposal.plan):
        return None
    own = (proposal.plan.subject, turn, proposal.plan.intent, Scene.PUT_BACK)
    if seen and seen.passed and (seen.subject, seen.turn, seen.intent, seen.scene) == own:
        return None
    why = "It says it was done, without evidence that its undo was rehearsed."
    return Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.EVIDENCE)


class Seen(NamedTuple):
    """The rehearsals that an earlier environment's receipts tell of, newest first."""

    environment: str
    rehearsals: Sequence[Rehearsal]

    def of(self, step: Step) -> tuple[Rehearsal, PutBack] | None:
        """Return the newest in which the very content that this step places was undone."""
        return next(
            (
                (one, undone)
                for one in self.rehearsals
                for undone in one.undone
                if component_of(undone.berth) == step.component and _is_content_of(step, undone)
            ),
            None,
        )


def _is_content_of(step: Step, undone: PutBack) -> bool:
    away, after = undone.away, step.after
    return isinstance(away, Placement) and isinstance(after, Placement) and away.artifact == after.artifact


def say_seen(steps: Sequence[Step], way: Iterable[Seen]) -> Iterator[str]:
    """Say, for approvers, what each environment before has proven of the undo of these steps, and what not."""
    for seen in way:
        found = {step.berth: seen.of(step) for step in steps}
        for rehearsal in seen.rehearsals:
            undone = {str(one): one for told, one in filter(None, found.values()) if told == rehearsal}
            if undone:
                yield str(rehearsal.but(undone=tuple(undone.values()), untried={}))
        for step in steps:
            if found[step.berth] is None:
                why = NEVER if step.is_pivot else "no receipt there tells of it"
                yield f"not rehearsed in {seen.environment}: the undo of {step.berth}, for {why}"


def unproven(steps: Iterable[Step], way: Sequence[Seen]) -> tuple[str, ...]:
    """Say of each step that no environment before has proven its undo; nothing where one has.

    A pivot has no undo to be proven: people are told of it, and approve it, as such.
    """
    names = " or ".join(seen.environment for seen in way) or "any environment before"
    return tuple(
        f"the undo of {step.berth} was not rehearsed in {names}"
        for step in steps
        if step.verb is Verb.PLACE and step.can_be_undone and not any(seen.of(step) for seen in way)
    )


def say_ahead(steps: Sequence[Step]) -> Iterator[str]:
    """Say what a rehearsal will do to these steps, before anybody lets them happen."""
    pivots = [step.berth for step in steps if step.is_pivot]
    if not steps:
        return
    if len(pivots) == len(steps):
        yield f"its undo is not rehearsed: {', '.join(pivots)} cannot be undone"
        return
    stays = f"; {', '.join(pivots)} cannot be undone, is not rehearsed, and stays meanwhile" if pivots else ""
    yield f"its undo is rehearsed here: it is placed, put back and placed again{stays}"
