"""What people say where it is signed, or where there are roles: theirs counts, and nobody else's opens anything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle

from activities.errands import ASK
from activities.gatehouse import Gatehouse
from clients.client import Towpath
from clients.steering import steer
from clients.trouble import DeclinedError
from domain.actor import Actor, Channel, Proof
from domain.answer import Ask, NotBegun
from domain.approval_written import Approval
from domain.attempt import Kind
from domain.doors import FreezeWord, Signal, Word
from domain.environment import Placement
from domain.journal import Settled
from domain.logbook import WordNote
from domain.names import change_id, environment_id, log_key, receipt_key
from domain.order import Account
from domain.outcome import Outcome, Phase
from domain.record import OverrideRecord
from domain.roles import Roles
from domain.saying import Heard, Saying, steering
from domain.status import ChangeStatus, EnvironmentStatus, LaneStatus, PromotionStatus, Report
from domain.terms import Proposal, Request, Sealed, Story
from domain.warrant import Warrant
from tests.people import People, needs_openssh
from tests.town import PATIENCE, Town
from tests.workflows.attacks import attacking, now
from workers.guarding import guard, is_guarded
from workflows import patience
from workflows.wire import DATA_CONVERTER

pytestmark = [pytest.mark.server, needs_openssh]
ANA, BO, EVE = "ana@example.com", "bo@example.com", "eve@example.com"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture
async def signed(town: Town, people: People) -> AsyncIterator[Town]:
    """A town whose first environment counts only what is signed; nobody has to approve there."""
    people.allow(town.folder, {ANA: ANA, BO: BO})
    write(town, approval=Approval(quorum=0, signed=True))
    await guard(town.client, town.dev)
    yield town
    await town.client.get_workflow_handle(environment_id(town.dev)).terminate()


def write(town: Town, **changes: object) -> None:
    """Write into the file of the first environment."""
    files = town.settings.configuration.environments
    files |= {town.dev: files[town.dev].but(**changes)}
    town.settings.configuration = town.settings.configuration.but(environments=files)


async def promote(town: Town, people: People, version: str) -> WorkflowHandle[Any, Report]:
    """Have a release asked for, signed, by whom the environment knows."""
    town.make(version)
    promotion = await Towpath(town.client).promote(
        town.service, version, town.dev, by=ANA, signer=people.signer(ANA)
    )
    return town.client.get_workflow_handle(promotion.id, result_type=Report)


async def promoted(town: Town, people: People, version: str) -> Outcome:
    handle = await promote(town, people, version)
    return (await asyncio.wait_for(handle.result(), 30)).outcome


async def until(handle: WorkflowHandle[Any, Any], model: type[Any], holds: Callable[[Any], object]) -> Any:
    """Wait until a workflow's status is as wished."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        async for _ in handle.fetch_history_events(wait_new_event=True):
            if holds(status := await handle.query("status", result_type=model)):
                return status
    raise AssertionError


async def refused(handle: WorkflowHandle[Any, Any], model: type[Any], door: str, word: Any) -> str:
    """Send a word; return the sentence that it is refused with."""
    before = len((await handle.query("status", result_type=model)).refused)
    await handle.signal(door, word)
    status = await until(handle, model, lambda now: len(now.refused) > before)
    why: str = status.refused[-1].why
    return why


