"""Change, promotion, lane and settlement are terminated in the middle: nothing is lost, and the lane goes on."""

import itertools

import pytest

from domain.journal import Settled
from domain.names import change_id
from domain.outcome import Outcome, Phase
from domain.terms import Story
from tests.survival.conftest import Builder
from tests.survival.harbour import Harbour, fence_of

WHY = "an operator's slip"


async def _in_mid_deploy(harbour: Harbour, gate: str = "place site") -> None:
    """1.0.0 stands, and the change to 2.0.0 has begun a deed that does not end."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at(gate)
    await harbour.promote("2.0.0")
    await harbour.reached()


async def _goes_on(harbour: Harbour, before: int) -> None:
    """The next promotion works, in a later turn, and everything is accounted for."""
    report = await harbour.promoted("3.0.0", harbour.dev)
    assert report.outcome is Outcome.PROMOTED, report.why
    assert report.turn
    assert report.turn > before
    assert harbour.standing == ("3.0.0",) * len(harbour.components)
    await harbour.until_idle()
    await harbour.assert_sound()


@pytest.mark.parametrize("components", [("site",), ("site", "api")])
async def test_a_change_that_is_terminated_is_undone_by_its_lane(
    build: Builder, components: tuple[str, ...]
) -> None:
    """The lane sees its child end without a word, puts back what stood before, and answers the promotion."""
    harbour = build(components)
    await harbour.open(harbour.dev)
    await _in_mid_deploy(harbour, f"place {components[-1]}")
    promotion = harbour.promotion("2.0.0")
    change = await harbour.change(harbour.dev)
    turn = int(change.id.rsplit("/", 1)[1])

    await change.terminate(WHY)

    report = await harbour.ended(promotion)
    harbour.let_go()
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert report.why.startswith("its change was lost, and what that had begun was put back: ")
    assert harbour.standing == ("1.0.0",) * len(components)
    await harbour.until_idle()
    await harbour.assert_sound()
    await _goes_on(harbour, turn)


async def test_a_promotion_that_is_terminated_has_its_change_undone(harbour: Harbour) -> None:
    """Nobody asks for it any more, so the environment does not let it stand."""
    await _in_mid_deploy(harbour)

    await harbour.promotion("2.0.0").terminate(WHY)
    harbour.let_go()

    lane = await harbour.until_idle()
    assert harbour.standing == ("1.0.0",)
    await harbour.assert_sound()
    await _goes_on(harbour, lane.last_turn)


async def test_a_lane_that_is_terminated_is_born_again_when_its_change_has_ended(harbour: Harbour) -> None:
    """The change finds no lane that gives it the turn, undoes itself, and wakes the lane that answers the promotion."""
    await _in_mid_deploy(harbour)
    turn = (await harbour.lane_status(harbour.dev)).last_turn

    await harbour.lane(harbour.dev).terminate(WHY)
    harbour.let_go()

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert harbour.standing == ("1.0.0",)
    await _goes_on(harbour, turn)


async def test_lane_and_change_terminated_together_are_settled_by_the_next_who_asks(harbour: Harbour) -> None:
    """The lane that is born again settles the lost change before the promotion that woke it, and answers who waited."""
    await _in_mid_deploy(harbour)
    lost = await harbour.change(harbour.dev)
    turn = int(lost.id.rsplit("/", 1)[1])

    await harbour.lane(harbour.dev).terminate(WHY)
    await lost.terminate(WHY)
    harbour.let_go()
    third = await harbour.promote("3.0.0")

    assert (await harbour.ended(third)).outcome is Outcome.PROMOTED
    assert harbour.standing == ("3.0.0",)
    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome in set(Outcome)
    lane = await harbour.until_idle()
    assert lane.last_turn > turn
    await harbour.assert_sound()


async def test_promotions_that_wait_for_a_lane_are_asked_again_by_the_next_one(harbour: Harbour) -> None:
    """A lane dies with two in its queue: both are heard by the lane that follows, and both end."""
    await _in_mid_deploy(harbour)
    waiting = [await harbour.promote(version) for version in ("3.0.0", "4.0.0")]
    await harbour.until_lane(lambda lane: len(lane.queue) == len(waiting))

    await harbour.lane(harbour.dev).terminate(WHY)
    harbour.let_go()

    first = await harbour.ended(harbour.promotion("2.0.0"))
    assert first.outcome is Outcome.ROLLED_BACK
    for handle in waiting:
        assert (await harbour.ended(handle)).outcome is Outcome.PROMOTED
    await harbour.until_idle()
    assert harbour.standing in {("3.0.0",), ("4.0.0",)}
    await harbour.assert_sound()


async def test_a_rollback_outlives_its_lane(harbour: Harbour) -> None:
    """An undo depends on nobody: it ends although its lane was terminated, and the next lane finds its receipt."""
    await harbour.promoted("1.0.0", harbour.dev)
    await harbour.promoted("2.0.0", harbour.dev)
    harbour.stop_at("restore site")
    await harbour.ask_for_rollback()
    await harbour.reached()
    turn = (await harbour.lane_status(harbour.dev)).last_turn
    change = await harbour.change(harbour.dev)

    await harbour.lane(harbour.dev).terminate(WHY)
    harbour.let_go()

    await change.result()
    await harbour.until_idle()
    assert harbour.standing == ("1.0.0",)
    await harbour.assert_sound()
    await _goes_on(harbour, turn)


async def test_a_rollback_that_is_terminated_is_made_after_all(build: Builder) -> None:
    """A rollback's answer says rolled back only where everything has been put back."""
    components = ("site", "api")
    harbour = build(components)
    await harbour.open(harbour.dev)
    await harbour.promoted("1.0.0", harbour.dev)
    await harbour.promoted("2.0.0", harbour.dev)
    harbour.stop_at("restore site")
    asker = await harbour.ask_for_rollback()
    await harbour.reached()

    await (await harbour.change(harbour.dev)).terminate(WHY)
    harbour.let_go()

    answer = await harbour.answer(asker)
    await harbour.until_idle()
    assert answer.outcome is Outcome.ROLLED_BACK
    assert harbour.standing == ("1.0.0",) * len(components)
    await harbour.assert_sound()
    await _goes_on(harbour, answer.turn)


