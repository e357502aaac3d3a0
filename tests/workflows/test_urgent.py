"""What cannot wait: hotfixes, and broken glass with its alarm and its review."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from activities.archive import Archive
from activities.auditing import Auditor
from activities.keyring import Keyring
from activities.ports import Alarm, BadSealError
from activities.reviews import Reviews
from activities.signers import OpenSshSigners
from clients.client import Towpath
from clients.review import ReviewDesk
from clients.trouble import DeclinedError
from domain.approval_written import Approval, Hotfix
from domain.attempt import Kind
from domain.configuration_files import Organisation
from domain.evidence import tell_audit
from domain.names import environment_id, review_key
from domain.notice import Event
from domain.outcome import Outcome, Phase
from domain.review import Review
from domain.status import PromotionStatus, Report
from domain.urgency import BreakGlass, Urgency
from tests.fakes import Bell
from tests.people import People, needs_openssh
from tests.town import PATIENCE, Town

pytestmark = pytest.mark.server
ANA, BO, DI = "ana@example.com", "bo@example.com", "di@example.com"
GLASS = BreakGlass.model_validate({"from": ["on-call"], "skips": ["freezes"]})


async def ended(handle: WorkflowHandle[Any, Any]) -> Report:
    report: Report = await asyncio.wait_for(handle.result(), PATIENCE.total_seconds())
    return report


def archive_of(town: Town) -> Archive:
    return Archive(town.store, Keyring(town.folder / "keys", town.settings))


async def reviews(town: Town) -> list[Review]:
    return await Reviews(town.store, archive_of(town)).everywhere()


@pytest.fixture
async def ready(town: Town) -> Town:
    """A town whose production lets those on call take a shorter way, and where 1.0.0 has come as far as staging."""
    groups: dict[str, tuple[str, ...]] = {"managers": (BO,), "on-call": (DI,)}
    town.settings.configuration = town.settings.configuration.but(organisation=Organisation(groups=groups))
    hotfix = Hotfix.model_validate({"from": ["on-call"], "wait": "1h", "soak": "0s"})
    town.change_floor(town.production, hotfix=hotfix, break_glass=GLASS)
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    return town


async def test_a_hotfix_is_approved_by_others_and_says_in_its_receipt_that_it_was_one(ready: Town) -> None:
    """It soaks for less, too; and where no shorter way is configured, a sentence says so."""
    ready.change_place(ready.production, soak=timedelta(hours=1))
    handle = await ready.hurry(Urgency.HOTFIX, "1.0.0", ready.production)
    await ready.approve(handle, DI)

    report = await ended(handle)
    ready.change_floor(ready.production, hotfix=None)
    refused = await ended(await ready.hurry(Urgency.HOTFIX, "1.0.0", ready.production))

    assert report.outcome is Outcome.PROMOTED
    (receipt,) = await ready.receipts(ready.production)
    assert receipt.let_in
    assert receipt.let_in.request.urgency is Urgency.HOTFIX
    assert receipt.approved_by == (DI,)
    assert refused.outcome is Outcome.REFUSED
    assert "has no shorter way in" in refused.why


async def test_the_approval_of_a_hotfix_is_void_once_there_is_no_shorter_way(ready: Town) -> None:
    """The effect asks for what the configuration says then."""
    await ready.freeze(ready.production)
    handle = await ready.hurry(Urgency.HOTFIX, "1.0.0", ready.production)
    await ready.approve(handle, DI)
    await ready.until(handle, Phase.WAITING_FOR_GATE)
    ready.change_floor(ready.production, hotfix=None)
    await ready.client.get_workflow_handle(environment_id(ready.production)).signal("thaw", {"by": ANA})

    report = await ended(handle)

    assert report.outcome is Outcome.REFUSED
    assert ready.world.version(ready.place(ready.production)) == "absent"


async def test_a_broken_glass_calls_people_and_stays_open_until_somebody_else_has_signed(
    ready: Town, bell: Bell
) -> None:
    """Nobody approves it, and the freeze lets it past; the audit tells by whom and why, and who looked at it."""
    await ready.freeze(ready.production)
    desk, auditor = (
        ReviewDesk(ready.client),
        Auditor(ready.store, archive_of(ready), OpenSshSigners(ready.folder)),
    )

    report = await ended(await ready.hurry(Urgency.BREAK_GLASS, "1.0.0", ready.production, DI))

    assert report.outcome is Outcome.PROMOTED
    alarm = next(one for one in bell.alarms if one.subject == ready.subject(ready.production))
    assert alarm.event is Event.GLASS_BROKEN
    assert alarm.headline.endswith(f"{ready.subject(ready.production)}: it burns")
    (broken,) = await reviews(ready)
    assert broken.is_open
    where = broken.broken.subject, broken.broken.turn
    for by, why in ((DI, "nobody reviews what they did themselves"), (ANA, "does not review here")):
        with pytest.raises(DeclinedError, match=why):
            await desk.sign(*where, by=by, comment="fine")
    assert (await reviews(ready))[0].is_open
    await desk.sign(*where, by=BO, comment="the outage was real")
    (closed,) = await reviews(ready)
    assert str(closed).endswith("reviewed by bo@example.com (claimed, not proven): the outage was real")
    found = await auditor.audit(ready.service, ready.production, "")
    assert not found.findings
    assert found.accounts[0].review == closed
    (past,) = closed.broken.past
    assert "frozen by olga@example.com (claimed, not proven): stop the line" in past
    assert f"    * It went past a gate that was shut: {past}\n" in tell_audit(found)
    with pytest.raises(DeclinedError, match="reviewed already"):
        await desk.sign(*where, by=BO, comment="on second thoughts")


async def test_what_has_ended_takes_no_more_words_while_its_alarm_still_rings(
    ready: Town, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No channel takes the alarm for a while: the promotion stays, says how it ended, and is steered no more."""
    ringing, call = asyncio.Event(), bell.call

    async def ring(alarm: Alarm) -> None:
        await ringing.wait()
        await call(alarm)

    monkeypatch.setattr(bell, "call", ring)
    handle = await ready.hurry(Urgency.BREAK_GLASS, "1.0.0", ready.production, DI)
    status = await ready.until(handle, Phase.ENDED)
    await handle.signal("hold", {"by": BO})
    await ready.until(handle, Phase.ENDED)
    refused = (await handle.query("status", result_type=PromotionStatus)).refused[-1]
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    ringing.set()

    assert status.outcome is Outcome.PROMOTED
    assert "ended" in refused.why
    assert (await ended(handle)).outcome is Outcome.PROMOTED


