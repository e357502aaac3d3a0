"""Windows and freezes over time: what waits wakes by itself, and what is under way is held or undone."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowHandle

from domain.gate import OnFreeze
from domain.logbook import TidingsNote
from domain.outcome import Outcome, Phase
from domain.status import Report
from domain.terms import Story, TargetTerms
from domain.windows import PlannedFreeze, Window
from tests.town import Town


def change_floor(town: Town, environment: str, **changes: object) -> None:
    """Change an environment's own file."""
    files = town.settings.configuration.environments
    changed = files | {environment: files[environment].but(**changes)}
    town.settings.configuration = town.settings.configuration.but(environments=changed)


def window_from(opens: datetime) -> Window:
    closes = opens + timedelta(hours=2)
    return Window.model_validate({"from": f"{opens:%H:%M}", "to": f"{closes:%H:%M}", "zone": "UTC"})


async def test_what_waits_for_a_window_wakes_by_itself(town: Town) -> None:
    """It says in local time when that will be; nobody has to open anything, and nobody is asked twice."""
    opens = datetime.now(UTC).replace(second=0, microsecond=0)
    town.clock.offset = timedelta(hours=-1)
    change_floor(town, town.dev, windows=(window_from(opens),))
    handle = await town.promote("1.0.0", town.dev)
    status = await town.until(handle, Phase.WAITING_FOR_GATE)
    assert town.world.version(town.place(town.dev)) == "absent"

    town.clock.offset = timedelta()

    report = await handle.result()

    assert f"of which the next opens {opens:%a %Y-%m-%d %H:%M} UTC" in status.waits_for
    assert report.outcome is Outcome.PROMOTED


async def test_no_window_and_no_planned_freeze_stops_a_rollback(town: Town) -> None:
    """They are for what goes forward."""
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    now = datetime.now(UTC)
    over = window_from(now - timedelta(hours=6))
    freeze = PlannedFreeze.model_validate(
        {
            "from": f"{now - timedelta(days=1):%Y-%m-%d %H:%M}",
            "until": f"{now + timedelta(days=1):%Y-%m-%d %H:%M}",
            "zone": "UTC",
            "reason": "stocktaking",
        }
    )
    change_floor(town, town.dev, windows=(over,), freezes=(freeze,))

    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert answer.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_a_service_may_only_tighten_the_windows(town: Town) -> None:
    """Where one level is open and the other closed, it is closed; the promotion can be called off while it waits."""
    now = datetime.now(UTC)
    change_floor(town, town.dev, windows=(window_from(now - timedelta(hours=1)),))
    town.change_place(town.dev, windows=(window_from(now - timedelta(hours=6)),))
    handle = await town.promote("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)

    await handle.cancel()

    assert (await handle.result()).outcome is Outcome.CANCELLED
    assert town.world.version(town.place(town.dev)) == "absent"


async def frozen_in_mid_rollout(town: Town) -> WorkflowHandle[object, Report]:
    """Freeze while the first of two components is deployed."""
    both = {"site": TargetTerms(target="fake"), "api": TargetTerms(target="fake")}
    town.change_place(town.dev, targets=both, health=())
    town.make("1.0.0", ("site", "api"))
    gate = town.world.slow[town.place(town.dev, "site")] = asyncio.Event()
    handle = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    await town.freeze(town.dev)
    gate.set()
    return handle


@pytest.mark.parametrize("by", ["thaw", "retry"])
async def test_a_rollout_that_meets_a_freeze_waits_for_the_thaw(town: Town, by: str) -> None:
    """What is deployed stays, the rest waits; told of the thaw, or asked to try again, it goes on where it was.

    What was said of it is in the environment's logbook.
    """
    handle = await frozen_in_mid_rollout(town)
    status = await town.until_change(town.dev, Phase.WAITING_FOR_GATE)
    assert "stop the line" in status.waits_for
    assert status.remedy == f"towpath thaw {town.dev}"
    assert town.world.version(town.place(town.dev, "site")) == "1.0.0"
    assert town.world.version(town.place(town.dev, "api")) == "absent"

    if by == "retry":
        await (await town.change(town.dev)).signal("retry", {"by": "olga@example.com"})
        await town.until_recorded(town.dev, "retry")
    environment = town.client.get_workflow_handle(f"environment/{town.dev}")
    await environment.signal("thaw", {"by": "olga@example.com"})

    assert (await handle.result()).outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.dev, "api")) == "1.0.0"
    found = await town.audit(town.dev)
    told = [
        (one.note.of.partition("/")[0], one.note.record.did)
        for one in found.notes
        if isinstance(one.note, TidingsNote)
    ]
    retried = [("change", "retry")] * (by == "retry")
    assert told == [("environment", "freeze"), *retried, ("environment", "thaw")]
    assert not found.findings


@pytest.mark.parametrize(
    "changes", [{"on_freeze": OnFreeze.UNDO}, {"hold_limit": timedelta(seconds=1)}], ids=["at once", "later"]
)
async def test_a_rollout_that_meets_a_freeze_is_undone_where_its_environment_wants_that(
    town: Town, changes: dict[str, object]
) -> None:
    """At once, or when it has been held for as long as anything may be."""
    change_floor(town, town.dev, **changes)
    handle = await frozen_in_mid_rollout(town)

    report = await handle.result()

    assert report.outcome is Outcome.ROLLED_BACK
    assert "stop the line" in report.why
    assert town.world.version(town.place(town.dev, "site")) == "absent"
