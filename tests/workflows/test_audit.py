"""Proving later who let it in: from the store alone, and in spite of whoever has altered it."""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from activities.archive import Archive
from activities.auditing import Auditor
from activities.bundling import LEFT_OUT, OF_A_LANE, OF_A_SERVICE, OF_AN_ENVIRONMENT
from activities.keyring import Keyring
from activities.signers import OpenSshSigners
from clients.client import Towpath
from domain.approval import Verdict
from domain.approval_written import Approval
from domain.audit import Audit
from domain.evidence import tell_audit
from domain.names import promotion_id, receipt_key
from domain.outcome import Phase
from domain.statement import Statement
from domain.status import Report
from domain.terms import Sealed, Story
from domain.value import digest_of, short
from domain.windows import Schedule, Window
from tests.fakes import MemoryStore
from tests.people import People, needs_openssh
from tests.town import Town

pytestmark = [pytest.mark.server, needs_openssh]
ANA, BO = "ana@example.com", "bo@example.com"
NEVER: Final = Schedule(
    windows=((Window.model_validate({"cron": "0 0 29 2 *", "lasts": "1h", "zone": "UTC"}),),)
)
SIGNED: Final = Approval.model_validate({"quorum": 1, "from": ["managers"], "signed": True})


class Past(NamedTuple):
    """A town in whose production 1.0 and 2.0 were let in under signatures, and 2.0 was rolled back."""

    town: Town
    people: People

    async def audit(self, content: Mapping[str, bytes] | None = None, head: str = "") -> Audit:
        """Audit the store, or another content of it, with real OpenSSH."""
        return await self._look(content, head, OpenSshSigners(self.town.folder))

    async def glance(self, content: Mapping[str, bytes]) -> Audit:
        """Audit everything but the signatures of people."""
        return await self._look(content, "", Credulous())

    async def _look(
        self, content: Mapping[str, bytes] | None, head: str, signers: "OpenSshSigners | Credulous"
    ) -> Audit:
        store = MemoryStore()
        store.content = dict(self.town.store.content if content is None else content)
        archive = Archive(store, Keyring(self.town.folder / "keys", self.town.settings))
        return await Auditor(store, archive, signers).audit("", self.town.production, head)

    def keys(self) -> list[str]:
        """Name production's receipts, oldest first."""
        prefix = f"receipt/{self.town.service}/{self.town.production}/"
        return sorted(key for key in self.town.store.content if key.startswith(prefix))


class Credulous:
    """Believes every signature."""

    async def why_not(
        self, statement: Statement, signature: str, now: datetime, given: datetime | None = None
    ) -> str:
        del statement, signature, now, given
        return ""


async def let_in(past: Past, version: str) -> Report:
    """Have a release let into production, asked for by ana and approved by bo, both signed."""
    town = past.town
    for environment in (town.dev, town.staging):
        await town.promoted(version, environment)
    towpath = Towpath(town.client)
    await towpath.promote(
        town.service, version, town.production, by=ANA, reason="a feature", signer=past.people.signer(ANA)
    )
    handle = town.client.get_workflow_handle(
        promotion_id(town.subject(town.production), version), result_type=Report
    )
    proposal = (await town.until(handle, Phase.WAITING_FOR_APPROVAL)).proposal
    assert proposal
    promotion = towpath.promotion(town.service, version, town.production)
    signed = promotion.sign(
        past.people.signer(BO), Verdict.APPROVE, proposal, by=BO, comment="# fine\n* by me"
    )
    await promotion.approve(short(proposal.plan.intent), by=BO, comment="# fine\n* by me", signed=signed)
    return await asyncio.wait_for(handle.result(), 30)


@pytest.fixture
async def past(town: Town, tmp_path: Path) -> Past:
    past = Past(town, People(tmp_path / "ssh"))
    past.people.allow(town.folder, {ANA: ANA, BO: BO})
    town.change_place(town.production, approval=SIGNED)
    await let_in(past, "1.0")
    await let_in(past, "2.0")
    signer = past.people.signer(ANA)
    wish = await Towpath(town.client).rollback(town.service, town.production, by=ANA, signer=signer)
    await wish.result()
    return past


def forged(key: str, content: bytes, **changes: object) -> dict[str, bytes]:
    """Return a receipt with another text under the seal of the old one."""
    sealed = Sealed.model_validate_json(content)
    body = json.dumps({**json.loads(sealed.body), **changes}, sort_keys=True, separators=(",", ":"))
    return {key: sealed.but(body=body).canonical().encode()}


