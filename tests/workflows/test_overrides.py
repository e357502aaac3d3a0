"""Overrides of freezes and windows: by whoever may, for a while, judged at the effect and written into the receipt."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.attempts import AT_ONCE
from activities.errands import ThawOrder
from clients.client import Towpath
from clients.environment import Environment
from domain.approval_written import Approval
from domain.attempt import Kind
from domain.configuration_files import Organisation
from domain.evidence import tell_audit
from domain.logbook import OverrideNote
from domain.names import environment_id
from domain.notice import Event
from domain.noticing import of_environment
from domain.outcome import Outcome, Phase
from domain.override import OverrideRole, OverrideWord
from domain.status import EnvironmentStatus, PromotionStatus, Report
from domain.urgency import Waivable
from domain.windows import Window
from tests.people import People, needs_openssh
from tests.town import PATIENCE, Town
from workers.guarding import guard
from workflows.environment import EnvironmentWorkflow

pytestmark = pytest.mark.server
ANA, BO, DI, EVE = "ana@example.com", "bo@example.com", "di@example.com", "eve@example.com"


async def ended(handle: WorkflowHandle[Any, Any]) -> Report:
    report: Report = await asyncio.wait_for(handle.result(), PATIENCE.total_seconds())
    return report


async def closed_again(town: Town, handle: WorkflowHandle[Any, Any], why: str) -> PromotionStatus:
    """Wait until a promotion stands before the gate, for this reason."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        async for _ in handle.fetch_history_events(wait_new_event=True):
            status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
            if status.phase is Phase.WAITING_FOR_GATE and why in status.waits_for:
                return status
    raise AssertionError(await town.lane_status(town.dev))


@pytest.fixture
def ready(town: Town) -> Town:
    """A town where those on call may override dev's gates for four hours at most."""
    groups: dict[str, tuple[str, ...]] = {"managers": (BO,), "on-call": (DI,)}
    town.settings.configuration = town.settings.configuration.but(organisation=Organisation(groups=groups))
    town.change_floor(town.dev, override=OverrideRole.model_validate({"from": ["on-call"], "longest": "4h"}))
    return town


def word(town: Town, by: str = DI, **changes: Any) -> OverrideWord:
    said = {"service": town.service, "gates": ["freezes"], "reason": "it burns", "lasts": "2h"} | changes
    return OverrideWord.model_validate({"by": by, **said})


async def test_who_may_lets_one_release_past_a_freeze_and_the_receipt_says_so(ready: Town) -> None:
    """What waits is woken, and goes on; others by whoever may not, for too long, or for another, wake it in vain."""
    dev = Environment(ready.client, ready.dev)
    await ready.freeze(ready.dev)
    handle = await ready.promote("1.0.0", ready.dev)
    await ready.until(handle, Phase.WAITING_FOR_GATE)

    for vain, why in (
        (word(ready, EVE), "eve@example.com may not"),
        (word(ready, lasts="5h"), "it is for 5h"),
    ):
        await dev.override(vain)
        await closed_again(ready, handle, why)
    await dev.override(word(ready, version="9.9.9"))
    await dev.override(word(ready, version="1.0.0"))
    report = await ended(handle)

    assert report.outcome is Outcome.PROMOTED
    (receipt,) = await ready.receipts(ready.dev)
    assert [(one.by.name, one.version, one.reason) for one in receipt.overridden] == [
        (DI, "1.0.0", "it burns")
    ]
    told = [notice.event for notice in of_environment(await dev.status())]
    assert told.count(Event.OVERRIDDEN) == 4
    found = await ready.audit(ready.dev)
    assert not found.findings
    assert "Gates overridden: 1.0.0 of" in tell_audit(found)
    met = [one.note.override for one in found.notes if isinstance(one.note, OverrideNote)]
    assert [(one.by.name, one.version) for one in met] == [(EVE, ""), (DI, ""), (DI, "9.9.9"), (DI, "1.0.0")]
    other = await ready.promote("2.0.0", ready.dev)
    assert (await ready.until(other, Phase.WAITING_FOR_GATE)).phase is Phase.WAITING_FOR_GATE


async def test_an_override_ends_by_itself(ready: Town) -> None:
    """Its end is judged by the clock of the environment's worker; a window is let past likewise."""
    away = (datetime.now(UTC) + timedelta(hours=12)).hour
    never = Window.model_validate({"from": f"{away:02}:00", "to": f"{away:02}:01", "zone": "UTC"})
    ready.change_floor(ready.dev, windows=(never,))
    dev = Environment(ready.client, ready.dev)
    await dev.override(word(ready, gates=["windows"]))
    ready.clock.offset = timedelta(hours=3)
    late = await ready.promote("1.0.0", ready.dev)
    await ready.until(late, Phase.WAITING_FOR_GATE)
    ready.clock.offset = timedelta()

    await late.signal("retry", {"by": DI})

    assert (await ended(late)).outcome is Outcome.PROMOTED


Signs = Callable[[People, OverrideWord, str], OverrideWord]
FORGED: dict[str, tuple[Signs, str]] = {
    "unsigned": (lambda _, said, __: said, "overrides here are signed"),
    "another's key": (
        lambda people, said, place: people.signer(EVE).sign_override(place, said),
        "it was signed with the key of eve@example.com",
    ),
    "another place": (
        lambda people, said, _: people.signer(DI).sign_override("staging", said),
        "its signature does not fit",
    ),
    "another service": (
        lambda people, said, place: said.but(
            signed=people.signer(DI).sign_override(place, said.but(service="other")).signed
        ),
        "its signature does not fit",
    ),
}


