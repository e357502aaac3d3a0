"""Signed decisions: the person's own signature counts, and whatever else is tried opens nothing."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from clients.client import Towpath
from domain.actor import Actor, Proof
from domain.approval import Decision, DecisionWord, Verdict
from domain.approval_written import Approval
from domain.attempt import Kind
from domain.names import environment_id, manifest_key
from domain.outcome import Outcome, Phase
from domain.signature import Signature
from domain.status import PromotionStatus, Report
from domain.terms import Proposal
from domain.value import short
from domain.windows import Day, Window
from tests.news import news
from tests.people import People, needs_openssh
from tests.temporal_cli import Shell
from tests.town import PATIENCE, Town
from tests.workflows.attacks import complete

pytestmark = [pytest.mark.server, needs_openssh]
ANA, BO, CY, EVE = "ana@example.com", "bo@example.com", "cy@example.com", "eve@example.com"
SIGNED: Final = Approval.model_validate({"quorum": 1, "from": ["managers"], "signed": True})


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


class Gate(NamedTuple):
    """A promotion into an environment that counts signed decisions only, and its people."""

    town: Town
    people: People
    handle: WorkflowHandle[Any, Report]
    proposal: Proposal

    def decision(self, by: str = BO, comment: str = "") -> Decision:
        return Decision(
            actor=Actor(name=by),
            verdict=Verdict.APPROVE,
            intent=self.proposal.plan.intent,
            at=self.proposal.drawn_up,
            comment=comment,
        )

    def sign(self, whose: str = BO, by: str = BO, comment: str = "") -> Signature:
        """Sign an approval in the name of ``by``, with the key of somebody."""
        return self.people.signer(whose).sign_decision(self.proposal, self.decision(by, comment))

    def answer(self, signed: Signature | None, by: str = BO, comment: str = "") -> DecisionWord:
        return DecisionWord(by=by, plan=short(self.proposal.plan.intent), comment=comment, signed=signed)

    async def refused(self, answer: DecisionWord) -> str:
        """Send an approval as a signal; return the sentence that it is refused with."""
        before = len((await self.status()).refused)
        await self.handle.signal("approve", answer)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(self.handle):
                status = await self.status()
                assert not status.decisions
                if len(status.refused) > before:
                    return status.refused[-1].why
        raise AssertionError

    async def until_decided(self, by: str) -> None:
        """Wait until somebody's decision has been looked at and taken."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for _ in news(self.handle):
                if any(vote.actor.name == by for vote in (await self.status()).decisions):
                    return

    async def status(self) -> PromotionStatus:
        status: PromotionStatus = await self.handle.query("status", result_type=PromotionStatus)
        return status


async def ask(town: Town, people: People, version: str, by: str = ANA, whose: str = ANA) -> Any:
    """Have a promotion asked for by ``by``, with somebody's signature under it."""
    promotion = await Towpath(town.client).promote(
        town.service, version, town.production, by=by, signer=people.signer(whose)
    )
    return town.client.get_workflow_handle(promotion.id, result_type=Report)


@pytest.fixture
def shell(town: Town, tmp_path: Path) -> Shell:
    return Shell(town.client, tmp_path)


@pytest.fixture
async def gate(town: Town, people: People) -> Gate:
    """A promotion that waits to be approved, in an environment that counts signed decisions."""
    return await stand_before(town, people, SIGNED)


