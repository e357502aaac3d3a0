"""Making releases, and finding them again."""

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from activities.packing import (
    CorruptArtifactError,
    Packed,
    PackingRefusedError,
    appearing,
    pack,
    verify_digest,
)
from activities.ports import AlreadyExistsError, NotInStoreError, Progress, Store, StoreError, unheard
from domain.environment import Placement
from domain.image import Image
from domain.names import Identifier, artifact_key, manifest_key
from domain.release import Component, Kind, Release
from domain.value import short

_NAME: Final[TypeAdapter[str]] = TypeAdapter(Identifier)


class ReleaseRefusedError(Exception):
    """A release cannot be made, or cannot be used. The text is a sentence for people."""


class UnknownReleaseError(ReleaseRefusedError):
    """There is no such release."""


class Stored(NamedTuple):
    """A release that is in the store, whether it came there just now, and a sentence about it."""

    release: Release
    new: bool
    sentence: str


async def create_release(  # noqa: PLR0913 - all this is what a release says of itself
    store: Store,
    service: str,
    version: str,
    components: Mapping[str, tuple[Kind, Path | Image]],
    *,
    author: str = "",
    revision: str = "",
    notes: str = "",
    now: datetime,
    sign: Callable[[Release], str] = lambda _release: "",
    sending: Callable[[str, int], Progress] = lambda _name, _size: unheard,
) -> Stored:
    """Pack every component, store the artifacts, then the manifest: only with it the version exists, once.

    An image is recorded as it is named, and nothing of it is stored. ``sign`` returns the author's signature.

    A second run with the same content finds the release as it was made first, its author and notes too, and
    sends no artifact that is there already. ``sending`` is told each component and its size, and returns what
    takes the progress of its upload.
    Raises ``ReleaseRefusedError``, and ``StoreError`` where the store did not do it.
    """
    for name in (service, version, *components):
        _check_name(name)
    if not components:
        raise ReleaseRefusedError(
            f"Release {version} of {service} has no components: name at least one folder."
        )
    with _workshop() as workshop:
        artifacts = {name: workshop / f"{name}.tar" for name in components}
        packed = {
            name: await _pack(source, artifacts[name])
            for name, (_, source) in sorted(components.items())
            if isinstance(source, Path)
        }
        release = Release(
            service=service,
            version=version,
            components=tuple(
                _image(name, kind, source)
                if isinstance(source, Image)
                else _component(name, kind, packed[name])
                for name, (kind, source) in sorted(components.items())
            ),
            author=author,
            revision=revision,
            notes=notes,
            created=now,
        )
        release = release.but(signature=sign(release))
        before = await _find(store, service, version)
        if before:
            _check_same(before, release)
        # Also where the release is stored already: whoever lost an artifact gets it back so.
        for name, made in packed.items():
            await store.upload(artifact_key(made.digest), artifacts[name], sending(name, made.size))
    return _already(before) if before else await _publish(store, release)


async def read_release(store: Store, service: str, version: str) -> Release:
    """Read a release's manifest. Raises ``ReleaseRefusedError`` where there is none, or it is damaged."""
    _check_name(service)
    _check_name(version)
    if release := await _find(store, service, version):
        return release
    raise UnknownReleaseError(
        f"There is no release {version} of {service} in the store. "
        f"Create it: towpath release create {service} {version} --from PATH"
    )


async def list_releases(store: Store, service: str) -> list[Release]:
    """Return every release of a service, oldest first. Raises as ``read_release`` does."""
    _check_name(service)
    keys = await store.list(f"release/{service}")
    versions = [key.rpartition("/")[2].removesuffix(".json") for key in keys]
    releases = [await read_release(store, service, version) for version in versions]
    return sorted(releases, key=lambda release: (release.created, release.version))


async def fetch_artifact(store: Store, digest: str, folder: Path) -> Path:
    """Return the artifact as a file in this folder, its digest verified just now.

    It is fetched once, and again where the one in the folder was damaged. Raises ``ReleaseRefusedError``
    where it is not in the store, or damaged there, and ``StoreError``.
    """
    kept = folder / f"{digest.rpartition(':')[2]}.tar"
    try:
        if not await asyncio.to_thread(_is_kept, kept, digest):
            await _fetch(store, digest, kept)
    except NotInStoreError as error:
        raise ReleaseRefusedError(
            f"The artifact {short(digest)} is not in the release store. "
            "Create its release again, from the same source."
        ) from error
    except OSError as error:
        raise StoreError(
            f"The artifact {short(digest)} could not be kept as “{kept}”: {error.strerror}. "
            "Check that the folder is yours to write, and that its disk has room."
        ) from error
    return kept


