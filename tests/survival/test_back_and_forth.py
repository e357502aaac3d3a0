"""Promoted, rolled back, promoted again; several at once; and undos that fail."""

import asyncio
from datetime import timedelta

import pytest

from domain.outcome import Outcome, Phase
from tests.fakes import Bell
from tests.survival.conftest import Builder
from tests.survival.harbour import Harbour
from tests.survival.waiting import until
from workflows import patience


async def _stuck(harbour: Harbour) -> None:
    """2.0.0 is sick, and 1.0.0 cannot be put back."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("sick-2.0.0")
    harbour.controls.set("stuck-site")
    await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.STUCK)


def _alarms(bell: Bell, harbour: Harbour) -> int:
    return len([alarm for alarm in bell.alarms if alarm.subject.service == harbour.service])


async def test_the_same_version_promoted_rolled_back_and_promoted_again(harbour: Harbour) -> None:
    """Each is a deed of its own, done once."""
    await harbour.promoted("1.0.0", harbour.dev)
    for _ in range(2):
        assert (await harbour.promoted("2.0.0", harbour.dev)).outcome is Outcome.PROMOTED
        assert harbour.standing == ("2.0.0",)
        assert (await harbour.rolled_back()).outcome is Outcome.ROLLED_BACK
        assert harbour.standing == ("1.0.0",)

    assert len(harbour.landings) == 5
    await harbour.assert_sound()


async def test_two_promotions_and_a_rollback_at_once(harbour: Harbour) -> None:
    """One lane, one after another: all are answered, and what stands is what the last receipt says."""
    await harbour.promoted("1.0.0", harbour.dev)
    await harbour.promoted("2.0.0", harbour.dev)

    third, fourth, asker = await asyncio.gather(
        harbour.promote("3.0.0"), harbour.promote("4.0.0"), harbour.ask_for_rollback()
    )
    reports = [await harbour.ended(handle) for handle in (third, fourth)]
    answer = await harbour.answer(asker)

    await harbour.until_idle()
    ended = {Outcome.PROMOTED, Outcome.ROLLED_BACK, Outcome.CANCELLED, Outcome.REFUSED}
    assert {report.outcome for report in reports} <= ended
    assert answer.outcome in {Outcome.ROLLED_BACK, Outcome.CANCELLED}
    await harbour.assert_sound()


async def test_a_rollback_in_mid_deploy_undoes_what_has_begun(harbour: Harbour) -> None:
    """Who asked for the rollback and who asked for the promotion hear of the same undo."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.stop_at("place site")
    handle = await harbour.promote("2.0.0")
    await harbour.reached()

    answer = await harbour.rolled_back()
    report = await harbour.ended(handle)

    assert report.turn == answer.turn
    assert harbour.standing == ("1.0.0",)
    await harbour.until_idle()
    await harbour.assert_sound()


async def test_a_double_click_on_rollback_undoes_the_named_turn_once(harbour: Harbour) -> None:
    """The second click names a turn that is undone already, and finds nothing to do."""
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        report = await harbour.promoted(version, harbour.dev)

    askers = [await harbour.ask_for_rollback(of=report.turn) for _ in range(2)]
    answers = [await harbour.answer(asker) for asker in askers]

    assert sorted(answer.outcome for answer in answers) == [Outcome.NOTHING_TO_DO, Outcome.ROLLED_BACK]
    assert harbour.standing == ("2.0.0",)
    assert len(harbour.landings) == 4
    await harbour.until_idle()
    await harbour.assert_sound()


async def test_an_undo_that_fails_calls_a_person_once_and_stops_the_lane(
    harbour: Harbour, bell: Bell
) -> None:
    """The lane is unsettled and nothing else moves there; a retry after the repair restores."""
    await _stuck(harbour)
    waiting = await harbour.promote("3.0.0")
    await harbour.until_lane(lambda lane: len(lane.queue) == 1 and lane.phase is Phase.UNSETTLED)
    landed = len(harbour.landings)

    await harbour.promotion("2.0.0").signal("retry", {"by": "olga@example.com"})
    await until(lambda: _alarms(bell, harbour) >= 1)
    await harbour.until_change(harbour.dev, Phase.STUCK)
    assert len(harbour.landings) == landed
    harbour.controls.clear("stuck-site")
    harbour.stop_at("place site")
    await harbour.promotion("2.0.0").signal("retry", {"by": "olga@example.com"})

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert harbour.standing == ("1.0.0",)
    assert _alarms(bell, harbour) <= 2
    harbour.let_go()
    assert (await harbour.ended(waiting)).outcome is Outcome.PROMOTED
    await harbour.until_idle()
    await harbour.assert_sound()


