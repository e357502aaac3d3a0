"""An archive is unfolded into a folder, and believed in nothing.

What would leave the folder, is no file, folder or link, comes twice, is damaged, or grows out of all measure
is refused.
"""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from activities.portability import Entry, is_fit, objection, shown

SHOWN: Final = 300
"""So much of what others say is shown."""
_CHUNK: Final = 1 << 20

Origin = Path | str
"""Where something was packed from, as people gave it."""


class Limits(NamedTuple):
    """How much an archive may hold. What is below ``harmless`` bytes may shrink as well as it can."""

    entries: int = 200_000
    size: int = 32 << 30
    ratio: int = 200
    harmless: int = 100 << 20
    longest_header: int = 1 << 20


class SourceRefusedError(Exception):
    """A source cannot be unfolded as it is. The text is a sentence for people."""

    def __init__(self, source: Origin, why: str, remedy: str) -> None:
        super().__init__(f"Nothing was packed: “{shown(str(source))}” {why}. {remedy}.")
        self.source = source


class _Member(NamedTuple):
    """One name in an archive, whatever its format; a link's target is read only where it is one."""

    name: str
    kind: str
    executable: bool
    target: str
    content: BinaryIO | None


def unfold_archive(source: Origin, archive: Path, into: Path, limits: Limits) -> None:
    measure = _Measure(source, archive.stat().st_size, limits)
    into.mkdir()
    entries: dict[str, Entry] = {}
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    with _reading(source):
        for member in members(archive, measure):
            _put(source, member, into, entries, measure)
    if found := objection(entries.values()):
        raise SourceRefusedError(source, f"holds “{shown(found.name)}”, which {found.why}", found.remedy)
    if all(entry.kind == tarfile.DIRTYPE for entry in entries.values()):
        raise SourceRefusedError(source, "holds no files", "Build it first, and check what was archived")
    # Only now are the links known to stay inside, and nothing can be written through one.
    for entry in entries.values():
        if entry.kind == tarfile.SYMTYPE:
            (into / entry.name).symlink_to(entry.target)


@contextmanager
def _reading(source: Origin) -> Generator[None]:
    broken = (
        tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError,
        EOFError, UnicodeError, NotImplementedError, RuntimeError,
    )  # fmt: skip
    try:
        yield
    except broken as error:
        why = f"is damaged, or no such archive as its name says ({shown(str(error))[:SHOWN]})"
        raise SourceRefusedError(source, why, "Make it again, or fetch it again") from error


