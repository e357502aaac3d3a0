"""The documentation keeps up with the code: nothing in it is missing, misspelt, or gone."""

import ast
import re
import shlex
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import typer
from ruamel.yaml import YAML
from temporalio import workflow

from activities.checks import CHECKS
from activities.rules import RULES
from activities.targets import TARGETS
from clients.cli import app
from clients.trouble import ClientError
from docs.hooks import COMMANDS_PAGE, ROW, TABLES, render
from domain.doors import Signal
from domain.notice import SEVERITY_OF, Event, Severity
from domain.outcome import Exit, Outcome, Phase
from domain.record import Record
from workers.story import WORKFLOWS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [*sorted(ROOT.glob("*.md")), *PAGES]
REFERENCE = "\n".join(page.read_text() for page in sorted((DOCS / "reference").glob("*.md")))
ROOMS = ("activities", "clients", "domain", "workers", "workflows")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
SAID: Final = re.compile(r"`(towpath [a-z][^`\n]+)`")
"""A command in the middle of a sentence."""
ROW_OF_RULES: Final = re.compile(r"^\| (.+) \| `(domain/\w+\.py)` \| (.+) \|$", re.MULTILINE)
"""Rule, file, and who says it there."""
TYPED: Final = re.compile(r"^(?:\$ )?(towpath [a-z].*)")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def in_nav(entry: object) -> Iterator[str]:
    match entry:
        case str():
            yield entry
        case list() | tuple():
            for inner in entry:
                yield from in_nav(inner)
        case dict():
            yield from in_nav(list(entry.values()))
        case _:
            pass


def test_every_page_is_in_the_nav() -> None:
    """A page that nobody finds is not there; nor is one in the nav that is gone."""
    nav = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text())["nav"]

    assert sorted(in_nav(nav)) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """The file is there, and in it the heading."""
    text = FENCED.sub("", page.read_text())
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", link):
            file, _, anchor = link.partition("#")
            target = (page.parent / file).resolve() if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    slugs = [re.sub(r"\s+", "-", heading) for heading in plain]
    return {f"{slug}_{count}" if count else slug for slug in slugs for count in range(slugs.count(slug))}


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if not inner:
        yield words, command
    for name, one in (inner or {}).items():
        yield from leaves(one, (*words, name))


COMMANDS: Final = dict(leaves(typer.main.get_command(app)))


def commands_on(page: Path) -> Iterator[list[str]]:
    """Yield every ``towpath …`` of a page: a line of a block of commands, or a piece of code in a sentence."""
    text = page.read_text()
    for block in FENCED.findall(text):
        for line in block.splitlines():
            if typed := TYPED.match(line.strip()):
                yield shlex.split(typed[1], comments=True)
    for said in SAID.findall(FENCED.sub("", text)):
        yield [word for word in said.split() if word != "…"]


def why_untrue(words: Sequence[str]) -> str:
    """Say why nobody could type this command, or nothing."""
    _, *rest = words
    verb = next((verb for verb in COMMANDS if tuple(rest[: len(verb)]) == verb), None)
    if verb is None:
        return f"there is no command towpath {' '.join(rest[:2])}"
    known = {
        opt for parameter in COMMANDS[verb].params for opt in (*parameter.opts, *parameter.secondary_opts)
    }
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    unknown = given - known - {"--help"}
    return f"towpath {' '.join(verb)} has no {', '.join(sorted(unknown))}" if unknown else ""


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_every_command_can_be_typed(page: Path) -> None:
    """Each verb and option that a page names exists."""
    untrue = [why for words in commands_on(page) if (why := why_untrue(words))]

    assert not untrue


def test_a_command_that_is_not_there_would_be_found() -> None:
    """The check above tells a wrong verb and a wrong option from right ones."""
    assert why_untrue(["towpath", "undo", "storefront"])
    assert why_untrue(["towpath", "promote", "storefront", "--force"])
    assert not why_untrue(["towpath", "release", "create", "storefront", "1.0.0", "--from", "site"])


def variables() -> list[str]:
    """Return every variable of ours that stands in the code as a whole text."""
    texts = (file.read_text() for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))
    found = {name for text in texts for name in re.findall(r'["\'](TOWPATH_[A-Z_]*[A-Z])["\']', text)}
    assert "TOWPATH_CONFIG" in found
    return sorted(found)


@pytest.mark.parametrize("variable", variables())
def test_every_variable_is_documented(variable: str) -> None:
    """Whatever is read from the environment is in the reference, or on the page of its target or check."""
    pages = [*(DOCS / "reference").glob("*.md"), *(DOCS / "how-to").rglob("*.md")]

    assert any(re.search(rf"`{variable}\b", page.read_text()) for page in pages)


@pytest.mark.parametrize(
    "word", [*Outcome, *Phase, *Signal], ids=lambda word: f"{type(word).__name__}-{word}".replace(" ", "-")
)
def test_every_outcome_phase_and_signal_is_in_the_reference(word: StrEnum) -> None:
    """What people meet in a status or may send is explained."""
    assert re.search(rf"(?<![\w-]){word}(?![\w-])", REFERENCE)


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name)
def test_every_event_is_told_of_with_its_severity(event: Event) -> None:
    """Whoever writes a route finds the event's name, and what it counts as."""
    rows = re.findall(r"^\| (`.*?) \| (\w+) \|", (DOCS / "how-to/notifications.md").read_text(), re.MULTILINE)

    assert [Severity(severity) for names, severity in rows if f"`{event}`" in names] == [SEVERITY_OF[event]]


