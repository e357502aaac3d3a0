"""A release store in a bucket or container: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Who we are to it is what the library finds in the environment, or is told by the machine it runs on: never what
somebody wrote into the configuration.
"""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError as ObstoreAlreadyExistsError
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from activities.ports import AlreadyExistsError, NotInStoreError, Progress, StoreError, unheard
from activities.stores.keys import checked
from activities.stores.pieces import pieces

PROBE: Final = ".probe/create-if-absent"
"""Written twice by each process before its first own write; the second must be refused."""

_CHUNK: Final = 1 << 20
_PART: Final = 8 << 20
_MOST_PARTS: Final = 9_000
"""S3 takes 10,000 parts; a larger file gets larger ones."""
_AT_ONCE: Final = 4
_RETRIES: Final = 4
_PATIENCE: Final = timedelta(seconds=30)

_TRUSTED: Final[set[str]] = set()
"""The stores that this process has seen to refuse a second write."""


def open_bucket(url: str) -> "BucketStore":
    """Open the store at ``s3://``, ``gs://`` or ``az://BUCKET/prefix``. Touches nothing. Raises ``StoreError``."""
    parts = urlsplit(url)
    plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.username is not None or parts.query:
        raise StoreError(
            f"The release store “{plain}” was not opened: its URL holds more than a bucket and a path, and "
            "credentials do not belong into the configuration. Write the URL as it stands here, and give "
            "the credentials by the environment or the machine, as docs/how-to/release-store.md says."
        )
    if not parts.netloc:
        raise StoreError(
            f"The release store “{plain}” names no bucket: write {parts.scheme}://BUCKET or "
            f"{parts.scheme}://BUCKET/prefix."
        )
    try:
        objects = from_url(plain, retry_config={"max_retries": _RETRIES, "retry_timeout": _PATIENCE})
    except (BaseError, ValueError) as error:
        raise StoreError(
            f"The release store “{plain}” cannot be opened: {_reason(error)}. Check its URL, and what the "
            "environment says of it."
        ) from error
    return BucketStore(objects, plain)


class BucketStore:
    """A key is an object's name below the prefix. What was written is durable when the call returns.

    The first write of a process tries whether the store keeps what was first: where it does not, nothing is
    ever written, as two workers could then take one turn for theirs.
    """

    def __init__(self, objects: ObjectStore, url: str) -> None:
        self._objects = objects
        self._url = url

    async def create(self, key: str, content: bytes) -> None:
        checked(key)
        await self._try_out()
        with self._saying("write", key):
            await self._create(key, content)

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        checked(key)
        await self._try_out()
        with self._saying("write", key):
            if await self._stands(key):
                return
            size = (await asyncio.to_thread(file.stat)).st_size
            part = max(_PART, -(-size // _MOST_PARTS))
            content = pieces(file, progress)
            await obstore.put_async(self._objects, key, content, chunk_size=part, max_concurrency=_AT_ONCE)

    async def read(self, key: str) -> bytes:
        return b"".join([piece async for piece in self.stream(key)])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        checked(key)
        with self._saying("read", key):
            try:
                found = await obstore.get_async(self._objects, key)
            except (NotFoundError, FileNotFoundError) as error:
                raise NotInStoreError(f"There is no “{key}” in the release store “{self._url}”.") from error
            async for piece in found.stream(min_chunk_size=_CHUNK):
                yield bytes(piece)

    async def list(self, prefix: str) -> list[str]:
        with self._saying("list", checked(prefix)):
            found = await obstore.list(self._objects, prefix).collect_async()
            return sorted(item["path"] for item in found)

    async def remove(self, key: str) -> None:
        with self._saying("remove", checked(key)):
            try:
                await obstore.delete_async(self._objects, key)
            except (NotFoundError, FileNotFoundError):
                return

    async def _create(self, key: str, content: bytes) -> None:
        try:
            await obstore.put_async(self._objects, key, content, mode="create", use_multipart=False)
        except ObstoreAlreadyExistsError as error:
            raise AlreadyExistsError(f"There is a “{key}” in the store already.") from error

    async def _stands(self, key: str) -> bool:
        try:
            await obstore.head_async(self._objects, key)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    async def _try_out(self) -> None:
        if self._url in _TRUSTED:
            return
        with self._saying("write", PROBE):
            for _ in range(2):
                try:
                    await self._create(PROBE, b"")
                except AlreadyExistsError:
                    _TRUSTED.add(self._url)
                    return
        raise StoreError(
            f"The release store “{self._url}” writes over what stands there, though asked not to: two workers "
            "could take one turn for theirs, so nothing was written. Use a store that honours If-None-Match on "
            "writes, or a folder; see docs/how-to/release-store.md."
        )

    @contextmanager
    def _saying(self, verb: str, key: str) -> Generator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise StoreError(
                f"The release store “{self._url}” could not {verb} “{key}”: {_reason(error)}. {_remedy(error)}."
            ) from error


def _remedy(error: Exception) -> str:
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError)):
        return "Check the credentials in the environment, and what they may do there"
    return "Check that it is there, that it can be reached from here, and the credentials in the environment"


def _reason(error: Exception) -> str:
    """Say it in one line; obstore puts the whole of its error below the first."""
    return str(error).partition("\n")[0].strip()[:300].rstrip(".") or type(error).__name__
