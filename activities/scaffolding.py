"""New configuration: files with comments that say what may stand there. What is there is never written over."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from domain.configuration_files import ORGANISATION_FILE, environment_file, service_file

SCHEMAS: Final = ".schemas"
"""The folder of the schemas that editors read; a name with a dot is no configuration."""
NO_HEALTH: Final = "Without a health check nothing is proven."
"""Stands as a comment above what a health check may look like."""
_WIDE: Final = 4096


class NotWritableError(Exception):
    """A file could not be made or edited. The text is a sentence for people."""


class Draft(NamedTuple):
    """A file to write: its name in the folder, and its text."""

    file: str
    text: str


def _hint(kind: str, depth: int) -> str:
    return f"# yaml-language-server: $schema={'../' * depth}{SCHEMAS}/{kind}.json\n"


def schema_drafts(schemas: Mapping[str, Any]) -> list[Draft]:
    return [
        Draft(f"{SCHEMAS}/{kind}.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
        for kind, schema in schemas.items()
    ]


def organisation_draft() -> Draft:
    text = f"""{_hint("towpath", 0)}
# Who decides: group → the people in it, by the names that they decide under.
groups: {{}}
#  release-managers: [ada@example.com, grace@example.com]

# Where releases are kept: a folder that counts from this one, or s3://…, gs://…, az://…
store: store
"""
    return Draft(ORGANISATION_FILE, text)


def environment_draft(name: str, *, quorum: int | None, groups: Sequence[str], soak: str) -> Draft:
    """Draft an environment's file; what was not said stands in it as a comment."""
    asked = [f"quorum: {quorum}"] if quorum is not None else []
    asked += [f"from: [{', '.join(groups)}]"] if groups else []
    approval = (
        f"approval: {{{', '.join(asked)}}}" if asked else "# approval: {quorum: 1, from: [release-managers]}"
    )
    text = f"""{_hint("environment", 1)}
environment: {name}

# `towpath up` writes this environment's public key here; elsewhere its worker names it.
# key: ed25519:…

# What is asked of every service here. A service may ask for more, never for less.
{approval}
{f"soak: {soak}" if soak else "# soak: 10m"}

# How many promotions may wait for a service's lane: all (queue), the newest (supersede) or none (refuse).
# lane: queue
# Whether a newer promotion that waits ends a soak.
# yield: false

# How long people may hold a change under way before it is undone.
# hold_limit: 4h
"""
    return Draft(environment_file(name), text)


def service_draft(
    name: str, components: Mapping[str, str], environments: Sequence[str], target: str, health: str
) -> Draft:
    """Draft a service's file: its road goes through the environments in this order."""
    lines = [_hint("service", 1), f"service: {name}", "", "# What a release of it is made of."]
    lines += ["components:", *(f"  {one}: {{kind: {kind}}}" for one, kind in components.items())]
    lines += ["", "# Its road. `after` says where a release must have gone well first.", "environments:"]
    before = ""
    for environment in environments:
        lines.append(f"  {environment}:")
        lines += [f"    after: [{before}]"] if before else []
        lines += [
            f"    {one}: {_target(target, name, environment, one, alone=len(components) == 1)}"
            for one in components
        ]
        lines += _health(health, environment)
        before = environment
    return Draft(service_file(name), "\n".join(lines) + "\n")


def _health(health: str, environment: str) -> list[str]:
    if not health:
        return [
            f"    # {NO_HEALTH}",
            '    # health: [{http: "http://127.0.0.1:8101/", within: 30s}]',
        ]
    address = json.dumps(health.replace("{environment}", environment), ensure_ascii=False)
    return [f"    health: [{{http: {address}}}]"]


def _target(target: str, service: str, environment: str, component: str, *, alone: bool) -> str:
    place = f"{service}/{environment}" if alone else f"{service}/{environment}/{component}"
    if target == "command":
        program = f"./{service}-{component}"
        return f"{{target: command, deploy: [{program}, deploy], undo: [{program}, undo]}}"
    return f"{{target: directory, root: live/{place}}}"


