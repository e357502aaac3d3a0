"""Locks that a kill cannot leave behind: the kernel drops them with the process."""

import asyncio
import errno
import fcntl
import hashlib
import os
import tempfile
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from activities.finishing import StillWanted

_BRIEFLY: Final = 0.005
_POLITELY: Final = 0.1
_NO_SUCH_THING: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL})


@contextmanager
def locked(file: Path, still_wanted: StillWanted) -> Generator[None, None, None]:
    """Hold an exclusive lock on a file for the block, in a thread. Raises as ``still_wanted`` does."""
    handle = _open(file)
    try:
        while not _take(handle):
            still_wanted()
            threading.Event().wait(_BRIEFLY)
        yield
    finally:
        os.close(handle)


class TakenError(Exception):
    """Somebody else holds the lock."""


@contextmanager
def locked_at_once(file: Path) -> Generator[None, None, None]:
    """Hold an exclusive lock on a file for the block. Raises ``TakenError`` where somebody else does."""
    handle = _open(file)
    try:
        if not _take(handle):
            raise TakenError
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def locked_with_children(file: Path) -> AsyncGenerator[int, None]:
    """Hold an exclusive lock on a file while the block runs; yield its descriptor, for programs to inherit.

    What outlives a killed worker goes on holding the lock; the end of the block frees it for certain.
    """
    handle = _open(file)
    try:
        while not _take(handle):  # noqa: ASYNC110 - another process frees it, which no event tells
            await asyncio.sleep(_POLITELY)
        yield handle
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # a closed descriptor is not enough: children may have it too
        os.close(handle)


def can_lock(place: Path) -> bool:
    """Tell whether the file system that a path is on, or will be on, has locks. Changes nothing."""
    standing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    handle = os.open(standing, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as no:
        return no.errno not in _NO_SUCH_THING
    finally:
        os.close(handle)
    return True


def own_lock(key: str) -> Path:
    """Name a lock file of this machine's for a key of any form."""
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    return Path(tempfile.gettempdir(), f"towpath-{os.getuid()}-{name}.lock")


def _open(file: Path) -> int:
    # Never through a link: the folder may be one that everybody writes to.
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
