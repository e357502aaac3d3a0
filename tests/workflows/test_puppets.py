"""
Somebody runs a lane, a promotion, an environment and a change of their own: what all of them say opens nothing.

The strongest attacker who has neither host nor key: every workflow that an effect asks answers as they like.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionDescription, WorkflowHandle
from temporalio.worker import Worker

from activities.archive import Archive
from activities.asking import Runs
from activities.auditing import Auditor
from activities.errands import TOLD
from activities.keyring import Keyring
from activities.lanes import Caller
from activities.reading import ask_around
from activities.signers import OpenSshSigners
from domain.actor import Actor, Channel
from domain.answer import Done, Told
from domain.attempt import Kind
from domain.environment import Placement
from domain.journal import Settled
from domain.names import change_id, effects_queue, lane_id, manifest_key, promotion_id
from domain.order import Account, Left, Performed, StepOrder
from domain.outcome import Outcome, Phase
from domain.record import OutcomeRecord, RequestRecord
from domain.status import LaneStatus, PromotionStatus
from domain.terms import Proposal, Request, Sealed, Story
from domain.trail import Piece
from domain.warrant import Warrant
from domain.windows import Window
from tests.news import news
from tests.town import Town
from tests.workflows.attacks import Attacker, attacking, now, stolen, until_stuck_on, world_of

pytestmark = pytest.mark.server
NO_LIES: Final[Mapping[str, Any]] = MappingProxyType({})
NEVER: Final = Window.model_validate({"days": ["mon"], "from": "03:00", "to": "03:01", "zone": "UTC"})


@pytest.fixture
async def attacker(town: Town) -> AsyncIterator[Attacker]:
    """Whatever they try, people are told that somebody tries."""
    async with attacking(town) as one:
        yield one
    assert Kind.STRANGER in one.told | {*await town.alarmed()}


async def posing(
    attacker: Attacker, town: Town, environment: str, release: str, lies: Mapping[str, Any] = NO_LIES
) -> Warrant:
    """Take a turn of one's own: whoever is asked, says that it is open and that a promotion asks."""
    if manifest_key(town.service, release) not in town.store.content:
        town.make(release)
    asker = promotion_id(town.subject(environment), release)
    warrant = await attacker.warrant(environment, release, now(), asker)
    await attacker.poses(warrant, **lies)
    return warrant


def account_of(warrant: Warrant, settled: Settled = Settled.DONE, soak: Sealed | None = None) -> Account:
    outcome = Outcome.PROMOTED if settled is Settled.DONE else Outcome.ROLLED_BACK
    return Account(warrant=warrant, settled=settled, outcome=outcome, soak=soak, began=datetime.now(UTC))


async def test_what_was_refused_is_not_let_in_by_whoever_asks_no_promotion(
    town: Town, attacker: Attacker
) -> None:
    """
    A plan is sealed with what speaks against it: here that staging has never held the release.
    """
    town.change_place(town.production, health=())
    warrant = await posing(attacker, town, town.production, "1.0.0")
    before = world_of(town)

    said = await attacker.performs(warrant)
    left = await attacker.does(warrant, "conclude", account_of(warrant))

    assert f"{town.staging} has never held 1.0.0" in said
    assert f"{town.staging} has never held 1.0.0" in str(left)
    assert world_of(town) == before


async def test_a_change_begins_with_whichever_deed_it_begins(town: Town, attacker: Attacker) -> None:
    """
    By another number it is neither a later deed, which no window stops, nor one that no account would find.
    """
    both = town.settings.configuration.services[town.service].environments[town.dev].targets["site"]
    town.change_place(town.dev, targets={"site": both, "api": both}, windows=(NEVER,))
    town.make("1.0.0", ("site", "api"))
    warrant = await posing(attacker, town, town.dev, "1.0.0")
    before = world_of(town)

    said = [await attacker.performs(warrant, act) for act in (1, 2, 3, 0)]

    assert "outside its windows" in said[0]
    assert "outside its windows" in said[1]
    assert [("none with number" in one) for one in said] == [False, False, True, True]
    assert world_of(town) == before


