"""YAML 1.2 as people write it: plain content, and the line that each part of it stands on.

Read from the parser's events, not by a loader: what is no configuration (tags, circles, aliases that
multiply, a thousand levels) is refused before anything is built of it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from ruamel.yaml.reader import ReaderError

_DEEPEST: Final = 32
_MOST_PARTS: Final = 20_000

_WORDS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FRACTION: Final = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")

_MISSING: Final = re.compile(r"expected ',' or '([]}])'")

Keys = tuple[str | int, ...]


class UnreadableError(Exception):
    """It is no YAML, or none that a configuration is written in."""

    def __init__(self, line: int, problem: str, fix: str) -> None:
        super().__init__(line, problem, fix)
        self.line = line
        self.problem = problem
        self.fix = fix


class Entry(NamedTuple):
    """A key's line, and what stands under it."""

    line: int
    node: "Node"


class Node(NamedTuple):
    """A part of a file: a scalar, a list or a mapping. ``text`` is a scalar as it was written."""

    line: int
    content: "str | int | float | bool | Sequence[Node] | Mapping[str, Entry] | None"
    text: str = ""
    size: int = 1

    def plain(self) -> JsonValue:
        """Return the content alone. A key with nothing behind it is left out."""
        match self.content:
            case str() | int() | float() | None as scalar:
                return scalar
            case Mapping() as entries:
                return {key: node.plain() for key, (_, node) in entries.items() if node.content is not None}
            case items:
                return [node.plain() for node in items]

    def find(self, keys: Keys) -> "Node | None":
        """Return what these keys lead to."""
        found: Node | None = self
        for key in keys:
            found = found.step(key)[1] if found else None
        return found

    def line_of(self, keys: Keys) -> int:
        """Return the line where these keys lead, or the last of them that is there."""
        line, node = self.line, self
        for key in keys:
            reached, below = node.step(key)
            if below is None:
                return line
            line, node = reached, below
        return line

    def step(self, key: str | int) -> "tuple[int, Node | None]":
        """Return the line of what stands under a key, or at a place of a list, and that itself."""
        match key, self.content:
            case str(), Mapping() as entries if key in entries:
                line, node = entries[key]
                return line, node
            case int(), [*items] if key < len(items):
                return items[key].line, items[key]
            case _:
                return self.line, None


class Repeated(NamedTuple):
    """A key that stands in one mapping twice; the later one counts."""

    keys: Keys
    first_line: int


class Page(NamedTuple):
    """A file's content, None where there is none, and its repeated keys."""

    root: Node | None
    repeated: tuple[Repeated, ...]


def read_yaml(text: str) -> Page:
    """Read one document. Raises ``UnreadableError``."""
    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except MarkedYAMLError as wrong:
        raise _in_words(wrong, text) from wrong
    except ReaderError as wrong:
        line = text.count("\n", 0, wrong.position) + 1
        problem = f"the character U+{ord(text[wrong.position]):04X} cannot stand in YAML"
        raise UnreadableError(line, problem, "remove it") from wrong
    except (YAMLError, ValueError, OverflowError) as wrong:
        problem = str(wrong).partition("\n")[0]
        raise UnreadableError(
            0, f"this is not YAML: {problem}", "look for escapes such as \\U in quotes"
        ) from wrong
    return Page(builder.root, tuple(builder.repeated))


def _in_words(wrong: MarkedYAMLError, text: str) -> UnreadableError:
    problem = wrong.problem or "it cannot be read"
    mark = wrong.problem_mark
    if "end of stream" in problem or "stream end" in problem:
        mark = wrong.context_mark or mark
        return UnreadableError(_line(mark), "a quote or bracket is opened here and never closed", "close it")
    if (missing := _MISSING.match(problem)) and wrong.context_mark:
        return _unclosed(_line(wrong.context_mark), missing[1], _line(mark))
    if "\\t" in problem:
        return UnreadableError(_line(mark), "a tab indents this line", "indent with spaces")
    line = min(_line(mark), text.count("\n") + 1)
    return UnreadableError(
        line,
        f"this is not YAML: {problem}",
        "look for a missing space after a colon, a missing quote, or lines that are indented differently",
    )


