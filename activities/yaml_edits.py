"""Changing one value of a YAML or JSON text, and nothing else: not a letter, and nothing that it means.

Nothing is written anew from what was understood. The value's own letters are replaced, the result is read again,
and what the parser says of both texts must differ in that one place.
"""

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from ruamel.yaml.events import AliasEvent

from activities.yaml_documents import locate
from activities.yaml_paths import Key, Path, say_path
from activities.yaml_places import NoPlaceError, NotThereError, Part, Text, find, read_text

Scalar = str | int | float | bool
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./@+~:-]*(?<!:)")
_NOT_TEXT: Final = re.compile(
    r"(?i:y|n|yes|no|on|off|true|false|null|~|\.inf|\.nan)"
    r"|0[xob][0-9a-fA-F_]+|[0-9][0-9_]*(:[0-9]+)*(\.[0-9_]*)?|\.[0-9_]+|[0-9_]*\.?[0-9_]*[eE][-+]?[0-9_]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|=|<<"
)
_ANCHOR: Final = 2
_VALUE: Final = 4
"""Where an anchor, and a scalar's value, stand in what the parser said of it."""
_WHOLE: Final = re.compile(r"0|[1-9][0-9]*")


def get(text: str, path: Path, document: Mapping[str, str], *, is_json: bool = False) -> str | None:
    """Return the text of a value, None where nothing is there. Raises ``NoPlaceError``."""
    try:
        part = locate(_readable(text, is_json=is_json), path, document).part
    except NotThereError:
        return None
    if part.kind not in {"scalar", "alias"}:
        raise NoPlaceError(f"{say_path(path)} is a {part.kind}, not a single value")
    return f"*{part.value}" if part.kind == "alias" else part.value


def put(text: str, path: Path, document: Mapping[str, str], value: Scalar, *, is_json: bool = False) -> str:
    """Return the text with another value there, in quotes of the kind that stood there. Raises ``NoPlaceError``."""
    place = locate(_readable(text, is_json=is_json), path, document)
    piece, part = text[place.start : place.end], place.part
    if part.kind not in {"scalar", "alias"}:
        raise NoPlaceError(f"{say_path(path)} is a {part.kind}, not a single value")
    if part.style in {"|", ">"} or "\n" in piece[part.start : part.end]:
        raise NoPlaceError(f"{say_path(path)} is written over several lines; write it on one")
    if part.kind == "scalar" and part.value == str(value) and isinstance(value, str):
        return text
    written = json.dumps(value, ensure_ascii=False) if is_json else rendered(value, part)
    changed = _with_instead(piece, part, written)
    _prove(place.text, _readable(changed, is_json=is_json), _Change(part.first, 1, 1), path, value)
    return text[: place.start] + changed + text[place.end :]


def put_as_in(
    text: str, path: Path, document: Mapping[str, str], origin: str, *, is_json: bool = False
) -> str:
    """Return the text with the value that another text has at this place, written as it is there: a number stays one.

    Raises ``NoPlaceError``, ``NotThereError`` where the other text has none.
    """
    place, source = (locate(_readable(one, is_json=is_json), path, document) for one in (text, origin))
    piece, part, wanted = text[place.start : place.end], place.part, source.part
    anchors = {said[_ANCHOR] for said in place.text.said[: part.first] if said[0] != AliasEvent.__name__}
    if wanted.kind == "alias" and wanted.value not in anchors:
        raise NoPlaceError(
            f"{say_path(path)} was *{wanted.value}, and no &{wanted.value} stands above it now"
        )
    written = origin[source.start : source.end][wanted.start : wanted.end]
    changed = _with_instead(piece, part, written)
    _prove(place.text, _readable(changed, is_json=is_json), _Change(part.first, 1, 1), path)
    result = text[: place.start] + changed + text[place.end :]
    if get(result, path, document, is_json=is_json) != get(origin, path, document, is_json=is_json):
        raise NoPlaceError(f"{say_path(path)} cannot be written here as it was")
    return result