@pytest.fixture
async def signed(ready: Town, tmp_path: Path) -> tuple[Town, People]:
    """The same, where decisions are signed, and a freeze that is said before its worker asks to hear words."""
    people = People(tmp_path / "people")
    people.allow(ready.folder, {DI: DI, EVE: EVE, ANA: ANA})
    ready.change_place(ready.dev, approval=Approval.model_validate({"quorum": 0, "signed": True}))
    await ready.freeze(ready.dev)
    return ready, people


async def promote(town: Town, people: People) -> WorkflowHandle[Any, Report]:
    version = town.make("1.0.0").version
    towpath = Towpath(town.client)
    promotion = await towpath.promote(town.service, version, town.dev, by=ANA, signer=people.signer(ANA))
    return town.client.get_workflow_handle(promotion.id, result_type=Report)


async def until(dev: Environment, holds: Callable[[EnvironmentStatus], object]) -> EnvironmentStatus:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        async for _ in dev.handle.fetch_history_events(wait_new_event=True):
            if holds(status := await dev.status()):
                return status
    raise AssertionError(await dev.status())


async def refused(dev: Environment, why: str) -> None:
    await until(dev, lambda status: any(one.door == "override" and why in one.why for one in status.refused))


@needs_openssh
async def test_where_decisions_are_signed_no_forged_override_is_taken(signed: tuple[Town, People]) -> None:
    """Neither a name, another's key, nor a signature for somewhere else; the real one is, judged again at the deed."""
    town, people = signed
    await guard(town.client, town.dev)
    dev = Environment(town.client, town.dev)
    for name, (signs, why) in FORGED.items():
        await dev.override(signs(people, word(town, reason=name), town.dev))
        await refused(dev, why)
    assert not (await dev.status()).overrides

    await dev.override(people.signer(DI).sign_override(town.dev, word(town)))
    await until(dev, lambda status: status.overrides)
    people.revoke(town.folder, DI)
    handle = await promote(town, people)
    await closed_again(town, handle, "not proven")
    assert town.world.version(town.place(town.dev)) == "absent"
    people.revoke(town.folder)
    await dev.override(people.signer(DI).sign_override(town.dev, word(town, reason="again")))

    assert (await ended(handle)).outcome is Outcome.PROMOTED
    (receipt,) = await town.receipts(town.dev)
    assert {one.is_proven for one in receipt.overridden} == {True}
    assert {Kind.UNSIGNED, Kind.SIGNATURE} <= set(await town.alarmed())


@needs_openssh
async def test_a_flood_of_forged_overrides_keeps_no_real_one_out(signed: tuple[Town, People]) -> None:
    """What came before anybody was asked makes room; what comes later is not taken, and is told in a few alarms."""
    town, people = signed
    dev = Environment(town.client, town.dev)
    floods = [word(town, reason=f"{number} {'x' * 1900}") for number in range(30)]
    for said in floods:
        await dev.override(said)
    full = await until(dev, lambda status: any("no more fit" in one.why for one in status.refused))
    assert full.overrides
    await guard(town.client, town.dev)
    for number, said in enumerate(floods):
        await dev.override(said if number % 2 else people.signer(EVE).sign_override(town.dev, said))
    await refused(dev, "it was signed with the key of eve@example.com")
    handle = await promote(town, people)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    real = people.signer(DI).sign_override(town.dev, word(town, reason="y" * 2000))

    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not any(one.is_proven for one in (await dev.status()).overrides):
            await dev.override(real)
            await asyncio.sleep(0.2)

    assert (await ended(handle)).outcome is Outcome.PROMOTED
    status = await dev.status()
    claims = [one for one in status.overrides if not one.is_proven]
    assert len(status.overrides) == len(claims) + 1
    assert all(one in full.overrides[1:] for one in claims), "the oldest made room, and nothing came in later"
    assert len(await town.alarmed()) <= AT_ONCE + 1
    await dev.override(real)
    await refused(dev, "the very same override holds already")


async def test_overrides_of_two_services_at_the_same_moment_wake_what_waits_of_both(client: Client) -> None:
    """The workflow hears of both before it tells anybody; who waits of a third is not woken."""
    queue, environment = f"overrides-{uuid.uuid4()}", f"dev-{uuid.uuid4().hex[:8]}"
    told: asyncio.Queue[str] = asyncio.Queue()

    @activity.defn(name="tell_of_thaw")
    async def tell(order: ThawOrder) -> None:
        for asker in order.waiting:
            told.put_nowait(asker)

    handle = await client.start_workflow(
        "EnvironmentWorkflow", id=environment_id(environment), task_queue=queue
    )
    await handle.signal("freeze", {"by": BO, "reason": "over"})
    for service in ("shop", "mail", "blog"):
        await handle.signal("tell_of_thaw", {"asker": f"promotion/{service}/{environment}/1.0.0"})
    for service in ("shop", "mail"):
        said = OverrideWord(
            by=DI, service=service, gates=(Waivable.FREEZES,), reason="it burns", lasts=timedelta(hours=1)
        )
        await handle.signal("override", said)

    async with Worker(
        client,
        task_queue=queue,
        workflows=[EnvironmentWorkflow],
        activities=[tell],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        woken = {await asyncio.wait_for(told.get(), 10) for _ in range(2)}
        status: EnvironmentStatus = await handle.query("status", result_type=EnvironmentStatus)
    await handle.terminate()

    assert woken == {f"promotion/{service}/{environment}/1.0.0" for service in ("shop", "mail")}
    assert told.empty()
    assert [one.service for one in status.overrides] == ["shop", "mail"]