async def test_one_step_is_not_done_on_what_was_captured_for_another(town: Town, attacker: Attacker) -> None:
    """
    The deed of one component, under the number of another's, would have nothing to be undone by.
    """
    both = town.settings.configuration.services[town.service].environments[town.dev].targets["site"]
    town.change_place(town.dev, targets={"site": both, "api": both})
    town.make("1.0.0", ("site", "api"))
    warrant = await posing(attacker, town, town.dev, "1.0.0")
    assert warrant.proposal
    site, api = Proposal.model_validate_json(warrant.proposal.text).plan.steps
    await attacker.performs(warrant, step=site)

    said = await attacker.performs(warrant, step=api)

    assert f"is “{site}”" in said
    assert town.world.version(town.place(town.dev, "api")) == "absent"


async def test_a_soak_by_another_plan_is_no_soak(town: Town, attacker: Attacker) -> None:
    """
    Nor is one that was watched before the deed.
    """
    await town.promoted("1.0.0", town.dev)
    town.change_place(town.dev, soak=timedelta(hours=1))
    warrant = await posing(attacker, town, town.dev, "2.0.0")
    early = await attacker.does(warrant, "soak", warrant)
    adoption = warrant.request.but(story=Story.ADOPTION, version=None)
    short = await attacker.draws_up(adoption)

    done = await attacker.performs(warrant)
    soak = await attacker.does(warrant, "soak", warrant.but(proposal=short))

    assert "has not begun" in str(early)
    assert "placed 2.0.0" in done
    assert "was begun by plan" in str(soak)
    left = await attacker.does(warrant, "conclude", account_of(warrant))
    assert "without evidence of its soak" in str(left)


async def test_a_change_is_accounted_for_by_its_own_plan(town: Town, attacker: Attacker) -> None:
    """
    By one with no soak and no checks, as an adoption's, it leaves no receipt; nor does what was never begun.
    """
    await town.promoted("1.0.0", town.dev)
    town.change_place(town.dev, health=())
    warrant = await posing(attacker, town, town.dev, "2.0.0")
    never = await attacker.does(warrant, "conclude", account_of(warrant))
    await attacker.performs(warrant)
    request = warrant.request.but(story=Story.ADOPTION, version=None)
    other = warrant.but(request=request, proposal=await attacker.draws_up(request))
    await attacker.poses(other.but(request=request))

    left = await attacker.does(warrant, "conclude", account_of(other))

    assert "site was never begun" in str(never)
    assert "was begun by plan" in str(left)
    assert [one.version for one in await town.receipts(town.dev)] == ["1.0.0"]


async def test_what_was_not_undone_is_not_said_to_be(town: Town, attacker: Attacker) -> None:
    """
    A receipt of an undo that nobody made would leave what was never found well, in the name of what was.
    """
    await town.promoted("1.0.0", town.dev)
    town.change_place(town.dev, health=())
    warrant = await posing(attacker, town, town.dev, "2.0.0")
    await attacker.performs(warrant)

    left = await attacker.does(warrant, "conclude", account_of(warrant, Settled.UNDONE))

    assert not Left.model_validate(left).well
    assert "stands there yet" in str(left)
    assert [one.version for one in await town.receipts(town.dev)] == ["1.0.0"]


async def test_a_promotion_says_nothing_for_another_ones_record(town: Town, attacker: Attacker) -> None:
    """
    Whose record it is, is the server's word: neither another run's nor another version's is written on.
    """
    handle = await town.waiting_in_production("1.0.0")
    assert handle.result_run_id
    eve = RequestRecord(
        at=datetime.now(UTC),
        request=Request(subject=town.subject(town.production), version="1.0.0", actor=Actor(name="eve")),
    )
    records = Piece(records=(eve,)).model_dump(mode="json")["records"]
    before = {key: text for key, text in town.store.content.items() if key.startswith(("record/", "ledger/"))}

    for lies in (
        {"run": handle.result_run_id, "records": records},
        {"run": handle.result_run_id, "version": "1.0.0", "records": records},
        {"version": "1.0.0", "records": records},
    ):
        warrant = await posing(attacker, town, town.production, "2.0.0", lies)
        await attacker.performs(warrant)

    kept = {key: text for key, text in town.store.content.items() if key.startswith(("record/", "ledger/"))}
    assert kept == before