async def test_a_sick_release_is_put_back_whoever_broke_the_glass(ready: Town) -> None:
    """Health and undo are never skipped; and it is reviewed all the same."""
    ready.world.sick.add("1.0.0")

    report = await ended(await ready.hurry(Urgency.BREAK_GLASS, "1.0.0", ready.production, DI))

    assert report.outcome is Outcome.ROLLED_BACK
    assert ready.world.version(ready.place(ready.production)) == "absent"
    assert [review.is_open for review in await reviews(ready)] == [True]


async def test_who_may_not_break_the_glass_opens_nothing(ready: Town) -> None:
    """Not when it is asked for, and not when the role was lost before the effect."""
    outsider = await ended(await ready.hurry(Urgency.BREAK_GLASS, "1.0.0", ready.production, ANA))
    environment = await ready.client.start_workflow(
        "EnvironmentWorkflow",
        id=environment_id(ready.production),
        task_queue="towpath",
        start_signal="pin",
        start_signal_args=[{"by": ANA, "service": ready.service, "reason": "look first"}],
    )
    handle = await ready.hurry(Urgency.BREAK_GLASS, "1.0.0", ready.production, DI)
    await ready.until(handle, Phase.WAITING_FOR_GATE)
    ready.change_floor(ready.production, break_glass=BreakGlass.model_validate({"from": ["managers"]}))
    await environment.signal("unpin", {"by": ANA, "service": ready.service})

    lost = await ended(handle)

    for report in (outsider, lost):
        assert report.outcome is Outcome.REFUSED
        assert "may not break the glass" in report.why
    assert ready.world.version(ready.place(ready.production)) == "absent"
    assert await reviews(ready) == []


@needs_openssh
async def test_a_forged_review_closes_nothing(ready: Town, tmp_path: Any) -> None:
    """Where decisions are signed, neither a name, another's key, nor a paper of one's own is somebody's review."""
    people = People(tmp_path / "people")
    people.allow(ready.folder, {DI: DI, BO: BO})
    ready.change_place(
        ready.production,
        approval=Approval.model_validate({"quorum": 1, "from": ["managers"], "signed": True}),
    )
    unsigned = await ended(await ready.hurry(Urgency.BREAK_GLASS, "1.0.0", ready.production, DI))
    promotion = await Towpath(ready.client).promote(
        ready.service,
        "1.0.0",
        ready.production,
        by=DI,
        reason="it burns",
        signer=people.signer(DI),
        urgency=Urgency.BREAK_GLASS,
    )
    report = await ended(ready.client.get_workflow_handle(promotion.id, result_type=Report))
    ((broken,), desk) = [one.broken for one in await reviews(ready)], ReviewDesk(ready.client)
    forged = people.signer(DI).sign_review(broken, BO, "fine")
    other = people.signer(BO).sign_review(broken.but(turn=broken.turn + 1), BO, "fine")

    for signed, why in ((None, "are signed"), (forged, "broke the glass"), (other, "does not fit")):
        with pytest.raises(DeclinedError, match=why):
            await desk.sign(broken.subject, broken.turn, by=BO, comment="fine", signed=signed)

    assert unsigned.outcome is Outcome.REFUSED
    assert report.outcome is Outcome.PROMOTED
    assert await ready.alarmed() == [Kind.SIGNATURE]
    assert (await reviews(ready))[0].is_open
    good = people.signer(BO).sign_review(broken, BO, "fine")
    await desk.sign(broken.subject, broken.turn, by=BO, comment="fine", signed=good)
    (closed,) = await reviews(ready)
    assert closed.reviewed
    assert closed.reviewed.signature == good
    assert "claimed" not in str(closed)
    auditor = Auditor(ready.store, archive_of(ready), OpenSshSigners(ready.folder))
    for what, wanted in (("reviewed", "not to be believed"), ("broken", "is not there any more")):
        await _tampered(ready, review_key(broken.subject, broken.turn, what), what)
        (finding,) = (await auditor.audit(ready.service, ready.production, "")).findings
        assert wanted in finding.what


async def _tampered(town: Town, key: str, what: str) -> None:
    """Alter the review, as one who may write to the store can; or take away what was to be reviewed."""
    if what == "broken":
        del town.store.content[key]
        return
    town.store.content[key] = town.store.content[key].replace(b"fine", b"bad!")
    with pytest.raises(BadSealError):
        await reviews(town)