def put_beside(text: str, sibling: Path, document: Mapping[str, str], entries: Mapping[str, str]) -> str:
    """Return the text with more keys on lines of their own, right below a key of one line. Raises ``NoPlaceError``."""
    place = locate(text, sibling, document)
    piece, found, parent = text[place.start : place.end], place.part, find(place.text, sibling[:-1], document)
    if parent.in_brackets:
        raise NoPlaceError(
            f"{say_path(sibling[:-1])} is written in braces; write a line for each of its keys"
        )
    key = next(key for key, value in parent.entries if value.first == found.first)
    column = key.start - (piece.rfind("\n", 0, key.start) + 1)
    lines = [f"{' ' * column}{name}: {rendered(value)}" for name, value in entries.items()]
    changed = _with_lines(piece, found.end_of_text, lines)
    _prove(place.text, changed, _Change(found.last + 1, 0, 2 * len(entries)), sibling)
    return text[: place.start] + changed + text[place.end :]


def put_item(text: str, name: str, entries: Mapping[str, str]) -> str:
    """Return the text with one more mapping in the list under a top key, which is made where it is missing.

    Raises ``NoPlaceError``.
    """
    before = read_text(text)
    if len(before.documents) != 1 or before.documents[0].kind != "mapping" or before.documents[0].in_brackets:
        raise NoPlaceError(f"{name} can be added only to one document with a line for each key")
    root = before.documents[0]
    path = (Key(name),)
    first, *rest = (f"{key}: {rendered(value)}" for key, value in entries.items())
    try:
        known = find(before, path, {})
    except NotThereError:
        lines = [f"{name}:", f"- {first}", *(f"  {line}" for line in rest)]
        changed = _with_lines(text, root.end_of_text, lines)
        _prove(before, changed, _Change(root.last, 0, 2 * len(entries) + 5), path)
        return changed
    if known.kind != "list" or known.in_brackets or not known.items:
        raise NoPlaceError(f"{name} is not a list with a line for each; write one of its entries by hand")
    dash = text.rfind("\n", 0, known.items[0].start) + 1
    indent = text[dash : text.index("-", dash)]
    lines = [f"{indent}- {first}", *(f"{indent}  {line}" for line in rest)]
    changed = _with_lines(text, known.items[-1].end_of_text, lines)
    _prove(before, changed, _Change(known.last, 0, 2 * len(entries) + 2), path)
    return changed


def rendered(value: Scalar, instead_of: Part | None = None) -> str:
    """Write a value so that every reader of YAML, old or new, takes it for what it is."""
    if not isinstance(value, str):
        return json.dumps(value)
    style = instead_of.style if instead_of else None
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style == '"':
        return _double(value)
    was_number = instead_of is not None and instead_of.kind == "scalar" and _WHOLE.fullmatch(instead_of.value)
    if was_number and _WHOLE.fullmatch(value):
        return value
    is_plain = _PLAIN.fullmatch(value) and not _NOT_TEXT.fullmatch(value)
    return value if is_plain else _double(value)


def _double(value: str) -> str:
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _readable(text: str, *, is_json: bool) -> str:
    """A tab between the parts of a JSON text means no more than a blank, and YAML would not have it."""
    return text.replace("\t", " ") if is_json else text


def _with_instead(text: str, part: Part, written: str) -> str:
    """Write this where a value stands, or where nothing does."""
    is_close = part.start == part.end and not text[: part.start].endswith((" ", "\t"))
    return text[: part.start] + (" " if is_close else "") + written + text[part.end :]


def _with_lines(text: str, after: int, lines: list[str]) -> str:
    """Add lines below the one that this place is in, with its line ends; a missing last one stays missing."""
    end = text.find("\n", after)
    nl = "\r\n" if "\r\n" in text else "\n"
    if end < 0:
        return text + nl + nl.join(lines)
    return text[: end + 1] + "".join(line + nl for line in lines) + text[end + 1 :]


class _Change(NamedTuple):
    """From which of the parser's events on there is something else, how many are gone, and how many have come."""

    at: int
    gone: int
    come: int


def _prove(before: Text, changed: str, change: _Change, path: Path, value: Scalar | None = None) -> None:
    """Hold both texts against each other, event by event: they differ here alone, and here is what was wanted."""
    wanted = {str(value), json.dumps(value)}
    try:
        said = read_text(changed).said
        at = change.at
        is_the_same = (before.said[:at], before.said[at + change.gone :]) == (
            said[:at],
            said[at + change.come :],
        )
        is_done = is_the_same and (value is None or said[at][_VALUE] in wanted)
    except (NoPlaceError, IndexError):
        is_done = False
    if not is_done:
        raise NoPlaceError(
            f"{say_path(path)} cannot be changed without changing something else; write it on a line of its own"
        )
