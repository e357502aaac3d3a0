"""Somebody who reaches Temporal's port, or the store, and makes up what they need: refused, and nothing changes."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.command.v1 import (
    Command,
    CompleteWorkflowExecutionCommandAttributes,
    ModifyWorkflowPropertiesCommandAttributes,
)
from temporalio.api.common.v1 import Memo, Payload, Payloads
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure, TimeoutFailureInfo
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities.refusing import NOT_CLEARED, OVER
from domain.actor import Actor
from domain.answer import Ask, Done, NotBegun, Told
from domain.attempt import Kind
from domain.environment import Placement
from domain.fence import Fence
from domain.journal import Settled
from domain.logbook import Attempt
from domain.names import change_id, journal_prefix, promotion_id, receipt_prefix
from domain.order import Account, Left, StepOrder
from domain.outcome import Outcome, Phase
from domain.plan import Step, Undo, Verb
from domain.roles import Roles
from domain.status import LaneStatus, PromotionStatus
from domain.terms import CheckTerms, Proposal, Request, Sealed, Story
from domain.value import Value
from domain.warrant import Warrant
from tests.fakes import Bell
from tests.news import news
from tests.replaying import PUPPET
from tests.survival.waiting import until
from tests.temporal_cli import Shell
from tests.town import Town
from tests.workflows.attacks import (
    Attacker,
    asks,
    attacking,
    complete,
    fail,
    now,
    steal,
    step_of,
    stolen,
    until_stuck_on,
    world_of,
)
from workers.reckoning import reckon

UNKNOWN: Final[Any] = 99
"""No number of any enumeration."""


@pytest.fixture
async def attacker(town: Town) -> AsyncIterator[Attacker]:
    async with attacking(town) as one:
        yield one


@pytest.fixture
def shell(town: Town, tmp_path: Path) -> Shell:
    return Shell(town.client, tmp_path)


def undo_of(turn: int, standing: Placement) -> Step:
    """Make up the undo of the first deed of a turn."""
    return Step(
        component="site",
        target="fake",
        verb=Verb.RESTORE,
        before=standing,
        after=standing,
        undo=Undo.RESTORE,
        fenced=True,
        repeatable=True,
        of=Fence(turn=turn, act=1),
    )


def account_of(warrant: Warrant, settled: Settled) -> Account:
    outcome = Outcome.PROMOTED if settled is Settled.DONE else Outcome.ROLLED_BACK
    return Account(warrant=warrant, settled=settled, outcome=outcome, began=datetime.now(UTC))


async def open_warrant(town: Town, environment: str) -> Warrant:
    """Read, in its history, the warrant of the change that has the lane: anybody can."""
    change = await town.change(environment)
    return await stolen(change)


@pytest.mark.parametrize(
    ("name", "turn", "refusal"),
    [
        ("", 0, "it comes from the workflow “mischief/"),
        ("change", 0, "does not have turn"),
        ("change", 2**62, "is more than a day ahead of the clock"),
    ],
)
async def test_a_deed_ordered_by_a_strangers_workflow_is_not_done(
    town: Town, attacker: Attacker, name: str, turn: int, refusal: str
) -> None:
    """
    Genuine terms, a made-up approval and a workflow named like a change's open nothing: the lane gave it no turn.
    """
    await town.stands("1.0.0", town.dev, town.staging)
    warrant = await attacker.warrant(town.production, "1.0.0", turn or now())
    before = world_of(town)
    workflow_id = change_id(warrant.request.subject, warrant.turn) if name else ""

    said = await attacker.has(
        "perform", town.production, StepOrder(warrant=warrant, step=step_of(warrant), act=1), workflow_id
    )

    assert refusal in str(said)
    assert world_of(town) == before
    assert await town.alarmed() == [Kind.STRANGER]


async def test_a_deed_ordered_by_what_has_the_kind_and_id_of_a_change_is_told_of(
    town: Town, attacker: Attacker
) -> None:
    """
    It is refused as an honest change is that was overtaken; who started it, the server is asked.
    """
    await town.promoted("1.0.0", town.dev)
    warrant = await attacker.warrant(town.staging, "1.0.0", now())
    order = StepOrder(warrant=warrant, step=step_of(warrant), act=1)
    own_id = change_id(warrant.request.subject, warrant.turn)

    said = await attacker.has("perform", town.staging, order, own_id, kind="ChangeWorkflow")

    assert "does not have turn" in str(said)
    assert await town.alarmed() == [Kind.STRANGER]


Forge = Callable[[Sealed], Sealed]
FORGERIES: Final[Mapping[str, Forge]] = {
    "another body": lambda sealed: sealed.but(body=sealed.body.replace('"quorum":1', '"quorum":0')),
    "another signature": lambda sealed: sealed.but(signature=sealed.signature[::-1]),
    "no signature": lambda sealed: sealed.but(signature=""),
    "another kind": lambda sealed: sealed.but(kind="receipt"),
    "another key": lambda sealed: sealed.but(key="ed25519:0000"),
}


async def test_terms_with_a_forged_seal_open_nothing(town: Town, attacker: Attacker) -> None:
    """
    Whoever changes the terms breaks their seal, and is told so before anything is looked at.
    """
    await town.stands("1.0.0", town.dev, town.staging)
    warrant = await attacker.warrant(town.production, "1.0.0", now())
    assert warrant.proposal
    before = world_of(town)

    for name, forge in FORGERIES.items():
        forged = warrant.but(proposal=forge(warrant.proposal))
        for verb, order in (
            ("perform", StepOrder(warrant=forged, step=step_of(warrant), act=1)),
            ("conclude", account_of(forged, Settled.DONE)),
            ("conclude", account_of(forged, Settled.UNDONE)),
        ):
            said = await attacker.has(
                verb, town.production, order, change_id(forged.request.subject, forged.turn)
            )

            assert "This warrant opens nothing" in str(said), name
    assert world_of(town) == before
    assert set(await town.alarmed()) == {Kind.STRANGER, f"{3 * len(FORGERIES) - 1} more attempts"}


async def test_terms_of_one_environment_open_no_other(town: Town, attacker: Attacker) -> None:
    """
    What dev has sealed, production does not believe.
    """
    town.make("1.0.0")
    warrant = await attacker.warrant(town.dev, "1.0.0", now())
    before = world_of(town)

    said = await attacker.has(
        "perform",
        town.production,
        StepOrder(warrant=warrant, step=step_of(warrant), act=1),
        change_id(warrant.request.subject, warrant.turn),
    )

    assert f"This worker serves {town.production}" in str(said)
    assert world_of(town) == before
    assert await town.alarmed() == [Kind.STRANGER]
    found = await town.audit(town.production)
    (attempt,) = (one.note for one in found.notes)
    assert isinstance(attempt, Attempt)
    assert (attempt.claimed, attempt.times) == ("eve@example.com", 1)


@pytest.mark.parametrize("verb", ["perform", "conclude"])
async def test_a_warrant_is_worth_nothing_after_its_turn(town: Town, attacker: Attacker, verb: str) -> None:
    """
    The real warrant of a change that has ended, used again under the change's own id: its turn has its receipt.
    """
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    warrant = await open_warrant(town, town.dev)
    town.world.slow[town.place(town.dev)].set()
    await handle.result()
    await town.promoted("2.0.0", town.dev)
    before = world_of(town)

    order: Value = StepOrder(warrant=warrant, step=step_of(warrant), act=7)
    if verb == "conclude":
        order = account_of(warrant, Settled.UNDONE)
    said = await attacker.has(verb, town.dev, order, change_id(warrant.request.subject, warrant.turn))

    assert verb == "conclude" or "has its receipt: it is over" in str(said)
    assert world_of(town) == before
    assert await town.alarmed() == [Kind.STRANGER]


async def test_nobody_undoes_a_change_that_is_under_way_but_itself(town: Town, attacker: Attacker) -> None:
    """
    Under the id of a turn that no lane gave, the deeds of the change that has the lane are not put back.
    """
    both = town.settings.configuration.services[town.service].environments[town.dev].targets["site"]
    town.change_place(town.dev, targets={"site": both, "api": both}, health=())
    town.make("1.0.0", ("site", "api"))
    town.world.slow[town.place(town.dev, "api")] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    warrant = await open_warrant(town, town.dev)
    standing = town.world.held[town.place(town.dev)]
    assert isinstance(standing, Placement)
    before = world_of(town)
    mine = warrant.but(turn=warrant.turn + 1, asker="person/eve")

    said = await attacker.has(
        "perform",
        town.dev,
        StepOrder(warrant=mine, step=undo_of(warrant.turn, standing), act=1),
        change_id(warrant.request.subject, mine.turn),
    )

    assert f"has turn {warrant.turn} open" in str(said)
    assert world_of(town) == before
    assert await town.alarmed() == [Kind.STRANGER]
    town.world.slow[town.place(town.dev, "api")].set()
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_nobody_leaves_a_receipt_for_a_change_of_somebody_elses(town: Town, attacker: Attacker) -> None:
    """
    A receipt ends a turn and vouches for a release: a stranger's workflow leaves none, done or undone.
    """
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    open_one = await open_warrant(town, town.dev)
    before = world_of(town)

    for whose, settled in product(("a strange", "an unused", "the open"), Settled):
        turn = open_one.turn if whose == "the open" else now() - 1
        workflow_id = change_id(open_one.request.subject, turn) if whose == "an unused" else ""

        await attacker.has("conclude", town.dev, account_of(open_one.but(turn=turn), settled), workflow_id)

        assert world_of(town) == before, (whose, settled)
        assert await town.alarmed() == [Kind.STRANGER]
    town.world.slow[town.place(town.dev)].set()
    assert (await handle.result()).outcome is Outcome.PROMOTED
    assert len(await town.receipts(town.dev)) == 1


async def test_nobody_settles_a_change_but_its_lane(town: Town, attacker: Attacker) -> None:
    """
    Drawing up a settlement calls off what has not begun, so only the change that the lane started for it may.
    """
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    turn = (await town.lane_status(town.dev)).turn or 0
    request = Request(
        story=Story.SETTLEMENT, subject=town.subject(town.dev), actor=Actor(name="eve"), of=turn, slots=20
    )
    before = world_of(town)

    for workflow_id in ("", change_id(request.subject, turn + 1)):
        said = await attacker.has("draw_up", town.dev, request, workflow_id)
        assert "to settle anything" in str(said)
        assert await town.alarmed() == [Kind.STRANGER]
    await town.lane(town.dev).signal("ask", Ask(asker="person/eve", request=request))

    assert "a lane settles by itself" in (await town.lane_status(town.dev)).refused[-1].why
    assert world_of(town) == before
    town.world.slow[town.place(town.dev)].set()
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def told_by_lane(town: Town, environment: str, asker: str) -> Any:
    async with asyncio.timeout(20):
        async for _ in news(town.lane(environment)):
            told = (await town.lane_status(environment)).answers.get(asker)
            if told:
                return told.answer
    return None


async def test_an_ask_with_a_made_up_approval_begins_nothing(town: Town, attacker: Attacker) -> None:
    """
    Asked by hand, with genuine terms and a decision that no promotion was given, the change is not begun.
    """
    await town.stands("1.0.0", town.dev, town.staging)
    warrant = await attacker.warrant(town.production, "1.0.0", 0)
    ask = Ask(
        asker="person/eve", request=warrant.request, proposal=warrant.proposal, decisions=warrant.decisions
    )

    await asks(town, town.production, ask)

    answer = await told_by_lane(town, town.production, "person/eve")
    assert isinstance(answer, NotBegun)
    assert "is no longer asking for it" in answer.refusal.why
    assert town.world.version(town.place(town.production)) == "absent"
    assert await town.alarmed() == [Kind.WARRANT]


async def test_an_ask_in_a_promotions_name_needs_the_approval_that_this_was_given(
    town: Town, attacker: Attacker
) -> None:
    """
    While a promotion waits for its approval, an ask in its name, with one made up, is answered by what it says itself.
    """
    handle = await town.waiting_in_production("1.0.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.request
    assert status.proposal
    sealed = await attacker.draws_up(status.request)
    decision = attacker.approval(Proposal.model_validate_json(sealed.text))

    await asks(
        town,
        town.production,
        Ask(asker=handle.id, request=status.request, proposal=sealed, decisions=(decision,)),
    )

    answer = await told_by_lane(town, town.production, handle.id)
    assert isinstance(answer, NotBegun)
    assert town.world.version(town.place(town.production)) == "absent"
    assert await town.alarmed() == [Kind.WARRANT]
    await town.approve(handle)
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_an_ask_with_forged_terms_begins_nothing(town: Town, attacker: Attacker) -> None:
    """
    The lane cannot tell a forged seal, and need not: its environment can.
    """
    await town.stands("1.0.0", town.dev, town.staging)
    warrant = await attacker.warrant(town.production, "1.0.0", 0)
    assert warrant.proposal

    for number, forge in enumerate(FORGERIES.values()):
        asker, forged = f"person/eve-{number}", forge(warrant.proposal)
        ask = Ask(asker=asker, request=warrant.request, proposal=forged, decisions=warrant.decisions)
        await asks(town, town.production, ask)

        answer = await told_by_lane(town, town.production, asker)
        assert isinstance(answer, NotBegun)
        assert "opens nothing" in answer.refusal.why
        assert await town.alarmed() == [Kind.SEAL]
    assert town.world.version(town.place(town.production)) == "absent"


async def test_an_ask_of_another_day_moves_no_turn_ahead(town: Town, attacker: Attacker) -> None:
    """
    An ask, or the terms in it, dated far ahead is not believed: the lane's next turns would be too high for any effect.
    """
    await town.promoted("1.0.0", town.dev)
    warrant = await attacker.warrant(town.dev, "2.0.0", 0)
    assert warrant.proposal
    terms = Proposal.model_validate_json(warrant.proposal.text).model_dump(mode="json")
    naive, far = (
        warrant.proposal.but(body=json.dumps({**terms, "drawn_up": when}))
        for when in ("2999-01-01T00:00:00", "2999-01-01T00:00:00Z")
    )
    lane, ask = town.lane(town.dev), Ask(asker="person/eve", request=warrant.request)

    for forged in (
        ask.but(proposal=naive),
        ask.but(proposal=far),
        ask.but(dated=datetime(2999, 1, 1, tzinfo=UTC)),
    ):
        await lane.signal("ask", forged)

    assert (await town.promoted("2.0.0", town.dev)).outcome is Outcome.PROMOTED
    # Who asks twice in one name is asked which of the two; the first may have been answered by then.
    assert {*await town.alarmed()} <= {Kind.WARRANT, Kind.SPEAKING}


NOBODY: Final = ("", "x" * 1_500, "promotion/" + "x" * 1_500, "promotion/nobody/at/all", "🚀")


async def test_an_asker_that_is_nobody_does_not_hold_up_the_lane(town: Town) -> None:
    """
    An answer for an address that cannot be one is dropped, and the next in line has its turn.
    """
    await town.promoted("1.0.0", town.dev)
    lane = town.lane(town.dev)
    request = Request(story=Story.ADOPTION, subject=town.subject(town.dev), actor=Actor(name="eve"))

    for number, asker in enumerate(NOBODY, start=2):
        await lane.signal("withdraw", {"asker": asker, "reason": "r" * 20_000})
        await lane.signal("ask", Ask(asker=asker, request=request))

        report = await town.promoted(f"{number}.0.0", town.dev)

        assert report.outcome is Outcome.PROMOTED, asker

    assert {one for one in await town.alarmed() if "more attempt" not in one} == {Kind.SPEAKING}


async def test_a_big_ask_does_not_fell_the_lane(town: Town, attacker: Attacker) -> None:
    """
    What would be too big to start a change with is refused at the lane's door; many that fit leave it readable.
    """
    await town.promoted("1.0.0", town.dev)
    lane = town.lane(town.dev)
    request = Request(subject=town.subject(town.dev), version="9.9.9", actor=Actor(name="eve"))
    sealed = await attacker.draws_up(request)

    for size in (55_000, 30_000, 30_000, 30_000):
        padded = sealed.but(body=sealed.body + " " * size)
        await lane.signal("ask", Ask(asker=f"person/{uuid.uuid4()}", request=request, proposal=padded))
    await lane.signal("ask", Ask(asker="person/eve", request=request, proposal=sealed.but(body="{}")))

    refused = (await lane.query("status", result_type=LaneStatus)).refused
    assert "are the most that a change starts with" in refused[0].why
    assert "its proposal cannot be read" in refused[-1].why
    assert (await town.promoted("2.0.0", town.dev)).outcome is Outcome.PROMOTED


async def test_evidence_that_somebody_made_up_is_worth_nothing(town: Town, shell: Shell) -> None:
    """
    A soak completed by hand, with evidence that no worker sealed, is no soak: the change is put back.
    """
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)
    evidence = {
        "subject": town.subject(town.dev).model_dump(),
        "turn": (await town.lane_status(town.dev)).turn,
        "passed": True,
        "proven": True,
        "soaked": "full",
        "at": datetime.now(UTC).isoformat(),
    }
    sealed = Sealed(
        kind="evidence", environment=town.dev, key="", body=json.dumps(evidence), signature="made up"
    )

    said = await complete(shell, change, "soak", sealed)

    assert said.code == 0, said.text
    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    await town.until_alarmed(Kind.SEAL, Kind.EVIDENCE)
    assert (await town.promoted("2.0.0", town.staging)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("result", ["true", '"yes"', "[]", '{"body": "no paper"}'])
async def test_an_activity_completed_with_nonsense_holds_nothing_up(
    town: Town, shell: Shell, result: str
) -> None:
    """
    A change that somebody answers with nonsense ends, and its lane has it put back and goes on.
    """
    await town.stands("1.0.0", town.dev)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    change = await town.change(town.dev)

    said = await complete(shell, change, "perform", result)
    await town.until_alarmed(Kind.EVIDENCE)
    gate.set()

    assert said.code == 0, said.text
    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    town.world.slow.clear()
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED


@pytest.mark.parametrize("result", ["true", "[]", '{"newest": 1}'])
async def test_a_past_that_somebody_made_up_is_asked_for_again(town: Town, shell: Shell, result: str) -> None:
    """
    A lane ended for good over it, and with it whatever it had begun and whoever waited there: a rollback was lost.
    """
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    lane = town.lane(town.dev)
    await lane.terminate("somebody did")
    await town.close(town.dev)
    asked = asyncio.create_task(town.ask_lane(town.dev, Story.ROLLBACK))

    async def is_born_again() -> bool:
        return (await lane.describe()).status is WorkflowExecutionStatus.RUNNING

    await until(is_born_again)
    said = await complete(shell, lane, "recall", result)
    assert said.code == 0, said.text
    assert isinstance(town.bell, Bell)
    alarms = town.bell.alarms
    await until(lambda: any(f"what was done to {town.subject(town.dev)}" in one.headline for one in alarms))

    await town.open(town.dev)

    answer = await asyncio.wait_for(asked, 40)
    assert answer.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert (await town.lane_status(town.dev)).phase is Phase.IDLE


async def test_a_change_that_somebody_ended_with_nonsense_is_settled(town: Town) -> None:
    """
    Its lane ended for good over an answer that nobody could read, and nothing was put back until somebody came.
    """
    assert town.engine
    await town.stands("1.0.0", town.dev)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    town.world.sick.add("2.0.0")
    handle = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    change = await town.change(town.dev)
    async with town.engine.away():
        gate.set()
        async with asyncio.timeout(30):
            await steal(town.client, change.id, *nonsense())

    report = await asyncio.wait_for(handle.result(), 60)
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"


def nonsense() -> tuple[Command, Command]:
    """Say that it is nobody's of ours, and end it with what is no answer."""
    word = Payload(metadata={"encoding": b"json/plain"}, data=b'"nonsense"')
    marked = ModifyWorkflowPropertiesCommandAttributes(upserted_memo=Memo(fields={PUPPET: word}))
    ended = CompleteWorkflowExecutionCommandAttributes(result=Payloads(payloads=[word]))
    return (
        Command(
            command_type=CommandType.COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES,
            modify_workflow_properties_command_attributes=marked,
        ),
        Command(
            command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
            complete_workflow_execution_command_attributes=ended,
        ),
    )


