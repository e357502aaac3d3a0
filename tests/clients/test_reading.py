"""Looking: what went through, what stands where, what differs. Nothing is changed by it."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from domain.names import receipt_key
from domain.outcome import Exit, Phase
from domain.terms import LanePolicy
from tests.clients.conftest import CommandLine
from tests.town import Town


def settle(town: Town, folder: Path) -> None:
    """Write the town's configuration and its store to a folder, as an organisation would have them."""
    for room in ("environments", "services"):
        (folder / room).mkdir(exist_ok=True)
    (folder / "towpath.yaml").write_text("store: store\n")
    known = town.settings.configuration
    for name, file in known.environments.items():
        (folder / f"environments/{name}.yaml").write_text(f"environment: {name}\nkey: {file.key}\n")
    road = "".join(
        f"  {name}:\n    site: {{target: directory, root: live/{name}}}\n"
        + (f"    after: [{', '.join(place.after)}]\n" if place.after else "")
        for name, place in known.services[town.service].environments.items()
    )
    (folder / f"services/{town.service}.yaml").write_text(
        f"service: {town.service}\ncomponents:\n  site: {{kind: content}}\nenvironments:\n{road}"
    )
    for key, content in town.store.content.items():
        stored = folder / "store" / key
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(content)


@pytest.mark.server
async def test_history_tells_what_server_and_receipts_know_as_one(town: Town, towpath: CommandLine) -> None:
    """Each passage is told once, newest first; receipts go on telling when the server is away; forgeries do not."""
    await town.promoted("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    refused = await town.promoted("9.9.9", town.staging)
    settle(town, towpath.folder)

    both = json.loads((await towpath.type("history", "--service", town.service, "--json")).out)
    shown = await towpath.type("history", "--service", town.service, "--environment", town.dev)
    none = await towpath.type("history", "--service", town.service, "--since", "2999-01-01")
    wrong = await towpath.type("history", "--since", "yesterday")
    towpath.set(TEMPORAL_ADDRESS="127.0.0.1:1")
    alone = await towpath.type("history", "--service", town.service, "--json")
    newest = max(town.store.content, key=lambda key: key if key.startswith("receipt/") else "")
    receipt = towpath.folder / "store" / newest
    receipt.write_text(receipt.read_text().replace("2.0.0", "6.6.6"))
    forged = await towpath.type("history", "--service", town.service, "--json")

    assert refused.outcome == "refused"
    assert [(one["release"], one["outcome"]) for one in both["passages"]] == [
        ("9.9.9", "refused"),
        ("2.0.0", "promoted"),
        ("1.0.0", "promoted"),
    ]
    assert [one["known_from"] for one in both["passages"]] == [
        ["server"],
        ["server", "receipt"],
        ["server", "receipt"],
    ]
    assert shown.out.count("promoted") == 2
    assert "ana@example.com" in shown.out
    assert "Nothing that was asked for has ended yet" in none.out
    assert (wrong.code, "“yesterday” is neither" in wrong.said) == (Exit.USAGE, True)
    assert [one["release"] for one in json.loads(alone.out)["passages"]] == ["2.0.0", "1.0.0"]
    assert "Only receipts are shown" in " ".join(alone.err.split())
    assert [one["release"] for one in json.loads(forged.out)["passages"]] == ["1.0.0"]
    assert newest == receipt_key(town.subject(town.dev), json.loads(alone.out)["passages"][0]["turn"])
    assert "not the one that was signed" in forged.said


async def test_a_diff_names_what_differs_and_no_more(offline: CommandLine) -> None:
    """Files added, removed, changed and made executable are told with sizes; the same is said to be the same."""
    (offline.folder / "services").mkdir()
    (offline.folder / "environments").mkdir()
    (offline.folder / "towpath.yaml").write_text("store: store\n")
    (offline.folder / "environments/dev.yaml").write_text("environment: dev\n")
    (offline.folder / "services/shop.yaml").write_text(
        "service: shop\ncomponents:\n  site: {kind: content}\nenvironments:\n"
        "  dev:\n    site: {target: directory, root: live}\n"
    )
    build = offline.folder / "build"
    build.mkdir()
    for name, text in {"a.txt": "one\ntwo\n", "gone.txt": "x", "run": "#!", "same.txt": "s"}.items():
        (build / name).write_text(text)
    made = await offline.type("release", "create", "shop", "1.0.0", "--from", str(build), "--notes", "first")
    (build / "gone.txt").unlink()
    (build / "a.txt").write_text("one\nthree\n")
    (build / "new.bin").write_bytes(bytes(5))
    (build / "run").chmod(0o755)
    await offline.type("release", "create", "shop", "2.0.0", "--from", str(build), "--notes", "second")

    as_json = json.loads((await offline.type("diff", "shop", "1.0.0", "2.0.0", "--json")).out)
    shown = await offline.type("diff", "shop", "1.0.0", "2.0.0", "--content")
    same = await offline.type("diff", "shop", "1.0.0", "1.0.0")
    missing = await offline.type("diff", "shop", "1.0.0", "3.0.0")
    unclear = await offline.type("diff", "shop", "1.0.0")
    nowhere = await offline.type("diff", "shop", "--environment", "dev", "dev")

    assert made.code == Exit.DONE
    [part] = as_json["components"]
    assert {(one["path"], one["how"], one["before"], one["after"]) for one in part["files"]} == {
        ("a.txt", "changed", 8, 10),
        ("gone.txt", "removed", 1, None),
        ("new.bin", "added", None, 5),
        ("run", "changed", 2, 2),
    }
    assert [one["name"] for one in as_json["settings"]] == ["notes"]
    assert "-two\n+three" in shown.out
    assert "hold the same" in same.out
    assert (missing.code, unclear.code, nowhere.code) == (Exit.USAGE, Exit.USAGE, Exit.USAGE)
    assert "There is no release 3.0.0" in missing.said
    assert "there is no receipt in the store" in nowhere.said


@pytest.mark.server
async def test_what_stands_where_and_who_let_it_in(town: Town, towpath: CommandLine) -> None:
    """Environments and services are told with age, asker, approvers, health, freeze, workers and queue."""
    for environment in (town.dev, town.staging, town.production):
        await town.promoted("1.0.0", environment)
    await town.freeze(town.staging)
    go_on = town.world.slow[town.place(town.dev)] = asyncio.Event()
    town.change_place(town.dev, lane=LanePolicy.SUPERSEDE, yields=True)
    running = await town.promote("2.0.0", town.dev)
    await town.world.reached.wait()
    waiting = await town.promote("3.0.0", town.dev)
    await town.until(waiting, Phase.IN_LANE)
    settle(town, towpath.folder)
    file = towpath.folder / f"environments/{town.dev}.yaml"
    file.write_text(f"{file.read_text()}lane: supersede\nyield: true\n")

    listed = json.loads((await towpath.type("environments", "list", "--json")).out)
    table = await towpath.type("environments", "list")
    view = json.loads((await towpath.type("environments", "show", town.production, "--json")).out)
    shown = await towpath.type("environments", "show", town.production)
    gone = await towpath.type(
        "history", "--service", town.service, "--environment", town.production, "--json"
    )
    table_of_it = await towpath.type("history", "--service", town.service, "--environment", town.production)
    frozen = await towpath.type("environments", "show", town.staging)
    busy = await towpath.type("environments", "show", town.dev)
    lane = await towpath.type("status", town.service, town.dev)
    places = json.loads((await towpath.type("services", town.service, "--json")).out)["places"]
    said = await towpath.type("services", town.service)
    nobody = await towpath.type("services", "no-such-service")
    nowhere = await towpath.type("environments", "show", "nowhere")
    go_on.set()
    await asyncio.gather(running.result(), waiting.result())

    mine = {one["environment"]: one for one in listed["environments"]}
    assert (mine[town.dev]["lanes"], mine[town.dev]["busy"], mine[town.dev]["workers"]) == (1, 1, 1)
    assert mine[town.staging]["freeze"]["reason"] == "stop the line"
    assert mine[town.production]["freeze"] is None
    assert town.production in table.out
    [place] = view["places"]
    [stand] = place["stands"]
    assert (stand["by"], stand["approved_by"]) == ("ana@example.com", ["bo@example.com"])
    assert place["health"]["healthy"] is True
    assert "asked for by ana@example.com, approved by bo@example.com (claimed, not proven)" in shown.said
    assert [one.approved_by for one in await town.receipts(town.production)] == [("bo@example.com",)]
    assert json.loads(gone.out)["passages"][0]["approved_by"] == ["bo@example.com"]
    assert "ana@example.com + bo@example.com" in table_of_it.out
    assert "stop the line" in frozen.said
    for row in (
        "runs: promotion 2.0.0 for ana@example.com (claimed, not proven)",
        "waits: promotion 3.0.0 for ana@example.com (claimed, not proven)",
        "lane: supersede (only the newest promotion waits); a newer one that waits ends a soak",
    ):
        assert row in busy.said
    assert (
        "promotion 2.0.0 for ana@example.com (claimed, not proven), whose soak a newer promotion ends"
        in lane.said
    )
    assert (
        "3.0.0 for ana@example.com (claimed, not proven), until a newer promotion takes its place"
        in lane.said
    )
    assert [one["environment"] for one in places] == [town.dev, town.staging, town.production]
    assert all(one["stands"][0]["holding"]["version"] == "1.0.0" for one in places)
    assert said.out.count("site 1.0.0") == 3
    assert (nobody.code, nowhere.code) == (Exit.USAGE, Exit.USAGE)
    assert "There is no environment “nowhere”" in nowhere.said


@pytest.mark.server
async def test_a_timeline_tells_what_was_asked_for_before_and_after_it_began(
    town: Town, towpath: CommandLine
) -> None:
    """`watch SERVICE` tells promotions and changes, each record once, finds new ones, and ends when all is idle."""
    go_on = town.world.slow[town.place(town.dev)] = asyncio.Event()
    first = await town.promote("1.0.0", town.dev)
    await town.world.reached.wait()
    watching = asyncio.create_task(towpath.type("watch", town.service, "--until-idle", "--json"))
    await asyncio.sleep(0)
    second = await town.promote("2.0.0", town.dev)
    await town.until(second, Phase.IN_LANE)
    go_on.set()
    lines = (await asyncio.wait_for(watching, 40)).out.splitlines()
    report = await first.result()
    idle = await towpath.type("watch", town.service, town.staging, "--until-idle")
    wrong = await towpath.type("watch", "a", "b", "c", "--json")

    happened = [json.loads(line) for line in lines]
    assert report.turn
    outcomes = {
        (one["id"], one["record"]["outcome"]) for one in happened if one["record"]["record"] == "outcome"
    }
    ids = {one["id"] for one in happened}
    assert {first.id, second.id, f"change/{town.service}/{town.dev}/{report.turn}"} <= ids
    assert {(first.id, "promoted"), (second.id, "promoted")} <= outcomes
    assert len(lines) == len(set(lines))
    assert "Nothing is under way any more" in idle.said
    assert wrong.code == Exit.USAGE


@pytest.mark.processes
async def test_help_is_said_without_temporal(offline: CommandLine) -> None:
    """The command line is there at once: what asks the server is loaded only when it is asked."""
    ran = await offline.run(
        *("-c", "import sys, clients.cli; print('temporalio' in sys.modules)"), program=Path(sys.executable)
    )

    assert ran.out.strip() == "False", ran.said


@pytest.mark.server
@pytest.mark.processes
async def test_tables_fit_a_narrow_terminal(town: Town, towpath: CommandLine) -> None:
    """On a terminal of 80 columns each row stays one line; long names are cut short."""
    await town.promoted("1.0.0", town.dev)
    settle(town, towpath.folder)
    towpath.set(COLUMNS="80", TTY_COMPATIBLE="1")

    for words in (
        ("history", "--service", town.service),
        ("services", town.service),
        ("environments", "list"),
    ):
        ran = await towpath.run(*words)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", ran.out).splitlines()
        assert ran.code == Exit.DONE, ran.said
        assert max(map(len, lines)) <= 80, ran.out
        assert len(lines[0].split()) >= 5, ran.out
        assert "\x1b[3" not in ran.out


@pytest.mark.server
async def test_what_was_printed_is_told_from_the_store_alone(town: Town, towpath: CommandLine) -> None:
    """`logs` tells what programs printed, with journal and receipt, by promotion or turn; a follower ends with it."""
    town.world.says[town.place(town.dev)] = ("pushing", "pushed")
    town.world.sick.add("2.0.0")
    first = await town.promoted("1.0.0", town.dev)
    await town.promoted("2.0.0", town.dev)
    settle(town, towpath.folder)
    towpath.set(TEMPORAL_ADDRESS="127.0.0.1:1")

    shown = await towpath.type("logs", town.service, "1.0.0", town.dev, "--follow")
    sick = json.loads((await towpath.type("logs", town.service, town.dev, "--json")).out)
    by_turn = await towpath.type("logs", town.service, town.dev, "--turn", str(first.turn))
    by_id = await towpath.type("logs", f"change/{town.service}/{town.dev}/{first.turn}")
    never = await towpath.type("logs", town.service, "9.9.9", town.dev)
    wrong = await towpath.type("logs", "one", "two", "three", "four")

    assert shown.code == Exit.DONE
    assert re.search(r"\[place site\] pushing\n.*\[place site\] pushed\n", shown.out)
    assert "promotion of 1.0.0, promoted" in shown.out
    assert by_turn.out == by_id.out == shown.out
    assert (sick["version"], sick["outcome"]) == ("2.0.0", "rolled back")
    assert "not well: 2.0.0 is sick" in [line["text"] for line in sick["lines"]]
    assert {line["source"] for line in sick["lines"]} == {"program", "journal", "receipt"}
    assert (never.code, wrong.code) == (Exit.USAGE, Exit.USAGE)
    assert "nothing was begun there yet" in never.said


@pytest.mark.server
async def test_coverage_tells_what_is_missing_where(town: Town, towpath: CommandLine) -> None:
    """Health, alarm, undo, worker and proven rollback of each place, with a remedy; the exit code says the worst."""
    await town.promoted("1.0.0", town.dev)
    await town.promoted("1.0.0", town.staging)
    town.world.sick.add("2.0.0")
    await town.promoted("2.0.0", town.dev)
    settle(town, towpath.folder)

    ran = await towpath.type("doctor", "--coverage", "--json")
    shown = await towpath.type("doctor", "--coverage")
    towpath.set(TEMPORAL_ADDRESS="127.0.0.1:1")
    alone = await towpath.type("doctor", "--coverage")

    dev, staging, production = json.loads(ran.out)["places"]
    assert ran.code == shown.code == Exit.UNCOVERED
    assert [one["rollback"]["stands"] for one in (dev, staging, production)] == ["good", "missing", "missing"]
    assert {one["health"]["said"] for one in (dev, staging, production)} == {"none"}
    assert (dev["undo"]["said"], dev["worker"]["said"], dev["alarm"]["said"]) == ("restore", "1", "none")
    assert f"towpath rollback {town.service} {town.staging} --watch" in shown.said
    assert f"✗ health none: {town.service} in {town.dev}, {town.service} in {town.staging}" in shown.said
    assert alone.code == Exit.NO_SERVER
    assert "? worker unknown" in alone.said
