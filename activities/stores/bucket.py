"""A release store in a bucket or container: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Who we are to it is what the library finds in the environment, or is told by the machine it runs on: never what
somebody wrote into the configuration.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import from_url

from activities.ports import AlreadyExistsError, Progress, StoreError, unheard
from activities.stores import parts
from activities.stores.keys import checked
from activities.stores.objects import Objects, reason

PROBE: Final = ".probe/create-if-absent"
"""Written twice by each process before its first own write; the second must be refused."""

_RETRIES: Final = 4
_PATIENCE: Final = timedelta(seconds=30)

_TRUSTED: Final[set[str]] = set()
"""The stores that this process has seen to refuse a second write."""


def open_bucket(url: str) -> "BucketStore":
    """Open the store at ``s3://``, ``gs://`` or ``az://BUCKET/prefix``. Touches nothing. Raises ``StoreError``."""
    return BucketStore(open_objects(url))


def open_objects(url: str) -> Objects:
    """Open a bucket. Touches nothing. Raises ``StoreError`` where the URL is not as it must be."""
    split = urlsplit(url)
    plain = f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
    if split.username is not None or split.query:
        raise StoreError(
            f"The release store “{plain}” was not opened: its URL holds more than a bucket and a path, and "
            "credentials do not belong into the configuration. Write the URL as it stands here, and give "
            "the credentials by the environment or the machine, as docs/how-to/release-store.md says."
        )
    if not split.netloc:
        raise StoreError(
            f"The release store “{plain}” names no bucket: write {split.scheme}://BUCKET or "
            f"{split.scheme}://BUCKET/prefix."
        )
    service = f"{split.scheme.partition('+')[0]}://{split.netloc}{split.path}"
    try:
        objects = from_url(service, retry_config={"max_retries": _RETRIES, "retry_timeout": _PATIENCE})
    except (BaseError, ValueError) as error:
        raise StoreError(
            f"The release store “{plain}” cannot be opened: {reason(error)}. Check its URL, and what the "
            "environment says of it."
        ) from error
    return Objects(objects, plain)


class BucketStore:
    """A key is an object's name below the prefix. What was written is durable when the call returns.

    The first write of a process tries whether the store keeps what was first: where it does not, nothing is
    ever written, as two workers could then take one turn for theirs.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def create(self, key: str, content: bytes) -> None:
        checked(key)
        await self._try_out()
        await self._objects.put_first(key, content)

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        checked(key)
        await self._try_out()
        await parts.send(self._objects, key, file, progress)

    async def read(self, key: str) -> bytes:
        return b"".join([piece async for piece in self.stream(key)])

    def stream(self, key: str) -> AsyncIterator[bytes]:
        return parts.receive(self._objects, checked(key))

    async def list(self, prefix: str) -> list[str]:
        return await self._objects.names(checked(prefix))

    async def remove(self, key: str) -> None:
        await parts.discard(self._objects, checked(key))

    async def _try_out(self) -> None:
        if self._objects.url in _TRUSTED:
            return
        for _ in range(2):
            try:
                await self._objects.put_first(PROBE, b"")
            except AlreadyExistsError:
                _TRUSTED.add(self._objects.url)
                return
        url = self._objects.url
        raise StoreError(
            f"The release store “{url}” writes over what stands there, though asked not to: two workers "
            "could take one turn for theirs, so nothing was written. Use a store that honours If-None-Match on "
            "writes, or a folder; or have writers agree among themselves, by s3+claims:// in its URL, where "
            "everybody sees at once what was written. docs/how-to/release-store.md says what that takes."
        )