async def test_health_that_somebody_made_up_lets_nothing_follow(town: Town, shell: Shell) -> None:
    """
    A change that is told by hand that all is well has no receipt: it is put back before anything else is done.
    """
    await town.stands("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.change_place(town.dev, health=(CheckTerms(check="fake", within=timedelta(seconds=30)),))
    forged = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.CHECKING_HEALTH)
    change = await town.change(town.dev)

    said = await complete(shell, change, "conclude", Left(well=True, evidence=("2.0.0 answers",)))

    assert said.code == 0, said.text
    await town.until_alarmed(Kind.EVIDENCE)
    assert (await forged.result()).outcome is Outcome.PROMOTED
    assert [receipt.version for receipt in await town.receipts(town.dev)] == ["1.0.0"]
    assert (await town.promoted("2.0.0", town.staging)).outcome is Outcome.REFUSED
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED
    assert await town.alarmed() == [Kind.UNACCOUNTED]
    written = [holding for place, _, holding in town.world.writes if place == town.place(town.dev)]
    assert [one.version for one in written if isinstance(one, Placement)] == [
        "1.0.0",
        "2.0.0",
        "1.0.0",
        "3.0.0",
    ]


@pytest.mark.parametrize("turn", ["another", "its own"])
async def test_an_ending_that_somebody_made_up_ends_no_turn(town: Town, turn: str) -> None:
    """
    A soak that fails with “this turn is over, and was promoted” leaves no receipt that says so: it is put back.

    Where the turn is right the change takes it for an answer, and its lane, the people and the auditor do not.
    """
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    change = await town.change(town.dev)
    number = int(change.id.rpartition("/")[2]) if turn == "its own" else 1
    answer = Done(turn=number, outcome=Outcome.PROMOTED, evidence=("eve says so",))

    failure = ApplicationError("eve says so", answer, type=OVER, non_retryable=True)
    await fail(town, change, "soak", failure)

    report = await asyncio.wait_for(handle.result(), 30)
    town.change_place(town.dev, soak=timedelta())
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED
    written = [holding for place, _, holding in town.world.writes if place == town.place(town.dev)]
    versions = [one.version for one in written if isinstance(one, Placement)]
    assert versions == ["1.0.0", "2.0.0", "1.0.0", "3.0.0"]
    said = [finding.what for finding in (await town.audit(town.dev)).findings]
    lie = "its record says that it was promoted, and no receipt says so"
    if turn == "another":
        assert report.outcome is Outcome.ROLLED_BACK
        await town.until_alarmed(Kind.EVIDENCE)
        assert lie not in said
    else:
        await town.until_alarmed(Kind.UNACCOUNTED, Kind.EVIDENCE)
        assert lie in said


