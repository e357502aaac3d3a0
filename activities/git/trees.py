"""Commits read and made without a working tree: nothing that stands in a repository is ever a file of ours."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from activities.git.clone import Clone
from activities.git.edits import seen
from activities.git.running import GitFailedError
from activities.git.settings import Write
from activities.ports import TargetRefusalError

_LARGEST: Final = 4 << 20
_FOLDER, _LINK, _MODULE = "040000", "120000", "160000"
EMPTY: Final = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Git's name for a folder with nothing in it."""


class Item(NamedTuple):
    """What stands under a path: its mode and its object."""

    mode: str
    name: str


class Tree:
    """What stands in a commit, or in a tree; an empty name is a repository without a commit."""

    def __init__(self, clone: Clone, name: str) -> None:
        self._clone = clone
        self.name = name or EMPTY

    @property
    def address(self) -> str:
        return self._clone.address

    async def items(self, paths: Iterable[str]) -> dict[str, Item]:
        """Return what stands under these paths, and under those that lead there."""
        asked = {part for path in paths for part in _on_the_way(path)}
        if self.name == EMPTY or not asked:
            return {}
        listed = await self._clone.local("ls-tree", "-z", "-t", self.name, "--", *sorted(asked))
        found: dict[str, Item] = {}
        for line in filter(None, listed.decode(errors="surrogateescape").split("\0")):
            about, _, path = line.partition("\t")
            mode, _, name = about.split(" ")
            found[path] = Item(mode, name)
        return {path: item for path, item in found.items() if path in asked}

    async def text(self, path: str) -> str | None:
        """Return a file's text, None where there is none. Raises ``TargetRefusalError`` where it is no such file."""
        item = await self.item(path)
        if item is None:
            return None
        if item.mode in {_FOLDER, _LINK, _MODULE}:
            what = {_FOLDER: "a folder", _LINK: "a link", _MODULE: "a submodule"}[item.mode]
            raise TargetRefusalError(f"{path} in {self.address} is {what}; name the file itself.")
        size = int(await self._clone.local("cat-file", "-s", item.name))
        if size > _LARGEST:
            raise TargetRefusalError(f"{path} in {self.address} is larger than {_LARGEST >> 20} MiB.")
        content = await self._clone.local("cat-file", "blob", item.name)
        try:
            return content.decode()
        except UnicodeDecodeError as wrong:
            raise TargetRefusalError(f"{path} in {self.address} is not UTF-8 text: {wrong}.") from wrong

    async def item(self, path: str) -> Item | None:
        """Return what stands under one path. Raises ``TargetRefusalError`` where a link or a file is on the way."""
        found = await self.items([path])
        for part in _on_the_way(path)[:-1]:
            if part in found and found[part].mode != _FOLDER:
                raise TargetRefusalError(
                    f"{part} in {self.address} is no folder, so nothing can stand at {path}. Links are not "
                    "followed."
                )
        return found.get(path)

    async def values(self, writes: Sequence[Write]) -> dict[str, str | None]:
        """Return what stands at each place. Raises ``NoPlaceError`` and ``TargetRefusalError`` where it cannot tell."""
        values: dict[str, str | None] = {}
        texts: dict[str, str | None] = {}
        for write in writes:
            if write.is_copy:
                item = await self.item(write.where)
                values[write.where] = f"{item.mode} {item.name}" if item else None
                continue
            if write.where not in texts:
                texts[write.where] = await self.text(write.where)
            values |= await asyncio.to_thread(seen, write, texts[write.where])
        return values


def _on_the_way(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


class Draft:
    """A tree in the making, from another one."""

    def __init__(self, clone: Clone, index: Path) -> None:
        self._clone = clone
        self._index = index

    async def put_text(self, path: str, text: str) -> None:
        """Write a file as text, with the right to execute that it had."""
        name = await self._clone.local("hash-object", "-w", "--no-filters", "--stdin", stdin=text.encode())
        listed = await self._clone.local("ls-files", "-z", "--stage", "--", path, index=self._index)
        mode = listed.decode(errors="replace").partition(" ")[0] or "100644"
        await self.put({path: Item(mode, name.decode().strip())})

    async def put(self, items: Mapping[str, Item | None]) -> None:
        """Let these stand under their paths; None takes away."""
        lines = [
            f"{item.mode} {item.name}\t{path}\0" if item else f"0 {'0' * 40}\t{path}\0"
            for path, item in items.items()
        ]
        told = "".join(lines).encode(errors="surrogateescape")
        await self._clone.local(
            "update-index", "--replace", "-z", "--index-info", stdin=told, index=self._index
        )

    async def clear(self, path: str) -> None:
        """Take away whatever stands under a path."""
        listed = await self._clone.local("ls-files", "-z", "--", path, index=self._index)
        names = filter(None, listed.decode(errors="surrogateescape").split("\0"))
        await self.put(dict.fromkeys(names))

    async def put_tree(self, path: str, item: Item | None) -> None:
        """Let a file or a whole folder of another commit stand under a path, or nothing."""
        await self.clear(path)
        if item and item.mode == _FOLDER:
            await self._clone.local("read-tree", "-i", f"--prefix={path}/", item.name, index=self._index)
        elif item:
            await self.put({path: item})

    async def put_files(self, path: str, source: Path) -> None:
        """Let a file or a folder of this machine stand under a path."""
        await self.clear(path)
        files = _files(source)
        with tempfile.TemporaryDirectory(dir=self._clone.git.folder / "passing") as passing:
            told = [_as_file(file, Path(passing, str(number))) for number, file in enumerate(files)]
            names = await self._clone.local(
                "hash-object",
                "-w",
                "--no-filters",
                "--stdin-paths",
                stdin="".join(f"{one}\n" for one in told).encode(),
            )
        items = {
            f"{path}/{file.relative_to(source).as_posix()}" if file != source else path: Item(
                _mode(file), name
            )
            for file, name in zip(files, names.decode().split(), strict=True)
        }
        await self.put(items)

    async def done(self) -> Tree:
        """Return the tree as it is now."""
        name = await self._clone.local("write-tree", "--missing-ok", index=self._index)
        return Tree(self._clone, name.decode().strip())


@asynccontextmanager
async def drafted(clone: Clone, tree: Tree) -> AsyncGenerator[Draft, None]:
    with tempfile.TemporaryDirectory(dir=clone.git.folder / "passing") as passing:
        index = Path(passing, "index")
        await clone.local("read-tree", *(["--empty"] if tree.name == EMPTY else [tree.name]), index=index)
        yield Draft(clone, index)


async def merged(clone: Clone, ours: str, base: str, theirs: str) -> str | None:
    """Return our text with what leads from base to theirs, or None where both changed the same lines."""
    with tempfile.TemporaryDirectory(dir=clone.git.folder / "passing") as passing:
        files = [Path(passing, name) for name in ("ours", "base", "theirs")]
        for file, text in zip(files, (ours, base, theirs), strict=True):
            file.write_bytes(text.encode())
        try:
            return (await clone.git("merge-file", "-p", *map(str, files))).decode()
        except GitFailedError:
            return None


def _files(source: Path) -> list[Path]:
    if source.is_symlink() or source.is_file():
        return [source]
    return sorted(file for file in source.rglob("*") if file.is_symlink() or file.is_file())


def _as_file(file: Path, stand_in: Path) -> Path:
    """A link's content is where it leads."""
    if not file.is_symlink():
        return file
    stand_in.write_text(str(file.readlink()))
    return stand_in


def _mode(file: Path) -> str:
    if file.is_symlink():
        return _LINK
    return "100755" if file.stat().st_mode & 0o100 else "100644"
