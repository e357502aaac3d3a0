"""Holding a release to its rules, on the environment's worker: all at once, and within a time."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError
from temporalio import activity

from activities.archive import Archive
from activities.expressions import thinking
from activities.ports import BadSealError, Case, Judgement, Rule
from activities.tools import Tools
from domain.configuration import Configuration
from domain.dossier import dossier, waypoint
from domain.journal import Receipt
from domain.names import Subject
from domain.plan import Step
from domain.release import Release
from domain.risk import Assessment, RiskTable, highest, usual
from domain.rule import RuleTerms, Ruling, abridged, cut, marks_of, rule_on
from domain.terms import Request
from domain.value import say_duration

JUDGING: Final = timedelta(minutes=10)
"""All the rules of one release together: what is left of drawing up is for fetching it."""
AT_ONCE: Final = 4
WAY_REMEMBERED: Final = 20
"""How many receipts of an environment are read to find since when it holds a release."""


class Candidate(NamedTuple):
    """A release that asks to be let in, what would be done, and its artifacts, a verified file for each component."""

    request: Request
    release: Release
    steps: Sequence[Step]
    artifacts: Mapping[str, Path]


class Judged(NamedTuple):
    """What came of the rules, and how much is at stake."""

    rulings: tuple[Ruling, ...] = ()
    risk: Assessment | None = None
    held_to: tuple[str, ...] | None = None


class Judging:
    """Judges for one environment."""

    def __init__(self, tools: Tools, archive: Archive) -> None:
        self._tools = tools
        self._archive = archive

    async def judge(self, candidate: Candidate, configuration: Configuration) -> Judged:
        """Hold a release to every rule of this environment and service. Where none is written, nothing is done."""
        subject, steps = candidate.request.subject, candidate.steps
        rules, weighs = configuration.rules(subject), configuration.weighs_risk(subject)
        table = configuration.environments[subject.environment].risk
        if not rules and not table:
            return Judged(risk=usual(steps) if weighs else None, held_to=())
        async with self._case(candidate, configuration) as case:
            rulings = await self._rulings(rules, case)
            risk = await _assess(table, case) if table else usual(steps) if weighs else None
        return Judged(abridged(rulings), risk, marks_of(rules))

    @asynccontextmanager
    async def _case(self, candidate: Candidate, configuration: Configuration) -> AsyncGenerator[Case, None]:
        request, release, steps, artifacts = candidate
        place = configuration.place(request.subject)
        earlier = [request.subject.but(environment=name) for name in (place.after if place else ())]
        receipts = [await self._believed(one) for one in earlier]
        way = tuple(
            waypoint(release, one.environment, found) for one, found in zip(earlier, receipts, strict=True)
        )
        now = self._tools.clock.now()
        known = dossier(request, release, steps, way, now)
        async with thinking(known) as mind:
            yield Case(
                subject=request.subject,
                release=release,
                dossier=known,
                way=way,
                now=now,
                artifacts=artifacts,
                holds=mind.think,
                said=_say,
                steps=steps,
            )

    async def _believed(self, earlier: Subject) -> Sequence[Receipt]:
        """Return an environment's newest receipts; none where one is not its own. Drawing up says so."""
        try:
            return await self._archive.newest_receipts(earlier, WAY_REMEMBERED)
        except BadSealError:
            return ()

    async def _rulings(self, rules: Sequence[RuleTerms], case: Case) -> list[Ruling]:
        """Judge all, a few at once; what is not done when the time is over has not been kept."""
        turns = asyncio.Semaphore(AT_ONCE)
        work = [asyncio.create_task(self._ruling(one, case, turns)) for one in rules]
        if work:
            await _in_time(work)
        late = Judgement(
            passed=False, sentence=f"not judged within the {say_duration(JUDGING)} that all rules have"
        )
        return [
            _said(terms, late if done.cancelled() else done.result())
            for terms, done in zip(rules, work, strict=True)
        ]

    async def _ruling(self, terms: RuleTerms, case: Case, turns: asyncio.Semaphore) -> Judgement:
        async with turns:
            try:
                rule: Rule = self._tools.rule(terms)
            except (KeyError, ValidationError) as unknown:
                why = f"this worker cannot judge it: {cut(str(unknown), 100)}; upgrade the worker"
                return Judgement(passed=False, sentence=why)
            return await rule.judge(case)


async def _in_time(work: Sequence["asyncio.Task[Judgement]"]) -> None:
    """Wait until all is done or the time is over; whatever happens, nothing is left running."""
    try:
        await asyncio.wait(work, timeout=JUDGING.total_seconds())
    finally:
        for one in work:
            one.cancel()
        await asyncio.wait(work)


def _said(terms: RuleTerms, found: Judgement) -> Ruling:
    return rule_on(terms, found.sentence, found.output, passed=found.passed)


async def _assess(table: RiskTable, case: Case) -> Assessment:
    truths = []
    for condition in (*table.high, *table.medium):
        true, why = await case.holds(condition)
        shown = f"“{cut(condition, 120)}”"
        truths.append((true is not False, f"{shown} holds" if true else f"{shown} could not be told: {why}"))
    return highest(table, truths)


def _say(line: str) -> None:
    activity.logger.info("rule_said", extra={"line": line})
