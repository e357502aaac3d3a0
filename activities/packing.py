"""Turning a folder into an artifact, and back.

An artifact is an uncompressed tar that depends on nothing but names, contents, links and the right to
execute: packed again, by anybody on any machine, it has the same bytes. Whatever is called ``.git`` is left
out, at any depth. What could not stand elsewhere as it stands here is refused.

Everything here blocks: call it by ``asyncio.to_thread``.
"""

import os
import shutil
import stat
import tarfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from uuid import uuid4

from activities.portability import Entry, is_fit, objection, shown
from domain.value import short

LEFT_OUT: Final = frozenset({".git"})

_CHUNK: Final = 1 << 20
_END: Final = bytes(2 * tarfile.BLOCKSIZE)
_KINDS: Final = frozenset({tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE})
_EXTENSIONS: Final = frozenset({"path", "linkpath", "size"})
_SPECIAL: Final = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class PackingRefusedError(Exception):
    """A folder cannot be packed as it is, and nothing was. The text is a sentence for people."""

    def __init__(self, where: Path, why: str, remedy: str) -> None:
        super().__init__(f"Nothing was packed: “{shown(str(where))}” {why}. {remedy}.")
        self.where = where


class CorruptArtifactError(Exception):
    """An artifact is not what its digest says, or not as it was packed. The text is a sentence for people."""

    def __init__(self, artifact: Path, why: str) -> None:
        remedy = "Create the release again from its source, or restore the file"
        super().__init__(f"The artifact “{artifact}” is damaged and was not used: {why}. {remedy}.")
        self.artifact = artifact


class Packed(NamedTuple):
    """What was packed: the artifact's digest and size, and how many files and links are in it."""

    digest: str
    size: int
    files: int


def pack(folder: Path, into: Path) -> Packed:
    """Pack a folder into the artifact ``into``, which appears whole or not at all.

    Raises ``PackingRefusedError``.
    """
    root = _root(folder)
    entries = _scan(root)
    if found := objection(entries):
        raise PackingRefusedError(root / found.name, found.why, found.remedy)
    try:
        with appearing(into) as file:
            packed = _write(root, entries, file)
            # The whole is looked at again: a file packed before its neighbour changed is of another release.
            if differing := set(entries) ^ set(_scan(root)):
                raise _changed(root / min(differing).name)
    except OSError as error:
        remedy = "Make room there, or set TMPDIR to a better place, and try again"
        raise PackingRefusedError(into, f"could not be written: {error.strerror}", remedy) from error
    return packed


