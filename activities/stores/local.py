"""A release store in a folder of this machine, or of a file system that several machines share."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import cached_property
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

    async def create(self, key: str, content: bytes) -> None:
        await self._place(key, content)

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        if self._path(key).exists():
            return
        try:
            await self._place(key, pieces(file, progress))
        except AlreadyExistsError:
            return

    async def read(self, key: str) -> bytes:
        return b"".join([piece async for piece in self.stream(key)])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        if not self._path(key).is_file():
            raise NotInStoreError(f"There is no “{key}” in the release store “{self._folder}”.")
        with self._saying("read", key):
            found = await obstore.get_async(self._objects, key)
            async for piece in found.stream(min_chunk_size=_CHUNK):
                yield bytes(piece)

    async def list(self, prefix: str) -> list[str]:
        if not self._path(prefix).exists():
            return []
        with self._saying("list", prefix):
            found = await obstore.list(self._objects, prefix).collect_async()
            return sorted(item["path"] for item in found)

    async def remove(self, key: str) -> None:
        with self._saying("remove", key):
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def _place(self, key: str, content: bytes | AsyncIterator[bytes]) -> None:
        # obstore's own mode="create" does not sync: after a power cut an empty file could stand under the
        # key, for ever, as nothing is written over. So: write aside, sync, and only then take the name.
        name = self._path(key)
        aside = f"{_STAGING}/{uuid4().hex}"
        with self._saying("write", key):
            await asyncio.to_thread(self._make_folder)
            try:
                await obstore.put_async(self._objects, aside, content, max_concurrency=_AT_ONCE)
                await asyncio.to_thread(_sync, self._folder / aside)
                await obstore.rename_async(self._objects, aside, key, overwrite=False)
            except ObstoreAlreadyExistsError as error:
                raise AlreadyExistsError(f"There is a “{key}” in the store already.") from error
            finally:
                (self._folder / aside).unlink(missing_ok=True)
            await asyncio.to_thread(self._sync_folders, name)

    def _path(self, key: str) -> Path:
        return self._folder / checked(key)

    def _make_folder(self) -> None:
        if not self._folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _sync(self._folder.parent)

    def _sync_folders(self, folder: Path) -> None:
        while folder != self._folder:
            folder = folder.parent
            _sync(folder)

    @cached_property
    def _objects(self) -> LocalStore:
        return LocalStore(self._folder)

    @contextmanager
    def _saying(self, verb: str, key: str) -> Generator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise StoreError(
                f"The release store “{self._folder}” could not {verb} “{key}”: {_reason(error)}. "
                "Check that the folder is yours to read and write, and that its disk has room."
            ) from error


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
