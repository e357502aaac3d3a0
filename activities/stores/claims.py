"""A release store in a bucket that writes over what stands there: its writers agree among themselves who was first.

Its owner asks for it, by ``s3+claims://``: whether a store shows at once what it has taken, nobody can try out.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from activities.ports import AlreadyExistsError, NotInStoreError, Progress, StoreError, unheard
from activities.stores import agreement, parts
from activities.stores.bucket import open_objects
from activities.stores.keys import checked
from activities.stores.objects import Objects

_STEP: Final = 0.05
_LONGEST_STEP: Final = 2.0


def open_claims(url: str) -> "ClaimsStore":
    """Open the store at ``s3+claims://BUCKET/prefix``. Touches nothing. Raises ``StoreError``."""
    return ClaimsStore(open_objects(url))


class ClaimsStore:
    """What was created stands among its claims; what was uploaded, under its own key."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def create(self, key: str, content: bytes) -> None:
        taken = await self._objects.stands(checked(key)) or not await self._write_first(key, content)
        if taken:
            raise AlreadyExistsError(f"There is a “{key}” in the store already.")

    async def upload(self, key: str, file: Path, progress: Progress = unheard) -> None:
        await parts.send(self._objects, checked(key), file, progress)

    async def read(self, key: str) -> bytes:
        return b"".join([piece async for piece in self.stream(key)])

    async def stream(self, key: str) -> AsyncIterator[bytes]:
        try:
            async for piece in parts.receive(self._objects, checked(key)):
                yield piece
        except NotInStoreError:
            offer = await agreement.where_it_stands(self._objects, key)
            if offer is None:
                raise
            async for piece in self._objects.stream(offer):
                yield piece

    async def list(self, prefix: str) -> list[str]:
        plain = await self._objects.names(checked(prefix))
        return sorted({*plain, *await agreement.standing(self._objects, prefix)})

    async def remove(self, key: str) -> None:
        await parts.discard(self._objects, checked(key))
        for record in await agreement.records_to_remove(self._objects, key):
            await self._objects.remove(record)

    async def _write_first(self, key: str, content: bytes) -> bool:
        url = self._objects.url
        try:
            return await agreement.write_first(self._objects, key, content, _step_back)
        except agreement.UndecidedError as error:
            raise StoreError(
                f"Too many wrote “{key}” in the release store “{url}” at once, and none of them was told that it "
                "was first. Try again."
            ) from error
        except agreement.StaleListingError as error:
            raise StoreError(
                f"The release store “{url}” took a claim to “{key}” and did not list it: writers cannot agree "
                "there who was first, so nothing is thought written. Use a store that lists at once what was "
                "written, and only one server before it."
            ) from error


async def _step_back(times: int) -> None:
    longest = min(_LONGEST_STEP, _STEP * 2**times)
    await asyncio.sleep(secrets.SystemRandom().uniform(0, longest))