def unpack(tar: Path, into: Path) -> None:
    """Unpack an artifact into a new folder, which appears whole or not at all.

    Modes are exactly 0644 and 0755, and times are now, as web servers tell files apart by them. ``into`` must
    not exist, or be an empty folder. Raises ``CorruptArtifactError`` for whatever ``pack`` would not have
    written, and ``OSError`` where the disk will not.
    """
    staging = into.with_name(f".{into.name}.{uuid4().hex}")
    staging.mkdir()
    try:
        staging.chmod(0o755)
        _extract(tar, staging)
        staging.rename(into)
    except (tarfile.TarError, UnicodeError) as error:
        raise CorruptArtifactError(tar, f"it is not an archive ({error})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def verify_digest(file: Path, digest: str) -> None:
    """Raise ``CorruptArtifactError`` where a file is not of this digest."""
    checksum = sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            checksum.update(chunk)
    found = f"sha256:{checksum.hexdigest()}"
    if found != digest:
        raise CorruptArtifactError(file, f"it should be {short(digest)}, but its content is {short(found)}")


@contextmanager
def appearing(path: Path) -> Generator[BinaryIO]:
    """Write a file that stands under its name once it is whole, or never."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with unfinished.open("xb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _root(folder: Path) -> Path:
    with _reading(folder):
        exists, is_folder = folder.exists(), folder.is_dir()
    if not exists:
        raise PackingRefusedError(folder, "does not exist", "Check the path")
    if not is_folder:
        remedy = "Put the file into a folder of its own, and name that"
        raise PackingRefusedError(folder, "is not a folder", remedy)
    return folder.resolve()


def _scan(root: Path) -> list[Entry]:
    found: list[Entry] = []
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        with _reading(folder):
            paths = [path for path in folder.iterdir() if path.name not in LEFT_OUT]
        entries = [_look(path, path.relative_to(root).as_posix()) for path in paths]
        waiting += [root / entry.name for entry in entries if entry.kind == tarfile.DIRTYPE]
        found += entries
    return sorted(found, key=lambda entry: entry.name.encode())


def _look(path: Path, name: str) -> Entry:
    _check_text(path, name)
    with _reading(path):
        status = path.lstat()
        target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""  # noqa: PTH115 - as it is written
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFDIR:
            return Entry(name, tarfile.DIRTYPE)
        case stat.S_IFLNK:
            _check_text(path, target)
            return Entry(name, tarfile.SYMTYPE, target)
        case stat.S_IFREG:
            executable = bool(status.st_mode & stat.S_IXUSR)
            return Entry(name, tarfile.REGTYPE, "", executable, status.st_size, _mark(status))
        case special:
            why = f"is {_SPECIAL.get(special, 'neither file, folder nor link')}"
            raise PackingRefusedError(path, why, "Remove it: a release holds files, folders and links only")


def _mark(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _check_text(path: Path, text: str) -> None:
    if not is_fit(text):
        why = "has a name, or leads to one, with a backslash, a line break or bytes that are not UTF-8 in it"
        raise PackingRefusedError(path, why, "Rename it")


@contextmanager
def _reading(path: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise _changed(path) from error
    except PermissionError as error:
        remedy = "Give yourself the right to read it, or remove it"
        raise PackingRefusedError(path, "may not be read by the one who packs", remedy) from error
    except OSError as error:
        remedy = "Mend or remove it, and pack again"
        raise PackingRefusedError(path, f"cannot be read: {error.strerror}", remedy) from error


def _changed(path: Path) -> PackingRefusedError:
    remedy = "Wait until nothing writes there, and pack again"
    return PackingRefusedError(path, "changed while it was being packed", remedy)


def _write(root: Path, entries: Iterable[Entry], file: BinaryIO) -> Packed:
    checksum, size, files = sha256(), 0, 0
    for entry in entries:
        files += entry.kind != tarfile.DIRTYPE
        for piece in _pieces(root, entry):
            checksum.update(piece)
            size += file.write(piece)
    checksum.update(_END)
    size += file.write(_END)
    return Packed(f"sha256:{checksum.hexdigest()}", size, files)


def _pieces(root: Path, entry: Entry) -> Iterator[bytes]:
    # Not by TarFile.add, which asks the machine for owners, times and hard links.
    header = tarfile.TarInfo(entry.name)
    header.type, header.linkname, header.size = entry.kind, entry.target, entry.size
    header.mode = 0o755 if entry.executable or entry.kind != tarfile.REGTYPE else 0o644
    yield header.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    if entry.kind == tarfile.REGTYPE:
        yield from _content(root / entry.name, entry)
        yield bytes(-entry.size % tarfile.BLOCKSIZE)


def _content(path: Path, entry: Entry) -> Iterator[bytes]:
    with _reading(path):
        # NONBLOCK: a pipe that has taken the file's place must not keep us waiting for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        left = entry.size
        while left:
            with _reading(path):
                piece = file.read(min(left, _CHUNK))
            if not piece:
                raise _changed(path)
            left -= len(piece)
            yield piece


def _extract(tar: Path, into: Path) -> None:
    entries: dict[str, Entry] = {}
    end = 0
    with tarfile.open(tar, "r:", encoding="utf-8") as archive:
        for member in archive:
            entries[member.name] = _admit(tar, member, entries)
            end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            _put(archive, member, into / member.name)
    # TarFile takes a damaged header for the end.
    with tar.open("rb") as file:
        file.seek(end)
        if file.read(len(_END) + 1) != _END:
            raise CorruptArtifactError(tar, "it breaks off in the middle, or goes on after its end")
    if found := objection(entries.values()):
        raise CorruptArtifactError(tar, f"“{shown(found.name)}” in it {found.why}")
    # Only now are the links known to stay inside, and nothing can be written through one.
    for entry in entries.values():
        if entry.kind == tarfile.SYMTYPE:
            (into / entry.name).symlink_to(entry.target)


def _admit(tar: Path, member: tarfile.TarInfo, before: Mapping[str, Entry]) -> Entry:
    """Take a member that ``pack`` may have written: once, and in a folder that came before."""
    parent, slash, name = member.name.rpartition("/")
    placed = not slash or (parent in before and before[parent].kind == tarfile.DIRTYPE)
    named = (
        name not in {"", ".", ".."} and is_fit(member.name + member.linkname) and member.name not in before
    )
    usual = (
        member.type in _KINDS and member.mode in {0o644, 0o755} and _EXTENSIONS.issuperset(member.pax_headers)
    )
    if not (placed and named and usual):
        raise CorruptArtifactError(tar, f"“{shown(member.name)}” in it is nothing that Towpath packs")
    return Entry(member.name, member.type, member.linkname)


def _put(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir()
        path.chmod(0o755)
    elif member.isreg() and (content := archive.extractfile(member)):
        with content, path.open("xb") as file:
            os.fchmod(file.fileno(), member.mode)
            shutil.copyfileobj(content, file, _CHUNK)
