"""What a plan's steps would change, said by those targets that can say it beforehand."""

from typing import Final

from activities.ports import Deed, PreviewingTarget, TargetRefusalError
from activities.releases import bring
from activities.tools import Tools
from domain.environment import Placement, same
from domain.fence import Fence
from domain.names import Subject
from domain.plan import Step
from domain.terms import Request, Terms

_NO_FENCE: Final = Fence(turn=0, act=0)
_LONGEST: Final = 6_000
"""How much all previews of a plan may be: a plan travels with its promotion."""


async def previews(
    tools: Tools, request: Request, terms: Terms, steps: tuple[Step, ...]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the diff of each component whose target has one, and, a sentence each, what it would refuse."""
    said: dict[str, str] = {}
    faults: list[str] = []
    for step in steps:
        target = tools.target(terms.targets[step.berth], request.subject, step.berth)
        if not isinstance(target, PreviewingTarget) or same(step.before, step.after):
            continue
        try:
            diff = await target.preview(await _deed(tools, request, step))
        except TargetRefusalError as refusal:
            faults.append(f"{step.berth} cannot be deployed to {request.subject.environment}: {refusal}")
            continue
        room = _LONGEST - sum(map(len, said.values()))
        said[step.berth] = diff if len(diff) <= room else "… its diff is too long to be shown here"
    return said, tuple(faults)


async def _deed(tools: Tools, request: Request, step: Step) -> Deed:
    subject: Subject = request.subject
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
