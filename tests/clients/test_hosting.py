"""A folder and two terminals: everything that a new user types, with real programs."""

import asyncio
import json
import os
import re
import signal
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.spaces import Spaces
from clients.cli.hosting import serving
from clients.trouble import NoServerError
from domain.outcome import Exit
from tests.clients.conftest import TOWPATH, CommandLine, Ran, ended, read_until
from tests.survival.waiting import until
from workers import running
from workers.overseeing import WorkerFailedError
from workers.server import free_port
from workers.settings import surroundings

pytestmark = [pytest.mark.server, pytest.mark.processes]

SERVICE = """\
service: storefront
components:
  site: {kind: content}
environments:
  dev:
    site: {target: directory, root: live/dev}
  production:
    after: [dev]
    site: {target: directory, root: live/production}
    approval: {quorum: 1, from: [managers]}
"""


def lay_out(folder: Path) -> None:
    """Write a configuration and two versions of a site."""
    for name in ("environments", "services", "site/1", "site/2"):
        (folder / name).mkdir(parents=True)
    (folder / "towpath.yaml").write_text("groups:\n  managers: [bo@example.com]\nstore: store\n")
    for name in ("dev", "production"):
        lives = "temporal: {namespace: vault}\n" if name == "production" else ""
        (folder / f"environments/{name}.yaml").write_text(f"environment: {name}\n{lives}")
    (folder / "services/storefront.yaml").write_text(SERVICE)
    for version in ("1", "2"):
        (folder / f"site/{version}/index.html").write_text(f"version {version}")


@pytest.fixture
def home(offline: CommandLine) -> CommandLine:
    """A folder with a configuration and two versions of a site."""
    lay_out(offline.folder)
    return offline


async def start_up(home: CommandLine, port: int = 0) -> asyncio.subprocess.Process:
    """`towpath up` in that folder, on this port or one that is free, away from the usual ones."""
    process = await home.start("up", "--port", str(port or free_port()), "--ui-port", str(free_port()))
    await read_until(process, "Stop with Ctrl-C")
    return process


