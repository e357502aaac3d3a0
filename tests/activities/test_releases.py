import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.packing import unpack, verify_digest
from activities.ports import AlreadyExistsError, StoreError
from activities.releases import (
    ReleaseRefusedError,
    Stored,
    create_release,
    fetch_artifact,
    list_releases,
    read_release,
)
from activities.stores.local import FolderStore
from domain.names import artifact_key, manifest_key
from domain.release import Kind
from tests.activities.trees import File, Tree, grow, names, reap

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SITE: Tree = {"index.html": File(b"hello")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> FolderStore:
    return FolderStore(folder)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return grow(tmp_path / "site", SITE)


async def create(store: FolderStore, site: Path, version: str = "1.4.0", now: datetime = NOW) -> Stored:
    return await create_release(store, "shop", version, {"site": (Kind.CONTENT, site)}, author="ana", now=now)


async def test_release_is_what_was_packed(store: FolderStore, site: Path, tmp_path: Path) -> None:
    """A release read from the store is the one that was made, and its artifact unpacks to the folder."""
    made = await create(store, site)

    release = await read_release(store, "shop", "1.4.0")
    artifact = await fetch_artifact(store, release.components[0].artifact, tmp_path / "cache")
    unpack(artifact, tmp_path / "copy")

    assert release == made.release
    assert release.digest() == made.release.digest()
    assert (made.new, release.author, release.created) == (True, "ana", NOW)
    assert release.components[0].size == artifact.stat().st_size
    assert reap(tmp_path / "copy") == SITE


async def test_same_content_again_is_no_error(store: FolderStore, site: Path) -> None:
    """A second run, later and elsewhere, finds the release as it was made first."""
    first = await create(store, site)

    second = await create(store, site, now=NOW + timedelta(days=1))

    assert second.release == first.release
    assert not second.new
    assert second.sentence.endswith("is already stored, the same.")


async def test_other_content_is_refused_with_both_digests(store: FolderStore, site: Path) -> None:
    """A version exists once; whoever meets another is told both, and nothing of theirs is stored."""
    first = await create(store, site)
    keys = await store.list("artifact")
    grow(site, {"index.html": File(b"other")})
    theirs = await create(FolderStore(site.parent / "elsewhere"), site)

    with pytest.raises(ReleaseRefusedError) as refused:
        await create(store, site)

    assert first.release.components[0].artifact in str(refused.value)
    assert theirs.release.components[0].artifact in str(refused.value)
    assert await store.list("artifact") == keys
    assert await read_release(store, "shop", "1.4.0") == first.release


async def test_kind_is_part_of_what_a_version_is(store: FolderStore, site: Path) -> None:
    """The same files as another kind of component are another release."""
    await create(store, site)

    with pytest.raises(ReleaseRefusedError, match="stored already with other content"):
        await create_release(store, "shop", "1.4.0", {"site": (Kind.APPLICATION, site)}, now=NOW)


async def test_of_two_makers_at_once_one_is_first(store: FolderStore, tmp_path: Path) -> None:
    """Two who store different content as one version at once: one has it, the other is refused."""
    sites = [grow(tmp_path / name, {"index.html": File(name.encode())}) for name in ("one", "two")]

    ends = await asyncio.gather(*(create(store, site) for site in sites), return_exceptions=True)

    made = [end for end in ends if isinstance(end, Stored)]
    assert [type(end) for end in ends if end not in made] == [ReleaseRefusedError]
    assert await read_release(store, "shop", "1.4.0") == made[0].release


async def test_maker_that_comes_second_is_told_so(site: Path, tmp_path: Path) -> None:
    """Who finds the version free, and taken a moment later by the same content, is done too."""

    class Slow(FolderStore):
        async def create(self, key: str, content: bytes) -> None:
            await create(FolderStore(tmp_path / "store"), site, now=NOW - timedelta(seconds=1))
            await super().create(key, content)

    late = await create(Slow(tmp_path / "store"), site)

    assert not late.new
    assert late.release.created == NOW - timedelta(seconds=1)


async def test_order_of_components_does_not_matter(store: FolderStore, site: Path) -> None:
    """The order in which components are named makes no other release."""
    parts = {"site": (Kind.CONTENT, site), "api": (Kind.APPLICATION, site)}
    first = await create_release(store, "shop", "1", parts, now=NOW)

    second = await create_release(store, "shop", "1", dict(reversed(parts.items())), now=NOW)

    assert second.release == first.release
    assert [part.name for part in first.release.components] == ["api", "site"]


async def test_refused_packing_stores_nothing(store: FolderStore, folder: Path, tmp_path: Path) -> None:
    """Where one component cannot be packed, nothing of the others is stored."""
    parts = {
        "good": (Kind.CONTENT, grow(tmp_path / "good", SITE)),
        "zbad": (Kind.CONTENT, tmp_path / "missing"),
    }

    with pytest.raises(ReleaseRefusedError, match="missing” does not exist"):
        await create_release(store, "shop", "1", parts, now=NOW)

    assert names(folder) == []


@pytest.mark.parametrize(
    ("service", "version"), [("../shop", "1"), ("shop", "1/../../2"), ("shop", ""), ("shop", "v" * 64)]
)
async def test_name_that_will_not_do_is_refused(
    store: FolderStore, site: Path, service: str, version: str
) -> None:
    """Names become keys and paths, so they are checked before anything is touched."""
    with pytest.raises(ReleaseRefusedError, match="cannot be a name: use letters"):
        await create_release(store, service, version, {"site": (Kind.CONTENT, site)}, now=NOW)
    with pytest.raises(ReleaseRefusedError, match="cannot be a name: use letters"):
        await read_release(store, service, version)


async def test_release_without_components_is_refused(store: FolderStore) -> None:
    """A release of nothing is none."""
    with pytest.raises(ReleaseRefusedError, match="has no components"):
        await create_release(store, "shop", "1", {}, now=NOW)


async def test_unknown_release_names_the_command_that_makes_it(store: FolderStore) -> None:
    """Who asks for a release that is not there is told how to make it."""
    with pytest.raises(ReleaseRefusedError, match="towpath release create shop 9 --from PATH"):
        await read_release(store, "shop", "9")


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b'{"service": "other"}'])
async def test_damaged_manifest_is_refused(store: FolderStore, content: bytes) -> None:
    """A manifest that is none is named by its key, with the way out."""
    await store.create(manifest_key("shop", "1"), content)

    with pytest.raises(
        ReleaseRefusedError, match=r"“release/shop/1\.json” in the store is damaged: .* Remove it"
    ):
        await read_release(store, "shop", "1")


