"""What a shell is told at a tab: names that are there, at once, and nothing where something is wrong."""

import re
import sys
from pathlib import Path

import pytest

from clients.completing import FLAGS, OPTIONS, VARIABLE, VERBS, complete
from docs.hooks import commands
from tests.clients.conftest import TOWPATH, CommandLine

NAMES = re.compile(r"\b(SERVICE|VERSION|RELEASE|ENVIRONMENT)\b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder with two services, two environments, and two releases of the shop."""
    for file in ("services/shop", "services/api", "environments/dev", "environments/production"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / f"{file}.yaml").write_text("nobody reads this: [\n")
    (tmp_path / "towpath.yaml").write_text('# store: elsewhere\nstore: "kept here"  # for now\n')
    for version in ("1.0.0", "1.1.0"):
        manifest = tmp_path / f"kept here/release/shop/{version}.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text("{}")
    return tmp_path


def told(line: str, folder: Path) -> list[str] | None:
    """Return what bash would be told with the cursor at the end of a line."""
    place = len(line.split()) - (not line.endswith(" "))
    variables = {VARIABLE: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(place)}
    said = complete(variables, folder)
    return said if said is None else said.splitlines()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("towpath promote ", "api shop"),
        ("towpath promote s", "shop"),
        ("towpath promote shop ", "1.0.0 1.1.0"),
        ("towpath promote shop --by me 1.1", "1.1.0"),
        ("towpath promote --watch shop 1.1.0 ", "dev production"),
        ("towpath promote shop 1.1.0 --through p", "production"),
        ("towpath promote api ", ""),
        ("towpath status shop d", "dev"),
        ("towpath status shop ", "1.0.0 1.1.0 dev production"),
        ("towpath history --release ", ""),
        ("towpath history --service shop --release ", "1.0.0 1.1.0"),
        (
            "towpath approve promotion/shop/p",
            "promotion/shop/production/1.0.0 promotion/shop/production/1.1.0",
        ),
        ("towpath status pipeline/", "pipeline/shop/1.0.0 pipeline/shop/1.1.0"),
        ("towpath logs lane/a", "lane/api/dev lane/api/production"),
        ("towpath diff shop 1.0.0 ", "1.0.0 1.1.0"),
        ("towpath environments show ", "dev production"),
        ("towpath release show shop 1.0", "1.0.0"),
        ("towpath promote nobody ", ""),
    ],
)
def test_names_stand_where_they_may(line: str, names: str, folder: Path) -> None:
    """The folder's services and environments, the versions of the service that was typed, and ids of them."""
    assert told(line, folder) == names.split()


@pytest.mark.parametrize(
    "line",
    [
        "towpath pro",
        "towpath ",
        "towpath promote --",
        "towpath promote shop --by ",
        "towpath nonsense shop ",
        "towpath promote shop 1.1.0 dev ",
    ],
)
def test_the_command_line_answers_for_all_else(line: str, folder: Path) -> None:
    """Verbs, options and their other values are none of names."""
    assert told(line, folder) is None


@pytest.mark.parametrize("broken", ["towpath.yaml", "services", "kept here/release/shop"])
def test_what_is_not_there_is_not_said(broken: str, folder: Path) -> None:
    """A shell is told no error."""
    (folder / broken).rename(folder / "gone")

    assert not told("towpath promote shop ", folder)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.processes
async def test_shells_complete_names(offline: CommandLine, folder: Path, shell: str) -> None:
    """The program itself tells each shell in its own way."""
    assert folder == offline.folder
    line = "towpath promote shop 1.1"
    offline.set(_TOWPATH_COMPLETE=f"complete_{shell}", COMP_WORDS=line, COMP_CWORD="3")
    offline.set(_TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")

    ran = await offline.run(program=TOWPATH)

    assert ran.out.strip() == ("_arguments '*: :((\"1.1.0\"))'" if shell == "zsh" else "1.1.0"), ran.said
    assert ran.err == ""


@pytest.mark.processes
async def test_nothing_big_is_loaded_for_a_name(offline: CommandLine, folder: Path) -> None:
    """A tab waits for Python, and for no library."""
    program = (
        f"import sys; from pathlib import Path; from clients.completing import complete; import clients.entry; "
        f"complete({{'{VARIABLE}': 'complete_bash', 'COMP_WORDS': 'towpath promote shop ', 'COMP_CWORD': '3'}}, "
        f"Path({str(folder)!r})); print({{'typer', 'pydantic', 'temporalio', 'asyncio'}} & set(sys.modules))"
    )
    ran = await offline.run("-c", program, program=Path(sys.executable))

    assert ran.out.strip() == "set()", ran.said


def test_every_verb_and_option_that_takes_a_name_is_completed() -> None:
    """A new verb wants its row in VERBS, a new option its word in OPTIONS or FLAGS of `clients/completing.py`."""
    verbs, options, flags = set(), set(), {"--help", "-h"}
    for verb, command in commands().items():
        for one in command.params:
            if one.param_type_name == "argument":
                verbs |= {verb} if NAMES.search(str(one.metavar)) else set()
            elif one.is_flag:
                flags |= set(one.opts)
            elif one.metavar in {"SERVICE", "ENVIRONMENT", "VERSION"}:
                options |= set(one.opts)
                verbs |= {verb} if not any(p.param_type_name == "argument" for p in command.params) else set()

    assert verbs - VERBS.keys() == set()
    assert set(VERBS) - set(commands()) == set()
    assert (options - OPTIONS.keys(), flags - FLAGS) == (set(), set())