@pytest.mark.parametrize("code", list(Exit), ids=lambda code: code.name)
def test_every_exit_code_is_in_the_reference(code: Exit) -> None:
    """Whatever a command tells the shell has its line."""
    assert re.search(rf"^\| {code} \|", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_row_of_a_table_that_is_made_is_empty(name: str) -> None:
    """Whatever the reference is made of says of itself what it is: workflows, doors, records, errors."""
    page = (DOCS / "reference/workflows.md").read_text()
    rows = [line for line in TABLES[name]().splitlines() if line.startswith("| ")]

    assert f"<!-- made of: {name} -->" in page
    assert len(rows) > 2
    assert [row for row in rows if re.search(r"\|\s*\|", row)] == []


def test_every_workflow_door_record_and_error_is_in_the_reference() -> None:
    """Nothing that a history or a client shows is left out."""
    made = "".join(make() for make in TABLES.values())
    definitions = list(map(workflow._Definition.must_from_class, WORKFLOWS))
    doors = {name for one in definitions for name in (*one.signals, *one.updates, *one.queries) if name}
    records = {kind.model_fields["record"].default for kind in get_args(get_args(Record)[0])}
    kinds: tuple[type[ClientError], ...] = (ClientError, *ClientError.__subclasses__())
    errors = {kind.__name__ for kind in kinds}

    named = doors | records | {str(one.name) for one in definitions} | (errors - {"DemoError"})
    assert {name for name in named if f"`{name}`" not in made} == set()


@pytest.mark.parametrize("verb", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_does(verb: tuple[str, ...]) -> None:
    """The reference's rows are made of it."""
    assert [
        one.opts for one in COMMANDS[verb].params if one.param_type_name == "option" and not one.help
    ] == []


def test_no_row_by_hand_is_of_an_option_that_is_gone() -> None:
    """Nor does a table that is made drop what a page says."""
    written = (DOCS / COMMANDS_PAGE).read_text()
    rows = set(ROW.findall(written))

    assert rows
    assert rows <= set(ROW.findall(render(written, COMMANDS_PAGE)))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_target_has_its_page(target: str) -> None:
    """Registering a target asks for ``docs/how-to/targets/<name>.md``."""
    assert (DOCS / f"how-to/targets/{target}.md").exists()


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_every_check_is_in_the_reference(check: str) -> None:
    """Registering a check asks for its section."""
    assert f"\n### {check}\n" in (DOCS / "reference/configuration.md").read_text()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_its_section(rule: str) -> None:
    """Registering a rule asks for its section, on the page that tells of rules."""
    assert f"\n## {rule}\n" in (DOCS / "how-to/rules.md").read_text()


def test_every_test_that_the_architecture_names_exists() -> None:
    """The table of what is survived names its proofs."""
    text, file = (DOCS / "architecture.md").read_text(), ""
    found = re.findall(r"`([\w/.…]*)::(test_\w+)`", text)
    assert found
    for path, name in found:
        file = file if path == "…" else path
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(), f"{file}::{name}"


def rules_by_file() -> Iterator[tuple[str, str]]:
    """File and name of each function that the architecture's map of rules names."""
    for _, file, names in re.findall(ROW_OF_RULES, (DOCS / "architecture.md").read_text()):
        yield from ((file, name) for name in re.findall(r"`([\w.]+)`", names))


def test_every_rule_that_the_architecture_names_is_where_it_says() -> None:
    """Made there, not only imported; and its file says in its first line what it is about."""
    found = list(rules_by_file())

    assert found
    for file, name in found:
        outer, _, inner = name.partition(".")
        tree = ast.parse((ROOT / file).read_text())
        made = {one: node for node in tree.body for one in names_made_by(node)}
        assert ast.get_docstring(tree), file
        assert outer in made, f"{file}: {name}"
        owner = made[outer]
        if inner:
            assert isinstance(owner, ast.ClassDef)
            assert inner in {one for node in owner.body for one in names_made_by(node)}, f"{file}: {name}"


def names_made_by(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def test_everything_in_the_domain_that_refuses_is_on_the_map_of_rules() -> None:
    """Whatever lets nobody in is found by its rule."""
    mapped = set(rules_by_file())
    refusing = [
        (f"domain/{file.name}", node.name)
        for file in sorted((ROOT / "domain").glob("*.py"))
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if ast.unparse(node.returns or ast.Constant(None)) == "Refusal | None"
    ]

    assert refusing
    assert [one for one in refusing if one not in mapped] == []


def test_the_readme_shows_the_two_commands() -> None:
    """``make demo`` and ``make test`` stand in blocks of their own, to be found by people and by CI."""
    blocks = FENCED.findall((ROOT / "README.md").read_text())

    assert {"```sh\nmake demo\n```", "```sh\nmake test\n```"} <= set(blocks)
