"""What a plan's steps would change, said by those targets that can say it beforehand."""

from typing import Final, NamedTuple

from activities.ports import Deed, PreviewingTarget, Target, TargetRefusalError
from activities.releases import bring
from activities.tools import Tools
from domain.environment import Placement, same
from domain.fence import Fence
from domain.names import Subject
from domain.plan import Step
from domain.terms import Request, Terms
from domain.value import digest_of

_NO_FENCE: Final = Fence(turn=0, act=0)
_LONGEST: Final = 6_000
"""How much all previews of a plan may be: a plan travels with its promotion."""


class Previewed(NamedTuple):
    """The steps, with what their targets promise; the diffs by component; and, a sentence each, what is refused."""

    steps: tuple[Step, ...]
    diffs: dict[str, str]
    faults: tuple[str, ...] = ()


async def previews(tools: Tools, request: Request, terms: Terms, steps: tuple[Step, ...]) -> Previewed:
    """Ask each target that can say beforehand what it would change."""
    promised: list[Step] = []
    said: dict[str, str] = {}
    faults: list[str] = []
    for step in steps:
        promised.append(step)
        target = tools.target(terms.targets[step.berth], request.subject, step.berth)
        if not isinstance(target, PreviewingTarget) or same(step.before, step.after):
            continue
        try:
            preview = await target.preview(await _deed(tools, request.subject, step))
        except TargetRefusalError as refusal:
            faults.append(f"{step.berth} cannot be deployed to {request.subject.environment}: {refusal}")
            continue
        room = _LONGEST - sum(map(len, said.values()))
        if preview.diff:
            said[step.berth] = (
                preview.diff if len(preview.diff) <= room else "… its diff is too long to be shown here"
            )
        promised[-1] = step.but(change=digest_of(preview.actions.encode()) if preview.actions else None)
    return Previewed(tuple(promised), said, tuple(faults))


async def why_otherwise(tools: Tools, target: Target, subject: Subject, step: Step) -> str:
    """Say why a step would no longer do what was approved, or nothing. Only a step that promised is looked at."""
    if step.change is None or not isinstance(target, PreviewingTarget):
        return ""
    try:
        preview = await target.preview(await _deed(tools, subject, step))
    except TargetRefusalError as refusal:
        return f"{step.berth} would be refused now: {refusal}"
    if digest_of(preview.actions.encode()) == step.change:
        return ""
    return f"{step.berth} would now be changed in other ways than were approved: {preview.actions}"


async def _deed(tools: Tools, subject: Subject, step: Step) -> Deed:
    brought = None
    if isinstance(step.after, Placement):
        brought = await bring(tools.store, subject.service, step.component, step.after, tools.cache)
    return Deed(
        subject=subject,
        component=step.component,
        fence=_NO_FENCE,
        after=step.after,
        artifact=brought.file if brought else None,
        image=brought.image if brought else "",
        capture=None,
        said=_unheard,
    )


def _unheard(_line: str) -> None:
    """Nothing is done, so nothing is said."""