def add_environment(text: str, service: str, environment: str, health: str = "") -> str:
    """Return a service's file with one more environment on its road, after the last; comments and order stay.

    Its components go where those of the last environment go, each folder by the new name. So do its health
    checks where they name that environment; else they stand there as a comment, since they would ask about
    another place. Raises ``NotWritableError`` where the file cannot be understood, or the environment is in it.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        content = yaml.load(text)
        road, components = content["environments"], content["components"]
    except (YAMLError, KeyError, TypeError) as wrong:
        raise NotWritableError(f"{service_file(service)} has mistakes: see towpath config check.") from wrong
    if not isinstance(road, CommentedMap) or not road:
        raise NotWritableError(f"{service_file(service)} has mistakes: see towpath config check.")
    if environment in road:
        raise NotWritableError(f"{service} goes to {environment} already: it is in {service_file(service)}.")
    last = list(road)[-1]
    place = CommentedMap()
    place["after"] = _flow([last])
    for component in components:
        place[component] = _moved(road[last].get(component), service, environment, component, len(components))
    _watch_over(place, _checks(road[last].get("health"), last, environment, health), road[last].get("health"))
    road[environment] = place
    out = io.StringIO()
    yaml.dump(content, out)
    return out.getvalue()


def _moved(old: Any, service: str, environment: str, component: str, many: int) -> CommentedMap:
    place = f"{service}/{environment}" if many == 1 else f"{service}/{environment}/{component}"
    moved = CommentedMap(dict(old) if isinstance(old, Mapping) else {"target": "directory"})
    if moved.get("target") == "directory":
        moved["root"] = f"live/{place}"
    moved.fa.set_flow_style()
    return moved


def _checks(old: Any, last: str, environment: str, health: str) -> Any:
    """Return the health checks of a new environment, or None where nobody knows what to ask there."""
    if health:
        return [{"http": health.replace("{environment}", environment)}]
    written = json.dumps(old)
    renamed = re.sub(rf"(?<![\w-]){re.escape(last)}(?![\w-])", environment, written)
    return json.loads(renamed) if renamed != written else None


def _watch_over(place: CommentedMap, checks: Any, old: Any) -> None:
    if checks is not None:
        place["health"] = _flow(checks)
        return
    like = json.dumps(old, ensure_ascii=False) if old else '[{http: "http://127.0.0.1:8101/", within: 30s}]'
    place.yaml_set_comment_before_after_key("after", before=f"{NO_HEALTH}\nhealth: {like}", indent=4)


def _flow(content: Any) -> Any:
    yaml = YAML()
    return yaml.load(json.dumps(content, ensure_ascii=False))


def write_new(folder: Path, drafts: Sequence[Draft]) -> list[str]:
    """Write what is not there yet, and return the names of what was written."""
    written: list[str] = []
    for file, text in drafts:
        try:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            with (folder / file).open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError:
            continue
        except OSError as error:
            raise NotWritableError(f"{folder / file} could not be written: {error.strerror}.") from error
        written.append(file)
    return written


def stale(folder: Path, drafts: Sequence[Draft]) -> list[Draft]:
    """Return the drafts of what was generated before, and would be generated otherwise now."""
    return [draft for draft in drafts if _written(folder / draft.file) not in {None, draft.text}]


def _written(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""


def replace(folder: Path, file: str, text: str) -> None:
    """Write a file whole: workers read it at every effect, and half a file is half a rule."""
    aside = folder / f"{file}.towpath-new"
    try:
        aside.write_text(text, encoding="utf-8")
        aside.chmod((folder / file).stat().st_mode)
        aside.replace(folder / file)
    except OSError as error:
        raise NotWritableError(f"{folder / file} could not be written: {error.strerror}.") from error
