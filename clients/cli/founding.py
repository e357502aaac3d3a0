"""``config init``, ``config schema``, ``environment new`` and ``key``, ``service new``: what is not there yet."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.doctoring import config
from clients.cli.reading import known_schemas
from clients.cli.terminal import is_terminal, plain, say, say_commands
from clients.trouble import UsageError
from domain.configuration_files import ORGANISATION_FILE, environment_file, service_file
from domain.names import is_identifier
from domain.release import Kind
from domain.spelling import end_with_suggestion, suggest
from workers.settings import surroundings

if TYPE_CHECKING:
    from activities.scaffolding import Draft

environment = typer.Typer(no_args_is_help=True, help="Add environments, and make their keys.")
service = typer.Typer(no_args_is_help=True, help="Add services.")

NewName = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Folder = Annotated[Path | None, typer.Argument(metavar="[FOLDER]", show_default=False)]
SchemaName = Annotated[str, typer.Argument(metavar="[towpath|environment|service]", show_default=False)]
Quorum = Annotated[
    int | None, typer.Option("--quorum", metavar="N", help="How many must approve.", min=0, max=50)
]
Groups = Annotated[list[str] | None, typer.Option("--from", metavar="GROUP", help="Out of whom; repeat it.")]
Soak = Annotated[str, typer.Option("--soak", metavar="TIME", help="How long it must stay healthy.")]
Services = Annotated[
    list[str] | None,
    typer.Option("--service", metavar="SERVICE", help="Put it at the end of this service's road; repeat it."),
]
Components = Annotated[
    list[str] | None,
    typer.Option("--component", metavar="NAME=KIND", help="What a release is made of; repeat it."),
]
Road = Annotated[
    str, typer.Option("--environments", metavar="A,B", help="Its road, in order; else all there are.")
]
Target = Annotated[str, typer.Option("--target", metavar="TARGET", help="What takes its components.")]
Health = Annotated[
    str,
    typer.Option("--health", metavar="URL", help="Asked after a change; {environment} in it is replaced."),
]


@config.command()
def init(folder: Folder = None) -> None:
    """Make a configuration folder with comments in it.

    What is there already is left as it is, but for the schemas in .schemas/, which are made anew.
    """
    from activities.scaffolding import environment_draft, organisation_draft, schema_drafts

    path = surroundings(folder).folder
    drafts = [organisation_draft(), *schema_drafts(known_schemas())]
    if not any((path / "environments").glob("*.y*ml")):
        drafts.append(environment_draft("dev", quorum=None, groups=(), soak=""))
    written = _write(path, drafts, {})
    (path / "services").mkdir(exist_ok=True)
    _say_written(written, ())
    if not written:
        say("Everything else is there already, and was not touched.")
    say("Add a service:")
    say_commands(["towpath service new shop --component site=content"])


@config.command()
def schema(kind: SchemaName = "") -> None:
    """Print the JSON Schema of a kind of file, or of all three, for editors."""
    known = known_schemas()
    if kind and kind not in known:
        raise UsageError(f"There is no kind of file “{plain(kind)}”: {end_with_suggestion(kind, known)}")
    typer.echo(json.dumps(known[kind] if kind else known, indent=2, ensure_ascii=False))


@environment.command("new")
def new_environment(
    name: NewName = "",
    quorum: Quorum = None,
    group: Groups = None,
    soak: Soak = "",
    service: Services = None,
    health: Health = "",
) -> None:
    """Add an environment, and put it on the road of services."""
    from activities.scaffolding import (
        NO_HEALTH,
        NotWritableError,
        add_environment,
        environment_draft,
        schema_drafts,
    )

    name = _name(name or _ask("What is the environment called?", "a NAME"), "an environment")
    path = _folder()
    _refuse_known(path, environment_file(name))
    edits: dict[str, str] = {}
    try:
        for one in service or ():
            text = _text(path, service_file(one))
            edits[service_file(one)] = add_environment(text, one, name, health)
    except NotWritableError as error:
        raise UsageError(str(error)) from error
    draft = environment_draft(name, quorum=quorum, groups=group or (), soak=soak)
    known = {file: _text(path, file).count(NO_HEALTH) for file in edits}
    _make(path, [draft, *schema_drafts(known_schemas())], edits)
    for file, text in edits.items():
        if text.count(NO_HEALTH) > known[file]:
            say(
                f"Nothing looks whether {name} is well yet: say what to ask, under health in {file}.",
                "yellow",
            )


@environment.command("key")
def make_environment_key(name: NewName) -> None:
    """Make an environment's key on this machine, where its worker will run, and publish its public half.

    A key that is there already is left as it is.
    """
    from clients.cli.keying import make_published_key
    from clients.cli.reading import read_configuration

    place = surroundings()
    configuration = read_configuration(place)
    if name not in configuration.environments:
        raise UsageError(
            f"There is no environment “{plain(name)}” in {place.folder}: "
            f"{end_with_suggestion(name, configuration.environments)}"
        )
    make_published_key(place, configuration, name)
    say(
        f"The key of {name} is {place.keys / f'{name}.pem'}. Keep a copy of it where nobody else can read it."
    )


@service.command("new")
def new_service(
    name: NewName = "",
    component: Components = None,
    environments: Road = "",
    target: Target = "directory",
    health: Health = "",
) -> None:
    """Add a service: its components, and its road through the environments."""
    from activities.scaffolding import schema_drafts, service_draft
    from activities.targets import TARGETS

    name = _name(name or _ask("What is the service called?", "a NAME"), "a service")
    path = _folder()
    _refuse_known(path, service_file(name))
    if target not in TARGETS:
        raise UsageError(f"There is no target “{plain(target)}”: {end_with_suggestion(target, TARGETS)}")
    asked = component or [_ask("What is it made of, as in site=content?", "--component NAME=KIND")]
    parts = dict(map(_component, asked))
    if len(parts) < len(asked):
        raise UsageError("A component stands there twice. Name each once.")
    road = _road(environments) or _whole_road(path)
    _make(path, [service_draft(name, parts, road, target, health), *schema_drafts(known_schemas())])
    say(f"Its road: {' → '.join(road)}")


def _road(words: str) -> list[str]:
    return [one.strip() for one in words.split(",") if one.strip()]


def _whole_road(path: Path) -> list[str]:
    """Return a road through all environments. In which order, nobody guesses."""
    there = _environments(path)
    if not there:
        raise UsageError("There is no environment yet. Add one first: towpath environment new dev")
    if len(there) == 1:
        return there
    question = f"In which order does a release go through {', '.join(there)}?"
    return _road(_ask(question, "--environments, in that order and with commas between them"))


def _ask(question: str, else_: str) -> str:
    """Ask a person; a program is told which word to write."""
    if not is_terminal():
        raise UsageError(f"{question} There is no terminal to ask on: write {else_}.")
    return str(typer.prompt(question)).strip()


def _name(name: str, what: str) -> str:
    if not is_identifier(name):
        raise UsageError(
            f"“{plain(name)}” cannot be the name of {what}: use letters, digits, dot, dash and underscore, a "
            "letter or digit at both ends, at most 63 characters."
        )
    return name


def _component(word: str) -> tuple[str, str]:
    name, _, kind = word.partition("=")
    known = [one.value for one in Kind]
    if kind not in known:
        hint = suggest(kind, known) if kind else f"write {plain(name)}=KIND, and {suggest('', known)}"
        raise UsageError(
            f"“{plain(word)}” names no kind of component: {hint}{'' if hint.endswith('?') else '.'}"
        )
    return _name(name, "a component"), kind


def _folder() -> Path:
    path = surroundings().folder
    if not (path / ORGANISATION_FILE).is_file():
        raise UsageError(f"There is no {ORGANISATION_FILE} in {path}. Make one first: towpath config init")
    return path


def _environments(path: Path) -> list[str]:
    return sorted(file.stem for file in (path / "environments").glob("*.yaml") if is_identifier(file.stem))


def _refuse_known(path: Path, file: str) -> None:
    if (path / file).exists():
        raise UsageError(f"{file} is there already, and is left as it is. Edit it, or choose another name.")


def _text(path: Path, file: str) -> str:
    try:
        return (path / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read. Name a service that has a file in services/.") from error


def _make(path: Path, drafts: "Sequence[Draft]", edits: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write drafts and edits. Where they would be a mistake, everything is put back and the mistake said."""
    known = _mistakes(path)
    kept = {file: _text(path, file) for file in edits}
    written = _write(path, drafts, edits)
    if new := [one for one in _mistakes(path) if one not in known]:
        for file in written:
            (path / file).unlink()
        _write(path, (), kept)
        raise UsageError("\n  ".join(["Nothing was written, since it would be a mistake:", *new]))
    _say_written(written, edits)


def _write(path: Path, drafts: "Sequence[Draft]", edits: Mapping[str, str]) -> list[str]:
    from activities.scaffolding import NotWritableError, replace, schema_drafts, stale, write_new

    try:
        for draft in stale(path, schema_drafts(known_schemas())):
            replace(path, draft.file, draft.text)
            say(f"✓ {draft.file} (made anew)")
        written = write_new(path, drafts)
        for file, text in edits.items():
            replace(path, file, text)
    except NotWritableError as error:
        raise UsageError(str(error)) from error
    return written


def _say_written(written: Sequence[str], edited: Iterable[str]) -> None:
    for file in written:
        say(f"✓ {file}")
    for file in edited:
        say(f"✓ {file} (edited)")


def _mistakes(path: Path) -> list[str]:
    from activities.checks import CHECKS
    from activities.configuration_folder import inspect_folder
    from activities.rules import RULES
    from activities.targets import TARGETS

    return [str(one) for one in inspect_folder(path, TARGETS, CHECKS, RULES).mistakes]