@pytest.fixture(scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, int]]:
    """`towpath up` in such a folder, as it is typed, for all who only look at it."""
    folder = tmp_path_factory.mktemp("up")
    lay_out(folder)
    own = {name: said for name, said in os.environ.items() if not name.startswith(("TEMPORAL_", "TOWPATH_"))}
    process = await asyncio.create_subprocess_exec(
        *(str(TOWPATH), "up", "--port", "0"),
        cwd=folder,
        env=own,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await read_until(process, "Stop with Ctrl-C")
        yield folder, process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            await ended(process)


@pytest.fixture
def beside(
    up: tuple[Path, int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """A second terminal in the folder where `up` runs."""
    return CommandLine(up[0], capsys, monkeypatch)


async def test_a_release_walks_to_production_by_the_command_line(home: CommandLine) -> None:
    """From create to rollback and doctor, with no variable set: the server of `up` is found by itself.

    Production lives in a namespace of its own, which `up` makes.
    """
    up = await start_up(home)

    created = await home.run(
        "release", "create", "storefront", "1.0.0", "--from", "site/1", "--notes", "first"
    )
    to_dev = await home.type("promote", "storefront", "1.0.0", "dev", "--watch")
    asked = await home.type("promote", "storefront", "1.0.0", "production")
    watching = await home.start("status", "storefront", "1.0.0", "production", "--watch")
    told = await read_until(watching, "approve it: ")
    planned = await home.type("status", "storefront", "1.0.0", "production")
    command = told.rpartition("approve it: ")[2].replace("you@example.com", "bo@example.com").split()[1:]
    approved = await home.type(*command)
    watched = await ended(watching)
    served = (home.folder / "live/production/current/index.html").read_text()
    examined = await home.type("doctor", "--json")
    dev = home.folder / "environments/dev.yaml"
    whole = dev.read_text()
    dev.write_text("environment: [dev\n")  # somebody else is at work, on two files
    (home.folder / "services/other.yaml").write_text("service: other\n")
    refused = await home.type("rollback", "storefront", "production", "--watch")
    turn = re.findall(r"--turn\s+(\d+)", refused.said)[0]
    rolled_back = await home.type("rollback", "storefront", "production", "--turn", turn, "--watch")
    dev.write_text(whole)
    listed = await home.type("release", "list")
    (home.folder / "services/storefront.yaml").write_text("service: storefront\n")
    broken = await home.type("rollback", "storefront", "dev", "--watch")
    up.terminate()
    stopped = await ended(up)

    for ran in (created, to_dev, asked, approved, watched, examined, rolled_back, listed, stopped):
        assert ran.code == Exit.DONE, ran.said
    assert broken.code == Exit.NOBODY_POLLS, broken.said
    assert "environments is missing" in broken.said
    assert "release notes: first" in planned.said
    assert served == "version 1"
    findings = json.loads(examined.out)["findings"]
    assert {one["verdict"] for one in findings} <= {"good", "doubtful"}
    assert [one["sentence"] for one in findings if one["about"] == "namespace"] == [
        "“default” is there",
        "“vault” is there",
    ]
    assert not (home.folder / "live/production/current/index.html").exists()


async def test_a_second_up_in_the_same_folder_is_told_of_the_first(
    beside: CommandLine, up: tuple[Path, int]
) -> None:
    """Two servers never share one file: the second says where the first is."""
    ran = await beside.run("up")

    assert ran.code == Exit.USAGE
    assert f"process {up[1]}" in ran.said


async def test_a_freeze_of_a_misspelt_environment_is_refused(beside: CommandLine) -> None:
    """It would stop nobody, and look as if it did."""
    ran = await beside.type("freeze", "prodution", "--reason", "audit")

    assert ran.code == Exit.USAGE
    assert "There is no environment “prodution”" in ran.said


async def test_up_in_the_wrong_folder_makes_nothing(home: CommandLine) -> None:
    """A slip in TOWPATH_CONFIG is said, and no folder of that name is left behind."""
    home.set(TOWPATH_CONFIG=str(home.folder / "nowhere"))

    ran = await home.type("up")

    assert ran.code == Exit.USAGE
    assert "there is no such folder" in ran.said
    assert not (home.folder / "nowhere").exists()


async def test_up_stops_when_told_and_keeps_everything(home: CommandLine) -> None:
    """Stopped by Ctrl-C, started again and stopped by SIGTERM, `up` ends with 0 and still knows what was promoted."""
    first = await start_up(home)
    await home.type("release", "create", "storefront", "1.0.0", "--from", str(home.folder / "site/1"))
    await home.type("promote", "storefront", "1.0.0", "dev", "--watch")
    first.send_signal(signal.SIGINT)
    stopped = await ended(first)
    assert not (home.folder / ".towpath/server.json").exists()

    second = await start_up(home)
    seen = await until(lambda: _answered(home))
    second.send_signal(signal.SIGTERM)
    again = await ended(second)

    assert (stopped.code, again.code) == (0, 0), stopped.said + again.said
    assert "holds site: 1.0.0" in seen.said


async def _answered(home: CommandLine) -> Ran | None:
    """A lane is asked for where it was last at work before it is asked for at the engine that has just come up."""
    ran = await home.type("status", "storefront", "dev")
    return None if ran.code == Exit.NOBODY_POLLS else ran


async def test_up_says_when_its_server_has_died(home: CommandLine) -> None:
    """An `up` whose server was killed does not sit there as if nothing had happened."""
    process = await start_up(home)
    address = json.loads((home.folder / ".towpath/server.json").read_text())["address"]
    (server,) = _servers_on(address.rpartition(":")[2])

    os.kill(server, signal.SIGKILL)
    ran = await ended(process)

    assert ran.code == Exit.NO_SERVER
    assert "has died" in ran.said


async def test_the_server_of_an_up_that_was_killed_is_found_where_it_is(home: CommandLine) -> None:
    """It lives on and keeps all; every command denied it, and asked the usual port. The next `up` ends it."""
    process = await start_up(home)
    address = json.loads((home.folder / ".towpath/server.json").read_text())["address"]
    (server,) = _servers_on(address.rpartition(":")[2])

    process.kill()
    await ended(process)
    asked = await home.run("status")
    second = await start_up(home)
    second.terminate()
    await ended(second)

    assert asked.code == Exit.DONE, asked.said
    assert "There is nothing yet" in asked.said
    assert not _read(Path(f"/proc/{server}/cmdline"))


async def test_the_libraries_own_words_are_not_printed_beside_a_commands(home: CommandLine) -> None:
    """What its client makes of a server that has gone is no sentence, and nobody who types asked for it."""
    process = await start_up(home)
    (server,) = _servers_on(
        json.loads((home.folder / ".towpath/server.json").read_text())["address"].rpartition(":")[2]
    )
    watching = await home.start("status", "--watch")
    await read_until(watching, "There is nothing yet")
    os.kill(server, signal.SIGKILL)
    await ended(process)
    assert watching.stderr
    async with asyncio.timeout(60):
        first = (await watching.stderr.readuntil(b"asked again")).decode()
    watching.kill()
    ran = await ended(watching)

    assert "temporalio_client" not in first + ran.said


@pytest.mark.parametrize(
    "words",
    [
        "rollback {} {}",
        "adopt {} {}",
        "promote {} 1.0.0 {}",
        "promote {} 1.0.0 --through {}",
        "plan {} 1.0.0 {}",
        "hold {} {}",
        "approve {} 1.0.0 {}",
        "status {} {}",
        "status {} 1.0.0 {}",
    ],
)
async def test_what_is_asked_of_a_service_that_nobody_knows_is_a_slip(
    beside: CommandLine, words: str
) -> None:
    """Nothing is begun: a lane of that name would be there for ever. So is an environment that it does not go to."""
    slip = await beside.type(*words.format("storefornt", "dev").split())
    nowhere = await beside.type(*words.format("storefront", "qa").split())
    lanes = await beside.type("status", "storefornt")

    assert (slip.code, nowhere.code, lanes.code) == (Exit.USAGE,) * 3
    assert "There is no service “storefornt”" in slip.said
    assert "did you mean storefront?" in slip.said
    assert "storefront does not go to “qa”" in nowhere.said
    assert "did you mean storefront?" in lanes.said


async def test_an_environment_that_is_misspelt_is_said_to_be(beside: CommandLine) -> None:
    shown = await beside.type("environments", "show", "prodction")

    assert shown.code == Exit.USAGE
    assert "There is no environment “prodction”: did you mean production?" in shown.said


async def test_workers_serve_what_they_are_told_to(beside: CommandLine) -> None:
    """`worker --environments dev` serves just that; an environment that is not there is named."""
    process = await beside.start("worker", "--environments", "dev")
    said = await read_until(process, "Serving")
    process.terminate()
    ran = await ended(process)
    wrong = await beside.type("worker", "--environments", "moon")

    assert "Serving dev on" in said
    assert ran.code == 0
    assert wrong.code == Exit.USAGE
    assert "dev, production" in wrong.said


async def test_releases_are_made_listed_and_shown(home: CommandLine) -> None:
    """A version exists once; what it is made of can be read again by people and programs."""
    first = await home.type(
        "release", "create", "storefront", "1.0.0", "--component", f"site={home.folder}/site/1"
    )
    same = await home.type("release", "create", "storefront", "1.0.0", "--from", f"{home.folder}/site/1")
    other = await home.type("release", "create", "storefront", "1.0.0", "--from", f"{home.folder}/site/2")
    listed = await home.type("release", "list", "--json")
    shown = await home.type("release", "show", "storefront", "1.0.0")
    missing = await home.type("release", "show", "storefront", "2.0.0")

    assert [ran.code for ran in (first, same, other, listed, shown, missing)] == [0, 0, 10, 0, 0, 2]
    assert "is already stored, the same" in same.said
    assert [one["version"] for one in json.loads(listed.out)["releases"]] == ["1.0.0"]
    assert "1 files" in shown.said


async def test_a_release_is_made_from_an_archive_and_pruned(home: CommandLine) -> None:
    """An archive makes the release that its folder makes, a hostile one none; what nobody needs goes."""
    with tarfile.open(home.folder / "site.tgz", "w:gz") as archive:
        archive.add(home.folder / "site/1", "site/1")
    with tarfile.open(home.folder / "bad.tgz", "w:gz") as archive:
        archive.add(home.folder / "site/1", "site/../../1")
    (home.folder / "all/site").mkdir(parents=True)
    (home.folder / "site/1").rename(home.folder / "all/site/1")

    made = await home.type("release", "create", "storefront", "1", "--from", f"{home.folder}/site.tgz")
    same = await home.type("release", "create", "storefront", "1", "--from", f"{home.folder}/all")
    bad = await home.type("release", "create", "storefront", "2", "--from", f"{home.folder}/bad.tgz")
    dry = await home.type("release", "prune", "storefront", "--keep", "0", "--dry-run")
    kept = await home.type("release", "prune", "storefront")
    pruned = await home.type("release", "prune", "storefront", "--keep", "0")
    listed = await home.type("release", "list", "--json")

    assert [ran.code for ran in (made, same, bad, dry, kept, pruned)] == [0, 0, Exit.REFUSED, 0, 0, 0]
    assert "is already stored, the same" in same.said
    assert "leads out of the folder" in bad.said
    assert "Would remove 1 releases" in dry.said
    assert "Removed 0 releases" in kept.said
    assert "Removed 1 releases" in pruned.said
    assert json.loads(listed.out)["releases"] == []


def committed(folder: Path) -> str:
    """Make a folder a repository with one commit, tagged v1, and return the commit."""
    git = ("git", "-C", str(folder), "-c", "user.name=Ana", "-c", "user.email=ana@example.com")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "one"), ("tag", "v1")):
        subprocess.run([*git, *words], check=True)
    return subprocess.run(
        [*git, "rev-parse", "v1"], check=True, capture_output=True, text=True
    ).stdout.strip()


async def test_a_release_is_made_from_a_commit(home: CommandLine) -> None:
    """`--revision` packs what was committed, and the release says the whole of the commit."""
    site = home.folder / "site/1"
    commit = committed(site)
    (site / "unfinished.html").write_text("not yet")

    made = await home.type("release", "create", "storefront", "1", "--from", str(site), "--revision", "v1")
    none = await home.type("release", "create", "storefront", "2", "--from", str(site), "--revision", "v9")
    listed = await home.type("release", "list", "--json")

    assert (made.code, none.code) == (0, Exit.REFUSED)
    assert "was not read by git" in none.said
    (release,) = json.loads(listed.out)["releases"]
    assert release["revision"] == commit
    assert release["components"][0]["files"] == 1


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        (("storefront", "1.0.0"), "Say what storefront is to be made from"),
        (("nothing", "1.0.0", "--from", "."), "There is no service “nothing”"),
        (("storefront", "1.0.0", "--component", "blob=."), "has no component blob"),
        (("storefront", "1.0.0", "--component", "site"), "write NAME=SOURCE"),
        (
            ("storefront", "1.0.0", "--component", "site=.", "--from", "."),
            "--from gives a source to the only",
        ),
    ],
    ids=["nothing", "service", "component", "form", "both"],
)
async def test_a_release_of_what_is_not_there_is_a_mistake_of_usage(
    home: CommandLine, words: tuple[str, ...], mark: str
) -> None:
    """What a release is made from is said in words that fit the service."""
    ran = await home.type("release", "create", *words)

    assert ran.code == Exit.USAGE
    assert mark in ran.said