async def test_what_was_let_in_can_be_proven_and_whatever_was_altered_is_found(past: Past) -> None:
    """Each receipt edited, all along its bytes; taken out; put in elsewhere; exchanged; written anew."""
    town, whole = past.town, dict(past.town.store.content)
    good = await past.audit()
    first, second, rollback = past.keys()

    assert not good.findings
    assert not good.notes, "what meets no word writes nothing into the logbook"
    assert [(one.version, one.outcome, len(one.decisions)) for one in good.promotions] == [
        ("1.0", "promoted", 1),
        ("2.0", "promoted", 1),
    ]
    assert all(one.requester.is_proven and one.decisions[0].is_proven for one in good.promotions)
    assert [one.story for one in good.accounts] == [Story.PROMOTION, Story.PROMOTION, Story.ROLLBACK]
    assert all(account.requester.is_proven for account in good.accounts)
    for account in good.accounts[:2]:
        assert [(one.name, one.is_proven) for one in account.decisions] == [(BO, True)]

    for key in (first, second, rollback):
        content = whole[key]
        for place in range(len(key) % 31, len(content), 31):
            edited = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            assert (await past.glance({**whole, key: edited})).findings, (key, place)
        assert (await past.glance({**whole, **forged(key, content, reason="another")})).findings
    recorded = [
        key for key in whole if f"/{town.production}/" in key and key.startswith(("record/", "ledger/"))
    ]
    assert len(recorded) >= 8
    for key in recorded:
        content = whole[key]
        for place in range(len(key) % 911, len(content), 911):
            edited = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            assert (await past.glance({**whole, key: edited})).findings, (key, place)
        assert (await past.glance({at: text for at, text in whole.items() if at != key})).findings, key
        other = next(one for one in recorded if one != key)
        assert (await past.glance({**whole, key: whole[other]})).findings, key
    vanished = {key: text for key, text in whole.items() if f"/{town.production}/2.0/" not in key}
    assert (await past.glance(vanished)).findings
    assert (await past.glance({key: text for key, text in whole.items() if key not in recorded})).findings
    for gone in (first, second):
        assert (await past.glance({key: text for key, text in whole.items() if key != gone})).findings
    exchanged = {**whole, first: whole[second], second: whole[first]}
    assert (await past.glance(exchanged)).findings
    copied = receipt_key(town.subject(town.production), 7)
    assert (await past.glance({**whole, copied: whole[first]})).findings

    without_newest = {key: text for key, text in whole.items() if key != rollback}
    head = next(iter(good.heads.values()))
    assert head == digest_of(Sealed.model_validate_json(whole[rollback]).body.encode())
    assert not (await past.audit(without_newest)).findings
    assert (await past.audit(without_newest, head)).findings
    assert not (await past.audit(None, head)).findings

    rooms = {key.partition("/")[0] for key in whole}
    assert rooms <= {*OF_A_LANE, *OF_A_SERVICE, *OF_AN_ENVIRONMENT, *LEFT_OUT}, "an auditor takes less along"

    swapped = {**whole, f"release/{town.service}/2.0.json": whole[f"release/{town.service}/1.0.json"]}
    assert any(
        "release 2.0 is another one now" in found.what for found in (await past.audit(swapped)).findings
    )


async def test_the_engines_own_worker_cannot_say_that_somebody_approved(past: Past) -> None:
    """Whoever has an environment's key can write receipts; a person's signature they cannot write.

    The report is for people to read, and nobody's words make a heading of their own in it.
    """
    town, whole = past.town, dict(past.town.store.content)
    first, *_ = past.keys()
    archive = Archive(MemoryStore(), Keyring(town.folder / "keys", town.settings))
    receipt = (await town.receipts(town.production))[-1]
    assert receipt.let_in
    tampering: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: receipt.let_in and receipt.let_in.but(decisions=()), "it was not let in by 1 of"),
        (lambda: receipt.let_in and receipt.let_in.but(nonce="another"), "does not fit"),
        (lambda: None, "it does not say who let it in"),
        (lambda: receipt.let_in and receipt.let_in.but(schedule=NEVER), "its journal says that others let"),
    )
    for tampers, what in tampering:
        sealed = archive.seal(town.production, receipt.but(let_in=tampers()))
        found = await past.audit({**whole, first: sealed.canonical().encode()})
        assert any(what in finding.what for finding in found.findings), what

    undone = (await town.receipts(town.production))[0]
    assert undone.request
    wish = undone.but(reason="another", request=undone.request.but(reason="another"))
    forged_wish = {past.keys()[-1]: archive.seal(town.production, wish).canonical().encode()}
    found = await past.audit({**whole, **forged_wish})
    assert any(f"nothing proves that {ANA} asked for it" in finding.what for finding in found.findings)

    text = tell_audit(await past.audit())

    assert f"## {town.service} in {town.production}: 2.0 promoted" in text
    assert f"* Asked for by {ANA}: a feature" in text
    assert f"{BO} said approve" in text
    assert "(claimed, not proven)" not in text.partition("rollback")[0]
    back = text.partition(f"## {town.service} in {town.production}: rollback of turn")[2]
    assert "* Done:\n    * site: put back 1.0 (" in back
    assert "left undone" not in back
    assert ": # fine * by me" in text
    assert "\n# fine" not in text

    past.people.revoke(town.folder, BO)
    assert any("has been revoked" in finding.what for finding in (await past.audit()).findings)
