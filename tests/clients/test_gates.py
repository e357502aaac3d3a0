"""Pins and quarantines, as people set and lift them."""

import asyncio
import json

import pytest
from temporalio.client import Client

from clients.client import Towpath
from domain.inventory import EnvironmentList, EnvironmentSummary
from domain.outcome import Exit, Outcome, Phase
from domain.windows import Schedule
from tests.clients.conftest import CommandLine, words
from tests.clients.test_releasing import configured
from tests.town import Town


async def test_a_pin_keeps_a_service_until_it_is_unpinned(town: Town, towpath: CommandLine) -> None:
    """`pin` says what it keeps, everything that shows the environment shows it, and `unpin` wakes who waits."""
    await town.promoted("1.0.0", town.dev)
    pinned = await towpath.type("pin", town.service, town.dev, "--reason", "it works", "--for", "2h")
    handle = await town.promote("2.0.0", town.dev)
    await town.until(handle, Phase.WAITING_FOR_GATE)
    shown = [
        await towpath.type(*line)
        for line in (
            ("status", *words(town, "2.0.0", town.dev)),
            ("environments", "list"),
            ("environments", "show", town.dev),
            ("status", f"environment/{town.dev}"),
        )
    ]
    unpinned = await towpath.type("unpin", town.service, town.dev)
    report = await asyncio.wait_for(handle.result(), 20)
    again = await towpath.type("unpin", town.service, town.dev)
    misspelt = await towpath.type("pin", "no/name", town.dev, "--reason", "it works")
    unreasoned = await towpath.type("pin", town.service, town.dev, "--reason", "")

    assert (pinned.code, unpinned.code, again.code) == (Exit.DONE, Exit.DONE, Exit.REFUSED)
    assert (misspelt.code, unreasoned.code) == (Exit.USAGE, Exit.USAGE)
    assert "is pinned at 1.0.0 by" in pinned.said
    assert f"towpath unpin {town.service} {town.dev}" in shown[0].said
    assert f"pinned: {town.service}" in shown[1].said
    assert all("it works" in one.said for one in (shown[0], *shown[2:]))
    assert report.outcome is Outcome.PROMOTED


async def test_a_quarantine_is_said_wherever_the_release_is_shown(offline: CommandLine) -> None:
    """`quarantine` takes a reason and a release that there is; `unquarantine` lifts what is in quarantine."""
    configured(offline.folder)
    source = offline.folder / "site"
    source.mkdir()
    (source / "index.html").write_text("hello")
    await offline.type("release", "create", "shop", "1.0.0", "--component", f"site={source}")

    unknown = await offline.type("quarantine", "shop", "9.9.9", "--reason", "it leaks")
    unreasoned = await offline.type("quarantine", "shop", "1.0.0", "--reason", " ")
    put = await offline.type("quarantine", "shop", "1.0.0", "--reason", "it leaks", "--by", "olga")
    listed = await offline.type("release", "list", "shop")
    as_json = await offline.type("release", "show", "shop", "1.0.0", "--json")
    lifted = await offline.type("release", "unquarantine", "shop", "1.0.0", "--by", "olga")
    twice = await offline.type("release", "unquarantine", "shop", "1.0.0", "--by", "olga")
    after = await offline.type("release", "show", "shop", "1.0.0")

    assert (unknown.code, unreasoned.code, twice.code) == (Exit.USAGE, Exit.USAGE, Exit.REFUSED)
    assert (put.code, lifted.code) == (Exit.DONE, Exit.DONE)
    assert "towpath release unquarantine shop 1.0.0" in put.said
    assert "quarantined: it leaks" in listed.said
    assert json.loads(as_json.out)["quarantine"]["reason"] == "it leaks"
    assert "released from quarantine by olga" in after.said


async def test_all_environments_are_frozen_and_thawed_at_once(
    town: Town, towpath: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`freeze --all` and `thaw --all` go by what folder and server know; one that fails stops no other."""
    for name in (town.dev, town.staging):
        file = towpath.folder / "environments" / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"environment: {name}\nwindows: [{{from: '00:00', to: '24:00', zone: UTC}}]\n")
    (towpath.folder / "towpath.yaml").write_text("store: store\n")

    async def known(_client: Client, configured: dict[str, Schedule]) -> EnvironmentList:
        names = [EnvironmentSummary(environment=name, trouble="unknown") for name in configured]
        return EnvironmentList(environments=tuple(names))

    listed = await towpath.type("environments", "list")
    # The server has the environments of every other test, too.
    monkeypatch.setattr("clients.inventory.list_environments", known)
    frozen = await towpath.type("freeze", "--all", "--reason", "stop the line")
    thawed_one = await towpath.type("thaw", town.dev)
    shown = await towpath.type("environments", "show", town.dev)
    thawed = await towpath.type("thaw", "--all")
    neither = await towpath.type("freeze", "--reason", "stop the line")
    both = await towpath.type("thaw", town.dev, "--all")

    assert "within its window" in listed.said
    assert all(f"{name} is frozen by" in frozen.said for name in (town.dev, town.staging))
    assert (frozen.code, thawed_one.code) == (Exit.DONE, Exit.DONE)
    assert f"{town.dev} is within its window" in shown.said
    assert thawed.code == Exit.REFUSED
    assert f"{town.dev} is not frozen" in thawed.said
    assert f"{town.staging} is open" in thawed.said
    assert (neither.code, both.code) == (Exit.USAGE, Exit.USAGE)


async def test_what_is_frozen_is_thawed_by_a_name_that_no_folder_knows(
    town: Town, towpath: CommandLine
) -> None:
    """It was frozen by whoever knows no folder, or has left the folder since: the server has it."""
    (towpath.folder / "environments").mkdir()
    (towpath.folder / "environments/dev.yaml").write_text("environment: dev\n")
    (towpath.folder / "towpath.yaml").write_text("store: store\n")
    gone = f"gone-{town.service}"
    await Towpath(town.client).environment(gone).freeze("x", by="olga@example.com")

    thawed = await towpath.type("thaw", gone)
    again = await towpath.type("thaw", gone)

    assert (thawed.code, again.code) == (Exit.DONE, Exit.USAGE), thawed.said + again.said