async def test_a_change_terminated_after_its_receipt_has_been_done(harbour: Harbour) -> None:
    """The receipt is the change's word: the lane reads it there and answers by it."""
    await harbour.promoted("1.0.0", harbour.dev)
    gate = harbour.stop_at("receipt left")
    await harbour.promote("2.0.0")
    await harbour.reached()

    await (await harbour.change(harbour.dev)).terminate(WHY)
    report = await harbour.ended(harbour.promotion("2.0.0"))
    gate.set()

    assert report.outcome is Outcome.PROMOTED, report.why
    assert harbour.standing == ("2.0.0",)
    await harbour.assert_sound()
    assert [receipt.settled for receipt in await harbour.receipts()] == [Settled.DONE, Settled.DONE]
    assert report.turn
    await _goes_on(harbour, report.turn)


async def test_a_settlement_that_is_terminated_is_followed_by_another(harbour: Harbour) -> None:
    """What is unsettled stays so until a settlement has come to its end; its turn comes before anybody else's."""
    await _in_mid_deploy(harbour)
    await (await harbour.change(harbour.dev)).terminate(WHY)
    harbour.let_go()
    harbour.stop_at("restore site")
    await harbour.reached()
    lane = await harbour.lane_status(harbour.dev)
    assert lane.running
    assert lane.running.request.story is Story.SETTLEMENT

    await (await harbour.change(harbour.dev)).terminate(WHY)
    assert (await harbour.until_lane(lambda now: now.turn not in {lane.turn, None})).phase is Phase.UNSETTLED
    harbour.let_go()

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert harbour.standing == ("1.0.0",)
    await _goes_on(harbour, lane.last_turn)


async def test_a_lane_born_after_a_settlement_does_not_settle_again(harbour: Harbour) -> None:
    """What was settled once is accounted for: a later lane leaves the release alone that came since."""
    await _in_mid_deploy(harbour)
    await (await harbour.change(harbour.dev)).terminate(WHY)
    await harbour.ended(harbour.promotion("2.0.0"))
    harbour.let_go()
    await harbour.promoted("3.0.0", harbour.dev)
    landed = len(harbour.landings)

    await harbour.lane(harbour.dev).terminate(WHY)
    report = await harbour.ended(await harbour.promote("3.0.0"))

    assert report.outcome is Outcome.NOTHING_TO_DO
    report = await harbour.ended(await harbour.promote("4.0.0"))
    assert report.outcome is Outcome.PROMOTED
    assert len(harbour.landings) == landed + 1
    await harbour.assert_sound()


async def test_every_turn_outranks_the_one_before(harbour: Harbour) -> None:
    """Lanes come and go, and still every landing's fence is newer than all before it."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await harbour.promoted(version, harbour.dev)
        await harbour.until_idle()
        await harbour.lane(harbour.dev).terminate(WHY)

    fences = [fence_of(landing) for landing in harbour.landings]
    assert len(fences) == 3
    assert all(newer.outranks(older) for older, newer in itertools.pairwise(fences))
    turns = [receipt.turn for receipt in await harbour.receipts()]
    ids = [change_id(harbour.subject(harbour.dev), turn) for turn in turns]
    assert len(set(ids)) == 3