@pytest.mark.parametrize(
    "failure",
    [
        Failure(application_failure_info=ApplicationFailureInfo(non_retryable=True, category=UNKNOWN)),
        Failure(
            application_failure_info=ApplicationFailureInfo(
                non_retryable=True, next_retry_delay=Duration(seconds=2**62)
            )
        ),
        Failure(timeout_failure_info=TimeoutFailureInfo(timeout_type=UNKNOWN)),
    ],
    ids=["category", "delay", "kind of timeout"],
)
async def test_a_failure_that_nobody_can_convert_is_a_failure(town: Town, failure: Failure) -> None:
    """
    A soak that fails with what does not exist is put back like one that fails: no task fails for ever.
    """
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)

    await fail(town, await town.change(town.dev), "soak", failure)

    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome is Outcome.ROLLED_BACK
    assert "how cannot be read" in report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    await town.until_alarmed(Kind.EVIDENCE)


@pytest.mark.parametrize("details", [(), ("nonsense",), ({"cause": 1}, False), ([], True)])
async def test_a_refusal_that_nobody_can_read_is_a_failure(town: Town, details: tuple[Any, ...]) -> None:
    """
    A soak that fails with a refusal of nonsense is put back like one that fails.
    """
    await town.stands("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(minutes=5))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)

    failure = ApplicationError("eve says no", *details, type=NOT_CLEARED, non_retryable=True)
    await fail(town, await town.change(town.dev), "soak", failure)

    report = await asyncio.wait_for(handle.result(), 30)
    assert (report.outcome, report.why) == (Outcome.ROLLED_BACK, "eve says no")
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    await town.until_alarmed(Kind.EVIDENCE)


async def test_health_that_somebody_made_up_is_found_by_the_environments_worker(
    town: Town, shell: Shell
) -> None:
    """
    Though nobody asks for anything more, what was forged is put back; a change that is under way is left alone.
    """
    await town.stands("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.change_place(town.dev, health=(CheckTerms(check="fake", within=timedelta(seconds=30)),))
    forged = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.CHECKING_HEALTH)
    change, tools = await town.change(town.dev), town.tools(town.dev)

    await reckon(town.client, tools, timedelta())
    busy = (await town.lane_status(town.dev)).turn
    await complete(shell, change, "conclude", Left(well=True, evidence=("2.0.0 answers",)))
    await forged.result()
    await town.until_alarmed(Kind.EVIDENCE)
    await reckon(town.client, tools, timedelta(), town.attempts_on(town.dev))
    assert await town.alarmed() == [Kind.UNACCOUNTED]
    settlement = town.lane(town.dev)
    async with asyncio.timeout(20):
        while town.world.version(town.place(town.dev)) != "1.0.0" or (await town.lane_status(town.dev)).turn:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.1)

    assert busy
    status = await town.lane_status(town.dev)
    assert (status.phase, status.unsettled) == (Phase.IDLE, ())
    assert [receipt.story for receipt in await town.receipts(town.dev)] == [
        Story.SETTLEMENT,
        Story.PROMOTION,
        Story.PROMOTION,
    ]
    told = (await settlement.describe()).history_length
    await reckon(town.client, tools, timedelta())
    assert (await settlement.describe()).history_length == told