async def test_only_who_signs_freezes_and_thaws_and_a_worker_remembers(signed: Town, people: People) -> None:
    """A freeze outlives its workflow: nobody thaws by forging a word, by an older one, or by ending what was told."""
    town, ana = signed, people.signer(ANA)
    place = Towpath(town.client).environment(town.dev)
    handle = town.client.get_workflow_handle(environment_id(town.dev))
    unsigned = FreezeWord(by=ANA, reason="made up")
    assert "only with their sender's own signature" in await refused(
        handle, EnvironmentStatus, "freeze", unsigned
    )
    await place.freeze("an audit", by=ANA, signer=ana)
    await until(handle, EnvironmentStatus, lambda now: now.freeze)
    await place.thaw(by=ANA, signer=ana)
    thawed = await until(handle, EnvironmentStatus, lambda now: not now.freeze)
    old_thaw = await _signal_of(town, handle, "thaw")
    await place.freeze("stop the line", by=BO, signer=people.signer(BO))
    frozen = await until(handle, EnvironmentStatus, lambda now: now.freeze)

    assert frozen.freeze.by.proof is Proof.SSH_SIGNATURE
    assert any(isinstance(one, OverrideRecord) and one.actor.name == ANA for one in thawed.records)
    assert "sender's own" in await refused(handle, EnvironmentStatus, "thaw", Word(by=BO))
    assert "taken before" in await refused(handle, EnvironmentStatus, "thaw", old_thaw)
    await handle.terminate("by somebody who would thaw it")
    again = await town.client.start_workflow(
        "EnvironmentWorkflow",
        id=environment_id(town.dev),
        task_queue="towpath",
        start_signal="thaw",
        start_signal_args=[old_thaw],
    )
    await until(again, EnvironmentStatus, lambda now: now.refused)
    promotion = await promote(town, people, "1.0.0")
    status = await town.until(promotion, Phase.WAITING_FOR_GATE, Phase.ENDED)
    assert (status.phase, town.world.version(town.place(town.dev))) == (Phase.WAITING_FOR_GATE, "absent")
    assert f"is frozen by {BO}: stop the line" in status.waits_for
    assert not await is_guarded(town.client, town.dev), "its worker tells it again, within half a minute"
    await guard(town.client, town.dev)

    await place.thaw(by=BO, signer=people.signer(BO))
    await until(again, EnvironmentStatus, lambda now: len(now.records) > 1)
    saying = steering(promotion.id, town.subject(town.dev), Signal.RETRY, Word(by=ANA))
    assert "sender's own" in await refused(promotion, type(status), "retry", Word(by=ANA))
    await promotion.signal("retry", Word(by=ANA, signed=ana.sign_word(saying)))
    assert (await asyncio.wait_for(promotion.result(), 30)).outcome is Outcome.PROMOTED
    await _is_noted(town, (ANA, "freeze"), (ANA, "thaw"), (BO, "freeze"), (BO, "thaw"), (ANA, "retry"))
    assert set(await town.alarmed()) == {Kind.UNSIGNED, "1 more attempt"}


async def _is_noted(town: Town, *words: tuple[str, str]) -> None:
    """See that the logbook holds these words, each proven, and that whoever takes the last of them out is found."""
    found = await town.audit(town.dev)
    assert not found.findings
    notes = [(str(one.by), one.note.saying.door) for one in found.notes if isinstance(one.note, WordNote)]
    assert notes == [*words]
    del town.store.content[log_key(town.dev, len(found.notes))]
    (finding,) = (await town.audit(town.dev)).findings
    assert "of the logbook, which it knows, is not there any more" in str(finding)


async def _signal_of(town: Town, handle: WorkflowHandle[Any, Any], name: str) -> Any:
    """Read in a history what somebody sent: anybody can."""
    async for event in handle.fetch_history_events():
        sent = event.workflow_execution_signaled_event_attributes
        if sent.signal_name == name:
            return (await town.client.data_converter.decode(sent.input.payloads))[0]
    raise AssertionError


async def test_a_pin_is_let_go_by_its_own_word_alone(signed: Town, people: People) -> None:
    town = signed
    place = Towpath(town.client).environment(town.dev)
    handle = town.client.get_workflow_handle(environment_id(town.dev))
    await place.pin(town.service, "the sale", by=ANA, signer=people.signer(ANA))
    await until(handle, EnvironmentStatus, lambda now: now.pins)
    forged = {"by": ANA, "service": town.service}
    assert "sender's own" in await refused(handle, EnvironmentStatus, "unpin", forged)
    promotion = await promote(town, people, "1.0.0")
    assert await town.alarmed() == [Kind.UNSIGNED]
    assert "is pinned" in (await town.until(promotion, Phase.WAITING_FOR_GATE)).waits_for

    await place.unpin(town.service, by=ANA, signer=people.signer(ANA))

    assert (await asyncio.wait_for(promotion.result(), 30)).outcome is Outcome.PROMOTED


