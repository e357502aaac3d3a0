"""Paths into YAML, as people write them: ``spec.containers[name=web].image``, ``args[0]``, ``labels."a.b/c"``."""

import re
from typing import Final, NamedTuple

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"|' + r"'[^']*'"
_FIRST: Final = re.compile(rf"(?P<quoted>{_QUOTED})|(?P<key>[^.\[\]\"'\s][^.\[\]\"']*)")
_KEY: Final = re.compile(r"[^.\[\]\"'\s]+")
_VALUE: Final = re.compile(r"[^\]\"'\s]+")
_IN_BRACKETS: Final = re.compile(
    rf"\[\s*(?:(?P<index>[0-9]{{1,6}})|(?P<name>[^=\[\]\"']+?)\s*=\s*(?P<value>{_QUOTED}|[^\]\"']+?)|(?P<key>{_QUOTED}))\s*\]"
)


class Key(NamedTuple):
    """What stands under this key of a mapping."""

    name: str


class Index(NamedTuple):
    """What stands at this place of a list, from 0."""

    number: int


class Match(NamedTuple):
    """The one mapping of a list that has this text under this key."""

    key: str
    value: str


Step = Key | Index | Match
Path = tuple[Step, ...]


def read_path(text: str) -> Path:
    """Read a path. Raises ``ValueError`` with a sentence."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if text[at] == "[" and (found := _IN_BRACKETS.match(text, at)):
            steps.append(_bracketed(found))
        elif (at == 0) != (text[at] == ".") and (found := _FIRST.match(text, at + (at > 0))):
            steps.append(Key(_unquoted(found["quoted"] or found["key"].rstrip())))
        else:
            raise _unreadable(text, at)
        at = found.end()
    if not steps:
        raise _unreadable(text, 0)
    return tuple(steps)


def say_path(path: Path) -> str:
    """Say a path as people write it."""
    return "".join(_say(step) for step in path).removeprefix(".")


def _say(step: Step) -> str:
    match step:
        case Key(name):
            return f".{name}" if _KEY.fullmatch(name) else f".{_quoted(name)}"
        case Index(number):
            return f"[{number}]"
        case Match(key, value):
            return f"[{key}={value}]" if _VALUE.fullmatch(value) else f"[{key}={_quoted(value)}]"


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _bracketed(found: re.Match[str]) -> Step:
    if found["index"]:
        return Index(int(found["index"]))
    if found["name"]:
        return Match(found["name"].strip(), _unquoted(found["value"]))
    return Key(_unquoted(found["key"]))


def _unquoted(text: str) -> str:
    if text[:1] == "'":
        return text[1:-1]
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' else text


def _unreadable(text: str, at: int) -> ValueError:
    where = f", from “{text[at : at + 40]}” on" if at else ""
    return ValueError(
        f"“{text[:120]}” is not a path{where}: write keys with dots between them, [0] or [name=web] for one of a "
        'list, and quotes around a key that has a dot in it, as in spec.containers[name=web].image or labels."a.b"'
    )