async def test_who_asks_is_asked_by_the_run_that_goes_on(
    town: Town, attacker: Attacker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A run that is known is not looked up again; once it is over, or says that it is another, it counts no more.
    """
    looked_up: list[str] = []
    describe = WorkflowHandle.describe

    async def counted(handle: WorkflowHandle[Any, Any], **kwargs: Any) -> WorkflowExecutionDescription:
        looked_up.append(handle.id)
        return await describe(handle, **kwargs)

    monkeypatch.setattr(WorkflowHandle, "describe", counted)
    warrant = await posing(attacker, town, town.dev, "1.0.0")
    subject, runs = town.subject(town.dev), Runs()
    caller = Caller(town.client, change_id(subject, warrant.turn), "some run")

    first = await ask_around(caller, subject, warrant, runs)
    again = await ask_around(caller, subject, warrant, runs)
    await attacker.poses(warrant)
    anew = await ask_around(caller, subject, warrant, runs)
    await attacker.poses(warrant, run=runs.of(warrant.asker))
    posing_as_it = await ask_around(caller, subject, warrant, runs)

    assert first.promotion
    assert again.promotion == first.promotion
    assert anew.promotion
    assert anew.promotion.run != first.promotion.run
    assert posing_as_it.unanswered == (warrant.asker,)
    assert [one for one in looked_up if one == warrant.asker] == [warrant.asker] * 3


async def test_a_lane_that_somebody_else_runs_ends_no_promotion(town: Town) -> None:
    """
    Who took the lane's place says that all is done, and so they tell it: it waits for the lane that is born anew.

    A change that lost its lane is put back.
    """
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    asked = await handle.query("status", result_type=PromotionStatus)
    told = Told(number=asked.number, answer=Done(turn=now(), outcome=Outcome.PROMOTED, evidence=("made up",)))
    lane = LaneStatus(subject=town.subject(town.dev), phase=Phase.IDLE, answers={handle.id: told})

    async with attacking(town) as attacker:
        await attacker.puts(lane_id(town.subject(town.dev)), lane.model_dump(mode="json"))
        await handle.signal(TOLD, told)
        async for _ in news(handle):
            asked = await handle.query("status", result_type=PromotionStatus)
            if any(one.door == TOLD for one in asked.refused) or asked.phase is Phase.ENDED:
                break
    gate.set()
    report = await handle.result()

    assert asked.phase is Phase.IN_LANE
    assert report.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "absent"


async def test_a_promotion_that_never_was_is_found_by_the_audit(town: Town, attacker: Attacker) -> None:
    """
    Anybody may have a promotion of their own kept, and have it say that it was promoted; no receipt says so.
    """
    await town.promoted("1.0.0", town.dev)
    made_up = OutcomeRecord(at=datetime.now(UTC), outcome=Outcome.PROMOTED)
    piece = Piece(records=(made_up,), closed="as ever")

    await attacker.has("keep", town.dev, piece, promotion_id(town.subject(town.dev), "6.6.6"))

    archive = Archive(town.store, Keyring(town.folder / "keys", town.settings))
    audit = await Auditor(town.store, archive, OpenSshSigners(town.folder)).audit(town.service, town.dev, "")
    (found,) = audit.findings
    assert (found.version, "no receipt says so" in found.what) == ("6.6.6", True)


async def test_nobody_adopts_over_what_is_not_accounted_for(town: Town, attacker: Attacker) -> None:
    """
    What was placed and never found well has no receipt; looking at it does not make up for that.
    """
    await town.promoted("1.0.0", town.dev)
    warrant = await posing(attacker, town, town.dev, "2.0.0")
    await attacker.performs(warrant)
    request = warrant.request.but(story=Story.ADOPTION, version=None)
    mine = warrant.but(turn=warrant.turn + 1, request=request, proposal=await attacker.draws_up(request))
    await attacker.poses(mine)

    left = await attacker.does(mine, "conclude", account_of(mine))

    assert f"turn {warrant.turn} of {town.subject(town.dev)} was begun" in str(left)
    assert [one.version for one in await town.receipts(town.dev)] == ["1.0.0"]


async def test_a_proof_that_somebody_claims_is_no_proof(town: Town) -> None:
    """
    Who asks writes a name; that it is proven is for the environment's worker to find.
    """
    town.make("1.0.0")
    actor = Actor(name="bo@example.com").model_dump(mode="json")
    request = Request(subject=town.subject(town.dev), version="1.0.0", actor=Actor(name="bo@example.com"))
    claimed = request.model_dump(mode="json") | {"actor": actor | {"proof": "ssh signature"}}

    handle = await town.client.start_workflow(
        "PromotionWorkflow",
        claimed,
        id=f"promotion/{town.service}/{town.dev}/1.0.0",
        task_queue="towpath",
    )
    await asyncio.wait_for(handle.result(), 30)

    (receipt,) = await town.receipts(town.dev)
    assert str(receipt.actor) == "bo@example.com (claimed, not proven)"
    assert receipt.actor.channel is Channel.START
    standing = town.world.held[town.place(town.dev)]
    assert isinstance(standing, Placement)


async def test_an_approval_that_was_spent_on_a_lost_change_is_spent(town: Town, attacker: Attacker) -> None:
    """
    Its change was terminated and put back: the same plan, with the same genuine yes, is not carried out again.
    """
    handle = await town.waiting_in_production("1.0.0")
    gate = town.world.slow[town.place(town.production)] = asyncio.Event()
    town.world.reached.clear()
    await town.approve(handle)
    await town.world.reached.wait()
    change = await town.change(town.production)
    spent = await stolen(change)
    await change.terminate("by somebody")
    gate.set()
    assert (await asyncio.wait_for(handle.result(), 30)).outcome is Outcome.ROLLED_BACK
    again = spent.but(turn=now())
    await attacker.poses(again)
    before = world_of(town)

    said = await attacker.performs(again)

    assert f"was carried out before, in turn {spent.turn}" in said
    assert world_of(town) == before


@asynccontextmanager
async def lied_to(town: Town, environment: str) -> AsyncIterator[None]:
    """Have a stranger's worker take the next step that is ordered there; at the end of the block it says it is done."""
    taken = asyncio.Event()

    @activity.defn(name="perform")
    async def perform(order: StepOrder) -> Performed:
        taken.set()
        await activity.wait_for_worker_shutdown()
        return Performed(did="all of it, as you wished", holds=order.step.after)

    await town.close(environment)
    async with Worker(
        town.client,
        task_queue=effects_queue(environment),
        activities=[perform],
        graceful_shutdown_timeout=timedelta(seconds=20),
        build_id="mischief",
    ):
        yield
        await asyncio.wait_for(taken.wait(), 20)
    await town.open(environment)


async def test_a_deed_that_a_strangers_worker_says_it_did_was_not_done(town: Town) -> None:
    """
    Whoever polls an environment's queue takes its orders. There is no journal of it, and so no receipt.
    """
    await town.reach_production("1.0.0")
    town.change_place(town.production, health=())
    handle = await town.waiting_in_production("2.0.0")

    async with lied_to(town, town.production):
        await town.approve(handle)

    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome is not Outcome.PROMOTED
    assert "site was never begun" in report.why
    assert await town.alarmed() == [Kind.EVIDENCE]
    assert town.world.version(town.place(town.production)) == "1.0.0"


async def test_an_undo_that_a_strangers_worker_says_it_did_calls_a_person(town: Town) -> None:
    """
    What stands there is looked at before an undo has its receipt: here the first one fails, and the second is a lie.
    """
    await town.promoted("1.0.0", town.dev)
    town.change_place(town.dev, health=(), soak=timedelta(minutes=5))
    place = town.place(town.dev)
    town.world.stuck.add(place)
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    await handle.cancel()
    await town.until_change(town.dev, Phase.STUCK)
    change = await town.change(town.dev)

    async with lied_to(town, town.dev):
        await change.signal("retry", {"by": "olga@example.com"})
    status = await until_stuck_on(change, "stands there yet")

    assert status.phase is Phase.STUCK
    assert (await town.lane_status(town.dev)).phase is Phase.UNSETTLED
    assert [one.version for one in await town.receipts(town.dev)] == ["1.0.0"]
    assert town.world.version(place) == "2.0.0"