async def test_every_mistake_of_the_configuration_is_said_at_once(home: CommandLine) -> None:
    """`config check` names file and line of each mistake; whatever else reads the folder says the same."""
    (home.folder / "environments/dev.yaml").write_text("environment: dev\nsoak: soon\n")
    (home.folder / "services/storefront.yaml").write_text(
        SERVICE.replace("target: directory", "target: rocket")
    )

    ran = await home.type("config", "check")
    (home.folder / "environments/spare.yaml").write_text("environment: spare\n")
    home.set(TEMPORAL_ADDRESS="127.0.0.1:1")
    for_all = ("up", "worker", "worker --environments spare --engine", "worker --environments spare,dev")
    others = [await home.type(*words.split()) for words in (*for_all, "release list")]
    alone = await home.run("worker", "--environments", "spare")

    assert ran.code == Exit.USAGE
    assert alone.code == Exit.NO_SERVER, alone.said
    assert "environments/dev.yaml:2" in ran.said
    assert re.search(r"services/storefront.yaml:\d+", ran.said)
    for other in others:
        assert other.code == Exit.USAGE
        assert "environments/dev.yaml:2" in other.said


async def test_the_doctor_finds_every_illness_at_once(home: CommandLine) -> None:
    """With no server and no keys, the doctor still says all of it, each with its remedy."""
    home.set(TEMPORAL_ADDRESS="127.0.0.1:1")

    ran = await home.type("doctor")

    assert ran.code == Exit.NO_SERVER
    assert "No Temporal server answers on 127.0.0.1:1" in ran.said
    assert "dev" in ran.said.partition("keys")[2]


async def test_workers_whose_namespace_was_deleted_end_with_a_sentence(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked like a mistake of ours, with all that the SDK has to say of it."""

    @asynccontextmanager
    async def fails(*_: object, **__: object) -> AsyncIterator[str]:
        raise WorkerFailedError("Namespace nowhere is not found")
        yield ""

    monkeypatch.setattr(running, "working", fails)
    spaces = Spaces(Client(client.service_client, namespace="nowhere"))

    with pytest.raises(NoServerError, match="“nowhere” is not there any more: somebody has deleted it"):
        async with serving(spaces, surroundings(tmp_path), [], engine=True, telemetry=None):
            pass


def _servers_on(port: str) -> list[int]:
    """Return the processes of the embedded servers that were told to listen on this port."""
    lines = {folder: _read(folder / "cmdline") for folder in Path("/proc").glob("[0-9]*")}
    return [
        int(folder.name)
        for folder, line in lines.items()
        if b"start-dev" in line and port.encode() in line.split(b"\0")
    ]


def _read(file: Path) -> bytes:
    """A process may end while it is looked at."""
    try:
        return file.read_bytes()
    except OSError:
        return b""
