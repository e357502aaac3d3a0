"""Rehearsed undos, on a real server: placed, put back, placed again, and what comes of each way that fails."""

import asyncio
from datetime import timedelta

import pytest

from activities.archive import Archive
from activities.keyring import Keyring
from domain.fence import Fence
from domain.gate import OnFreeze
from domain.outcome import Outcome, Phase
from domain.rule import RuleTerms
from domain.status import PromotionStatus
from domain.terms import Story, TargetTerms
from tests.fakes import Bell, World
from tests.survival.waiting import until
from tests.town import Town
from tests.workflows.test_waves import FAKE, compose, events_of, written
from workflows import patience


def rehearse(town: Town) -> None:
    town.change_place(town.dev, rehearse=True)


def versions(world: World, since: int = 0) -> list[str]:
    """Return what was written, in order."""
    return [getattr(held, "version", held.held) for _, _, held in world.writes[since:]]


async def test_a_release_is_placed_put_back_and_placed_again(town: Town) -> None:
    """What comes to production has been undone in dev once, and the receipt and the next plan tell of it."""
    plain = await town.promoted("1.0.0", town.dev)
    rehearse(town)

    report = await town.promoted("2.0.0", town.dev)
    handle = await town.promote("2.0.0", town.staging)
    await asyncio.wait_for(handle.result(), 30)

    assert report.outcome is Outcome.PROMOTED, report.why
    assert await events_of(town, report.turn) <= await events_of(town, plain.turn) + 30
    assert versions(town.world)[:4] == ["1.0.0", "2.0.0", "1.0.0", "2.0.0"]
    assert [fence.act for _, fence, _ in town.world.writes][:4] == [1, 1, 2, 3]
    receipt = (await town.receipts(town.dev))[0]
    assert receipt.rehearsed
    assert [str(one)[:12] for one in receipt.rehearsed.undone] == ["site 2.0.0 ("]
    assert [deed.fence.act for deed in receipt.deeds] == [3]
    status = await handle.query("status", result_type=PromotionStatus)
    assert any(note.startswith(f"undo rehearsed in {town.dev}, ") for note in status.proposal.notes)