async def test_a_change_is_held_by_a_word_for_this_turn_only(signed: Town, people: People) -> None:
    """Who steers by the client hears why not; the promotion passes the word on, and the change judges it."""
    town, ana = signed, people.signer(ANA)
    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    promotion = await promote(town, people, "1.0.0")
    await town.world.reached.wait()
    change = await town.change(town.dev)
    turn = (await town.lane_status(town.dev)).turn
    assert turn

    with pytest.raises(DeclinedError, match="only with their sender's own signature"):
        await steer(town.client, promotion.id, Signal.HOLD, by=ANA)
    with pytest.raises(DeclinedError, match=f"signed with the key of {BO}"):
        await steer(town.client, promotion.id, Signal.HOLD, by=ANA, signer=people.signer(BO))
    elsewhere = steering(
        change_id(town.subject(town.dev), turn + 1), town.subject(town.dev), Signal.HOLD, Word(by=ANA)
    )
    stray = Word(by=ANA, signed=ana.sign_word(elsewhere))
    assert "does not fit" in await refused(change, ChangeStatus, "hold", stray)
    await steer(town.client, promotion.id, Signal.HOLD, by=ANA, signer=ana)
    gate.set()
    await town.until_change(town.dev, Phase.HELD)
    assert "sender's own" in await refused(change, ChangeStatus, "resume", Word(by=ANA))
    await steer(town.client, change.id, Signal.RESUME, by=BO, signer=people.signer(BO))

    assert (await asyncio.wait_for(promotion.result(), 30)).outcome is Outcome.PROMOTED
    status = await change.query("status", result_type=ChangeStatus)
    assert {Kind.UNSIGNED, Kind.SIGNATURE} < set(await town.alarmed())
    said = [(one.did, one.actor.proof) for one in status.records if isinstance(one, OverrideRecord)]
    assert said == [("hold", Proof.SSH_SIGNATURE), ("resume", Proof.SSH_SIGNATURE)]


async def test_what_is_stuck_is_left_by_a_word_that_the_effect_believes(signed: Town, people: People) -> None:
    """Whoever completes by hand what the worker was asked gets past the workflow, and past nothing else."""
    town = signed
    assert await promoted(town, people, "1.0.0") is Outcome.PROMOTED
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))
    promotion = await promote(town, people, "2.0.0")
    await town.until_change(town.dev, Phase.STUCK)
    change = await town.change(town.dev)
    assert "sender's own" in await refused(change, ChangeStatus, "skip", Word(by=ANA))
    assert "sender's own" in await refused(change, ChangeStatus, "retry", Word(by=ANA))

    await town.close(town.dev)
    await change.signal("skip", Word(by=ANA, comment="forged"))
    pending = await _pending(change, "hear")
    forged = town.client.get_async_activity_handle(workflow_id=change.id, run_id=None, activity_id=pending)
    await forged.complete(Heard(proof=Proof.SSH_SIGNATURE))
    await until(change, ChangeStatus, lambda now: now.phase is Phase.CHECKING_HEALTH)
    await town.open(town.dev)
    stuck = await until(change, ChangeStatus, lambda now: now.phase is Phase.STUCK)
    assert "No receipt is left of this: words count here only with" in stuck.waits_for
    assert len(await town.receipts(town.dev)) == 1

    await steer(town.client, change.id, Signal.SKIP, by=BO, signer=people.signer(BO))
    assert (await asyncio.wait_for(promotion.result(), 30)).outcome is Outcome.SETTLED_BY_HAND
    assert len(await town.receipts(town.dev)) == 2
    assert await town.alarmed() == [Kind.UNSIGNED, "1 more attempt"]


