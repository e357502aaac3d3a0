"""Hotfixes, broken glass, overrides and reviews, as people type them."""

import json
from datetime import UTC, datetime
from pathlib import Path

from activities.archive import Archive
from activities.keyring import make_key
from activities.reviews import Reviews
from clients.cli.reading import open_archive
from domain.actor import Actor
from domain.approval_written import Hotfix
from domain.names import Subject
from domain.outcome import Exit, Phase
from domain.override import OverrideRole
from domain.review import Broken, Reviewed
from domain.urgency import BreakGlass
from domain.value import digest_of
from tests.clients.conftest import CommandLine, words
from tests.clients.test_releasing import configured
from tests.town import Town
from workers.settings import surroundings

SUBJECT = Subject(service="shop", environment="dev")
BROKEN = Broken(
    subject=SUBJECT,
    turn=7,
    version="1.0.0",
    plan=digest_of(b"plan"),
    by=Actor(name="di"),
    reason="it burns",
    past=("dev was frozen by ana",),
    at=datetime(2026, 1, 5, tzinfo=UTC),
)


async def test_a_broken_glass_is_shown_until_it_is_reviewed(offline: CommandLine) -> None:
    """`review list` ends with 10 while one is open; `doctor` names it; the store alone is asked."""
    configured(offline.folder)
    key = make_key(surroundings().keys, "dev")
    (offline.folder / "environments/dev.yaml").write_text(f"environment: dev\nkey: {key}\n")
    nothing = await offline.type("review", "list")
    store, archive = open_archive(surroundings())
    assert isinstance(archive, Archive)
    reviews = Reviews(store, archive)
    await reviews.note(BROKEN)

    listed = await offline.type("review", "list")
    assert "    past a gate that was shut: dev was frozen by ana\n" in listed.out
    as_json = await offline.type("review", "list", "--json")
    examined = await offline.type("doctor")
    unknown = await offline.type("review", "sign", "shop", "dev", "8", "--comment", "seen", "--by", "bo")
    wordless = await offline.type("review", "sign", "shop", "dev", "7", "--comment", " ", "--by", "bo")
    await reviews.sign(
        Reviewed(
            subject=SUBJECT, turn=7, of=BROKEN.digest(), by=Actor(name="bo"), comment="it did", at=BROKEN.at
        )
    )
    reviewed = await offline.type("review", "list")
    moved = offline.folder / "store/review/shop/dev/8/broken.json"
    moved.parent.mkdir()
    moved.write_bytes((moved.parent.parent / "7/broken.json").read_bytes())
    forged = await offline.type("review", "list")
    moved.unlink()
    all_ = await offline.type("review", "list", "--all")

    assert (nothing.code, listed.code, reviewed.code, all_.code) == (
        Exit.DONE,
        Exit.REFUSED,
        Exit.DONE,
        Exit.DONE,
    )
    assert "di (claimed, not proven) broke the glass at 2026-01-05 00:00 UTC: it burns" in listed.said
    assert "towpath review sign shop dev 7" in listed.said
    assert json.loads(as_json.out)["reviews"][0]["broken"]["turn"] == 7
    assert (
        "reviews: 1 to be done (shop in dev, turn 7: di (claimed, not proven) broke the glass"
        in examined.said
    )
    assert (unknown.code, wordless.code) == (Exit.USAGE, Exit.USAGE)
    assert "Nobody broke the glass in turn 8" in unknown.said
    assert "No review is open." in reviewed.said
    assert forged.code == Exit.USAGE
    assert "somebody moved it" in forged.said
    assert "reviewed by bo (claimed, not proven): it did" in all_.said


def write_floor(folder: Path, environment: str, said: str) -> None:
    """Write a folder that knows one environment, and who is on call."""
    (folder / "towpath.yaml").write_text("groups: {on-call: [ana@example.com]}\n")
    (folder / "environments").mkdir(exist_ok=True)
    (folder / f"environments/{environment}.yaml").write_text(f"environment: {environment}\n{said}\n")


async def test_shorter_ways_are_asked_for_with_a_reason_and_shown(town: Town, towpath: CommandLine) -> None:
    """What makes no sense is told before anything is asked for."""
    groups = {**town.settings.configuration.organisation.groups, "on-call": ("ana@example.com",)}
    organisation = town.settings.configuration.organisation.but(groups=groups)
    town.settings.configuration = town.settings.configuration.but(organisation=organisation)
    town.change_floor(
        town.dev,
        hotfix=Hotfix.model_validate({"quorum": 1, "from": ["managers"]}),
        break_glass=BreakGlass.model_validate({"from": ["on-call"]}),
        override=OverrideRole.model_validate({"from": ["on-call"]}),
    )
    town.make("1.0.0")
    promote = ("promote", *words(town, "1.0.0", town.dev))
    wrong = [
        await towpath.type(*promote, "--hotfix"),
        await towpath.type(*promote, "--hotfix", "--break-glass", "--reason", "it burns"),
        await towpath.type(*promote[:3], "--through", town.dev, "--hotfix", "--reason", "it burns"),
        await towpath.type(
            "override", town.service, town.dev, "--gate", "pins", "--for", "1h", "--reason", "x"
        ),
    ]

    asked = await towpath.type(*promote, "--hotfix", "--reason", "it burns")
    handle = town.promotion_of("1.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    shown = await towpath.type("status", *words(town, "1.0.0", town.dev))
    override = (
        "override",
        town.service,
        town.dev,
        "--gate",
        "freezes",
        "--for",
        "1h",
        "--reason",
        "it burns",
    )
    overridden = await towpath.type(*override)
    write_floor(towpath.folder, town.dev, "override: {from: [on-call]}")
    vain = await towpath.type(*override, "--by", "eve@example.com")
    environment = await towpath.type("status", f"environment/{town.dev}")

    assert [one.code for one in wrong] == [Exit.USAGE] * 4
    assert "Whoever takes a shorter way in says why" in wrong[0].said
    assert "write one of them" in wrong[1].said
    assert "leave --through out" in wrong[2].said
    assert asked.code == Exit.DONE
    assert "is asked for as a hotfix" in asked.said
    assert "asked for by ana@example.com (claimed, not proven), as a hotfix" in shown.said
    assert vain.code == Exit.REFUSED
    assert (
        "was not sent: eve@example.com may not override gates here; those who may: ana@example.com"
        in vain.said
    )
    assert overridden.code == Exit.DONE, overridden.said
    assert "is let past freezes by ana@example.com (claimed, not proven) until" in overridden.said
    assert "is let past freezes by ana@example.com" in environment.said
