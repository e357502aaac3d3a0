"""Trees of files: unpacked from an artifact without trusting it, linked, compared with what was unpacked."""

import errno
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Final

from activities.finishing import StillWanted
from activities.ports import TargetRefusalError
from domain.marker import MARKER_PATH, is_marker_path

Contents = Mapping[str, str]
"""Path → ``folder``, ``link:<target>``, ``file:<sha256>`` or ``program:<sha256>``; parents come first."""

FOLDER: Final = "folder"
_FILES: Final = ("file:", "program:")
_MARKER_FOLDER: Final = MARKER_PATH.partition("/")[0]
_PIECE: Final = 1 << 20
_NO_LINKS_HERE: Final = frozenset(
    {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)


class _Hashing(io.RawIOBase):
    """Hashes all that is read through it, so that what was unpacked is what was verified."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(size)
        self.hash.update(piece)
        return piece


def unpack(artifact: Path, digest: str, folder: Path, still_wanted: StillWanted) -> Contents:
    """Unpack a tar file with this digest into a new folder; return what is in it.

    Nothing in it can reach out of the folder. Where this raises, the folder is to be removed.
    """
    folder.mkdir()
    with artifact.open("rb") as file:
        reader = _Hashing(file)
        try:
            with tarfile.open(fileobj=reader, mode="r|", bufsize=_PIECE) as archive:
                contents = _Unpacking(archive, folder, still_wanted).run()
        except tarfile.TarError as broken:
            raise TargetRefusalError(
                f"Artifact {digest} is not a tar file that can be read: {broken}."
            ) from broken
        while reader.read(_PIECE):
            still_wanted()
    if f"sha256:{reader.hash.hexdigest()}" != digest:
        raise TargetRefusalError(
            f"The file for artifact {digest} has another digest, sha256:{reader.hash.hexdigest()}: "
            "it was damaged or changed."
        )
    return contents


class _Unpacking:
    """One artifact on its way into a new folder. What it did not make as a folder, it does not enter."""

    def __init__(self, archive: tarfile.TarFile, folder: Path, still_wanted: StillWanted) -> None:
        self._archive = archive
        self._folder = folder
        self._still_wanted = still_wanted
        self.contents: dict[str, str] = {}

    def run(self) -> Contents:
        for member in self._archive:
            self._still_wanted()
            path = _safe_path(member.name)
            if path != PurePosixPath():
                self._make_parents(path)
                self.contents[str(path)] = self._make(member, path)
        return self.contents

    def _make_parents(self, path: PurePosixPath) -> None:
        for parent in reversed(path.parents[:-1]):
            if str(parent) not in self.contents:
                _safe_path(str(parent))
                (self._folder / parent).mkdir()
                self.contents[str(parent)] = FOLDER
            elif self.contents[str(parent)] != FOLDER:
                raise TargetRefusalError(
                    f"The artifact contains “{path}”, and “{parent}” is not a folder in it."
                )

    def _make(self, member: tarfile.TarInfo, path: PurePosixPath) -> str:
        if str(path).casefold() == _MARKER_FOLDER and not member.isdir():
            raise TargetRefusalError(f"The artifact contains “{path}” as something else than a folder.")
        try:
            return self._make_one(member, path)
        except FileExistsError as twice:
            raise TargetRefusalError(
                f"The artifact contains “{path}” twice, or once more in other letter case."
            ) from twice

    def _make_one(self, member: tarfile.TarInfo, path: PurePosixPath) -> str:
        if member.isdir():
            (self._folder / path).mkdir(exist_ok=self.contents.get(str(path)) == FOLDER)
            return FOLDER
        if member.issym():
            (self._folder / path).symlink_to(_safe_link(path, member.linkname))
            return f"link:{member.linkname}"
        if member.islnk():
            return self._make_hard_link(path, _safe_path(member.linkname))
        if source := self._archive.extractfile(member):
            return self._write(source, self._folder / path, program=bool(member.mode & 0o100))
        raise TargetRefusalError(
            f"The artifact contains “{path}”, a device or pipe; only files, folders and links can be placed."
        )

    def _make_hard_link(self, path: PurePosixPath, linked: PurePosixPath) -> str:
        kind = self.contents.get(str(linked), "")
        if not kind.startswith(_FILES):
            raise TargetRefusalError(
                f"The artifact contains “{path}”, a link to “{linked}”, which is no file before it."
            )
        _link_or_copy(self._folder / linked, self._folder / path)
        return kind

    def _write(self, source: IO[bytes], file: Path, *, program: bool) -> str:
        """Write a file that nobody edits by mistake: all placements of the artifact share it."""
        content = hashlib.sha256()
        mode = 0o555 if program else 0o444
        with os.fdopen(
            os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb"
        ) as written:
            while piece := source.read(_PIECE):
                self._still_wanted()
                content.update(piece)
                written.write(piece)
        return f"{'program' if program else 'file'}:{content.hexdigest()}"


def _safe_path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise TargetRefusalError(f"The artifact contains “{name}”, a path that leads out of it.")
    if is_marker_path(str(path)):
        raise TargetRefusalError(
            f"The artifact contains “{name}”, where Towpath says what is placed: leave it out of the release."
        )
    return path


def _safe_link(path: PurePosixPath, linkname: str) -> str:
    """Let a link lead up as far as the tree goes, then only down: so no chain of links leads out either."""
    steps = PurePosixPath(linkname).parts
    ups = sum(1 for step in steps if step == "..")
    if not linkname or linkname.startswith("/") or ".." in steps[ups:] or ups >= len(path.parts):
        raise TargetRefusalError(
            f"The artifact contains “{path}”, a link to “{linkname}”, which leads out of it."
        )
    return linkname


def settle(folder: Path, contents: Contents, moment: int) -> None:
    """Give every file one modification time, and see it onto the disk."""
    for path, kind in contents.items():
        if kind.startswith(_FILES):
            os.utime(folder / path, (moment, moment))
            see_onto_disk(folder / path)
    for path, kind in contents.items():
        if kind == FOLDER:
            see_onto_disk(folder / path)
    see_onto_disk(folder)


def see_onto_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link_tree(source: Path, contents: Contents, folder: Path, still_wanted: StillWanted) -> None:
    """Make a new folder with the same contents: files are hard links where that can be, and else copies."""
    folder.mkdir()
    for path, kind in contents.items():
        still_wanted()
        if kind == FOLDER:
            (folder / path).mkdir()
        elif kind.startswith("link:"):
            (folder / path).symlink_to(kind.removeprefix("link:"))
        else:
            _link_or_copy(source / path, folder / path)


def _link_or_copy(source: Path, file: Path) -> None:
    try:
        os.link(source, file)
    except OSError as no:
        if no.errno not in _NO_LINKS_HERE:
            raise
        shutil.copy2(source, file)


def contents_of(folder: Path, still_wanted: StillWanted) -> Contents:
    """Read a whole tree and say what is in it."""
    found: dict[str, str] = {}

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        for name in (*folders, *files):
            still_wanted()
            path = Path(parent, name)
            found[path.relative_to(folder).as_posix()] = _describe(path)
    return found


def _describe(path: Path) -> str:
    if path.is_symlink():
        return f"link:{path.readlink()}"
    if path.is_dir():
        return FOLDER
    if not path.is_file():
        return "something else"
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{'program' if path.stat().st_mode & 0o100 else 'file'}:{content}"
