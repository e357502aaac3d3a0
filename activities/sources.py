"""What a component is packed from, where it is no folder: an archive, here or elsewhere, or a commit of a repository.

Each is unfolded into a folder first, and that is packed as any other: so the digest is that of the same tree,
however it came. An archive is believed in nothing: what would leave the folder, is no file, folder or link,
comes twice, is damaged, or grows out of all measure is refused.

Everything here blocks: call it by ``asyncio.to_thread``.
"""

import gzip
import lzma
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from activities.fetching import Download, FetchRefusedError, fetch
from activities.portability import Entry, is_fit, objection, shown

SUFFIXES: Final = (".tar.gz", ".tgz", ".tar", ".zip")

_CHUNK: Final = 1 << 20
_GIT_PATIENCE: Final = 600
_SUBMODULE: Final = b"160000 "
_SHOWN: Final = 300


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


class Source(NamedTuple):
    """The folder to pack, and the commit that it is of, where that is known for certain."""

    folder: Path
    revision: str = ""


def unfold(source: Path, revision: str, into: Path, limits: Limits = Limits()) -> Source:  # noqa: B008 - frozen
    """Return the folder to pack: the source itself, or what an archive or a commit holds, written to ``into``.

    ``revision`` chooses a commit where the source is the top of a git repository; beside anything else it is
    a mere word. ``into`` must not exist. Raises ``SourceRefusedError``.
    """
    try:
        if source.is_file() and source.name.lower().endswith(SUFFIXES):
            _unfold_archive(source, source, into, limits)
            return Source(into)
        if revision and _is_repository(source):
            return Source(into, _unfold_commit(source, revision, into, limits))
    except OSError as error:
        raise _no_room(source, error) from error
    return Source(source)


def unfold_download(
    wanted: Download,
    into: Path,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Source:
    """Fetch an archive, and return the folder that it holds, written to ``into``, which must not exist.

    Nothing is unfolded before its digest is known to be right. Raises ``SourceRefusedError``.
    """
    if not (suffix := next((end for end in SUFFIXES if wanted.name.lower().endswith(end)), "")):
        remedy = f"Give the address of one, or fetch it, and name the file so: {', '.join(SUFFIXES)}"
        raise SourceRefusedError(str(wanted), "does not end as an archive does", remedy)
    archive = into.with_name(f"{into.name}{suffix}")
    try:
        fetch(wanted, archive, limits.size)
        _unfold_archive(str(wanted), archive, into, limits)
    except FetchRefusedError as refusal:
        raise SourceRefusedError(str(wanted), refusal.why, refusal.remedy) from refusal
    except OSError as error:
        raise _no_room(str(wanted), error) from error
    finally:
        archive.unlink(missing_ok=True)
    return Source(into)


def _no_room(source: Origin, error: OSError) -> SourceRefusedError:
    remedy = "Make room there, or set TMPDIR to a better place, and try again"
    return SourceRefusedError(source, f"could not be unfolded: {error.strerror or error}", remedy)


def _is_repository(folder: Path) -> bool:
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()
    return bare or (folder / ".git").exists()


def _unfold_commit(repository: Path, revision: str, into: Path, limits: Limits) -> str:
    said = _git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    commit = said.decode().strip()
    tree = _git(repository, "ls-tree", "-r", "-z", "--full-tree", commit)
    if gone := [line for line in tree.split(b"\0") if line.startswith(_SUBMODULE)]:
        name = gone[0].partition(b"\t")[2].decode(errors="replace")
        why = f"has at {commit[:12]} a submodule, “{shown(name)}”, which git would leave out"
        raise SourceRefusedError(repository, why, "Check it out with its submodules, and pack that folder")
    tar = into.with_name(f"{into.name}.tar")
    _git(repository, "archive", "--format=tar", "-o", str(tar), commit)
    try:
        _unfold_archive(repository, tar, into, limits)
    finally:
        tar.unlink(missing_ok=True)
    return commit


def _git(repository: Path, *words: str) -> bytes:
    # Whoever asks may have git turn line ends into their own machine's: the same commit is the same bytes.
    plain = ("-c", "core.autocrlf=false", "-c", "core.eol=lf")
    try:
        asked = subprocess.run(  # noqa: S603 - our own words, a folder and a revision that cannot be an option
            ["git", "-C", str(repository.resolve()), *plain, *words],  # noqa: S607 - whatever git the person uses
            capture_output=True,
            timeout=_GIT_PATIENCE,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        remedy = "Install git, or pack a folder"
        raise SourceRefusedError(repository, f"could not be read by git: {error}", remedy) from error
    if asked.returncode:
        lines = asked.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        why = f"was not read by git: {shown(lines[0][:_SHOWN]).removeprefix('fatal: ').rstrip('.')}"
        raise SourceRefusedError(repository, why, "Check the revision; `git fetch` may bring it")
    return asked.stdout


class _Member(NamedTuple):
    """One name in an archive, whatever its format; a link's target is read only where it is one."""

    name: str
    kind: str
    executable: bool
    target: str
    content: BinaryIO | None


def _unfold_archive(source: Origin, archive: Path, into: Path, limits: Limits) -> None:
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
        why = f"is damaged, or no such archive as its name says ({shown(str(error))[:_SHOWN]})"
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
