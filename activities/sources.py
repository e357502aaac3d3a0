"""What a component is packed from, where it is no folder: an archive, here or elsewhere, or a commit of a repository.

Each is unfolded into a folder first, and that is packed as any other: so the digest is that of the same tree,
however it came.

Everything here blocks: call it by ``asyncio.to_thread``.
"""

import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from activities.fetching import Download, FetchRefusedError, fetch
from activities.portability import shown
from activities.unpacking import SHOWN, Limits, Origin, SourceRefusedError, unfold_archive

SUFFIXES: Final = (".tar.gz", ".tgz", ".tar", ".zip")

_GIT_PATIENCE: Final = 600
_SUBMODULE: Final = b"160000 "


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
            unfold_archive(source, source, into, limits)
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
        unfold_archive(str(wanted), archive, into, limits)
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
        unfold_archive(repository, tar, into, limits)
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
        why = f"was not read by git: {shown(lines[0][:SHOWN]).removeprefix('fatal: ').rstrip('.')}"
        raise SourceRefusedError(repository, why, "Check the revision; `git fetch` may bring it")
    return asked.stdout