async def stand_before(town: Town, people: People, approval: Approval) -> Gate:
    people.allow(town.folder, {ANA: ANA, BO: BO, CY: CY})
    for environment in (town.dev, town.staging):
        await town.promoted("1.0", environment)
    town.change_place(town.production, approval=approval)
    handle = await ask(town, people, "1.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.proposal
    return Gate(town, people, handle, status.proposal)


async def test_a_signed_approval_lets_it_in_and_is_shown_as_proven(gate: Gate) -> None:
    """Signature, name and comment are looked at by the environment's worker, twice."""
    await gate.handle.signal("approve", gate.answer(gate.sign(comment="looks good"), comment="looks good"))

    report = await asyncio.wait_for(gate.handle.result(), 30)

    assert report.outcome is Outcome.PROMOTED
    (decision,) = (await gate.status()).decisions
    assert decision.actor.proof is Proof.SSH_SIGNATURE


async def test_a_signed_approval_lives_until_its_window(town: Town, people: People) -> None:
    """So it is with one that is not signed: `valid` alone would never reach a window of another day."""
    gate = await stand_before(town, people, SIGNED)
    days = [[*Day][(datetime.now(UTC) + timedelta(days=ahead)).weekday()] for ahead in (3, 4)]
    window = Window.model_validate({"days": days, "from": "00:00", "to": "24:00", "zone": "UTC"})
    town.change_floor(town.production, windows=(window,))
    await gate.handle.signal("approve", gate.answer(gate.sign()))
    await town.until(gate.handle, Phase.WAITING_FOR_GATE)

    town.clock.offset = timedelta(days=3)
    await gate.handle.signal("gate_opened", {})

    assert (await asyncio.wait_for(gate.handle.result(), 30)).outcome is Outcome.PROMOTED


async def test_two_signed_approvals_need_not_be_of_one_day(town: Town, people: People) -> None:
    """What is valid for a day is the quorum, once it is complete."""
    gate = await stand_before(town, people, SIGNED.but(quorum=2))
    await gate.handle.signal("approve", gate.answer(gate.sign()))
    await gate.until_decided(BO)

    town.clock.offset = timedelta(hours=26)
    signed = people.signer(CY, town.clock).sign_decision(gate.proposal, gate.decision(CY))
    await gate.handle.signal("approve", gate.answer(signed, by=CY))

    assert (await asyncio.wait_for(gate.handle.result(), 30)).outcome is Outcome.PROMOTED


async def test_two_signed_approvals_cost_twenty_events(town: Town, people: People) -> None:
    """From the first signal until the second is judged; change and lane are shown the decisions, and told nothing."""
    gate = await stand_before(town, people, SIGNED.but(quorum=2))
    for who in (BO, CY):
        await gate.handle.signal("approve", gate.answer(gate.sign(whose=who, by=who), by=who))
        await gate.until_decided(who)
    await asyncio.wait_for(gate.handle.result(), 30)

    events = [event.event_type for event in (await gate.handle.fetch_history()).events]

    first = events.index(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
    waited = [
        number
        for number, kind in enumerate(events)
        if kind == EventType.EVENT_TYPE_TIMER_CANCELED and number > first
    ]
    assert waited[0] - first <= 20


def _unsigned(gate: Gate) -> DecisionWord:
    return gate.answer(None)


def _of_another_person(gate: Gate) -> DecisionWord:
    return gate.answer(gate.sign(whose=CY))


def _of_a_stranger(gate: Gate) -> DecisionWord:
    return gate.answer(gate.sign(whose=EVE))


def _with_another_comment(gate: Gate) -> DecisionWord:
    return gate.answer(gate.sign(comment="not yet!"), comment="yes!")


def _for_another_plan(gate: Gate) -> DecisionWord:
    other = gate._replace(proposal=gate.proposal.but(plan=gate.proposal.plan.but(version="2.0")))
    return gate.answer(other.sign())


def _with_a_later_end(gate: Gate) -> DecisionWord:
    signed = gate.sign()
    return gate.answer(signed.but(expires=signed.expires + timedelta(days=1)))


def _dated_ahead(gate: Gate) -> DecisionWord:
    signed = gate.sign()
    return gate.answer(signed.but(at=signed.at + timedelta(days=1)))


def _that_is_none(gate: Gate) -> DecisionWord:
    return gate.answer(gate.sign().but(ssh="-----BEGIN SSH SIGNATURE-----\nAAAA\n"))


def _of_the_requester_as_another(gate: Gate) -> DecisionWord:
    return gate.answer(gate.sign(whose=ANA))


def _of_the_requester(gate: Gate) -> DecisionWord:
    return gate.answer(gate.sign(whose=ANA, by=ANA), by=ANA)


ATTEMPTS: Final[tuple[tuple[Callable[[Gate], DecisionWord], str, Kind | None], ...]] = (
    (_unsigned, "decisions here are signed", Kind.UNSIGNED),
    (_of_another_person, f"it was signed with the key of {CY}, not with one of {BO}'s", Kind.SIGNATURE),
    (_of_a_stranger, "its key is nobody's in allowed_signers", Kind.SIGNATURE),
    (_with_another_comment, "its signature does not fit", Kind.SIGNATURE),
    (_for_another_plan, "its signature does not fit", Kind.SIGNATURE),
    (_with_a_later_end, "its signature does not fit", Kind.SIGNATURE),
    (_dated_ahead, "ahead of this worker's clock", Kind.SIGNATURE),
    (_that_is_none, "its signature does not fit", Kind.SIGNATURE),
    (_of_the_requester_as_another, f"{ANA} asked for this promotion, and nobody decides", Kind.POSING),
    (_of_the_requester, "nobody decides on their own request", None),
)


async def test_what_is_not_the_approvers_own_is_refused_in_words(gate: Gate) -> None:
    """Each attempt is remembered with its reason, by signal as by update, and the real decision still counts."""
    for makes, why, kind in ATTEMPTS:
        answer = makes(gate)
        assert why in await gate.refused(answer), makes.__name__
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await gate.handle.execute_update(
                "decide", {**answer.model_dump(mode="json"), "decision": "approve"}
            )
        assert why in str(refused.value.cause), makes.__name__
        told = await gate.town.alarmed()
        assert kind is None or kind in told or told[0].endswith(("more attempt", "more attempts")), (
            makes.__name__
        )
        assert bool(told) is bool(kind), makes.__name__

    await gate.handle.signal("approve", gate.answer(gate.sign()))
    assert (await asyncio.wait_for(gate.handle.result(), 30)).outcome is Outcome.PROMOTED


async def test_one_key_has_one_voice_whatever_names_it_has(town: Town, people: People) -> None:
    """Neither does whoever asked approve by a second name of theirs, nor one approver twice."""
    people.allow(town.folder, {ANA: ANA, f"{BO},{CY}": CY, f"ana@home.example,{BO}": ANA})
    for environment in (town.dev, town.staging):
        await town.promoted("1.0", environment)
    town.change_place(town.production, approval=SIGNED.but(quorum=2))
    handle = await ask(town, people, "1.0")
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.proposal
    gate = Gate(town, people, handle, status.proposal)

    own = gate.answer(gate.sign(whose=ANA, by=BO), by=BO)
    assert "nobody decides on their own request" in await gate.refused(own)
    assert await town.alarmed() == [Kind.POSING]
    for name in (CY, BO):
        await handle.signal("approve", gate.answer(gate.sign(whose=CY, by=name), by=name))
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while len((decided := await gate.status()).decisions) < 2:
            await town.client.get_workflow_handle(handle.id).describe()

    assert decided.phase is Phase.WAITING_FOR_APPROVAL
    assert all(vote.is_proven for vote in decided.decisions)


async def test_a_key_revoked_before_the_effect_opens_nothing(gate: Gate) -> None:
    """A first opinion is no verdict: the effect looks again, and people see a new plan."""
    await gate.town.freeze(gate.town.production)
    await gate.handle.signal("approve", gate.answer(gate.sign()))
    await gate.town.until(gate.handle, Phase.WAITING_FOR_GATE)
    gate.people.revoke(gate.town.folder, BO)
    handle = gate.town.client.get_workflow_handle(environment_id(gate.town.production))
    await handle.signal("thaw", {"by": ANA})

    asked_anew = await gate.town.until_new_plan(gate.handle, gate.proposal.plan.intent)

    why = f"what {BO} said does not count: it was good when it was given; its key has been revoked since"
    assert why in str(asked_anew.records)
    assert await gate.town.alarmed() == []  # whoever loses a key has tried nothing
    assert gate.town.world.version(gate.town.place(gate.town.production)) == "absent"


async def test_a_first_opinion_that_somebody_made_up_opens_nothing(gate: Gate, shell: Shell) -> None:
    """Whoever completes the look at a forged signature by hand is believed until the effect looks for itself."""
    town, handle = gate.town, gate.handle
    await town.close(town.production)  # so that nobody is quicker
    await handle.signal("approve", gate.answer(gate.sign(whose=EVE)))

    said = await complete(shell, handle, "prove", '""')

    assert said.code == 0, said.text
    await town.until(handle, Phase.IN_LANE)
    await town.open(town.production)
    asked_anew = await town.until_new_plan(handle, gate.proposal.plan.intent)
    assert "lacks the approval" in str(asked_anew.records)
    assert await town.alarmed() == [Kind.SIGNATURE]
    assert town.world.version(town.place(town.production)) == "absent"


async def test_a_request_in_anothers_name_is_refused(town: Town, people: People) -> None:
    """Whoever would approve their own request asks in another's name, and cannot sign as them."""
    people.allow(town.folder, {ANA: ANA, BO: BO})
    for environment in (town.dev, town.staging):
        await town.promoted("1.0", environment)
    town.change_place(town.production, approval=SIGNED)

    forged = await asyncio.wait_for((await ask(town, people, "1.0", whose=BO)).result(), 30)
    unsigned = await asyncio.wait_for((await town.promote("1.0", town.production)).result(), 30)

    assert (forged.outcome, unsigned.outcome) == (Outcome.REFUSED, Outcome.REFUSED)
    assert await town.alarmed() == [Kind.SIGNATURE]  # who forgets to sign a request is no forger
    assert f"{ANA} may not have asked for this: it was signed with the key of {BO}" in forged.why
    assert "it is not signed; name a key by --key" in unsigned.why
    assert town.place(town.production) not in town.world.previewed


async def test_only_releases_of_their_authors_are_let_in_where_that_is_asked(
    town: Town, people: People
) -> None:
    """Refused as the plan is drawn up; and at the effect, where the key was revoked in between."""
    people.allow(town.folder, {"ci": "ci"})
    files = town.settings.configuration.environments
    signing = {town.dev: files[town.dev].but(signed_releases=True)}
    town.settings.configuration = town.settings.configuration.but(environments=files | signing)
    made = town.make("2.0").but(author="ci")
    made = made.but(signature=people.signer("ci").sign_release(made))
    town.store.content[manifest_key(town.service, "2.0")] = made.canonical().encode()

    unsigned = await town.promoted("1.0", town.dev)
    assert town.world.previewed == []  # a plan of Terraform's would have run what is in it
    await town.freeze(town.dev)
    handle = await town.promote("2.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    people.revoke(town.folder, "ci")
    await town.client.get_workflow_handle(environment_id(town.dev)).signal("thaw", {"by": ANA})
    revoked = await asyncio.wait_for(handle.result(), 30)

    assert (unsigned.outcome, revoked.outcome) == (Outcome.REFUSED, Outcome.REFUSED)
    assert await town.alarmed() == []
    assert "release 1.0 may not be anybody’s: it is not signed" in unsigned.why
    assert (
        "its release is not proven to be its author's: it was good when it was given; its key has been revoked since"
        in revoked.why
    )