async def test_what_is_asked_for_since_is_asked_of_a_change_that_is_stuck(town: Town, people: People) -> None:
    """Its terms know of no signatures; the effect does, and takes the signed word."""
    people.allow(town.folder, {ANA: ANA})
    await town.stands("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.world.stuck.add(town.place(town.dev))
    promotion = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.STUCK)
    change = await town.change(town.dev)
    write(town, approval=Approval(quorum=0, signed=True))

    await change.signal("skip", Word(by=ANA))
    await until(change, ChangeStatus, lambda now: "No receipt is left of this" in now.waits_for)
    await steer(town.client, change.id, Signal.SKIP, by=ANA, signer=people.signer(ANA))

    assert (await asyncio.wait_for(promotion.result(), 30)).outcome is Outcome.SETTLED_BY_HAND


async def _pending(handle: WorkflowHandle[Any, Any], verb: str) -> str:
    """Wait until an activity of this kind is there, and name the newest one that nobody has begun."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        async for _ in handle.fetch_history_events(wait_new_event=True):
            for one in (await handle.describe()).raw_description.pending_activities:
                if one.activity_type.name == verb:
                    return one.activity_id
    raise AssertionError


async def test_a_rollback_is_asked_for_by_ones_own_signature_once(signed: Town, people: People) -> None:
    """An unsigned one undoes nothing, not even what is under way; a signed one cannot be presented again."""
    town = signed
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        assert await promoted(town, people, version) is Outcome.PROMOTED
    lane = Towpath(town.client).lane(town.service, town.dev)

    unsigned = await (await lane.rollback(by=ANA)).result()
    forged = await (await lane.rollback(by=ANA, signer=people.signer(BO))).result()
    wish = await lane.rollback(by=ANA, signer=people.signer(ANA))
    assert (await wish.result()).outcome is Outcome.ROLLED_BACK  # type: ignore[union-attr]
    replayed = await _again(town, wish.asker)

    assert isinstance(unsigned, NotBegun)
    assert "it is not signed" in unsigned.refusal.why
    assert isinstance(forged, NotBegun)
    assert f"signed with the key of {BO}" in forged.refusal.why
    assert isinstance(replayed, NotBegun)
    assert "its signature was used before" in replayed.refusal.why
    assert set(await town.alarmed()) == {Kind.SIGNATURE, Kind.REPLAY}
    assert town.world.version(town.place(town.dev)) == "2.0.0"
    adopted = await (await lane.adopt(by=ANA)).result()
    assert isinstance(adopted, NotBegun)

    gate = town.world.slow[town.place(town.dev)] = asyncio.Event()
    town.world.reached.clear()
    promotion = await promote(town, people, "4.0.0")
    await town.world.reached.wait()
    cancelling = await (await lane.rollback(by=EVE)).result()
    gate.set()
    assert isinstance(cancelling, NotBegun)
    assert (await asyncio.wait_for(promotion.result(), 30)).outcome is Outcome.PROMOTED


async def _again(town: Town, asker: str) -> Any:
    """Present somebody's own ask again, under another name."""
    async for event in town.lane(town.dev).fetch_history_events():
        sent = event.workflow_execution_signaled_event_attributes
        if sent.signal_name == ASK:
            (ask,) = await town.client.data_converter.decode(sent.input.payloads, [Ask])
            if ask.asker == asker:
                await town.lane(town.dev).signal(ASK, ask.but(asker="person/eve", rollbacks=None))
                break
    status = await until(town.lane(town.dev), LaneStatus, lambda now: "person/eve" in now.answers)
    return status.answers["person/eve"].answer


async def test_who_has_not_the_role_is_refused_by_the_rule(town: Town) -> None:
    """Nothing is signed here: names are claims, and the rule is what is judged."""
    holders = {"people": [ANA]}
    write(town, roles=Roles.model_validate({"request": holders, "operate": holders, "freeze": holders}))
    await guard(town.client, town.dev)
    handle = town.client.get_workflow_handle(environment_id(town.dev))

    why = await refused(handle, EnvironmentStatus, "freeze", FreezeWord(by=EVE, reason="why not"))
    asked = await asyncio.wait_for((await town.promote("1.0.0", town.dev, by=EVE)).result(), 30)
    ours = await asyncio.wait_for((await town.promote("1.0.0", town.dev, by=ANA)).result(), 30)
    back = await town.ask_lane(town.dev, Story.ROLLBACK, by=EVE)
    await handle.terminate()

    rule = f"environments/{town.dev}.yaml gives the role"
    assert why == f"{EVE} may not freeze {town.dev}: {rule} freeze to {ANA}"
    assert (asked.outcome, ours.outcome) == (Outcome.REFUSED, Outcome.PROMOTED)
    assert f"{EVE} may not promote {town.service} in {town.dev}: {rule} request to {ANA}" in asked.why
    assert f"{EVE} may not roll back" in back.refusal.why