def scribble(town: Town, key: str) -> None:
    """Change what was captured, so that the undo would put back something else."""
    town.store.content[key] = town.store.content[key].replace(b"1.0.0", b"6.6.6")


def take_elsewhere(town: Town, key: str) -> None:
    """Put a genuine entry of an earlier turn in the place of this one."""
    older = min(other for other in town.store.content if other.startswith(key.rsplit("/", 2)[0]))
    town.store.content[key] = town.store.content[older]


@pytest.mark.parametrize("alter", [scribble, take_elsewhere])
async def test_an_undo_from_an_altered_journal_is_refused_and_a_person_called(
    town: Town, bell: Bell, alter: Callable[[Town, str], None]
) -> None:
    """
    An undo does not put back what somebody else says stood there: the lane is unsettled, and somebody is called.

    A skip leaves the deed, but no receipt is left over a journal that cannot be believed: nothing moves on from it.
    """
    await town.promoted("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    folder = journal_prefix(town.subject(town.dev))

    def meddle(_: str, fence: Fence) -> None:
        if fence.act == 1:
            alter(town, f"{folder}/{fence.turn}/{fence.act}.json")

    town.world.before_write = meddle
    handle = await town.promote("2.0.0", town.dev)
    status = await town.until_change(town.dev, Phase.STUCK)

    assert "could not be undone" in status.waits_for
    assert town.world.version(town.place(town.dev)) == "2.0.0"
    assert (await town.lane_status(town.dev)).phase is Phase.UNSETTLED
    change = await town.change(town.dev)
    alarms = await _alarms(change, bell, town)
    assert f"{town.subject(town.dev)} is unsettled" in alarms[0].headline
    await change.signal("skip", {"by": "olga@example.com", "comment": "I have put it back"})
    again = await until_stuck_on(change, "is not well")
    assert again.phase is Phase.STUCK
    assert (await town.lane_status(town.dev)).phase is Phase.UNSETTLED
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert Kind.SEAL in await town.alarmed()


async def _alarms(change: WorkflowHandle[Any, Any], bell: Bell, town: Town) -> list[Any]:
    async with asyncio.timeout(20):
        async for _ in news(change):
            mine = [alarm for alarm in bell.alarms if alarm.subject == town.subject(town.dev)]
            if mine:
                return mine
    return []


@pytest.mark.parametrize("meddle", ["scribbled on", "moved"])
async def test_a_receipt_that_somebody_meddled_with_vouches_for_nothing(town: Town, meddle: str) -> None:
    """
    Altered, or taken to another turn, it opens no way onward and is rolled back by nobody: both say why.
    """
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    older, newer = sorted(
        key for key in town.store.content if key.startswith(receipt_prefix(town.subject(town.dev)))
    )
    town.store.content[newer] = (
        town.store.content[older]
        if meddle == "moved"
        else town.store.content[newer].replace(b"2.0.0", b"1.0.0")
    )

    report = await town.promoted("1.0.0", town.staging)
    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert report.outcome is Outcome.REFUSED
    assert "cannot be believed" in report.why
    assert isinstance(answer, NotBegun)
    assert "cannot be believed" in answer.refusal.why
    assert town.world.version(town.place(town.dev)) == "2.0.0"
    assert set(await town.alarmed()) == {Kind.SEAL}


async def test_nobody_withdraws_for_a_promotion(town: Town) -> None:
    """
    The lane asks it: the one that is under way goes on, so does the one that waits behind it, and people are told.
    """
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    running = await town.promote("1.0.0", town.dev)
    await town.until_change(town.dev, Phase.DEPLOYING)
    town.make("2.0.0")
    waiting = await town.promote("2.0.0", town.dev)
    await town.until(waiting, Phase.IN_LANE)

    later = promotion_id(town.subject(town.dev), "3.0.0")
    for asker in (later, running.id, waiting.id):
        await town.lane(town.dev).signal("withdraw", {"asker": asker, "number": 1, "reason": "eve"})
    await town.until_alarmed(Kind.SPEAKING)
    town.world.slow[town.place(town.dev)].set()

    reports = [await asyncio.wait_for(handle.result(), 30) for handle in (running, waiting)]
    assert [report.outcome for report in reports] == [Outcome.PROMOTED] * 2
    assert (await town.promoted("3.0.0", town.dev)).outcome is Outcome.PROMOTED
    refused = (await town.lane_status(town.dev)).refused
    assert {one.why for one in refused} == {
        f"{asker} does not say so itself" for asker in (later, running.id, waiting.id)
    }
    assert {*await town.alarmed()} <= {Kind.SPEAKING}


async def test_nobody_tells_a_promotion_that_it_was_done(town: Town) -> None:
    """
    An answer that no lane gave does not end a promotion.
    """
    town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    status: PromotionStatus = await town.until(handle, Phase.IN_LANE)
    turn = (await town.lane_status(town.dev)).turn or 0
    forged = Told(number=status.number, answer=Done(turn=turn, outcome=Outcome.PROMOTED))

    await handle.signal("told", forged)

    assert (await handle.query("status", result_type=PromotionStatus)).phase is Phase.IN_LANE


@pytest.mark.parametrize("story", [Story.ROLLBACK, Story.SETTLEMENT, Story.PROMOTION])
async def test_where_roles_are_given_nobody_goes_back_by_a_turn_of_their_own(
    town: Town, attacker: Attacker, story: Story
) -> None:
    """
    With the lane gone nobody gives turns; what stands is undone even so by a sealed plan alone, of who may ask.
    """
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    files = town.settings.configuration.environments
    roles = Roles.model_validate({"operate": {"people": ["olga@example.com"]}})
    files |= {town.dev: files[town.dev].but(roles=roles)}
    town.settings.configuration = town.settings.configuration.but(environments=files)
    standing = town.world.held[town.place(town.dev)]
    assert isinstance(standing, Placement)
    assert standing.fence
    await town.lane(town.dev).terminate("by somebody who would go back")
    request = Request(story=story, subject=town.subject(town.dev), actor=Actor(name="eve@example.com"))
    sealed = None
    if story is not Story.SETTLEMENT:
        sealed = await attacker.draws_up(request.but(version="1.0.0" if story is Story.PROMOTION else None))
    mine = Warrant(asker="person/eve", turn=now(), request=request, proposal=sealed)
    before = world_of(town)

    said = await attacker.has(
        "perform",
        town.dev,
        StepOrder(warrant=mine, step=undo_of(standing.fence.turn, standing), act=1),
        change_id(request.subject, mine.turn),
    )

    assert "This warrant opens nothing" in str(said)
    assert world_of(town) == before
    assert await town.alarmed() == [Kind.STRANGER]
