"""How much is at stake in a change, so that people are asked by that."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from domain.environment import Placement
from domain.plan import Step, Undo
from domain.value import Value

MOST_CONDITIONS: Final = 20
LONGEST_EXPRESSION: Final = 2000


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


Condition = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_EXPRESSION)]
Conditions = Annotated[tuple[Condition, ...], Field(max_length=MOST_CONDITIONS)]


class RiskTable(Value):
    """When a change is of high or medium risk: where any of the expressions is true. Else it is low."""

    high: Conditions = ()
    medium: Conditions = ()


class Assessment(Value):
    """How much is at stake, and why."""

    level: Risk
    why: str


def is_change(step: Step) -> bool:
    """Tell whether other content is to stand there than before; a new version of the same content is none."""
    before, after = step.before, step.after
    if isinstance(before, Placement) and isinstance(after, Placement):
        return before.artifact != after.artifact
    return True


def usual(steps: Sequence[Step]) -> Assessment:
    """Assess a change where nobody wrote how: by what it does, and whether it can be undone."""
    changed = [step for step in steps if is_change(step)]
    if pivots := [step.component for step in changed if step.undo is Undo.PIVOT]:
        return Assessment(level=Risk.HIGH, why=f"{', '.join(pivots)} cannot be undone")
    if new := [step.component for step in changed if not isinstance(step.before, Placement)]:
        return Assessment(level=Risk.MEDIUM, why=f"{', '.join(new)} has nothing of ours to go back to")
    if len(changed) > 1:
        return Assessment(level=Risk.MEDIUM, why=f"{len(changed)} components change together")
    return Assessment(level=Risk.LOW, why="one component changes, and can be put back")


def highest(table: RiskTable, truths: Sequence[tuple[bool, str]]) -> Assessment:
    """Assess by a table, given what each condition came to, the high ones first, and its sentence.

    A condition that could not be told counts as true: nobody is spared an approval by a mistake.
    """
    count = len(table.high)
    for level, part in ((Risk.HIGH, truths[:count]), (Risk.MEDIUM, truths[count:])):
        for true, why in part:
            if true:
                return Assessment(level=level, why=why)
    return Assessment(level=Risk.LOW, why="no condition of the environment's table holds")
