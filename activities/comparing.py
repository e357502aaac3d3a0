"""Looking into two releases at once. Artifacts are read from the store, their digests verified, and not unpacked."""

import asyncio
import tarfile
from collections.abc import Mapping
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, NamedTuple

from activities.ports import Store
from activities.releases import Brought, ReleaseRefusedError, bring
from domain.berth import component_of
from domain.difference import (
    ComponentDifference,
    Difference,
    File,
    FileDifference,
    How,
    compare,
    compare_settings,
)
from domain.environment import Holding, Placement, same
from domain.release import Release
from domain.value import short

LONGEST_TEXT: Final = 64 * 1024
"""Bytes; a larger file is not compared line by line."""
PIECE: Final = 1024 * 1024


class Side(NamedTuple):
    """What is compared: its name, its components, and what is written about it."""

    name: str
    parts: Mapping[str, Placement]
    settings: Mapping[str, str]


def side_of_release(release: Release) -> Side:
    digest = release.digest()
    parts = {
        part.name: Placement(version=release.version, release=digest, artifact=part.artifact)
        for part in release.components
    }
    settings = {name: getattr(release, name) for name in ("author", "revision", "notes")}
    settings |= {f"kind of {part.name}": str(part.kind) for part in release.components}
    return Side(release.version, parts, settings)


def side_of_holdings(environment: str, held: Mapping[str, Holding]) -> Side:
    """Return what an environment holds. Raises ``ReleaseRefusedError`` where nobody knows that."""
    parts: dict[str, Placement] = {}
    for component, holding in _by_component(held).items():
        if isinstance(holding, Placement):
            parts[component] = holding
        elif holding.held == "unknown":
            raise ReleaseRefusedError(
                f"Nobody knows what stands for {component} in {environment}, so it cannot be compared. "
                f"Have it looked at: towpath adopt SERVICE {environment}"
            )
    return Side(environment, parts, {})


def _by_component(held: Mapping[str, Holding]) -> dict[str, Holding]:
    """A component whose targets all hold the same is one thing; one whose targets differ is one thing each."""
    found: dict[str, Holding] = {}
    for berth, holding in held.items():
        component = component_of(berth)
        alike = [other for name, other in held.items() if component_of(name) == component]
        agree = all(same(holding, other) for other in alike)
        found[component if agree else berth] = holding
    return found


async def look_into(  # noqa: PLR0913 - two sides, and where they are read and unfolded
    store: Store, service: str, before: Side, after: Side, workshop: Path, *, content: bool
) -> Difference:
    """Compare two sides. Raises ``ReleaseRefusedError`` where an artifact is missing or damaged, and ``StoreError``."""
    components: list[ComponentDifference] = []
    for name in sorted({*before.parts, *after.parts}):
        old, new = before.parts.get(name), after.parts.get(name)
        if old and new and old.artifact == new.artifact:
            continue
        # Of an image nothing is here to be looked into.
        brought = [
            await bring(store, service, name, part, workshop) if part else Brought(None)
            for part in (old, new)
        ]
        tars = [one.file for one in brought]
        components.append(
            ComponentDifference(
                component=name,
                before=old.artifact if old else None,
                after=new.artifact if new else None,
                before_version=old.version if old else "",
                after_version=new.version if new else "",
                files=await asyncio.to_thread(_compare, *tars, content=content),
            )
        )
    return Difference(
        service=service,
        before=before.name,
        after=after.name,
        components=tuple(components),
        settings=compare_settings(before.settings, after.settings),
    )


def _compare(before: Path | None, after: Path | None, *, content: bool) -> tuple[FileDifference, ...]:
    found = compare(_files(before), _files(after))
    if not content:
        return found
    return tuple(one.but(text=_text(before, after, one)) for one in found)


def _files(tar: Path | None) -> dict[str, File]:
    if tar is None:
        return {}
    try:
        with tarfile.open(tar, "r:", encoding="utf-8") as archive:
            return {member.name: _file(archive, member) for member in archive if not member.isdir()}
    except (tarfile.TarError, UnicodeError) as error:
        raise ReleaseRefusedError(
            f"The artifact {short(f'sha256:{tar.stem}')} is no archive that can be read: {error}. Create its "
            "release again, from the same source, under a version of its own."
        ) from error


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> File:
    opened = archive.extractfile(member) if member.isreg() else None
    if opened is None:
        return File(content=f"link to {member.linkname}")
    with opened:
        return File(size=member.size, content=_digest(opened), executable=bool(member.mode & 0o100))


def _digest(opened: IO[bytes]) -> str:
    checksum = sha256()
    while piece := opened.read(PIECE):
        checksum.update(piece)
    return checksum.hexdigest()


def _text(before: Path | None, after: Path | None, one: FileDifference) -> str:
    """Say how a text differs; nothing where either side is large, or no text."""
    old = _lines(before, one.path) if one.how is not How.ADDED else []
    new = _lines(after, one.path) if one.how is not How.REMOVED else []
    if old is None or new is None:
        return ""
    return "\n".join(unified_diff(old, new, f"a/{one.path}", f"b/{one.path}", lineterm=""))


def _lines(tar: Path | None, path: str) -> list[str] | None:
    if tar is None:
        return None
    with tarfile.open(tar, "r:", encoding="utf-8") as archive:
        member = archive.getmember(path)
        opened = archive.extractfile(member) if member.isreg() and member.size <= LONGEST_TEXT else None
        if opened is None:
            return None
        with opened:
            content = opened.read()
    try:
        return None if b"\0" in content else content.decode().splitlines()
    except UnicodeDecodeError:
        return None
