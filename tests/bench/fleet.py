"""Fifty targets in five waves, there and back, beside a chain of them; and a release that is held to thirty rules."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from temporalio.client import Client

from activities.ports import Deed, Desk, Place, Rule
from activities.rules import RULES
from activities.tools import Tools
from domain.actor import Actor
from domain.configuration import Configuration
from domain.configuration_files import ServiceEnvironment
from domain.names import ENGINE_QUEUE, Subject, plan_id
from domain.outcome import Outcome, Phase
from domain.rule import RuleTerms
from domain.terms import Fleet, Proposal, Request, TargetTerms
from tests.bench.ear import Ear, listening
from tests.bench.figures import Figure
from tests.bench.yard import WatchedTarget, Yard

TARGETS: Final = 50
WAVES: Final = 5
RULED: Final = 30
ROUNDS: Final = 5
TAKES: Final = timedelta(milliseconds=100)
"""What a target takes for each deed and undo: the waves take that five times, a chain of targets fifty times."""
IN_WAVES: Final = Subject(service="s0", environment="e0")
IN_A_CHAIN: Final = Subject(service="s0", environment="e1")
UNRULED: Final = Subject(service="s0", environment="e2")
RULES_ASKED: Final = Subject(service="s0", environment="e3")
HARBOURS: Final = [f"t{number:02}" for number in range(TARGETS)]


class SlowTarget(WatchedTarget):
    """A target that takes its time."""

    async def place(self, deed: Deed) -> None:
        await asyncio.sleep(TAKES.total_seconds())
        await super().place(deed)

    async def restore(self, deed: Deed) -> None:
        await asyncio.sleep(TAKES.total_seconds())
        await super().restore(deed)


class FleetYard(Yard):
    """One service: in waves, in a chain, and at one target without rules and with many."""

    def _configuration(self, services: int, environments: int) -> Configuration:
        usual = super()._configuration(services, environments)
        stop = usual.services["s0"].environments["e0"].but(health=(), approval=None)
        wide = {f"site@{name}": TargetTerms(target="fake") for name in HARBOURS}
        size = TARGETS // WAVES
        waves = tuple(tuple(HARBOURS[first : first + size]) for first in range(0, TARGETS, size))
        service = usual.services["s0"].but(
            environments={
                "e0": _many(stop, wide, Fleet(waves=waves, parallel=size)),
                "e1": _many(stop, wide, Fleet(waves=(tuple(HARBOURS),), parallel=1)),
                "e2": stop,
                "e3": stop.but(rules=tuple(_rule(number) for number in range(RULED))),
            }
        )
        return usual.but(services={"s0": service})

    def _tools(self, environment: str) -> Tools:
        return super()._tools(environment)._replace(rule=self._rule)

    def _rule(self, terms: RuleTerms) -> Rule:
        return RULES[terms.rule](terms.settings, Desk(self.folder, {}))

    def _target(self, terms: TargetTerms, subject: Subject, component: str) -> WatchedTarget:
        return SlowTarget(terms.settings, Place(self.folder, subject, component), self.world, self.watch)


def _many(stop: ServiceEnvironment, targets: dict[str, TargetTerms], fleet: Fleet) -> ServiceEnvironment:
    return stop.but(targets=targets, fleets={"site": fleet})


def _rule(number: int) -> RuleTerms:
    """Return one of each quick kind in turn: nothing is asked of a program, or of somebody else's server."""
    kinds = (
        RuleTerms(rule="expression", settings={"expression": f'release.version != "0.{number}"'}),
        RuleTerms(rule="release_size", settings={"release_size": {"at_most": "1 GB"}}),
        RuleTerms(rule="expression", settings={"expression": f"plan.changes < {number + 10}"}),
    )
    return kinds[number % len(kinds)].but(name=f"rule {number}")


async def fleet(client: Client, folder: Path) -> Sequence[Figure]:
    """Measure both ways through many targets, and what thirty rules add to a plan."""
    with listening() as ear:
        async with FleetYard(client, folder, services=1, environments=4) as yard:
            await yard.make("1.0.0")
            await yard.make("2.0.0")
            for subject in (IN_WAVES, IN_A_CHAIN):
                await _promoted(yard, subject, "1.0.0")
            waves = await _promoted(yard, IN_WAVES, "2.0.0")
            chain = await _promoted(yard, IN_A_CHAIN, "2.0.0")
            back = await _rolled_back(yard, ear, IN_WAVES)
            rules = await _rules(yard)
    return [
        Figure("50 targets in 5 waves, ratio to a chain of 50", waves / chain, "×"),
        Figure("50 targets in 5 waves", waves, "s"),
        Figure("50 targets in a chain", chain, "s"),
        Figure("rollback of 50 targets, ratio to a chain of 50", back / chain, "×"),
        Figure("rollback of 50 targets", back, "s"),
        *rules,
    ]


async def _promoted(yard: Yard, subject: Subject, version: str) -> float:
    began = perf_counter()
    report = await (await yard.start(subject, version)).result()
    assert report.outcome is Outcome.PROMOTED, report.why
    return perf_counter() - began


async def _rolled_back(yard: Yard, ear: Ear, subject: Subject) -> float:
    change = f"change/{subject.service}/{subject.environment}"
    ear.forget(change, Phase.ENDED)
    began = perf_counter()
    await yard.ask_rollback(subject)
    await ear.hears(change, Phase.ENDED)
    taken = perf_counter() - began
    stand = {yard.world.version(f"{subject.environment}/{subject.service}/site@{name}") for name in HARBOURS}
    assert stand == {"1.0.0"}, stand
    return taken


async def _rules(yard: Yard) -> Sequence[Figure]:
    """Draw up a plan without rules and with them, in turn."""
    plain, ruled = [], []
    for number in range(ROUNDS + 1):
        plain.append(await _planned(yard, UNRULED, number, 0))
        ruled.append(await _planned(yard, RULES_ASKED, number, RULED))
    # In the first round whatever is loaded once is loaded.
    without, held = median(plain[1:]), median(ruled[1:])
    return [
        Figure("a plan that is held to 30 rules, ratio to one without", held / without, "×"),
        Figure("a plan that is held to 30 rules", held * 1000, "ms"),
        Figure("a plan without rules", without * 1000, "ms"),
    ]


async def _planned(yard: Yard, subject: Subject, number: int, rules: int) -> float:
    request = Request(subject=subject, version="1.0.0", actor=Actor(name="ana@example.com"))
    began = perf_counter()
    proposal: Proposal = await yard.client.execute_workflow(
        "PlanWorkflow",
        request,
        id=plan_id(subject, "1.0.0"),
        task_queue=ENGINE_QUEUE,
        result_type=Proposal,
    )
    taken = perf_counter() - began
    assert (proposal.refusals, len(proposal.rulings)) == ((), rules), (number, proposal.refusals)
    return taken
