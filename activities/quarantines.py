"""Which releases are never to be promoted: records beside them in the store, of which the newest holds."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import ValidationError

from activities.ports import AlreadyExistsError, NotInStoreError, Store, StoreError
from activities.releases import ReleaseRefusedError, read_release
from domain.actor import Actor
from domain.gate import Quarantine
from domain.names import quarantine_key, quarantine_prefix

_TRIES: Final = 5


class Said(NamedTuple):
    """Who says it, why, and when."""

    by: Actor
    reason: str
    at: datetime


Counts = Callable[[Quarantine], bool]
"""Tells whether a record is by somebody who may."""


def _any(_: Quarantine) -> bool:
    return True


async def find_quarantine(
    store: Store, service: str, version: str, counts: Counts = _any
) -> Quarantine | None:
    """Return the newest record of a release that counts, in quarantine or released from it; None without one.

    Raises ``ReleaseRefusedError`` where it cannot be read: what nobody understands keeps the release out. And
    ``StoreError``.
    """
    keys = await store.list(quarantine_prefix(service, version))
    return await _newest(store, keys, service, version, counts)


async def find_quarantined(
    store: Store, service: str, versions: Iterable[str], counts: Counts = _any
) -> dict[str, Quarantine]:
    """Return version → record of those that are in quarantine. Raises as ``find_quarantine`` does."""
    said: dict[str, list[str]] = {}
    for key in await store.list(f"quarantine/{service}"):
        said.setdefault(key.split("/")[2], []).append(key)
    known = sorted(said.keys() & set(versions))
    found = await asyncio.gather(
        *(_newest(store, said[version], service, version, counts) for version in known)
    )
    return {one.version: one for one in found if one and not one.lifted}


async def _newest(
    store: Store, keys: Iterable[str], service: str, version: str, counts: Counts
) -> Quarantine | None:
    for key in sorted(keys, key=_number, reverse=True):
        record = await _read(store, key, service, version)
        if counts(record):
            return record
    return None


async def put_into_quarantine(store: Store, service: str, version: str, said: Said) -> Quarantine:
    """Keep a release out of every environment from now on. Twice is a second record, with its own reason.

    Raises ``ReleaseRefusedError`` where there is no such release, and ``StoreError``.
    """
    release = await read_release(store, service, version)
    for _ in range(_TRIES):
        keys = await store.list(quarantine_prefix(service, version))
        number = max(map(_number, keys), default=0) + 1
        record = Quarantine(service=release.service, version=release.version, number=number, **said._asdict())
        if await _written(store, record):
            return record
    raise StoreError(
        f"{version} of {service} could not be put into quarantine: somebody else was quicker {_TRIES} times. "
        "Try again."
    )


async def release_from_quarantine(store: Store, service: str, version: str, said: Said) -> Quarantine:
    """Let a release be promoted again.

    Raises ``ReleaseRefusedError`` where it is not in quarantine, or was put there again meanwhile: nobody lifts
    what they have not seen. And ``StoreError``.
    """
    newest = await find_quarantine(store, service, version)
    if newest is None or newest.lifted:
        raise ReleaseRefusedError(f"{version} of {service} is not in quarantine.")
    record = newest.but(number=newest.number + 1, lifted=True, **said._asdict())
    if await _written(store, record):
        return record
    raise ReleaseRefusedError(
        f"The quarantine of {version} of {service} was changed by somebody else at this moment. See why: "
        f"towpath release show {service} {version}"
    )


async def _written(store: Store, record: Quarantine) -> bool:
    key = quarantine_key(record.service, record.version, record.number)
    try:
        await store.create(key, record.canonical().encode())
    except AlreadyExistsError:
        return False
    return True


async def _read(store: Store, key: str, service: str, version: str) -> Quarantine:
    try:
        record = Quarantine.model_validate_json(await store.read(key))
    except (ValidationError, NotInStoreError) as error:
        raise _unreadable(key, service, version) from error
    if (record.service, record.version) != (service, version):
        raise _unreadable(key, service, version)
    return record


def _unreadable(key: str, service: str, version: str) -> ReleaseRefusedError:
    return ReleaseRefusedError(
        f"Whether {version} of {service} is in quarantine cannot be read: “{key}” in the store is damaged. "
        "It counts as in quarantine until that file is removed or put right."
    )


def _number(key: str) -> int:
    name = key.rpartition("/")[2].removesuffix(".json")
    return int(name) if name.isdecimal() else 0