async def test_an_alarm_is_raised_once_while_nobody_answers(
    harbour: Harbour, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An undo that is tried on and on calls a person after a while, once, and ends by itself when it can."""
    monkeypatch.setattr(patience, "CALL_A_PERSON_AFTER", timedelta(seconds=1))
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("sick-2.0.0")
    harbour.controls.set("troubled-site")
    handle = await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.STUCK)
    assert (await harbour.lane_status(harbour.dev)).phase is Phase.UNSETTLED

    await until(lambda: _alarms(bell, harbour))
    harbour.controls.clear("troubled-site")

    assert (await harbour.ended(handle)).outcome is Outcome.ROLLED_BACK
    assert _alarms(bell, harbour) == 1
    assert harbour.standing == ("1.0.0",)
    assert (await harbour.until_idle()).phase is Phase.IDLE
    await harbour.assert_sound()


async def test_what_a_person_skips_is_unknown_and_vouches_for_nothing(harbour: Harbour) -> None:
    """Settled by hand: no later environment takes a release from there until somebody has looked."""
    await harbour.open(harbour.staging)
    await _stuck(harbour)

    await harbour.promotion("2.0.0").signal("skip", {"by": "olga@example.com", "comment": "by hand"})

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.SETTLED_BY_HAND, report.why
    newest = (await harbour.receipts())[0]
    assert newest.after["site"].held == "unknown"
    for version in ("1.0.0", "2.0.0"):
        refused = await harbour.ended(await harbour.promote(version, harbour.staging))
        assert refused.outcome is Outcome.REFUSED
    await harbour.until_idle()
    await harbour.assert_sound()


@pytest.mark.parametrize("said", ["retry", "skip"])
async def test_what_is_put_back_and_sick_needs_a_person(harbour: Harbour, bell: Bell, said: str) -> None:
    """The undo succeeded, and still nobody can say that the environment is well."""
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("sick-1.0.0")
    harbour.controls.set("sick-2.0.0")
    await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.STUCK)
    assert harbour.standing == ("1.0.0",)
    assert (await harbour.lane_status(harbour.dev)).phase is Phase.UNSETTLED
    await until(lambda: _alarms(bell, harbour))

    harbour.controls.clear("sick-1.0.0")
    await harbour.promotion("2.0.0").signal(said, {"by": "olga@example.com", "comment": "seen to"})

    report = await harbour.ended(harbour.promotion("2.0.0"))
    expected = {"retry": Outcome.ROLLED_BACK, "skip": Outcome.SETTLED_BY_HAND}
    assert report.outcome is expected[said], report.why
    assert _alarms(bell, harbour) == 1
    await harbour.until_idle()
    await harbour.assert_sound()


async def test_one_undo_that_fails_does_not_stop_the_others(build: Builder) -> None:
    """All are tried: what can be put back is put back, and only the rest is left to a person."""
    harbour = build(("site", "api"))
    await harbour.open(harbour.dev)
    await harbour.promoted("1.0.0", harbour.dev)
    harbour.controls.set("sick-2.0.0")
    harbour.controls.set("stuck-api")
    await harbour.promote("2.0.0")
    await harbour.until_change(harbour.dev, Phase.STUCK)

    await harbour.promotion("2.0.0").signal("skip", {"by": "olga@example.com", "comment": "by hand"})

    report = await harbour.ended(harbour.promotion("2.0.0"))
    assert report.outcome is Outcome.SETTLED_BY_HAND
    assert harbour.standing == ("1.0.0", "2.0.0")