class _Measure:
    """Counts what has come out of an archive, and stops what grows out of all measure."""

    def __init__(self, source: Origin, packed: int, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self._entries = 0
        self._size = 0
        self._most = min(limits.size, max(limits.harmless, packed * limits.ratio))

    def count_entry(self) -> None:
        self._entries += 1
        if self._entries > self.limits.entries:
            raise self._too_much(f"more than {self.limits.entries:,} names")

    def count(self, size: int) -> None:
        self._size += size
        self.reach(self._size)

    def reach(self, position: int) -> None:
        if position > self._most:
            raise self._too_much(f"more than {self._most:,} bytes")

    def _too_much(self, what: str) -> SourceRefusedError:
        why = f"unfolds to {what}, which is more than an archive of its size may hold"
        return SourceRefusedError(
            self.source, why, "If that is right, unfold it yourself, and pack the folder"
        )


class _Measured:
    """A tar as its reader sees it: no header is too long for memory, and no step goes out of all measure."""

    def __init__(self, file: BinaryIO, measure: _Measure) -> None:
        self._file = file
        self._measure = measure

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > max(_CHUNK, self._measure.limits.longest_header):
            raise tarfile.ReadError("a header in it is far too long")
        content = self._file.read(size)
        self._measure.reach(self._file.tell())
        return content

    def seek(self, position: int, whence: int = 0) -> int:
        self._measure.reach(position)
        return self._file.seek(position, whence)

    def tell(self) -> int:
        return self._file.tell()


def _tar_members(archive: Path, measure: _Measure) -> Iterator[_Member]:
    plain = archive.name.lower().endswith(".tar")
    with archive.open("rb") if plain else gzip.open(archive, "rb") as file:
        measured = _Measured(file, measure)  # type: ignore[arg-type]
        end = 0
        with tarfile.open(fileobj=measured, mode="r:", encoding="utf-8") as tar:  # type: ignore[call-overload]
            for member in tar:
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                yield _tar_member(tar, member)
                tar.members.clear()  # or every header stays in memory
        # TarFile takes a damaged header for the end; and only what is read to its end has been checked.
        measured.seek(end)
        if not (rest := measured.read(tarfile.BLOCKSIZE)) or rest.strip(b"\0"):
            raise tarfile.ReadError("it breaks off in the middle")
        while rest := measured.read(_CHUNK):
            if rest.strip(b"\0"):
                raise tarfile.ReadError("it goes on after its end")


def _tar_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> _Member:
    kinds = {
        tarfile.REGTYPE: "file",
        tarfile.AREGTYPE: "file",
        tarfile.DIRTYPE: "folder",
        tarfile.SYMTYPE: "link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.FIFOTYPE: "a named pipe",
        tarfile.CHRTYPE: "a device",
        tarfile.BLKTYPE: "a device",
    }
    kind = "a sparse file" if member.issparse() else kinds.get(member.type, "of an unknown kind")
    content = tar.extractfile(member) if kind == "file" else None
    return _Member(member.name, kind, bool(member.mode & stat.S_IXUSR), member.linkname, content)  # type: ignore[arg-type]


def _zip_members(archive: Path, measure: _Measure) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            mode = member.external_attr >> 16
            kind = _zip_kind(member, mode)
            with opened.open(member) as content:
                target = ""
                if kind == "link":
                    target = content.read(4097).decode()
                    measure.count(len(target))
                executable = bool(mode & stat.S_IXUSR)
                yield _Member(member.orig_filename, kind, executable, target, content)  # type: ignore[arg-type]


def _zip_kind(member: zipfile.ZipInfo, mode: int) -> str:
    if member.is_dir():
        return "folder"
    match stat.S_IFMT(mode):
        case 0 | stat.S_IFREG:
            return "file"
        case stat.S_IFLNK:
            return "link"
        case _:
            return "a device, a pipe or the like"


def _put(source: Origin, member: _Member, into: Path, entries: dict[str, Entry], measure: _Measure) -> None:
    measure.count_entry()
    name = _name(source, member)
    if not name:
        return
    _put_folders(source, name, into, entries, measure)
    match member.kind:
        case "folder":
            _put_folder(source, name, into, entries)
        case "link":
            _check_text(source, member.target)
            _take(source, entries, Entry(name, tarfile.SYMTYPE, member.target))
        case "file":
            _take(source, entries, Entry(name, tarfile.REGTYPE))
            _put_file(into / name, member, measure)
        case kind:
            remedy = "Leave it out, or unfold the archive yourself and pack the folder"
            raise SourceRefusedError(source, f"holds “{shown(name)}”, which is {kind}", remedy)


def _name(source: Origin, member: _Member) -> str:
    """Return a member's path in the folder; nothing for the folder itself."""
    _check_text(source, member.name)
    plain = member.name
    while plain.startswith("./"):
        plain = plain[2:]
    plain = plain.rstrip("/") if member.kind == "folder" else plain
    if member.kind == "folder" and plain in {"", "."} and not member.name.startswith("/"):
        return ""
    if any(part in {"", ".", ".."} for part in plain.split("/")):
        why = f"holds “{shown(member.name)}”, which leads out of the folder, or round about in it"
        raise SourceRefusedError(source, why, "Make it again, with plain names")
    return plain


def _check_text(source: Origin, text: str) -> None:
    if not is_fit(text):
        why = f"holds “{shown(text)}”, with a backslash, a line break or bytes that are not UTF-8 in it"
        raise SourceRefusedError(source, why, "Rename it, and make the archive again")


def _put_folders(source: Origin, name: str, into: Path, entries: dict[str, Entry], measure: _Measure) -> None:
    above = name.rpartition("/")[0]
    missing: list[str] = []
    while above and above not in entries:
        missing.append(above)
        above = above.rpartition("/")[0]
    if above and entries[above].kind != tarfile.DIRTYPE:
        why = f"holds “{shown(name)}” below “{shown(above)}”, which is no folder"
        raise SourceRefusedError(source, why, "Make it again, with plain names")
    for folder in reversed(missing):
        measure.count_entry()
        _put_folder(source, folder, into, entries)


def _put_folder(source: Origin, name: str, into: Path, entries: dict[str, Entry]) -> None:
    # A folder may be named again: many programs do.
    if entries.get(name) != (folder := Entry(name, tarfile.DIRTYPE)):
        _take(source, entries, folder)
        (into / name).mkdir()


def _take(source: Origin, entries: dict[str, Entry], entry: Entry) -> None:
    if entry.name in entries:
        why = f"holds “{shown(entry.name)}” twice"
        raise SourceRefusedError(source, why, "Make it again, with each name once")
    entries[entry.name] = entry


def _put_file(path: Path, member: _Member, measure: _Measure) -> None:
    if member.content is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with path.open("xb") as file:
        while piece := member.content.read(_CHUNK):
            measure.count(len(piece))
            file.write(piece)
    path.chmod(0o755 if member.executable else 0o644)
