"""Trees of files as plain values: a name → a ``File``, a ``Link``, or a tree again."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from hypothesis import strategies as st


class File(NamedTuple):
    content: bytes = b""
    executable: bool = False


class Link(NamedTuple):
    target: str


Tree: TypeAlias = Mapping[str, "File | Link | Tree"]


def grow(folder: Path, tree: Tree, order: Callable[[Iterable[str]], Iterable[str]] = sorted) -> Path:
    """Make a tree on the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in order(tree):
        path, node = folder / name, tree[name]
        match node:
            case File():
                path.write_bytes(node.content)
                path.chmod(0o700 if node.executable else 0o600)
            case Link():
                path.symlink_to(node.target)
            case _:
                grow(path, node, order)
    return folder


def reap(folder: Path) -> Tree:
    """Read a tree from the disk."""
    return {path.name: _reap_one(path) for path in folder.iterdir()}


def names(folder: Path) -> list[str]:
    """Return whatever there is below a folder; nothing where there is no folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _reap_one(path: Path) -> "File | Link | Tree":
    if path.is_symlink():
        return Link(os.readlink(path))  # noqa: PTH115 - as it is written
    if path.is_dir():
        return reap(path)
    return File(path.read_bytes(), bool(path.stat().st_mode & 0o100))


_signs = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/\\")
_reserved = {".", "..", ".git", ".towpath", ".well-known", "index.html", "missing"}
_names = st.text(_signs, min_size=1, max_size=60).filter(
    lambda name: name.casefold() not in _reserved and len(name.encode()) <= 255
)
_files = st.builds(File, st.binary(max_size=1500), st.booleans())
_links = st.builds(Link, st.sampled_from(["index.html", "./missing", "."]))
_leaves = st.dictionaries(_names, _files | _links, max_size=4)
trees: st.SearchStrategy[Tree] = st.recursive(
    _leaves,
    lambda folders: st.dictionaries(_names, _files | _links | folders, max_size=4),
    max_leaves=6,
).map(lambda tree: {**tree, "index.html": File(b"hello")})
"""Any tree that can be a release."""
