"""What promotions recorded is in the store, whatever became of them, before anything is done and after all is over."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowHandle

from activities.archive import Archive
from activities.auditing import Auditor
from activities.keyring import Keyring
from activities.retention import prune_releases
from domain.approval import DecisionWord, Verdict
from domain.audit import Audit, Told
from domain.evidence import tell_audit
from domain.fence import Fence
from domain.outcome import Outcome, Phase
from domain.record import DecisionRecord
from domain.terms import Sealed
from domain.trail import ENDED, Segment
from domain.value import short
from tests.town import Town
from tests.workflows.test_audit import Credulous
from workflows import patience

pytestmark = pytest.mark.server
BO = "bo@example.com"


async def audit(town: Town) -> Audit:
    archive = Archive(town.store, Keyring(town.folder / "keys", town.settings))
    return await Auditor(town.store, archive, Credulous()).audit(town.service, "", "")


async def reset(town: Town, handle: WorkflowHandle[Any, Any], event: int) -> None:
    """Have its newest run begin anew after this task."""
    described = await handle.describe()
    await town.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=town.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=described.id, run_id=described.run_id),
            reason="to see",
            workflow_task_finish_event_id=event,
            request_id="again",
        )
    )


def told_of(found: Audit, version: str, environment: str) -> list[Told]:
    assert [str(finding) for finding in found.findings] == []
    return [
        one for one in found.promotions if (one.version, one.subject.environment) == (version, environment)
    ]


def segments(town: Town, version: str, environment: str) -> list[Segment]:
    prefix = f"record/{town.service}/{environment}/{version}/"
    kept = [content for key, content in town.store.content.items() if key.startswith(prefix)]
    return [Segment.model_validate_json(Sealed.model_validate_json(one).body) for one in kept]


async def reject(town: Town, handle: WorkflowHandle[object, object]) -> None:
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    answer = DecisionWord(by=BO, comment="not on a Friday", plan=short(status.intent or ""))
    await handle.signal("reject", answer)


async def test_promotions_that_changed_nothing_can_be_read_of_too(town: Town) -> None:
    """One that was rejected and one that was refused left no receipt, and stay when old releases go."""
    handle = await town.waiting_in_production("1.0")
    await handle.signal("approve", {"by": BO, "plan": "0badcafe"})
    await reject(town, handle)
    await handle.result()
    refused = await (await town.promote("2.0", town.production)).result()
    for version in ("3.0", "4.0"):
        town.make(version)
    await prune_releases(town.store, town.service, 1)

    found = await audit(town)
    rejected, *_ = told_of(found, "1.0", town.production)
    kept_out, *_ = told_of(found, "2.0", town.production)

    assert refused.outcome is Outcome.REFUSED
    assert (rejected.outcome, rejected.requester.name, rejected.turn) == ("rejected", "ana@example.com", None)
    assert [(one.name, one.verdict) for one in rejected.decisions] == [(BO, Verdict.REJECT)]
    assert any("0badcafe" in why for why in rejected.refused)
    assert (kept_out.outcome, kept_out.closed) == ("refused", ENDED)
    text = tell_audit(found)
    assert f"## {town.service} in {town.production}: 1.0 rejected" in text
    assert f"    * {BO} (claimed, not proven) said reject" in text


async def test_decisions_are_kept_before_anything_is_done(town: Town) -> None:
    """When the first deed lands, who let it in is in the store."""
    handle = await town.waiting_in_production("1.0")
    seen: list[str] = []

    def look(place: str, fence: Fence) -> None:
        del place, fence
        records = [record for one in segments(town, "1.0", town.production) for record in one.records]
        seen.extend(one.decision.actor.name for one in records if isinstance(one, DecisionRecord))

    town.world.before_write = look
    await town.approve(handle)
    await handle.result()

    assert seen == [BO]
    told, *_ = told_of(await audit(town), "1.0", town.production)
    assert (told.outcome, told.turn) == ("promoted", (await town.receipts(town.production))[0].turn)
    events = [event.event_type async for event in handle.fetch_history_events()]
    assert Counter(events)[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED] == 1
    assert told.closed == f"its change left the receipt of turn {told.turn}"


async def test_a_promotion_that_was_terminated_is_closed_by_its_lane(town: Town) -> None:
    """What it had recorded last is asked of its history, when the next one is drawn up."""
    handle = await town.waiting_in_production("1.0")
    await handle.signal("hold", {"by": BO})
    await handle.terminate("by mistake")

    await reject(town, await town.promote("1.0", town.production))
    await town.promotion_of("1.0", town.production).result()

    first, second = told_of(await audit(town), "1.0", town.production)
    assert (first.outcome, first.closed) == ("", "its workflow was terminated")
    assert any("hold" in why for why in first.refused)
    assert (second.outcome, second.closed) == ("rejected", ENDED)


async def test_one_that_was_reset_goes_on_from_what_is_kept(town: Town) -> None:
    """The run before is closed, and the new one tells the rest of it in segments of its own."""
    handle = await town.waiting_in_production("1.0")
    await town.approve(handle)
    await handle.result()
    history = [event async for event in handle.fetch_history_events()]
    begun = [
        event.event_id
        for event in history
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    await reset(town, handle, begun[1])
    again = town.promotion_of("1.0", town.production)
    await reject(town, again)
    await again.result()

    first, second = told_of(await audit(town), "1.0", town.production)

    assert (first.outcome, second.outcome) == ("promoted", "rejected")
    assert first.run != second.run
    assert second.requester.name == "ana@example.com"


async def test_a_flood_of_messages_pushes_nothing_out(town: Town) -> None:
    """What is not kept yet is kept while it comes, and what is too much is counted."""
    handle = await town.waiting_in_production("1.0")
    for _ in range(6):
        await asyncio.gather(*(handle.signal("approve", {"by": BO, "plan": "?" * 60}) for _ in range(25)))
    await reject(town, handle)
    await handle.result()

    told, *_ = told_of(await audit(town), "1.0", town.production)

    counted = [
        int(word) for why in told.refused if "came at once" in why for word in why.split() if word.isdigit()
    ]
    singly = [why for why in told.refused if "came at once" not in why]
    assert (told.lost, len(singly) + sum(counted)) == (0, 150)
    assert len(told.decisions) == 1


async def test_one_that_nobody_hears_ends_all_the_same(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record is written when its environment is there again."""
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=1))
    await town.close(town.dev)
    handle = await town.promote("1.0", town.dev)
    await town.until(handle, Phase.NO_WORKER)
    await handle.cancel()
    ended = await asyncio.wait_for(handle.result(), 5)
    await town.open(town.dev)
    await town.promoted("2.0", town.dev)

    assert ended.outcome is Outcome.CANCELLED
    told, *_ = told_of(await audit(town), "1.0", town.dev)
    assert (told.outcome, told.closed) == ("cancelled", ENDED)


