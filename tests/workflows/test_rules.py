"""A release is held to rules before anybody is asked, and people are asked by what is at stake."""

import asyncio
import time

from activities.archive import Archive
from activities.judging import Candidate, Judging
from activities.releases import fetch_artifact
from domain.actor import Actor
from domain.approval_written import Approval, ApprovalAtRisk
from domain.outcome import Outcome, Phase
from domain.plan import Step
from domain.risk import Risk, RiskTable
from domain.rule import MOST_RULES, RuleTerms, Weight
from domain.terms import Request
from tests.domain.test_risk import step
from tests.town import Town
from workflows import patience


def rule(kind: str, setting: object, weight: Weight = Weight.BLOCK, **words: str) -> RuleTerms:
    return RuleTerms.model_validate({"rule": kind, "settings": {kind: setting}, "severity": weight, **words})


def floor(town: Town, environment: str, **changes: object) -> None:
    """Change what the platform asks for in an environment, as an edit of its file would."""
    files = town.settings.configuration.environments
    changed = files | {environment: files[environment].but(**changes)}
    town.settings.configuration = town.settings.configuration.but(environments=changed)


async def test_a_release_that_keeps_no_rule_is_refused_with_every_reason(town: Town) -> None:
    """The floor's rules and the service's own are judged together; nothing is touched and nobody is asked."""
    floor(town, town.dev, rules=(rule("metadata", {"require": ["notes"]}), rule("expression", "1 == 2")))
    town.change_place(town.dev, rules=(rule("release_size", {"at_most": 1}, remedy="split it"),))

    report = await (await town.promote("1.0.0", town.dev)).result()

    assert report.outcome is Outcome.REFUSED
    assert "metadata: release 1.0.0 says nothing of its notes" in report.why
    assert "expression: “1 == 2” is false" in report.why
    assert "leave out what it does not need; split it" in report.why
    assert not town.world.held


async def test_as_many_rules_as_may_be_written_can_all_be_broken(town: Town) -> None:
    """A hundred refusals, in as many words as anybody may write, are one refusal and no trouble."""
    wordy = {"name": "name " * 20, "message": "says “no” " * 30, "remedy": "do so " * 50}
    broken = tuple(rule("metadata", {"require": ["notes"]}, Weight.BLOCK, **wordy) for _ in range(MOST_RULES))
    floor(town, town.dev, rules=broken)
    town.change_place(town.dev, rules=broken)
    handle = await town.promote("1.0.0", town.dev)

    report = await asyncio.wait_for(handle.result(), 30)
    status = await town.until(handle, Phase.ENDED)

    assert report.outcome is Outcome.REFUSED
    assert status.proposal
    assert len(status.proposal.rulings) == 2 * MOST_RULES


async def test_a_warning_is_put_before_the_approvers(town: Town) -> None:
    """What only warns, or notes, is in the sealed proposal, and stops nothing."""
    floor(
        town,
        town.dev,
        approval=Approval.model_validate({"from": ["managers"]}),
        rules=(
            rule("metadata", {"require": ["author"]}, Weight.WARN, name="who made it"),
            rule("metadata", {"require": ["notes"]}, Weight.NOTE),
            rule("release_size", {"at_most": 1000}),
        ),
    )
    handle = await town.promote("1.0.0", town.dev)

    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    await town.approve(handle)

    assert status.proposal
    assert status.proposal.notes[-2].startswith("warning: who made it: release 1.0.0 says nothing")
    assert status.proposal.notes[-1].startswith("metadata: release 1.0.0 says nothing of its notes")
    assert [one.passed for one in status.proposal.rulings] == [False, False, True]
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_people_are_asked_by_what_is_at_stake(town: Town) -> None:
    """The first release into an environment asks somebody; the next one, which can be put back, asks nobody."""
    floor(town, town.dev, approval=nobody_but(medium=1))
    first = await town.promote("1.0.0", town.dev)

    asked = await town.until(first, Phase.WAITING_FOR_APPROVAL)
    await town.approve(first)

    assert asked.proposal
    assert asked.proposal.risk
    assert asked.proposal.risk.level is Risk.MEDIUM
    assert (await first.result()).outcome is Outcome.PROMOTED
    report = await asyncio.wait_for((await town.promote("2.0.0", town.dev)).result(), 30)
    assert report.outcome is Outcome.PROMOTED


def nobody_but(**levels: int) -> Approval:
    """Nobody is asked but at these levels, and then of the managers."""
    own = {level: ApprovalAtRisk(quorum=quorum) for level, quorum in levels.items()}
    return Approval.model_validate({"quorum": 0, "from": ["managers"], **own})


async def test_a_floor_that_was_raised_holds_for_what_was_let_through(town: Town) -> None:
    """The effect asks by the sealed risk and the live configuration: nobody had to approve, and now somebody must."""
    risk = RiskTable(high=("size(release.components) > 5",), medium=("release.oops == 1",))
    floor(town, town.dev, risk=risk, approval=nobody_but(medium=0))
    environment = await town.freeze(town.dev)
    handle = await town.promote("1.0.0", town.dev)
    let_through = await town.until(handle, Phase.WAITING_FOR_GATE)
    floor(town, town.dev, approval=nobody_but(medium=1))

    await environment.signal("thaw", {"by": "olga@example.com"})
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)

    assert status.proposal
    assert status.proposal.risk
    assert status.proposal.risk.level is Risk.MEDIUM
    assert "could not be told" in status.proposal.risk.why
    assert status.intent != let_through.intent
    assert not town.world.held


async def test_a_rule_that_is_written_while_a_promotion_waits_is_judged(town: Town) -> None:
    """What was let through before is not done: it is held to the new rule first, and refused by that."""
    environment = await town.freeze(town.dev)
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    floor(town, town.dev, rules=(rule("metadata", {"require": ["notes"]}),))

    await environment.signal("thaw", {"by": "olga@example.com"})
    report = await asyncio.wait_for(handle.result(), 30)

    assert report.outcome is Outcome.REFUSED
    assert "says nothing of its notes" in report.why
    assert not town.world.held


async def test_thirty_rules_are_judged_at_once(town: Town) -> None:
    """A validation of thirty rules takes seconds, and the slow ones among them do not add up."""
    program = ["sh", "-c", "echo passed"]
    rules = (
        *(rule("expression", f"size(release.components) < {number + 2}") for number in range(20)),
        *(rule("command", program) for _ in range(5)),
        *(rule("metadata", {"require": ["author"]}, Weight.WARN) for _ in range(5)),
    )
    floor(town, town.dev, rules=rules)
    release = town.make("1.0.0")
    tools = town.tools(town.dev)
    request = Request(subject=town.subject(town.dev), version="1.0.0", actor=Actor(name="ana"))
    tar = await fetch_artifact(town.store, release.components[0].artifact, tools.cache)
    steps: list[Step] = [step()]
    judging = Judging(tools, Archive(town.store, tools.seals))
    began = time.monotonic()

    judged = await judging.judge(
        Candidate(request, release, steps, {"site": tar}), town.settings.configuration
    )

    assert [one.passed for one in judged.rulings] == [True] * 25 + [False] * 5
    assert time.monotonic() - began < patience.HEARTBEAT.total_seconds()
