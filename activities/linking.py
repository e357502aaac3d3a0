"""Trees of files that share their content by hard links, and the proof that it is still what it was."""

import errno
import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from activities.finishing import StillWanted

Contents = Mapping[str, str]
"""Path → ``folder``, ``link:<target>``, ``file:<sha256>`` or ``program:<sha256>``; parents come first."""

_FOLDER: Final = "folder"
_LINK: Final = "link:"
_FILES: Final = ("file:", "program:")
_NO_LINKS_HERE: Final = frozenset(
    {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)


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
        return _LINK + os.readlink(path)  # noqa: PTH115 - a Path would tidy it
    if path.is_dir():
        return _FOLDER
    if not path.is_file():
        return "something else"
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{'program' if path.stat().st_mode & 0o100 else 'file'}:{content}"


def link_tree(source: Path, contents: Contents, folder: Path, still_wanted: StillWanted) -> None:
    """Make a new folder with the same contents: files are hard links where that can be, and else copies."""
    folder.mkdir()
    for path, kind in contents.items():
        still_wanted()
        if kind == _FOLDER:
            (folder / path).mkdir()
        elif kind.startswith(_LINK):
            os.symlink(kind.removeprefix(_LINK), folder / path)  # noqa: PTH211 - likewise
        else:
            _link_or_copy(source / path, folder / path)


def _link_or_copy(source: Path, file: Path) -> None:
    try:
        os.link(source, file)
    except OSError as no:
        if no.errno not in _NO_LINKS_HERE:
            raise
        shutil.copy2(source, file)


def settle(folder: Path, contents: Contents, moment: int) -> None:
    """See a tree onto the disk, its files with one modification time and safe from edits by mistake."""
    for path, kind in contents.items():
        file = folder / path
        if kind.startswith(_FILES):
            file.chmod(file.stat().st_mode & 0o555)  # an edit would change all that share it
            os.utime(file, (moment, moment))
            see_onto_disk(file)
        elif kind == _FOLDER:
            see_onto_disk(file)
    see_onto_disk(folder)


def see_onto_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
