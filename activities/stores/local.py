"""A release store in a folder of this machine, or of a file system that several machines share."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError as ObstoreAlreadyExistsError
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from activities.ports import AlreadyExistsError, NotInStoreError, Progress, StoreError, unheard
from activities.stores.keys import checked
from activities.stores.pieces import pieces

Keys = list[str]
_STAGING: Final = ".staging"
_CHUNK: Final = 1 << 20
_AT_ONCE: Final = 2
"""How many parts of 5 MB wait in memory for the disk."""


def open_folder(url: str) -> "FolderStore":
    """Open the store at ``file:///path/to/folder``; the folder is made when something is first written."""
    return FolderStore(Path(unquote(urlsplit(url).path)))


class FolderStore:
    """A key is a file's path below the folder. What was written is on the disk when the call returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lasting = set[Path]()
        """Folders that are on the disk by their own names, and by those of all above them."""

    async def create(self, key: str, content: bytes) -> None:
        checked(key)
        with self._saying("write", key), _staying(key):
            # In one thread from beginning to end: most papers are small, and each change of threads costs as much.
            await asyncio.to_thread(self._create, key, content)

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        if self._path(key).exists():
            return
        try:
            await self._place(key, pieces(file, progress))
        except AlreadyExistsError:
            return

    async def read(self, key: str) -> bytes:
        checked(key)
        with self._saying("read", key), self._finding(key):
            return await asyncio.to_thread(lambda: bytes(obstore.get(self._objects, key).bytes()))

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        checked(key)
        with self._saying("read", key):
            with self._finding(key):
                found = await obstore.get_async(self._objects, key)
            async for piece in found.stream(min_chunk_size=_CHUNK):
                yield bytes(piece)

    async def list(self, prefix: str) -> list[str]:
        checked(prefix)
        with self._saying("list", prefix):
            return await asyncio.to_thread(self._below, prefix)

    async def remove(self, key: str) -> None:
        with self._saying("remove", key):
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def _place(self, key: str, content: AsyncIterator[bytes]) -> None:
        with self._saying("write", key), _staying(key):
            aside = self._aside()
            try:
                await obstore.put_async(self._objects, aside, content, max_concurrency=_AT_ONCE)
                await asyncio.to_thread(self._take_name, aside, key)
            finally:
                (self._folder / aside).unlink(missing_ok=True)

    def _below(self, prefix: str) -> Keys:
        if not self._path(prefix).exists():
            return []
        return sorted(item["path"] for item in obstore.list(self._objects, prefix).collect())

    def _create(self, key: str, content: bytes) -> None:
        aside = self._aside()
        try:
            obstore.put(self._objects, aside, content)
            self._take_name(aside, key)
        finally:
            (self._folder / aside).unlink(missing_ok=True)

    def _aside(self) -> str:
        """Return the key to write under before the true one is taken.

        obstore's own mode="create" does not sync: after a power cut an empty file could stand under the key, for
        ever, as nothing is written over. So: write aside, sync, and only then take the name.
        """
        if not self._folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _sync(self._folder.parent)
        return f"{_STAGING}/{uuid4().hex}"

    def _take_name(self, aside: str, key: str) -> None:
        """Take a name that outlives a power cut, and so does the way to it: that is seen to once for each folder."""
        _sync(self._folder / aside)
        folder = self._path(key).parent
        new = [*takewhile(lambda one: not self._lasts(one), (folder, *folder.parents))]
        obstore.rename(self._objects, aside, key, overwrite=False)
        _sync(folder)
        for one in new:
            _sync(one.parent)
        self._lasting.update(new)

    def _lasts(self, folder: Path) -> bool:
        return folder == self._folder or (folder in self._lasting and folder.is_dir())

    def _path(self, key: str) -> Path:
        return self._folder / checked(key)

    @cached_property
    def _objects(self) -> LocalStore:
        return LocalStore(self._folder)

    @contextmanager
    def _finding(self, key: str) -> Generator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            if self._path(key).is_file():
                raise
            raise NotInStoreError(f"There is no “{key}” in the release store “{self._folder}”.") from error

    @contextmanager
    def _saying(self, verb: str, key: str) -> Generator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise StoreError(
                f"The release store “{self._folder}” could not {verb} “{key}”: {_reason(error)}. "
                "Check that the folder is yours to read and write, and that its disk has room."
            ) from error


@contextmanager
def _staying(key: str) -> Generator[None]:
    try:
        yield
    except ObstoreAlreadyExistsError as error:
        raise AlreadyExistsError(f"There is a “{key}” in the store already.") from error


def _reason(error: Exception) -> str:
    """Say it in the system's words; obstore hides the number of its error in the middle of much else."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    if number:
        return os.strerror(int(number[1]))
    return (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