async def test_manifest_of_another_release_is_refused(store: FolderStore, site: Path) -> None:
    """A manifest that was copied to another version's place is not that version."""
    await create(store, site)
    await store.create(manifest_key("shop", "2"), await store.read(manifest_key("shop", "1.4.0")))

    with pytest.raises(ReleaseRefusedError, match=r"it is that of release 1\.4\.0 of shop"):
        await read_release(store, "shop", "2")


async def test_releases_are_listed_oldest_first(store: FolderStore, site: Path) -> None:
    """A service's releases come in the order they were made, and without those of others."""
    await create(store, site, "10")
    await create(store, site, "9", NOW - timedelta(days=1))
    await create_release(store, "shop2", "1", {"site": (Kind.CONTENT, site)}, now=NOW)

    assert [release.version for release in await list_releases(store, "shop")] == ["9", "10"]
    assert await list_releases(store, "nobody") == []


def remove(path: Path) -> None:
    path.rename(path.with_suffix(".removed"))


def damage(artifact: Path) -> None:
    artifact.write_bytes(artifact.read_bytes().replace(b"hello", b"HELLO"))


async def test_artifact_damaged_in_the_store_is_refused(
    store: FolderStore, folder: Path, site: Path, tmp_path: Path
) -> None:
    """What does not fit its digest is not handed out, nor kept; making the release again restores it."""
    digest = (await create(store, site)).release.components[0].artifact
    stored = folder / artifact_key(digest)
    damage(stored)

    with pytest.raises(ReleaseRefusedError, match="is damaged in the store, and was not used"):
        await fetch_artifact(store, digest, tmp_path / "cache")

    assert names(tmp_path / "cache") == []
    remove(stored)
    await create(store, site)
    verify_digest(await fetch_artifact(store, digest, tmp_path / "cache"), digest)


async def test_artifact_damaged_in_the_cache_is_fetched_again(
    store: FolderStore, site: Path, tmp_path: Path
) -> None:
    """A kept copy is believed only as long as it fits its digest."""
    digest = (await create(store, site)).release.components[0].artifact
    kept = await fetch_artifact(store, digest, tmp_path / "cache")
    damage(kept)

    again = await fetch_artifact(store, digest, tmp_path / "cache")

    assert again == kept
    verify_digest(kept, digest)


async def test_artifact_is_fetched_once(store: FolderStore, folder: Path, site: Path, tmp_path: Path) -> None:
    """A kept artifact is there even where the store is not."""
    digest = (await create(store, site)).release.components[0].artifact
    kept = await fetch_artifact(store, digest, tmp_path / "cache")
    remove(folder)

    assert await fetch_artifact(store, digest, tmp_path / "cache") == kept


async def test_missing_artifact_is_refused(store: FolderStore, tmp_path: Path) -> None:
    """An artifact that is not in the store is named, and nothing half-fetched is kept."""
    with pytest.raises(ReleaseRefusedError, match="The artifact 00000000 is not in the release store"):
        await fetch_artifact(store, f"sha256:{'0' * 64}", tmp_path / "cache")

    assert names(tmp_path / "cache") == []


async def test_cache_that_cannot_be_written_is_said(store: FolderStore, site: Path) -> None:
    """Trouble with this machine's disk is told from trouble with the release, and may be tried again."""
    digest = (await create(store, site)).release.components[0].artifact

    with pytest.raises(StoreError, match=r"could not be kept as .*: Not a directory"):
        await fetch_artifact(store, digest, site / "index.html" / "cache")


async def test_manifest_is_written_last(site: Path, tmp_path: Path) -> None:
    """A version never exists without its artifacts, wherever its making stops."""

    class Unlucky(FolderStore):
        async def create(self, key: str, content: bytes) -> None:
            raise StoreError(f"{key} was not written, with {len(content)} bytes")

    with pytest.raises(StoreError):
        await create(Unlucky(tmp_path / "store"), site)

    assert await FolderStore(tmp_path / "store").list("release") == []
    assert (await create(FolderStore(tmp_path / "store"), site)).new
    with pytest.raises(AlreadyExistsError):
        await FolderStore(tmp_path / "store").create(manifest_key("shop", "1.4.0"), b"")
