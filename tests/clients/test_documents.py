"""The documentation is run: what stands in it works."""

import asyncio
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from clients.cli import app
from docs.hooks import COMMANDS_PAGE, render
from domain.approval import Verdict
from domain.outcome import Outcome, Phase
from domain.value import short
from tests.clients.conftest import CommandLine
from tests.town import Town
from workers.server import temporal_binary

DOCS = Path(__file__).parents[2] / "docs"
WRITTEN = (DOCS / "reference/cli.md").read_text()
REFERENCE = render(WRITTEN, COMMANDS_PAGE)


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a page, those inside tabs too, without their indentation."""
    found = re.findall(
        rf"^( *)```{language}\n(.*?)^ *```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in found]


def commands(program: str, verdict: Verdict) -> list[str]:
    """Return the commands of the page on approving that decide so."""
    lines = "\n".join(blocks("how-to/approve.md", "sh")).splitlines()
    decides = re.compile(rf'(--name {verdict}\b|"decision": "{verdict}"|towpath {verdict}\b)')
    return [line for line in lines if line.startswith(program) and decides.search(line)]


def looking() -> list[str]:
    lines = "\n".join(blocks("how-to/approve.md", "sh")).splitlines()
    return [line for line in lines if " query " in line or " list " in line or " status " in line]


@pytest.mark.server
@pytest.mark.processes
@pytest.mark.parametrize("program", ["towpath", "temporal"])
@pytest.mark.parametrize("verdict", list(Verdict))
async def test_every_command_that_decides_does(
    town: Town, towpath: CommandLine, program: str, verdict: Verdict
) -> None:
    """Each command on the page, with its names put in, decides a promotion of its own."""
    wanted = {Verdict.APPROVE: Outcome.PROMOTED, Verdict.REJECT: Outcome.REJECTED}[verdict]
    found = commands(program, verdict)
    assert found
    for number, command in enumerate(found):
        version = f"{number}.0.0"
        for environment in (town.dev, town.staging):
            await town.promoted(version, environment)
        handle = await town.promote(version, town.production)
        status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
        assert status.intent

        ran = await towpath.run(
            *_spoken(town, command, version, short(status.intent)), program=_program(program)
        )
        report = await asyncio.wait_for(handle.result(), 20)

        assert ran.code == 0, ran.said
        assert report.outcome is wanted, report.why


@pytest.mark.server
@pytest.mark.processes
async def test_every_command_that_looks_sees_what_waits(town: Town, towpath: CommandLine) -> None:
    """Status, query and list, as written on the page, show the promotion that waits."""
    for environment in (town.dev, town.staging):
        await town.promoted("2.0.0", environment)
    handle = await town.promote("2.0.0", town.production)
    status = await town.until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.intent
    assert len(looking()) == 3

    for command in looking():
        ran = await towpath.run(
            *_spoken(town, command, "2.0.0", short(status.intent)), program=_program(command.split()[0])
        )
        assert ran.code == 0, ran.said
        assert town.service in ran.out


@pytest.mark.server
@pytest.mark.processes
async def test_the_client_script_runs(town: Town, towpath: CommandLine, tmp_path: Path) -> None:
    """The script in the documentation, saved and run as written there, promotes."""
    town.make("2.0.0")
    (tmp_path / "promote.py").write_text(blocks("how-to/client-script.md", "python")[0])

    ran = await towpath.run(
        str(tmp_path / "promote.py"),
        *(town.service, "2.0.0", town.dev, "ci@example.com"),
        program=Path(sys.executable),
    )

    assert "promoted" in ran.out, ran.said
    assert town.world.version(town.place(town.dev)) == "2.0.0"


def _all_commands() -> list[tuple[str, TyperCommand]]:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    return [(name.strip(), command) for name, command in _inside(root, "")]


def _inside(group: TyperGroup, prefix: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _inside(command, f"{prefix} {name}")
        elif isinstance(command, TyperCommand):
            yield f"{prefix} {name}", command


@pytest.mark.parametrize(("name", "command"), _all_commands(), ids=[name for name, _ in _all_commands()])
def test_the_reference_names_every_verb_and_option(name: str, command: TyperCommand) -> None:
    """Every command has its section, and in it every option and argument that it takes."""
    section = REFERENCE.partition(f"\n### towpath {name}\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    assert f"\n### towpath {name}\n" in WRITTEN
    assert section.strip()

    for parameter in command.params:
        if parameter.name != "help":
            shown = parameter.opts[0] if parameter.param_type_name == "option" else str(parameter.metavar)
            assert shown in section


def test_the_reference_names_no_option_that_is_not_there() -> None:
    """What stands in the reference can be typed."""
    known = {
        option for _, command in _all_commands() for parameter in command.params for option in parameter.opts
    }

    assert set(re.findall(r"`(--[a-z-]+)", REFERENCE)) <= known | {"--help"}


def _program(name: str) -> Path:
    return Path(temporal_binary()) if name == "temporal" else Path(sys.executable).with_name("towpath")


def _spoken(town: Town, command: str, version: str, plan: str) -> list[str]:
    """Put the test's own names in the place of the page's."""
    spoken = command.replace("storefront/production/2.0.0", f"{town.service}/{town.production}/{version}")
    spoken = spoken.replace("storefront 2.0.0 production", f"{town.service} {version} {town.production}")
    return shlex.split(spoken.replace("3f9a12c4", plan).replace("ada@example.com", "bo@example.com"))[1:]