async def test_one_that_a_worker_refuses_which_came_late_is_closed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was never in staging. It has ended, and whoever reads the record is not told that it is still open."""
    monkeypatch.setattr(patience, "NOTICE_AFTER", timedelta(seconds=1))
    await town.close(town.production)
    handle = await town.promote("9.9.9", town.production)
    await town.until(handle, Phase.NO_WORKER)
    await town.open(town.production)
    ended = await asyncio.wait_for(handle.result(), 20)

    assert ended.outcome is Outcome.REFUSED
    told, *_ = told_of(await audit(town), "9.9.9", town.production)
    assert (told.outcome, told.closed) == ("refused", ENDED)


async def test_one_that_is_reset_while_its_change_soaks_is_not_done_yet(town: Town) -> None:
    """
    What stands there is put back, as nobody asks for it any more. The run that asks anew places it, in its own turn.

    It ended at once, with “nothing to do”, and nothing stood there afterwards.
    """
    town.change_place(town.dev, soak=timedelta(seconds=6))
    handle = await town.promote("1.0", town.dev)
    await town.until_change(town.dev, Phase.SOAKING)
    await reset(town, handle, 3)

    report = await asyncio.wait_for(town.promotion_of("1.0", town.dev).result(), 40)

    assert report.outcome is Outcome.PROMOTED
    assert town.world.version(town.place(town.dev)) == "1.0"
