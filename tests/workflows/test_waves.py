"""Releases of many components to many targets, on a real server: one change, done in order and undone in reverse."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from activities import receipts
from domain.approval_written import PivotApproval
from domain.configuration_files import ComponentFile
from domain.environment import Absent
from domain.names import change_id
from domain.outcome import Outcome, Phase
from domain.release import Kind
from domain.terms import CheckTerms, Fleet, TargetTerms
from tests.town import Town

FAKE = TargetTerms(target="fake")
PARTS = ("schema", "settings", "site")


def compose(town: Town, **targets: TargetTerms) -> None:
    """Let the service be made of these components, in this order, everywhere."""
    configuration = town.settings.configuration
    service = configuration.services[town.service].but(
        components={name: ComponentFile(kind=Kind.CONTENT) for name in targets}
    )
    town.settings.configuration = configuration.but(services={town.service: service})
    for environment in (town.dev, town.staging, town.production):
        town.change_place(environment, targets=dict(targets), health=())


def spread(town: Town, *waves: Sequence[str], parallel: int = 10, pause: timedelta = timedelta()) -> None:
    """Give dev's site many targets, in these waves."""
    targets = {f"site@{at}": FAKE for wave in waves for at in wave}
    fleet = Fleet(waves=tuple(map(tuple, waves)), parallel=parallel, pause=pause)
    town.change_place(town.dev, targets=targets, fleets={"site": fleet}, health=())


def watch_each(town: Town, *ats: str) -> None:
    """Give these targets of dev's site a health check each."""
    each = tuple(
        CheckTerms(check="fake", component="site", target=at, within=timedelta(), every=timedelta(seconds=1))
        for at in ats
    )
    town.change_place(town.dev, health=each)


def written(town: Town, since: int = 0) -> list[str]:
    """Return where something was written, in order, by the last part of its name."""
    return [place.rpartition("/")[2] for place, _, _ in town.world.writes[since:]]


async def events_of(town: Town, turn: int | None) -> int:
    """Count the history of a change in dev."""
    assert turn is not None
    handle = town.client.get_workflow_handle(change_id(town.subject(town.dev), turn))
    return len([event async for event in handle.fetch_history_events()])


async def test_components_are_done_in_declared_order_and_undone_in_reverse(town: Town) -> None:
    """A release of three components whose last one fails is one change: all of it is put back, newest first."""
    compose(town, schema=FAKE, settings=FAKE, site=FAKE)
    town.make("1.0.0", sorted(PARTS, reverse=True))
    town.make("2.0.0", sorted(PARTS, reverse=True))
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED
    assert written(town) == ["schema", "settings", "site"]
    town.world.refuses.add(town.place(town.dev, "site"))

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert "will not take 2.0.0" in report.why
    assert written(town, 3) == ["schema", "settings", "site", "settings", "schema"] or written(town, 3) == [
        "schema", "settings", "settings", "schema",
    ]  # fmt: skip
    assert [town.world.version(town.place(town.dev, part)) for part in PARTS] == ["1.0.0"] * 3


async def test_a_release_that_changes_one_component_leaves_the_others_alone(town: Town) -> None:
    """What stands there already with the same content is no step, and the next environment takes its word."""
    compose(town, settings=FAKE, site=FAKE)
    for version, contents in (("1.0.0", ("a", "a")), ("1.1.0", ("a", "b"))):
        town.make_of(version, dict(zip(("settings", "site"), contents, strict=True)))
        for environment in (town.dev, town.staging):
            assert (await town.promoted(version, environment)).outcome is Outcome.PROMOTED

    assert written(town) == ["settings", "site", "settings", "site", "site", "site"]
    assert town.world.version(town.place(town.staging, "settings")) == "1.0.0"
    newest = (await town.receipts(town.staging))[0]
    assert [deed.step.component for deed in newest.deeds] == ["site"]
    assert set(newest.after) == {"settings", "site"}


async def test_waves_go_in_order_and_a_failed_one_undoes_those_before_in_reverse(town: Town) -> None:
    """Five targets in three waves: the last wave fails, and each wave that was done is put back, newest first."""
    spread(town, ["eu-1"], ["eu-2", "us-1"], ["us-2", "ap-1"])
    assert (await town.promoted("1.0.0", town.dev)).outcome is Outcome.PROMOTED
    assert [set(written(town)[a:b]) for a, b in ((0, 1), (1, 3), (3, 5))] == [
        {"site@eu-1"}, {"site@eu-2", "site@us-1"}, {"site@us-2", "site@ap-1"},
    ]  # fmt: skip
    town.world.refuses.add(town.place(town.dev, "site@us-2"))

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert f"{town.service}/site@us-2 will not take 2.0.0" in report.why
    assert {town.world.version(place) for place in town.world.held} == {"1.0.0"}
    back = [
        place.rpartition("/")[2]
        for place, _, held in town.world.writes[5:]
        if getattr(held, "version", "") == "1.0.0"
    ]
    assert back[-1] == "site@eu-1"
    assert set(back[-3:-1]) == {"site@eu-2", "site@us-1"}
    assert town.world.doubled() == []


