"""Looking until it is well, or until its time is up."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from activities.ports import Check, Expected, Finding
from activities.tools import Tools
from activities.transcribing import say
from domain.berth import berth_of, component_of
from domain.environment import Holding, Placement
from domain.plan import Step, Verb
from domain.soak import Soaking
from domain.terms import CheckTerms, Fleet, Proposal

SHORTEST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(seconds=30)
LOOKS_A_SOAK: Final = 20


class Verdict(NamedTuple):
    """What all checks found together: a sentence each, and whether every one passed and any proved the revision."""

    sentences: tuple[str, ...]
    passed: bool
    proven: bool


async def look_until_well(tools: Tools, proposal: Proposal, expected: Mapping[str, Holding]) -> Verdict:
    """Run every check side by side until it passes or its time is up."""
    subject, began = proposal.plan.subject, tools.clock.now()
    applying = [terms for terms in proposal.terms.health if _applies(terms, expected)]
    looks = [(terms, looked_for(terms, expected)) for terms in applying]
    if not looks:
        looked_on = all(step.verb is Verb.OBSERVE for step in proposal.plan.steps)
        why = "nothing was changed, and nothing checked" if looked_on else "no health check applies"
        return Verdict((f"{why}, so nothing is proven",), passed=True, proven=False)
    if not any(isinstance(holding, Placement) for _, (_, holding, _) in looks):
        return Verdict(
            ("nothing is to stand there, so there is nothing to check",), passed=True, proven=False
        )
    findings = await asyncio.gather(
        *(
            _until_well(tools.check(terms), terms, Expected(subject, component, holding, began, say, beside))
            for terms, (component, holding, beside) in looks
        )
    )
    return Verdict(
        tuple(finding.sentence for finding in findings),
        passed=all(finding.passed for finding in findings),
        proven=any(finding.proven for finding in findings),
    )


async def watch(tools: Tools, proposal: Proposal, seen: Soaking) -> Verdict:
    """Look again and again until the soak is over, or what should stand there is not well; and note when it was."""
    return await _watch(tools, proposal, proposal.plan.after, seen, proposal.terms.soak)


async def watch_one(tools: Tools, proposal: Proposal, step: Step) -> Verdict:
    """See that one of a component's targets is well, by the checks that look at it alone, through its whole pause.

    Nothing is said where there is no such check.
    """
    own = tuple(terms for terms in proposal.terms.health if terms.looks_at(step.berth))
    alone = proposal.but(terms=proposal.terms.but(health=own))
    pause = proposal.terms.fleets.get(step.component, Fleet()).pause
    now = tools.clock.now()
    verdict = await _watch(tools, alone, {step.berth: step.after}, Soaking(now, now), pause)
    return verdict if own else verdict._replace(sentences=())


async def _watch(
    tools: Tools,
    proposal: Proposal,
    expected: Mapping[str, Holding],
    seen: Soaking,
    lasting: timedelta,
) -> Verdict:
    pause = min(max(lasting / LOOKS_A_SOAK, SHORTEST_PAUSE), LONGEST_PAUSE)
    while True:
        verdict = await look_until_well(tools, proposal, expected)
        seen.catch_up(tools.clock.now())
        left = seen.began + lasting - tools.clock.now()
        if not verdict.passed:
            return verdict
        seen.well = tools.clock.now()
        if left <= timedelta():
            return verdict
        await asyncio.sleep(min(pause, left).total_seconds())


async def _until_well(check: Check, terms: CheckTerms, expected: Expected) -> Finding:
    deadline, complaint = asyncio.get_running_loop().time() + terms.within.total_seconds(), ""
    while True:
        finding = await check.look(expected)
        if not finding.passed and finding.sentence != complaint:
            complaint = finding.sentence
            expected.said(f"not well: {complaint}")
        left = deadline - asyncio.get_running_loop().time()
        if finding.passed or left <= 0:
            return finding
        await asyncio.sleep(min(terms.every.total_seconds(), left))


def _applies(terms: CheckTerms, expected: Mapping[str, Holding]) -> bool:
    """Tell whether a check is about anything that should stand there: of what nobody touched, nothing is asked."""
    return bool(expected) and (terms.component is None or bool(_meant(terms, expected)))


def _meant(terms: CheckTerms, expected: Mapping[str, Holding]) -> list[str]:
    asked = berth_of(terms.component or "", terms.target)
    return [berth for berth in expected if asked in {berth, component_of(berth)}]


def looked_for(
    terms: CheckTerms, expected: Mapping[str, Holding]
) -> tuple[str | None, Holding, Mapping[str, Placement]]:
    """Return whose answer this check is to find: its component's, or the only one's, or that of any of several."""
    if meant := _meant(terms, expected):
        return terms.component, expected[meant[0]], {}
    first = next(iter(expected))
    if len(set(map(component_of, expected))) == 1:
        return component_of(first), expected[first], {}
    placed = {component_of(one): held for one, held in expected.items() if isinstance(held, Placement)}
    return None, next(iter((*placed.values(), expected[first]))), placed