class Brought(NamedTuple):
    """What a target is given: an artifact as a file, or the image that stands in its place."""

    file: Path | None
    image: str = ""


async def bring(store: Store, service: str, component: str, placement: Placement, folder: Path) -> Brought:
    """Fetch the artifact of a placement, or find out which image it is. Raises as ``fetch_artifact`` does."""
    try:
        return Brought(await fetch_artifact(store, placement.artifact, folder))
    except ReleaseRefusedError:
        # An artifact is looked for first: it mostly lies here already, and then nothing else is asked.
        release = await _find(store, service, placement.version)
        part = release.component(component) if release and release.digest() == placement.release else None
        if part and part.image and part.artifact == placement.artifact:
            return Brought(None, part.image)
        raise


async def _fetch(store: Store, digest: str, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    key, checksum = artifact_key(digest), sha256()
    with appearing(kept) as file:
        async for piece in store.stream(key):
            await asyncio.to_thread(file.write, piece)
            await asyncio.to_thread(checksum.update, piece)
        found = f"sha256:{checksum.hexdigest()}"
        if found != digest:
            raise ReleaseRefusedError(
                f"The artifact {short(digest)} is damaged in the store, and was not used: its content is "
                f"{short(found)}. Remove “{key}” from the store, and create its release again, from the same "
                "source."
            )


def _is_kept(kept: Path, digest: str) -> bool:
    try:
        verify_digest(kept, digest)
    except (FileNotFoundError, CorruptArtifactError):
        return False
    return True


@contextmanager
def _workshop() -> Generator[Path]:
    try:
        with TemporaryDirectory(prefix="towpath-") as folder:
            yield Path(folder)
    except OSError as error:
        raise ReleaseRefusedError(
            f"Nothing was packed, for want of a temporary folder: {error.strerror}. "
            "Make room for one, or set TMPDIR to a better place, and try again."
        ) from error


async def _pack(folder: Path, artifact: Path) -> Packed:
    try:
        return await asyncio.to_thread(pack, folder, artifact)
    except PackingRefusedError as refusal:
        raise ReleaseRefusedError(str(refusal)) from refusal


def _component(name: str, kind: Kind, packed: Packed) -> Component:
    return Component(name=name, kind=kind, artifact=packed.digest, size=packed.size, files=packed.files)


def _image(name: str, kind: Kind, image: Image) -> Component:
    return Component(name=name, kind=kind, artifact=image.digest, size=0, image=str(image))


async def _publish(store: Store, release: Release) -> Stored:
    key = manifest_key(release.service, release.version)
    try:
        await store.create(key, release.canonical().encode())
    except AlreadyExistsError:
        # Somebody else was quicker.
        before = await read_release(store, release.service, release.version)
        _check_same(before, release)
        return _already(before)
    name = f"Release {release.version} of {release.service} ({short(release.digest())})"
    return Stored(release, new=True, sentence=f"{name} is stored.")


def _already(release: Release) -> Stored:
    name = f"Release {release.version} of {release.service} ({short(release.digest())})"
    return Stored(release, new=False, sentence=f"{name} is already stored, the same.")


async def _find(store: Store, service: str, version: str) -> Release | None:
    key = manifest_key(service, version)
    try:
        release = Release.model_validate_json(await store.read(key))
    except NotInStoreError:
        return None
    except ValidationError as error:
        raise _unusable(key, str(error.errors()[0]["msg"])) from error
    if (release.service, release.version) != (service, version):
        raise _unusable(key, f"it is that of release {release.version} of {release.service}")
    return release


def _unusable(key: str, why: str) -> ReleaseRefusedError:
    return ReleaseRefusedError(
        f"The manifest “{key}” in the store is damaged: {why}. "
        "Remove it, and create the release again, from the same source."
    )


def _check_same(before: Release, after: Release) -> None:
    if _content(before) != _content(after):
        raise ReleaseRefusedError(
            f"Release {after.version} of {after.service} is stored already with other content, and a version "
            f"exists once. The stored one is {_content(before)}; this one is {_content(after)}. "
            "Give this content a version of its own."
        )


def _content(release: Release) -> str:
    """Say what a release is made of; who made it, when and why is no part of that."""
    parts = (f"{part.name} ({part.kind}) {part.image or part.artifact}" for part in release.components)
    return " and ".join(sorted(parts))


def _check_name(name: str) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        sentence = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ReleaseRefusedError(f"{sentence}.") from error
