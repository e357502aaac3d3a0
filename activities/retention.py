"""Which releases and transcripts may go, and their going.

Whatever a receipt names stays, be it what was put there or what was found there, and be it undone since: a receipt
is proof of what ran, and proves little of a release that is gone. So does whatever an account that is still open
names. Seals are not asked for: a forged receipt could only make us keep more.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from activities.ports import NotInStoreError, Store
from activities.releases import ReleaseRefusedError, list_releases
from domain.environment import Holding, Placement
from domain.fence import milliseconds
from domain.journal import Entry, Receipt
from domain.names import TRANSCRIPTS, artifact_key, manifest_key
from domain.release import Release
from domain.terms import Sealed

PaperT = TypeVar("PaperT", Receipt, Entry)


class Pruned(NamedTuple):
    """What went, or would go, oldest first, and the artifacts that went with it."""

    releases: tuple[Release, ...]
    artifacts: tuple[str, ...]
    kept: int


async def prune_releases(store: Store, service: str, keep: int, *, dry_run: bool = False) -> Pruned:
    """Remove every release of a service but the newest ``keep`` and those that an environment may need again.

    First the manifests go, then the artifacts that no release of any service has, and no paper names: so a version
    never stands without its artifacts, and a second run finds what a first has left. Raises
    ``ReleaseRefusedError`` where a paper cannot be read, and then nothing is removed; and ``StoreError``.
    """
    releases = await list_releases(store, service)
    needed = await _needed(store, service)
    newest = releases[max(0, len(releases) - keep) :]
    gone = [release for release in releases if release not in newest and not _is_needed(release, needed)]
    artifacts = await _orphans(store, gone)
    if not dry_run:
        for release in gone:
            await store.remove(manifest_key(service, release.version))
        # Looked at again: meanwhile somebody may have made a release of the same content.
        artifacts = [digest for digest in await _orphans(store, gone) if digest in artifacts]
        for digest in artifacts:
            await store.remove(artifact_key(digest))
    return Pruned(tuple(gone), tuple(artifacts), len(releases) - len(gone))


async def prune_transcripts(store: Store, service: str, before: datetime, *, dry_run: bool = False) -> int:
    """Remove what was printed in turns that began before, and return of how many turns; open ones keep theirs.

    Receipts stay. A second run finds what a first has left. Raises ``StoreError``.
    """
    limit = milliseconds(before)
    closed = {
        tuple(key.removesuffix(".json").split("/")[2:]) for key in await store.list(f"receipt/{service}")
    }
    turns: dict[tuple[str, ...], list[str]] = {}
    for key in await store.list(f"{TRANSCRIPTS}/{service}"):
        turns.setdefault(tuple(key.split("/")[2:4]), []).append(key)
    old = {turn: keys for turn, keys in turns.items() if turn in closed and int(turn[1]) < limit}
    for key in chain.from_iterable(() if dry_run else old.values()):
        await store.remove(key)
    return len(old)


def _is_needed(release: Release, needed: Iterable[Placement]) -> bool:
    return any(release.version == placement.version for placement in needed)


async def _orphans(store: Store, gone: Sequence[Release]) -> list[str]:
    """Return the artifacts of these releases that no other release has, and no paper of any service names."""
    away = {(release.service, release.version) for release in gone}
    kept: set[str] = set()
    services = {key.split("/")[1] for key in await store.list("release")}
    for service in sorted(services):
        for release in await list_releases(store, service):
            if (release.service, release.version) not in away:
                kept.update(part.artifact for part in release.components)
    for service in sorted(
        {key.split("/")[1] for room in ("receipt", "journal") for key in await store.list(room)}
    ):
        kept.update(placement.artifact for placement in await _needed(store, service))
    held = {part.artifact for release in gone for part in release.components if not part.image}
    return sorted(held - kept)


async def _needed(store: Store, service: str) -> list[Placement]:
    """Return what any environment holds, or held at any time, or may be about to hold."""
    keys = await store.list(f"receipt/{service}")
    receipts = [await _read_paper(store, key, Receipt) for key in keys]
    needed: list[Holding] = []
    for receipt in receipts:
        needed += [*receipt.before.values(), *receipt.after.values()]
        needed += [holding for deed in receipt.deeds for holding in (deed.step.before, deed.step.after)]
    closed = {(receipt.subject.environment, receipt.turn) for receipt in receipts}
    for key in await store.list(f"journal/{service}"):
        _, _, environment, turn, _ = key.split("/")
        if (environment, int(turn)) not in closed:
            entry = await _read_paper(store, key, Entry)
            needed += [entry.capture.holding, entry.step.before, entry.step.after]
    return [holding for holding in needed if isinstance(holding, Placement)]


async def _read_paper(store: Store, key: str, kind: type[PaperT]) -> PaperT:
    try:
        return kind.model_validate_json(Sealed.model_validate_json(await store.read(key)).body)
    except (NotInStoreError, ValidationError) as error:
        raise ReleaseRefusedError(
            f"Nothing was pruned: “{key}” in the store cannot be read, and may name what is still needed. "
            "Restore it from a copy, or upgrade Towpath, where a newer one wrote it."
        ) from error
