"""Which of a text's documents a path leads into: of many, only those are read that may be meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from activities.yaml_paths import Index, Key, Match, Path, read_path
from activities.yaml_places import (
    NoDocumentError,
    NoPlaceError,
    NotThereError,
    Part,
    Text,
    find,
    read_text,
    several,
)

_BEGINNING: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_APART: Final = re.compile(r"^(%|\.\.\.)", re.MULTILINE)
"""Directives, and ends of documents: where there are any, a text is read as one."""


class Place(NamedTuple):
    """A value in one part of a text, which holds its document: where that part stands, and the value in it."""

    start: int
    end: int
    text: Text
    part: Part


def locate(text: str, path: Path, document: Mapping[str, str]) -> Place:
    """Find the one value that a path leads to. Raises ``NoPlaceError``, ``NotThereError`` where nothing is there.

    Of several documents those are read first in which all these words stand as they are: one of many is soon found.
    """
    pieces = _pieces(text)
    words = [
        *document.values(),
        *(word for keys in (path, *map(read_path, document)) for word in _words(keys)),
    ]
    likely = [piece for piece in pieces if all(word in text[slice(*piece)] for word in words)]
    try:
        return _locate_in(text, likely, path, document)
    except NotThereError:
        return _locate_in(text, pieces, path, document)


def _words(path: Path) -> Iterator[str]:
    for step in path:
        match step:
            case Key(name):
                yield name
            case Match(key, value):
                yield from (key, value)
            case Index():
                pass


def _locate_in(
    text: str, pieces: Sequence[tuple[int, int]], path: Path, document: Mapping[str, str]
) -> Place:
    found: list[Place] = []
    why: list[NotThereError] = []
    for start, end in pieces:
        try:
            read = read_text(text[start:end])
        except NoPlaceError:
            read_text(text)  # says on which line
            raise
        try:
            found.append(Place(start, end, read, find(read, path, document)))
        except NotThereError as no:
            why.append(no)
    if len(found) > 1:
        raise several(len(found), path)
    if not found:
        elsewhere = [no for no in why if not isinstance(no, NoDocumentError)]
        raise (*elsewhere, *why, NotThereError("it is empty"))[0]
    return found[0]


def _pieces(text: str) -> list[tuple[int, int]]:
    """Cut a text before each line that begins a document, where no directive or end of one is to be minded."""
    cuts = [] if _APART.search(text) else [found.start() for found in _BEGINNING.finditer(text)]
    edges = sorted({0, *cuts, len(text)})
    return list(pairwise(edges)) or [(0, 0)]
