"""What lives long goes on in a new run, and loses nothing on the way."""

import pytest

from domain.outcome import Outcome, Phase
from domain.status import EnvironmentStatus
from domain.terms import Story
from tests.survival.waiting import until
from tests.town import Town
from workflows import patience


@pytest.fixture(autouse=True)
def _short_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_HISTORY", 40)


async def test_a_promotion_waits_across_runs(town: Town) -> None:
    """
    A flood of words makes a waiting promotion go on in a new run; plan, decisions and refusals go along.
    """
    handle = await town.waiting_in_production("1.0.0")
    before = await handle.describe()
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    for _ in range(40):
        await handle.signal("hold", {"by": "olga@example.com"})
    newest = town.client.get_workflow_handle(handle.id)
    again = await town.until(newest, Phase.WAITING_FOR_APPROVAL)

    assert (await newest.describe()).run_id != before.run_id
    assert again.intent == status.intent
    assert again.refused
    await town.approve(newest)
    assert (await newest.result())["outcome"] == Outcome.PROMOTED


async def test_a_lane_goes_on_between_changes(town: Town) -> None:
    """
    Turns go on growing, what is held is known, and a rollback still finds what to undo.
    """
    for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0"):
        assert (await town.promoted(version, town.dev)).outcome is Outcome.PROMOTED
    runs = [row.run_id async for row in town.client.list_workflows(f"WorkflowId='{town.lane(town.dev).id}'")]

    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert len(runs) > 1
    assert answer.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "3.0.0"
    turns = [fence.turn for _, fence, _ in town.world.writes]
    assert turns == sorted(turns)


async def test_a_freeze_outlives_the_run_that_it_was_accepted_in(town: Town) -> None:
    """
    An environment that goes on in a new run is still frozen.
    """
    environment = await town.freeze(town.dev)
    for _ in range(40):
        await environment.signal("thaw", {"nobody": True})
    handle = await town.promote("1.0.0", town.dev)

    status = await town.until(handle, Phase.WAITING_FOR_GATE)

    runs = [row.run_id async for row in town.client.list_workflows(f"WorkflowId='{environment.id}'")]
    assert len(runs) > 1
    assert "stop the line" in status.waits_for
    await town.client.get_workflow_handle(environment.id).signal("thaw", {"by": "olga@example.com"})
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_an_environment_goes_on_anew_once_no_word_is_looked_at_any_more(town: Town) -> None:
    """
    Nobody is there to say who froze it, and meanwhile more and more is said: nothing is lost, and it answers.
    """
    environment = await town.freeze(town.dev)
    await town.close(town.dev)
    await environment.signal("guard", {})
    await environment.signal("freeze", {"by": "olga@example.com", "reason": "seen late"})
    for _ in range(40):
        await environment.signal("thaw", {"nobody": True})

    meanwhile = await environment.query("status", result_type=EnvironmentStatus)
    await town.open(town.dev)
    newest = town.client.get_workflow_handle(environment.id)

    async def goes_on_anew() -> bool:
        return (await newest.describe()).run_id != environment.first_execution_run_id

    await until(goes_on_anew)
    after = await newest.query("status", result_type=EnvironmentStatus)

    assert meanwhile.freeze
    assert meanwhile.freeze.reason == "stop the line"
    assert after.freeze
    assert after.freeze.reason == "seen late"
    await newest.signal("thaw", {"by": "olga@example.com"})