async def test_of_two_words_the_later_counts_whichever_is_judged_first(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script freezes and thaws: the freeze, which is looked at for longer, is no freeze when that is known."""
    holders = {"people": [ANA]}
    write(town, roles=Roles.model_validate({"request": holders, "operate": holders, "freeze": holders}))
    await guard(town.client, town.dev)
    handle = town.client.get_workflow_handle(environment_id(town.dev))
    thawed = asyncio.Event()
    judge = Gatehouse._judge  # pyright: ignore[reportPrivateUsage]

    async def judge_freezes_last(gatehouse: Gatehouse, saying: Saying) -> Heard:
        if saying.door == "freeze":
            await thawed.wait()
        return await judge(gatehouse, saying)

    monkeypatch.setattr(Gatehouse, "_judge", judge_freezes_last)
    await handle.signal("freeze", FreezeWord(by=ANA, reason="stop the line"))
    await handle.signal("thaw", Word(by=ANA))
    await until(handle, EnvironmentStatus, lambda now: now.records)
    thawed.set()
    status = await until(handle, EnvironmentStatus, lambda now: now.refused)
    later = await refused(handle, EnvironmentStatus, "thaw", Word(by=ANA))
    await handle.terminate()

    assert status.freeze is None
    assert [one.did for one in status.records if isinstance(one, OverrideRecord)] == ["thaw"]
    assert "something else was said about it later, and that counts" in status.refused[-1].why
    assert later == "it is not frozen"


async def test_a_word_that_no_worker_hears_is_refused_in_the_end(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever said it may have gone; and what is never answered would keep the environment from a new run for ever."""
    monkeypatch.setattr(patience, "HEARING", timedelta(seconds=1))
    await guard(town.client, town.dev)
    await town.close(town.dev)
    handle = town.client.get_workflow_handle(environment_id(town.dev))

    why = await refused(handle, EnvironmentStatus, "freeze", FreezeWord(by=ANA, reason="stop the line"))
    await town.open(town.dev)
    await handle.terminate()

    assert why == f"no worker of {town.dev} has said whether you may; say it again when one is there"


async def test_where_nothing_is_asked_no_worker_is(town: Town) -> None:
    """A freeze and a pin hold at once, though nobody serves the environment."""
    await town.close(town.dev)
    handle = await town.freeze(town.dev)
    await handle.signal("pin", {"by": EVE, "service": town.service, "reason": "a claim"})

    status = await until(handle, EnvironmentStatus, lambda now: now.pins)

    assert status.freeze.by == Actor(name="olga@example.com", channel=Channel.SIGNAL)
    assert not status.guarded
    await town.open(town.dev)


async def test_a_role_that_is_lost_before_the_effect_opens_nothing(town: Town) -> None:
    """Who may is judged when it happens, by what the worker reads then."""
    await town.freeze(town.dev)
    handle = await town.promote("1.0.0", town.dev, by=EVE)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    write(town, roles=Roles.model_validate({"request": {"people": [ANA]}}))

    await town.client.get_workflow_handle(environment_id(town.dev)).signal("thaw", {"by": ANA})

    report = await asyncio.wait_for(handle.result(), 30)
    assert report.outcome is Outcome.REFUSED
    assert "gives the role request to" in report.why


async def test_a_rollback_that_was_made_is_not_made_again(signed: Town, people: People) -> None:
    """Its sealed plan and its signature stand in a history, and open nothing once it has its receipt."""
    town = signed
    for version in ("1.0.0", "2.0.0"):
        await promoted(town, people, version)
    undone = town.world.held[town.place(town.dev)]
    assert isinstance(undone, Placement)
    assert undone.fence
    wish = await Towpath(town.client).rollback(town.service, town.dev, by=ANA, signer=people.signer(ANA))
    answer = await wish.result()
    own = town.client.get_workflow_handle(change_id(town.subject(town.dev), answer.turn))
    request, sealed = await _drawn_up(own)
    await promoted(town, people, "3.0.0")
    await town.lane(town.dev).terminate("by somebody who would go back again")
    mine = Warrant(asker="person/eve", turn=now(), request=request, proposal=sealed)
    (step,) = Proposal.model_validate_json(sealed.text).plan.steps

    async with attacking(town) as attacker:
        said = await attacker.performs(mine, step=step)

    assert "its signature was used before" in str(said)
    assert await town.alarmed() == [Kind.STRANGER]
    assert town.world.version(town.place(town.dev)) == "3.0.0"


async def test_of_two_plans_for_one_wish_to_go_back_one_is_carried_out(signed: Town, people: People) -> None:
    """However many were drawn up before the first of them was; nor is what has its receipt settled by an old plan."""
    town, subject = signed, signed.subject(signed.dev)
    for version in ("1.0.0", "2.0.0"):
        await promoted(town, people, version)
    undone = town.world.held[town.place(town.dev)]
    assert isinstance(undone, Placement)
    assert undone.fence
    settling = Request(
        story=Story.SETTLEMENT, subject=subject, actor=Actor(name=EVE), of=undone.fence.turn, slots=1
    )
    key = receipt_key(subject, undone.fence.turn)

    async with attacking(town) as attacker:
        wish = Request(story=Story.ROLLBACK, subject=subject, actor=Actor(name=ANA))
        wish = people.signer(ANA).sign_request(wish)
        first, second = [await attacker.draws_up(wish) for _ in range(2)]
        receipt = town.store.content.pop(key)
        settlement = Warrant(asker="", turn=now(), request=settling)
        await attacker.poses(settlement)
        sealed = Sealed.model_validate(await attacker.does(settlement, "draw_up", settling))
        town.store.content[key] = receipt
        said = []
        for asked, plan in ((wish, first), (wish, second), (settling, sealed)):
            mine = Warrant(asker="", turn=now(), request=asked, proposal=plan)
            await attacker.poses(mine)
            said.append(await attacker.performs(mine))
            await attacker.does(
                mine,
                "conclude",
                Account(
                    warrant=mine, settled=Settled.DONE, outcome=Outcome.ROLLED_BACK, began=datetime.now(UTC)
                ),
            )

    await guard(town.client, town.dev)
    assert "put back 1.0.0" in said[0]
    assert "its signature was used before" in said[1]
    assert "is not to be settled" in said[2]
    assert Kind.STRANGER in await town.alarmed()


async def test_a_signed_request_lets_one_change_in(signed: Town, people: People) -> None:
    """Where nobody has to approve, as with a broken glass, nothing else does: presented again, it opens nothing."""
    town = signed
    for version in ("1.0.0", "2.0.0"):
        await promoted(town, people, version)
    handle = town.promotion_of("2.0.0", town.dev)
    wish = await Towpath(town.client).rollback(town.service, town.dev, by=ANA, signer=people.signer(ANA))
    await wish.result()
    status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    assert status.request

    report = await asyncio.wait_for((await town.ask(status.request)).result(), 30)

    assert report.outcome is Outcome.REFUSED
    assert "its request was carried out before" in report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def _drawn_up(change: WorkflowHandle[Any, Any]) -> tuple[Request, Sealed]:
    """Read in a change's history what was asked, and the plan that was sealed for it."""
    events = (await change.fetch_history()).events
    payload = events[0].workflow_execution_started_event_attributes.input.payloads[0]
    (warrant,) = await DATA_CONVERTER.decode([payload], [Warrant])
    first = next(event for event in events if event.HasField("activity_task_completed_event_attributes"))
    result = first.activity_task_completed_event_attributes.result.payloads
    (sealed,) = await DATA_CONVERTER.decode(result, [Sealed])
    return warrant.request, sealed