def _unclosed(opened: int, closing: str, noticed: int) -> UnreadableError:
    """A list that is not closed is noticed on a later line, and mended where it was opened."""
    opening = "[" if closing == "]" else "{"
    if noticed == opened:
        return UnreadableError(opened, f"a comma or “{closing}” is missing on this line", "write it")
    problem = f"“{opening}” is opened here, and not closed before line {noticed}"
    return UnreadableError(opened, problem, f"close it with “{closing}”, or write the comma that is missing")


def _line(mark: object) -> int:
    line: int = getattr(mark, "line", -1)
    return line + 1


class _Open:
    """A list or mapping whose end has not been read."""

    def __init__(self, event: CollectionStartEvent) -> None:
        self.line = event.start_mark.line + 1
        self.anchor: str | None = event.anchor
        self.items: list[Node] = []
        self.entries: dict[str, Entry] | None = {} if isinstance(event, MappingStartEvent) else None
        self.key: tuple[str, int] | None = None

    def close(self) -> Node:
        if self.entries is None:
            return Node(self.line, tuple(self.items), size=1 + sum(node.size for node in self.items))
        return Node(self.line, self.entries, size=1 + sum(node.size for _, node in self.entries.values()))

    @property
    def step(self) -> str | int:
        return self.key[0] if self.key else len(self.items)


class _Builder:
    def __init__(self) -> None:
        self.root: Node | None = None
        self.repeated: list[Repeated] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._began = False

    def take(self, event: Event) -> None:
        line = event.start_mark.line + 1
        if tag := getattr(event, "tag", None):
            raise UnreadableError(line, f"“{tag}” is a tag, which has no meaning here", "remove it")
        match event:
            case DocumentStartEvent() if self._began:
                raise UnreadableError(line, "a second document begins here", "keep one, without ---")
            case DocumentStartEvent():
                self._began = True
            case ScalarEvent():
                self._place(Node(line, _resolve(event, line), event.value), event.anchor)
            case CollectionStartEvent():
                self._begin(event, line)
            case CollectionEndEvent():
                ended = self._open.pop()
                self._place(ended.close(), ended.anchor)
            case AliasEvent():
                self._place(self._anchored(event, line), None)
            case _:
                pass

    def _begin(self, event: CollectionStartEvent, line: int) -> None:
        if len(self._open) >= _DEEPEST:
            raise UnreadableError(line, f"this is more than {_DEEPEST} levels deep", "write it flatter")
        self._open.append(_Open(event))

    def _anchored(self, event: AliasEvent, line: int) -> Node:
        if event.anchor not in self._anchors:
            raise UnreadableError(
                line,
                f"*{event.anchor} stands for nothing that ends above it",
                f"define &{event.anchor} first",
            )
        return self._anchors[event.anchor]

    def _place(self, node: Node, anchor: str | None) -> None:
        if node.size > _MOST_PARTS:
            raise UnreadableError(node.line, f"this has more than {_MOST_PARTS:,} parts", "use fewer aliases")
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        inside = self._open[-1]
        if inside.entries is None:
            inside.items.append(node)
        elif inside.key is None:
            inside.key = self._key(node), node.line
        else:
            name, line = inside.key
            if name in inside.entries:
                keys = tuple(one.step for one in self._open)
                self.repeated.append(Repeated(keys, inside.entries[name].line))
            inside.entries[name] = Entry(line, node)
            inside.key = None

    def _key(self, node: Node) -> str:
        if isinstance(node.content, (tuple, dict)):
            raise UnreadableError(node.line, "a key cannot be a list or a mapping", "write a name")
        return node.text


def _resolve(event: ScalarEvent, line: int) -> str | float | bool | None:
    """Read a scalar by YAML 1.2: ``no`` and ``2024-05-01`` are words."""
    text: str = event.value
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UnreadableError(line, "half of a character is written here", "write the character itself")
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _FRACTION.fullmatch(text) else text