async def test_a_sick_wave_stops_before_the_next_one_begins(town: Town) -> None:
    """Each wave is looked at by its targets' own checks; the sick one is named, and only what was reached undone."""
    spread(town, ["eu-1"], ["eu-2", "us-1"], ["us-2"])
    watch_each(town, "eu-1", "us-1", "us-2")
    first = await town.promoted("1.0.0", town.dev)
    assert [place.rpartition("@")[2] for place in town.world.looks[:2]] == ["eu-1", "us-1"]
    assert await events_of(town, first.turn) <= 18 + 3 * 6
    town.world.sick.add(f"2.0.0 at {town.place(town.dev, 'site@us-1')}")

    report = await town.promoted("2.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why == "site@us-1 is not well, so no other wave begins: 2.0.0 is sick"
    assert "site@us-2" not in written(town, 4)
    assert {town.world.version(place) for place in town.world.held} == {"1.0.0"}


async def test_a_wave_is_watched_through_its_pause(town: Town) -> None:
    """What turns sick while the next wave waits is as good as sick at once: nothing else is reached."""
    spread(town, ["eu-1"], ["us-1"], pause=timedelta(seconds=20))
    watch_each(town, "eu-1")
    handle = await town.promote("1.0.0", town.dev)
    async with asyncio.timeout(20):
        while not town.world.looks:  # noqa: ASYNC110 - the world sets no event for it
            await asyncio.sleep(0.02)
    town.world.sick.add("1.0.0")

    report = await handle.result()

    assert report.why == "site@eu-1 is not well, so no other wave begins: 1.0.0 is sick"
    assert written(town)[0] == "site@eu-1"
    assert "site@us-1" not in written(town)


async def test_a_way_back_that_nobody_can_look_at_calls_a_person(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that breaks on what was put back is tried for ever, but not in silence."""
    monkeypatch.setattr(receipts, "TRIES_IN_SILENCE", 2)
    spread(town, ["eu-1"])
    watch_each(town, "eu-1")
    await town.promoted("1.0.0", town.dev)
    town.world.sick.add("2.0.0")
    town.world.baffling.add("1.0.0")

    handle = await town.promote("2.0.0", town.dev)
    status = await town.until_change(town.dev, Phase.STUCK)

    assert "its receipt not be left: 1.0.0 is too much for this check" in status.waits_for
    town.world.baffling.clear()
    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})
    assert (await handle.result()).outcome is Outcome.ROLLED_BACK


async def test_no_more_targets_are_changed_at_once_than_is_said(town: Town) -> None:
    """With ``parallel: 2`` two deploys of a wave of four wait at their targets, and no third has begun."""
    names = ["a", "b", "c", "d"]
    spread(town, names, parallel=2)
    gate = asyncio.Event()
    for name in names:
        town.world.slow[town.place(town.dev, f"site@{name}")] = gate
    handle = await town.promote("1.0.0", town.dev)
    async with asyncio.timeout(20):
        while len(town.world.busy) < 2:  # noqa: ASYNC110 - the world sets no event for the second
            await asyncio.sleep(0.02)
    status = await town.change_status(town.dev)

    assert status.phase is Phase.DEPLOYING
    assert len(town.world.busy) == 2

    gate.set()
    assert (await handle.result()).outcome is Outcome.PROMOTED
    assert len(town.world.writes) == 4


async def test_a_target_costs_six_events_at_most(town: Town) -> None:
    """Eleven more targets lengthen the eighteen events of an ordinary change by six each at most."""
    spread(town, *[[f"t{number}" for number in range(4 * wave, 4 * wave + 4)] for wave in range(3)])

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.PROMOTED
    assert await events_of(town, report.turn) <= 18 + 11 * 6


async def test_a_target_that_cannot_be_put_back_is_named_and_stops_no_other(town: Town) -> None:
    """All others are back when a person is called; their word is for what is left."""
    spread(town, ["eu-1"], ["eu-2", "us-1"], ["ap-1"])
    await town.promoted("1.0.0", town.dev)
    town.world.refuses.add(town.place(town.dev, "site@ap-1"))
    town.world.stuck.add(town.place(town.dev, "site@us-1"))

    handle = await town.promote("2.0.0", town.dev)
    status = await town.until_change(town.dev, Phase.STUCK)

    assert "site@us-1: put back 1.0.0" in status.waits_for
    assert "site@eu-1" not in status.waits_for
    standing = {place.rpartition("@")[2]: town.world.version(place) for place in town.world.held}
    assert standing == {"eu-1": "1.0.0", "eu-2": "1.0.0", "us-1": "2.0.0", "ap-1": "1.0.0"}

    town.world.stuck.clear()
    await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})
    assert (await handle.result()).outcome is Outcome.ROLLED_BACK
    assert {town.world.version(place) for place in town.world.held} == {"1.0.0"}


async def test_a_cancel_in_mid_wave_waits_for_every_deed_and_undoes_it(town: Town) -> None:
    """Deeds under way are waited for before the first undo: none races another at one target."""
    spread(town, ["eu-1"], ["eu-2", "us-1", "us-2"])
    gate = asyncio.Event()
    town.world.slow[town.place(town.dev, "site@us-1")] = gate
    handle = await town.promote("1.0.0", town.dev)
    await asyncio.wait_for(town.world.reached.wait(), 20)

    await handle.cancel()

    assert (await handle.result()).outcome is Outcome.CANCELLED
    assert {town.world.version(place) for place in town.world.held} <= {"absent"}
    assert town.world.overlaps == 0


async def test_a_pivot_is_approved_even_where_nothing_else_is(town: Town) -> None:
    """Where the environment says so, a plan that cannot be undone waits for a person, and says why."""
    compose(town, schema=TargetTerms(target="fake", settings={"undo": "pivot"}), site=FAKE)
    configuration = town.settings.configuration
    strict = configuration.environments[town.dev].but(
        pivots=PivotApproval.model_validate({"quorum": 1, "from": ["managers"]})
    )
    town.settings.configuration = configuration.but(
        environments=configuration.environments | {town.dev: strict}
    )
    town.make("1.0.0", ("schema", "site"))

    handle = await town.promote("1.0.0", town.dev)
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)

    assert status.proposal
    assert any("schema cannot be undone: it is a pivot" in note for note in status.proposal.notes)
    assert "(PIVOT: cannot be undone)" in str(status.proposal.plan.steps[0])
    await town.approve(handle)
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_a_pivot_that_has_run_stays_and_the_receipt_says_so(town: Town) -> None:
    """What comes after it and before it is put back; nobody is told that the pivot was."""
    compose(town, settings=FAKE, schema=TargetTerms(target="fake", settings={"undo": "pivot"}), site=FAKE)
    town.make("1.0.0", ("settings", "schema", "site"))
    town.world.refuses.add(town.place(town.dev, "site"))

    report = await town.promoted("1.0.0", town.dev)

    assert report.outcome is Outcome.ROLLED_BACK
    assert report.why.endswith("schema cannot be undone, and was left as it is")
    assert report.after["settings"] == Absent()
    assert str(report.after["schema"]).startswith("1.0.0")
    assert town.world.version(town.place(town.dev, "schema")) == "1.0.0"


async def test_a_hold_of_what_is_done_side_by_side_is_one_hold(town: Town) -> None:
    """Two places of a wave are held together: the next may take what is left of the budget, and no more."""
    ats = ("eu-1", "eu-2", "us-1", "us-2", "ap-1")
    spread(town, ats, parallel=2)
    gates = {at: asyncio.Event() for at in ats}
    town.world.slow |= {town.place(town.dev, f"site@{at}"): gate for at, gate in gates.items()}
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await town.until_change(town.dev, Phase.DEPLOYING)
    change = await town.change(town.dev)
    await change.signal("hold", {"by": "olga@example.com"})
    await town.until_recorded(town.dev, "hold")
    for gate in gates.values():
        gate.set()
    await town.until_change(town.dev, Phase.HELD)
    await asyncio.sleep(2)
    await change.signal("resume", {"by": "olga@example.com"})
    assert (await handle.result()).outcome is Outcome.PROMOTED

    begun = [
        attributes.start_to_close_timeout.ToTimedelta()
        async for event in change.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
        and (attributes := event.activity_task_scheduled_event_attributes).activity_type.name == "perform"
    ]
    budget, *_, left = begun
    assert len(begun) == len(ats)
    assert left <= budget, "a hold gives nobody more time than there was"
