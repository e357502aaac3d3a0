"""Where in a YAML text each value stands, to the letter: for changing one and leaving all else as it is."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.scanner import Scanner

from activities.yaml_paths import Index, Key, Match, Path, Step, read_path, say_path

_MOST_EVENTS: Final = 100_000
_REMEMBERED: Final = 8
"""Texts: a file is read for each value in it, before and after."""
_DEEPEST: Final = 200
_PROPERTIES: Final = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)+")


class NoPlaceError(Exception):
    """A path leads to nothing, or to more than one thing, or the text is no YAML. A sentence without a full stop."""


class NotThereError(NoPlaceError):
    """A path leads to nothing."""


class NoDocumentError(NotThereError):
    """No document is the one that is meant."""


@dataclass(frozen=True)
class Part:
    """A value of a text: from which letter to which, and from which of the parser's events to which."""

    start: int
    end: int
    first: int
    last: int
    kind: str
    """scalar, alias, list or mapping."""
    value: str = ""
    """What a scalar says, or an alias' anchor."""
    says: str | None = None
    """What a scalar says, or the one that an alias stands for."""
    style: str | None = None
    in_brackets: bool = False
    """Whether it is written in braces or brackets, or stands in some."""
    entries: tuple[tuple["Part", "Part"], ...] = ()
    items: tuple["Part", ...] = ()
    anchor: str | None = None

    @property
    def end_of_text(self) -> int:
        """Where the last letter of it ends: a block's own end may lie lines below."""
        below = [*self.items, *(value for _, value in self.entries)]
        return below[-1].end_of_text if below and not self.in_brackets else self.end


class Text(NamedTuple):
    """A text's documents, and what the parser said of it, event by event: two texts that say the same are equal."""

    documents: tuple[Part, ...]
    said: tuple[tuple[object, ...], ...]


def several(count: int, path: Path) -> NoPlaceError:
    return NoPlaceError(
        f"{count} documents in it have {say_path(path)}: say which by document:, as in "
        "{kind: Deployment, metadata.name: web}"
    )


