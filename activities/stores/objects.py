"""A bucket's objects in our words: every failure is a sentence that names the store, the key and what to do."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError as ObstoreAlreadyExistsError
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore

from activities.ports import AlreadyExistsError, NotInStoreError, StoreError

_CHUNK: Final = 1 << 20
_MISSING: Final = (NotFoundError, FileNotFoundError)


class Objects:
    """Whatever is put appears whole or not at all, and is durable when the call returns."""

    def __init__(self, objects: ObjectStore, url: str) -> None:
        self._objects = objects
        self.url = url

    async def put(self, key: str, content: bytes) -> None:
        """Write, whatever stands there."""
        with self._saying("write", key):
            await obstore.put_async(self._objects, key, content, use_multipart=False)

    async def put_first(self, key: str, content: bytes) -> None:
        """Write, where the store says that nothing stands there. Raises ``AlreadyExistsError``."""
        with self._saying("write", key):
            try:
                await obstore.put_async(self._objects, key, content, mode="create", use_multipart=False)
            except ObstoreAlreadyExistsError as error:
                raise AlreadyExistsError(f"There is a “{key}” in the store already.") from error

    async def stands(self, key: str) -> bool:
        with self._saying("find", key):
            try:
                await obstore.head_async(self._objects, key)
            except _MISSING:
                return False
            return True

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        """Raises ``NotInStoreError``."""
        with self._saying("read", key):
            try:
                found = await obstore.get_async(self._objects, key)
            except _MISSING as error:
                raise NotInStoreError(f"There is no “{key}” in the release store “{self.url}”.") from error
            async for piece in found.stream(min_chunk_size=_CHUNK):
                yield bytes(piece)

    async def sizes(self, prefix: str) -> dict[str, int]:
        """Return every key below the prefix, sorted, and how many bytes stand there."""
        with self._saying("list", prefix):
            found = await obstore.list(self._objects, prefix).collect_async()
            return {item["path"]: item["size"] for item in sorted(found, key=lambda item: item["path"])}

    async def names(self, prefix: str) -> list[str]:
        return list(await self.sizes(prefix))

    async def remove(self, key: str) -> None:
        with self._saying("remove", key):
            try:
                await obstore.delete_async(self._objects, key)
            except _MISSING:
                return

    @contextmanager
    def _saying(self, verb: str, key: str) -> Generator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise StoreError(
                f"The release store “{self.url}” could not {verb} “{key}”: {reason(error)}. {_remedy(error)}."
            ) from error


def _remedy(error: Exception) -> str:
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError)):
        return "Check the credentials in the environment, and what they may do there"
    return "Check that it is there, that it can be reached from here, and the credentials in the environment"


def reason(error: Exception) -> str:
    """Say it in one line; obstore puts the whole of its error below the first."""
    return str(error).partition("\n")[0].strip()[:300].rstrip(".") or type(error).__name__
