"""Pins, quarantines, and environments that only observe: judged at the effect, and never in the way of an undo."""

from datetime import UTC, datetime

from temporalio.client import WorkflowHandle

from activities.quarantines import Said, put_into_quarantine, release_from_quarantine
from domain.actor import Actor
from domain.logbook import QuarantineNote, TidingsNote
from domain.names import ENGINE_QUEUE, environment_id
from domain.outcome import Outcome, Phase
from domain.status import EnvironmentStatus, PromotionStatus
from domain.terms import Story
from tests.town import Town

WHY = Said(Actor(name="olga@example.com"), "it leaks", datetime(2026, 1, 5, tzinfo=UTC))


async def pin(town: Town, environment: str, service: str = "", **more: str) -> WorkflowHandle[object, None]:
    word = {"by": "olga@example.com", "service": service or town.service, "reason": "it works", **more}
    return await town.client.start_workflow(
        "EnvironmentWorkflow",
        id=environment_id(environment),
        task_queue=ENGINE_QUEUE,
        start_signal="pin",
        start_signal_args=[word],
    )


async def test_a_pinned_service_waits_until_it_is_unpinned(town: Town) -> None:
    """Unpinning wakes whoever waits, once, with the approval that was given; another service's pin stops nobody."""
    environment = await pin(town, town.production)
    await pin(town, town.production, "another")
    handle = await town.waiting_in_production("1.0.0")
    await town.approve(handle)
    status = await town.until(handle, Phase.WAITING_FOR_GATE)
    assert "is pinned by olga@example.com (claimed, not proven): it works" in status.waits_for
    assert status.remedy == f"towpath unpin {town.service} {town.production}"
    assert town.world.version(town.place(town.production)) == "absent"

    await environment.signal("unpin", {"by": "olga@example.com", "service": town.service})

    assert (await handle.result()).outcome is Outcome.PROMOTED
    ended: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
    assert ended.number == 2
    found = await town.audit(town.production)
    assert not found.findings
    assert [
        (one.note.record.did, str(one.by)) for one in found.notes if isinstance(one.note, TidingsNote)
    ] == [
        (f"{did} {service}", "olga@example.com (claimed, not proven)")
        for did, service in (("pin", town.service), ("pin", "another"), ("unpin", town.service))
    ]
    (receipt,) = await town.receipts(town.production)
    assert receipt.logbook == found.logbooks[town.production]


async def test_a_pin_ends_by_itself_and_stops_no_rollback(town: Town) -> None:
    """While it holds, what stood before may be put back; at its end whoever waits goes on."""
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    await pin(town, town.dev, lasts="2s")
    handle = await town.promote("3.0.0", town.dev)

    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert answer.outcome is Outcome.ROLLED_BACK
    assert (await handle.result()).outcome is Outcome.PROMOTED


async def test_what_cannot_be_pinned_or_unpinned_is_refused_and_shown(town: Town) -> None:
    """Without a reason, a name or a pin nothing changes, and pins beyond one answer's room are refused."""
    environment = await pin(town, town.dev, release="1.0.0")
    for word in ({"by": "o", "service": "shop"}, {"by": "o", "service": "no/name", "reason": "x"}, "{"):
        await environment.signal("pin", word)
    await environment.signal("unpin", {"by": "o", "service": "nobody"})
    for number in range(12):
        await pin(town, town.dev, f"shop-{number}", reason="x" * 1900)

    status = await environment.query("status", result_type=EnvironmentStatus)

    assert status.pins[town.service].release == "1.0.0"
    assert len(status.pins) == 8
    assert "nobody is not pinned" in [record.why for record in status.refused]
    assert "no more fit; freeze the environment instead" in status.refused[-1].why
    assert "pin shop-6" in [record.did for record in status.records if record.record == "override"]


async def test_a_release_in_quarantine_is_refused_before_anybody_is_asked(town: Town) -> None:
    """And is let in once it is released from there."""
    town.make("1.0.0")
    await put_into_quarantine(town.store, town.service, "1.0.0", WHY)

    refused = await town.promoted_without_waiting("1.0.0", town.dev)
    await release_from_quarantine(town.store, town.service, "1.0.0", WHY)
    promoted = await town.promoted_without_waiting("1.0.0", town.dev)

    assert refused.outcome is Outcome.REFUSED
    assert "in quarantine by olga@example.com (claimed, not proven)" in refused.why
    assert "it leaks" in refused.why
    assert promoted.outcome is Outcome.PROMOTED
    found = await town.audit(town.dev)
    assert not found.findings
    assert [one.note.quarantine.lifted for one in found.notes if isinstance(one.note, QuarantineNote)] == [
        False,
        True,
    ]
    del town.store.content[f"quarantine/{town.service}/1.0.0/1.json"]
    (finding,) = (await town.audit(town.dev)).findings
    assert "is not there any more, or says something else than a promotion met" in str(finding)


async def test_a_quarantine_is_judged_at_the_effect(town: Town) -> None:
    """What was approved before the quarantine is not deployed after it."""
    handle = await town.waiting_in_production("1.0.0")
    await put_into_quarantine(town.store, town.service, "1.0.0", WHY)

    await town.approve(handle)

    report = await handle.result()
    assert report.outcome is Outcome.REFUSED
    assert "it leaks" in report.why
    assert town.world.version(town.place(town.production)) == "absent"


async def test_a_quarantine_that_nobody_can_read_keeps_the_release_out(town: Town) -> None:
    """At the effect as at the drawing up: what is not understood is not passed over."""
    handle = await town.waiting_in_production("1.0.0")
    town.store.content[f"quarantine/{town.service}/1.0.0/1.json"] = b"{"

    await town.approve(handle)
    report = await handle.result()
    again = await town.promoted_without_waiting("1.0.0", town.production)

    assert (report.outcome, again.outcome) == (Outcome.REFUSED, Outcome.REFUSED)
    assert "counts as in quarantine" in report.why
    assert town.world.version(town.place(town.production)) == "absent"


async def test_a_rollback_brings_back_a_release_that_is_in_quarantine(town: Town) -> None:
    """A rollback restores what was let in before."""
    await town.stands("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    await put_into_quarantine(town.store, town.service, "1.0.0", WHY)

    answer = await town.ask_lane(town.dev, Story.ROLLBACK)

    assert answer.outcome is Outcome.ROLLED_BACK
    assert town.world.version(town.place(town.dev)) == "1.0.0"


async def test_where_towpath_only_observes_all_is_judged_and_nothing_deployed(town: Town) -> None:
    """People approve as ever; the end says what would have been done; adopting what stands there works."""
    town.change_place(town.production, observe_only=True)
    handle = await town.waiting_in_production("1.0.0")
    await town.approve(handle)

    report = await handle.result()
    adopted = await town.ask_lane(town.production, Story.ADOPTION)

    assert report.outcome is Outcome.NOTHING_TO_DO
    assert "only observes" in report.why
    assert "It would have been: site" in report.why
    assert adopted.outcome is Outcome.NOTHING_TO_DO
    assert town.world.version(town.place(town.production)) == "absent"


async def test_an_environment_that_observes_from_now_on_refuses_what_was_approved(town: Town) -> None:
    """The effect goes by the configuration of that moment, not by the terms."""
    handle = await town.waiting_in_production("1.0.0")
    town.change_place(town.production, observe_only=True)

    await town.approve(handle)

    report = await handle.result()
    assert report.outcome is Outcome.REFUSED
    assert town.world.version(town.place(town.production)) == "absent"