async def test_what_was_rehearsed_is_rolled_back_once(town: Town) -> None:
    """A rollback undoes what stands, not what the rehearsal had put back already; and it rehearses nothing."""
    rehearse(town)
    await town.promoted("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    before = len(town.world.writes)

    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert answer.outcome is Outcome.ROLLED_BACK
    assert versions(town.world) == ["1.0.0", "absent", "1.0.0", "2.0.0", "1.0.0", "2.0.0", "1.0.0"]
    assert before == 6


async def test_an_undo_that_takes_a_person_has_failed_in_rehearsal(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is called, and their retry puts it back; the release goes no further, and is not proven."""
    monkeypatch.setattr(patience, "CALL_A_PERSON_AFTER", timedelta(seconds=1))
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    town.world.stuck.add(town.place(town.dev))
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.STUCK)
    town.world.stuck.clear()

    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})
    report = await asyncio.wait_for(handle.result(), 30)

    assert report.outcome is Outcome.ROLLED_BACK
    assert "its undo failed in rehearsal" in report.why
    assert versions(town.world) == ["1.0.0", "2.0.0", "1.0.0"]
    assert (await town.receipts(town.dev))[0].rehearsed is None


async def test_what_is_sick_when_it_was_put_back_has_failed_in_rehearsal(town: Town) -> None:
    """An undo that leaves something sick is none, and a person is called as for any other."""
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    town.world.before_write = lambda _, fence: town.world.sick.add("1.0.0") if fence.act == 2 else None
    handle = await town.promote("2.0.0", town.dev)
    status = await town.until_change(town.dev, Phase.STUCK)
    town.world.sick.clear()

    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})
    report = await asyncio.wait_for(handle.result(), 30)

    assert "what was put back is not well" in status.waits_for
    assert report.outcome is Outcome.ROLLED_BACK
    assert "its undo failed in rehearsal" in report.why
    assert versions(town.world) == ["1.0.0", "2.0.0", "1.0.0"]


async def test_where_trying_again_has_not_helped_a_person_is_called_again(town: Town, bell: Bell) -> None:
    """Whoever tried, and went away, hears that it was in vain."""
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    town.world.before_write = lambda _, fence: town.world.sick.add("1.0.0") if fence.act == 2 else None
    handle = await town.promote("2.0.0", town.dev)
    await town.until_change(town.dev, Phase.STUCK)

    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})
    await until(lambda: len([one for one in bell.alarms if one.subject == town.subject(town.dev)]) == 2)
    town.world.sick.clear()
    await town.until_change(town.dev, Phase.STUCK)
    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})

    assert (await asyncio.wait_for(handle.result(), 30)).outcome is Outcome.ROLLED_BACK


async def test_a_pivot_is_not_rehearsed_and_stays_meanwhile(town: Town) -> None:
    """What cannot be undone is placed once; the rest is put back beside it, and the plan says so."""
    pivot = TargetTerms(target="fake", settings={"undo": "pivot"})
    compose(town, schema=pivot, site=FAKE)
    rehearse(town)
    town.make("1.0.0", ("schema", "site"))
    handle = await town.promote("1.0.0", town.dev)

    report = await asyncio.wait_for(handle.result(), 30)

    assert report.outcome is Outcome.PROMOTED, report.why
    assert written(town) == ["schema", "site", "site", "site"]
    receipt = (await town.receipts(town.dev))[0]
    assert receipt.rehearsed
    assert [one.berth for one in receipt.rehearsed.undone] == ["site"]
    assert set(receipt.rehearsed.untried) == {"schema"}
    assert {deed.step.berth for deed in receipt.deeds} == {"schema", "site"}
    status = await handle.query("status", result_type=PromotionStatus)
    assert any("schema cannot be undone, is not rehearsed" in note for note in status.proposal.notes)


async def test_a_second_time_that_fails_undoes_what_stands_and_no_more(town: Town) -> None:
    """Where the second time fails, what was put back before is left alone, and the turn has its receipt."""
    compose(town, settings=FAKE, site=FAKE)
    for version in ("1.0.0", "2.0.0"):
        town.make(version, ("settings", "site"))
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    site = town.place(town.dev, "site")
    town.world.before_write = lambda _, fence: town.world.refuses.add(site) if fence.act == 5 else None

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert written(town)[2:7] == ["settings", "site", "site", "settings", "settings"]
    assert written(town)[-1] == "settings"
    assert {town.world.version(town.place(town.dev, part)) for part in ("settings", "site")} == {"1.0.0"}
    assert town.world.doubled() == []
    receipt = (await town.receipts(town.dev))[0]
    assert receipt.outcome is Outcome.ROLLED_BACK


async def test_what_is_kept_out_after_the_undo_is_accounted_for(town: Town) -> None:
    """Nothing of it stands when it may go no further: still it was begun, and leaves the receipt of that."""
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    town.world.before_write = lambda _, fence: (
        town.change_place(town.dev, observe_only=True) if fence.act == 2 else None
    )

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    assert (await town.receipts(town.dev))[0].outcome is Outcome.ROLLED_BACK


async def test_a_freeze_after_the_undo_holds_what_was_put_back(town: Town) -> None:
    """The second time is a forward step like any other: it waits for the thaw, with the approval that it has."""
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    gate = asyncio.Event()
    town.world.slow[town.place(town.dev)] = gate
    handle = await town.promote("2.0.0", town.dev)
    await asyncio.wait_for(town.world.reached.wait(), 20)
    freeze = await town.freeze(town.dev)
    gate.set()
    await town.until_change(town.dev, Phase.WAITING_FOR_GATE)

    held = town.world.version(town.place(town.dev))
    await freeze.signal("thaw", {"by": "olga@example.com"})
    report = await asyncio.wait_for(handle.result(), 30)

    assert town.settings.configuration.environments[town.dev].on_freeze is OnFreeze.HOLD
    assert held == "1.0.0"
    assert report.outcome is Outcome.PROMOTED, report.why


@pytest.mark.parametrize("act", [1, 2, 3])
async def test_a_change_lost_in_rehearsal_is_settled(town: Town, act: int) -> None:
    """Terminated before any act of the rehearsal lands, the change leaves what its lane puts back, once each."""
    await town.stands("1.0.0", town.dev)
    rehearse(town)
    town.change_place(town.dev, soak=timedelta(minutes=5))  # it is there still when the word comes
    ending: list[asyncio.Task[None]] = []

    async def terminate() -> None:
        await (await town.change(town.dev)).terminate("lost")

    def lose_it(_: str, fence: Fence) -> None:
        if fence.act == act and not ending:
            ending.append(asyncio.create_task(terminate()))

    town.world.before_write = lose_it
    handle = await town.promote("2.0.0", town.dev)

    report = await asyncio.wait_for(handle.result(), 30)

    assert report.outcome is Outcome.ROLLED_BACK, report.why
    assert town.world.version(town.place(town.dev)) == "1.0.0"
    archive = Archive(town.store, Keyring(town.folder / "keys", town.settings))
    subject = town.subject(town.dev)
    assert await archive.open_turns(subject, await archive.receipt_turns(subject)) == ()


async def test_an_environment_may_ask_for_the_rehearsal(town: Town) -> None:
    """`way: {rehearsed: true}` refuses what was undone nowhere before, with a sentence; what was, comes in."""
    rule = RuleTerms(rule="way", settings={"way": {"rehearsed": True}})
    town.change_place(town.staging, rules=(rule,))
    await town.stands("1.0.0", town.dev)
    refused = await town.promoted("1.0.0", town.staging)
    rehearse(town)
    await town.promoted("2.0.0", town.dev)

    let_in = await town.promoted("2.0.0", town.staging)

    assert refused.outcome is Outcome.REFUSED
    assert f"the undo of site was not rehearsed in {town.dev}" in refused.why
    assert let_in.outcome is Outcome.PROMOTED, let_in.why
