"""Signing as people do: named once in the surroundings, or printed for another way to send it."""

import asyncio
import json

import pytest

from domain.approval_written import Approval
from domain.names import promotion_id
from domain.outcome import Exit, Outcome, Phase
from domain.status import Report
from tests.clients.conftest import CommandLine, words
from tests.people import People, needs_openssh
from tests.town import Town

pytestmark = [pytest.mark.server, needs_openssh]
SIGNED = Approval.model_validate({"quorum": 2, "from": ["managers"], "signed": True})


async def test_a_release_is_asked_for_and_let_in_under_signatures(town: Town, towpath: CommandLine) -> None:
    """Without a key each is refused with the remedy; with one it is taken, whichever way it is sent."""
    ana, bo, cy = "ana@example.com", "bo@example.com", "cy@example.com"
    people = People(towpath.folder / "ssh")
    people.allow(town.folder, {ana: ana, bo: bo, cy: cy})
    for environment in (town.dev, town.staging):
        await town.promoted("1.0.0", environment)
    town.change_place(town.production, approval=SIGNED)
    named = words(town, "1.0.0", town.production)

    refused = await towpath.type("plan", *named)
    towpath.set(TOWPATH_SIGNING_KEY=str(people.key(ana)))
    planned = await towpath.type("plan", *named)
    asked = await towpath.type("promote", *named)
    handle = town.client.get_workflow_handle(
        promotion_id(town.subject(town.production), "1.0.0"), result_type=Report
    )
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    towpath.set(TOWPATH_SIGNING_KEY="")
    unsigned = await towpath.type("approve", *named, "--yes", "--by", bo)
    as_another = await towpath.type("approve", *named, "--yes", "--by", bo, "--key", str(people.key(cy)))
    stale = await towpath.type(
        "approve", *named, "--plan", "12345678", "--by", bo, "--key", str(people.key(bo))
    )
    taken = await towpath.type("approve", *named, "--yes", "--by", bo, "--key", str(people.key(bo)))
    seen = await towpath.type("status", *named)
    printed = await towpath.type("approve", *named, "--print", "--by", cy, "--key", str(people.key(cy)))
    await handle.signal("approve", json.loads(printed.out))
    report = await asyncio.wait_for(handle.result(), 30)

    assert (refused.code, planned.code, asked.code) == (Exit.REFUSED, Exit.DONE, Exit.DONE)
    assert "missing: your signature. Requests are signed in" in refused.said
    assert "refused:" not in refused.said
    assert (unsigned.code, as_another.code, stale.code) == (Exit.REFUSED,) * 3
    assert "towpath approve --key FILE" in unsigned.said
    assert f"it was signed with the key of {cy}, not with one of {bo}'s" in as_another.said
    assert "nothing was signed" in stale.said
    assert (taken.code, printed.code, report.outcome) == (Exit.DONE, Exit.DONE, Outcome.PROMOTED)
    assert f"{bo} says approve" in seen.said
    assert f"asked for by {ana}" in seen.said
    assert "(claimed, not proven)" not in seen.said
    assert f"{bo} (claimed, not proven)" not in seen.said


async def test_a_key_that_is_not_there_is_a_sentence(town: Town, towpath: CommandLine) -> None:
    """Nothing is asked for."""
    ran = await towpath.type("promote", *words(town, "1.0.0", town.dev), "--key", "~/nowhere")

    assert ran.code == Exit.USAGE
    assert "There is no key" in ran.said