@lru_cache(maxsize=_REMEMBERED)
def read_text(text: str) -> Text:
    """Read all documents. Raises ``NoPlaceError``."""
    builder = _Builder(text)
    try:
        parser = YAML(typ="safe", pure=True)
        parser.Scanner = _Scanner
        for event in parser.parse(text):
            builder.take(event)
    except (YAMLError, ValueError, OverflowError, RecursionError) as wrong:
        mark = getattr(wrong, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = wrong.problem if isinstance(wrong, MarkedYAMLError) else str(wrong).partition("\n")[0]
        raise NoPlaceError(f"{line}it is not YAML: {problem}") from wrong
    return Text(tuple(builder.documents), tuple(builder.said))


def find(text: Text, path: Path, document: Mapping[str, str]) -> Part:
    """Return the one value that a path leads to. Raises ``NoPlaceError``, ``NotThereError`` where nothing is there."""
    fitting = [root for root in text.documents if _fits(root, document)]
    if not fitting:
        wanted = ", ".join(f"{key}: {value}" for key, value in document.items())
        raise NoDocumentError(f"no document in it has {wanted}" if document else "it is empty")
    found, why = [], []
    for root in fitting:
        try:
            found.append(_walk(root, path))
        except NotThereError as no:
            why.append(no)
    if len(found) > 1:
        raise several(len(found), path)
    if not found:
        raise why[0]
    return found[0]


def _fits(root: Part, document: Mapping[str, str]) -> bool:
    for path, wanted in document.items():
        try:
            part = _walk(root, read_path(path))
        except NotThereError:
            return False
        if part.says != wanted:
            return False
    return True


def _walk(root: Part, path: Path) -> Part:
    part = root
    for number, step in enumerate(path):
        below = _below(part, step)
        if not below:
            raise NotThereError(_nothing(part, path, number))
        if len(below) > 1:
            raise NoPlaceError(f"{say_path(path[: number + 1])} is there {len(below)} times")
        part = below[0]
    return part


def _below(part: Part, step: Step) -> list[Part]:
    match step:
        case Key(name):
            return [value for key, value in part.entries if key.says == name]
        case Index(number):
            return list(part.items[number : number + 1])
        case Match(key, value):
            return [item for item in part.items if any(one.says == value for one in _below(item, Key(key)))]


def _nothing(part: Part, path: Path, number: int) -> str:
    why = f"there is no {say_path(path[: number + 1])}"
    if part.kind == "alias":
        return (
            f"{why}: {say_path(path[:number])} is an alias, *{part.value}; name the place that it stands for"
        )
    if any(key.value == "<<" for key, _ in part.entries):
        return f"{why} but what << may bring there; name the place that it comes from"
    names = [key.says or "…" for key, _ in part.entries]
    return f"{why}; there is {', '.join(names[:10])}" if names else why


class _Scanner(Scanner):
    """Takes a tab for a blank wherever Kubernetes' own parsers do: behind a key's colon, and before a comment."""

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.reader.peek() == "\t" and not self.allow_simple_key:
            while self.reader.peek() == "\t":
                self.reader.forward()
            super().scan_to_next_token()


class _Open:
    def __init__(self, event: CollectionStartEvent, first: int, *, in_brackets: bool) -> None:
        self.event = event
        self.first = first
        self.in_brackets = bool(event.flow_style) or in_brackets
        self.parts: list[Part] = []

    def close(self, event: Event, last: int, text: str) -> Part:
        is_mapping = isinstance(self.event, MappingStartEvent)
        return Part(
            start=self.event.start_mark.index,
            end=event.end_mark.index,
            first=self.first,
            last=last,
            kind="mapping" if is_mapping else "list",
            in_brackets=self.in_brackets,
            entries=tuple(_in_pairs(self.parts, text)) if is_mapping else (),
            items=() if is_mapping else tuple(self.parts),
            anchor=self.event.anchor,
        )


def _in_pairs(parts: list[Part], text: str) -> Iterator[tuple[Part, Part]]:
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        colon = text.find(":", key.end) + 1
        # Where nothing is written, the parser names the place of whatever comes next.
        is_nothing = value.kind == "scalar" and value.start == value.end
        yield key, replace(value, start=colon, end=colon) if is_nothing else value


class _Builder:
    def __init__(self, text: str) -> None:
        self.documents: list[Part] = []
        self.said: list[tuple[object, ...]] = []
        self._text = text
        self._open: list[_Open] = []
        self._anchors: dict[str, str] = {}

    def take(self, event: Event) -> None:
        number = len(self.said)
        if number >= _MOST_EVENTS or len(self._open) >= _DEEPEST:
            raise ValueError("it is larger, or deeper, than what can be edited here")
        self.said.append(_signature(event))
        match event:
            case ScalarEvent() | AliasEvent():
                self._place(self._leaf(event, number))
            case DocumentStartEvent():
                self._anchors.clear()
            case CollectionStartEvent():
                inside = bool(self._open) and self._open[-1].in_brackets
                self._open.append(_Open(event, number, in_brackets=inside))
            case CollectionEndEvent():
                self._place(self._open.pop().close(event, number, self._text))
            case _:
                pass

    def _leaf(self, event: NodeEvent, number: int) -> Part:
        start, end = event.start_mark.index, event.end_mark.index
        inside = bool(self._open) and self._open[-1].in_brackets
        if isinstance(event, AliasEvent):
            says = self._anchors.get(event.anchor)
            return Part(start, end, number, number, "alias", event.anchor, says, in_brackets=inside)
        if properties := _PROPERTIES.match(self._text, start, end):
            start = properties.end()
        value, style = str(getattr(event, "value", "")), getattr(event, "style", None)
        if event.anchor:
            self._anchors[event.anchor] = value
        return Part(
            start, end, number, number, "scalar", value, value, style, in_brackets=inside, anchor=event.anchor
        )

    def _place(self, part: Part) -> None:
        if self._open:
            self._open[-1].parts.append(part)
        else:
            self.documents.append(part)


def _signature(event: Any) -> tuple[object, ...]:
    names = ("anchor", "tag", "value", "implicit", "style", "flow_style")
    explicit = event.explicit if isinstance(event, DocumentStartEvent) else None
    return (type(event).__name__, explicit, *(getattr(event, name, None) for name in names))
