"""What a tree of files must be, to stand anywhere as it stands here."""

import re
import tarfile
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from domain.marker import MARKER_PATH, is_marker_path

_STATE_FOLDER: Final = ".towpath"
_MARKER_FOLDER: Final = MARKER_PATH.partition("/")[0]
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_KERNEL_FOLLOWS: Final = 40


class Entry(NamedTuple):
    """One name in a tree, with slashes; ``kind`` is the tar format's letter for file, folder or link."""

    name: str
    kind: bytes
    target: str = ""
    executable: bool = False
    size: int = 0
    mark: tuple[int, ...] = ()
    """Differs where a file was written to or replaced between two looks."""


class Objection(NamedTuple):
    """What speaks against a tree: where, why, and what to do about it."""

    name: str
    why: str
    remedy: str


def is_fit(text: str) -> bool:
    """Tell whether a name or a link's target means the same everywhere."""
    return not _UNFIT.search(text)


def shown(text: str) -> str:
    """Spell out what a terminal would not show."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def objection(entries: Iterable[Entry]) -> Objection | None:
    """Return the first thing that speaks against a whole tree, be it for packing or for unpacking."""
    tree = tuple(entries)
    if all(entry.kind == tarfile.DIRTYPE for entry in tree):
        return Objection("", "holds no files", "Check that it was built, and that the path is right")
    for entry in tree:
        if _STATE_FOLDER in entry.name.casefold().split("/"):
            why = "is where Towpath keeps an environment's private keys"
            return Objection(
                entry.name, why, "Pack the folder that your build makes, not that of the configuration"
            )
        if is_marker_path(entry.name):
            return Objection(entry.name, "is where Towpath says which release runs", "Remove it")
        if entry.name.casefold() == _MARKER_FOLDER and entry.kind != tarfile.DIRTYPE:
            why = "must be a folder, for Towpath writes into it where the release runs"
            return Objection(entry.name, why, "Make it a real folder")
    links = {entry.name: entry.target for entry in tree if entry.kind == tarfile.SYMTYPE}
    for name in links:
        if why := _why_not_followed(name, links):
            return Objection(name, why, "Replace the link by what it leads to, or remove it")
    return None


def _why_not_followed(link: str, links: Mapping[str, str]) -> str:
    """Follow a link as the kernel would in a tree with these links; say why it cannot be, or nothing.

    What does not exist is taken for a folder. ``realpath`` would not do: it says where a path ends here, not
    whether it left the tree on the way, and came back by a name that is another one elsewhere.
    """
    at: list[str] = []
    pending = [link]
    followed = 0
    while pending:
        part, _, rest = pending.pop().partition("/")
        pending += [rest] if rest else []
        if part == "..":
            if not at:
                return f"leads out of the folder, by “{links[link]}”"
            at.pop()
        elif part not in {"", "."}:
            at.append(part)
            target = links.get("/".join(at))
            if target is None:
                continue
            if target.startswith("/"):
                return f"leads to an absolute path, “{target}”"
            followed += 1
            if followed > _KERNEL_FOLLOWS:
                return "leads in a circle"
            at.pop()
            pending.append(target)
    return ""
