import asyncio
import os
import resource
import shutil
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from obstore.store import LocalStore

from activities.ports import AlreadyExistsError, NotInStoreError, Store, StoreError
from activities.stores import STORES, open_store
from activities.stores.bucket import BucketStore
from activities.stores.local import FolderStore
from activities.stores.objects import Objects
from activities.stores.parts import PART
from tests.activities.object_server import BUCKET, let_in
from tests.activities.trees import File, grow, names


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Every registered store in turn: registering one is what puts it under these tests.

    There is no server of Google's or Azure's here: the code they share with S3 runs on the library's store
    for folders.
    """
    match request.param:
        case "file":
            return STORES["file"]((tmp_path / "store folder").as_uri())
        case "s3":
            let_in(monkeypatch, request.getfixturevalue("s3"))
            return STORES["s3"](f"s3://{BUCKET}/{uuid4().hex}")
        case "s3+claims":
            let_in(monkeypatch, request.getfixturevalue("careless_s3"))
            return STORES["s3+claims"](f"s3+claims://{BUCKET}/{uuid4().hex}")
        case scheme:
            objects = LocalStore(tmp_path / "objects", mkdir=True)
            return BucketStore(Objects(objects, f"{scheme}://{uuid4().hex}"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def test_what_was_created_is_read(store: Store) -> None:
    """What is read is what was written, byte for byte."""
    await store.create("release/shop/1.0.json", b"\0\xffone")

    assert await store.read("release/shop/1.0.json") == b"\0\xffone"


async def test_nothing_is_written_over(store: Store) -> None:
    """The first content stays, be the second another or the same."""
    await store.create("release/shop/1.0.json", b"first")

    for second in (b"second", b"first"):
        with pytest.raises(AlreadyExistsError):
            await store.create("release/shop/1.0.json", second)

    assert await store.read("release/shop/1.0.json") == b"first"


async def test_of_writers_at_once_exactly_one_wins(store: Store) -> None:
    """However many create a key at the same time, one succeeds, and its content is what stands."""
    for race in range(10):
        key = f"journal/shop/production/{race}/1.json"
        writers = [store.create(key, str(writer).encode()) for writer in range(8)]

        ends = await asyncio.gather(*writers, return_exceptions=True)

        winners = [writer for writer, end in enumerate(ends) if end is None]
        assert [type(end) for end in ends if end] == [AlreadyExistsError] * 7
        assert await store.read(key) == str(winners[0]).encode()


async def test_what_is_not_there_is_said_so(store: Store) -> None:
    """A missing key is told from a store that fails, before anything was written and after."""
    for _ in range(2):
        with pytest.raises(NotInStoreError, match=r"no “release/shop/2\.0\.json”"):
            await store.read("release/shop/2.0.json")
        with pytest.raises(NotInStoreError):
            _ = [piece async for piece in store.stream("artifact/sha256/0.tar")]
        await store.create(f"release/shop/{_}.json", b"")


async def test_list_is_sorted_and_below_the_prefix(store: Store) -> None:
    """A name that merely begins alike is not below a prefix, nor is what is not whole yet."""
    turns = [f"journal/shop/dev/{turn}/1.json" for turn in range(20)]
    for key in (*turns, "journal/shop/dev2/1/1.json"):
        await store.create(key, b"")

    assert await store.list("journal/shop/dev") == sorted(turns)
    assert await store.list("journal/nowhere") == []


async def test_large_file_is_streamed(store: Store, tmp_path: Path) -> None:
    """A file comes back whole, and in pieces."""
    content = os.urandom(5_000_000)
    (tmp_path / "artifact").write_bytes(content)

    await store.upload("artifact/sha256/1.tar", tmp_path / "artifact")

    pieces = [piece async for piece in store.stream("artifact/sha256/1.tar")]
    assert b"".join(pieces) == content
    assert len(pieces) > 1


async def test_upload_tells_how_far_it_is(store: Store, tmp_path: Path) -> None:
    """What is done only grows, and ends at the size of the file; what stands there already is not sent again."""
    (tmp_path / "artifact").write_bytes(bytes(20_000_001))
    told: list[int] = []
    again: list[int] = []

    await store.upload("artifact/sha256/1.tar", tmp_path / "artifact", told.append)
    await store.upload("artifact/sha256/1.tar", tmp_path / "artifact", again.append)

    assert told == sorted(told)
    assert told[-1] == 20_000_001
    assert all(later - sooner <= PART for sooner, later in pairwise([0, *told]))
    assert again == []


async def test_removed_is_gone(store: Store) -> None:
    """What was removed is not there, and removing it again is no error; its neighbour stays."""
    for key in ("release/shop/1.json", "release/shop/2.json"):
        await store.create(key, b"")

    for _ in range(2):
        await store.remove("release/shop/1.json")

    assert await store.list("release/shop") == ["release/shop/2.json"]


async def test_second_upload_changes_nothing(store: Store, tmp_path: Path) -> None:
    """An artifact's key is made of its content: uploading it again, or twice at once, is no error."""
    (tmp_path / "artifact").write_bytes(b"content")

    keys = sorted(f"artifact/sha256/{number}.tar" for number in range(40))

    for key in keys:
        await asyncio.gather(*(store.upload(key, tmp_path / "artifact") for _ in range(4)))
        await store.upload(key, tmp_path / "artifact")

    assert await store.list("artifact") == keys
    assert await store.read(keys[-1]) == b"content"


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", ".staging/x", "a/.x", "a\\b", "a/b#1", "a\n"],
)
async def test_key_that_could_leave_the_store_is_refused(store: Store, key: str, tmp_path: Path) -> None:
    """Keys are made by us: one that is not safe is a bug, and touches nothing."""
    before = names(tmp_path)

    with pytest.raises(ValueError, match="cannot be a key"):
        await store.create(key, b"")
    with pytest.raises(ValueError, match="cannot be a key"):
        await store.upload(key, tmp_path / "artifact")
    with pytest.raises(ValueError, match="cannot be a key"):
        await store.read(key)

    assert names(tmp_path) == before


async def test_looking_makes_no_folder(folder: Path) -> None:
    """A store that is only asked leaves no trace: a mistyped path is not made true."""
    assert await FolderStore(folder).list("release/shop") == []

    assert names(folder.parent) == []


async def test_refused_write_leaves_nothing(folder: Path) -> None:
    """What was written aside for a key that is taken does not stay."""
    store = FolderStore(folder)
    await store.create("a.json", b"first")

    with pytest.raises(AlreadyExistsError):
        await store.create("a.json", b"second")

    assert names(folder) == [".staging", "a.json"]


async def test_full_disk_is_said_and_leaves_nothing(folder: Path) -> None:
    """A write that fails names the store, the key and the reason, and the key stays free."""
    store = FolderStore(folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(
            StoreError, match=r"store” could not write “release/a\.json”: File too large\. Check"
        ):
            await store.create("release/a.json", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(folder) == [".staging"]
    await store.create("release/a.json", bytes(5000))


async def test_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Where the folder's place is taken by a file, the sentence says what is in the way."""
    file = grow(tmp_path, {"file": File()}) / "file"

    with pytest.raises(StoreError, match=r"could not write “a\.json”: Not a directory"):
        await FolderStore(file / "store").create("a.json", b"")


class Disk:
    """What would be there after a power cut: what was synced, and of a folder the names that it had then."""

    def __init__(self) -> None:
        self.synced: list[Path] = []
        self.names: dict[Path, list[str]] = {}

    def note(self, path: Path) -> None:
        self.synced.append(path)
        if path.is_dir():
            self.names[path] = [one.name for one in path.iterdir()]

    def has(self, path: Path, root: Path) -> bool:
        """Tell whether a path is found from the root on."""
        way = [path, *(above for above in path.parents if above.is_relative_to(root))]
        return all(one.name in self.names.get(one.parent, ()) for one in way)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """All that is put on the disk from now on."""
    disk, real = Disk(), os.fsync

    def fsync(descriptor: int) -> None:
        disk.note(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return disk


async def test_what_is_said_to_be_written_is_on_the_disk(folder: Path, disk: Disk) -> None:
    """Content is synced before it takes its name, which is synced too, and so is every folder on the way to it."""
    await FolderStore(folder).create("receipt/shop/1.json", b"done")

    content, *_, named = [
        path for path in disk.synced if path.parent.name == ".staging" or path.name == "shop"
    ]
    assert content.parent.name == ".staging"
    assert named == folder / "receipt" / "shop"
    assert disk.has(folder / "receipt" / "shop" / "1.json", folder)


async def test_the_way_to_a_folder_is_put_on_the_disk_once(folder: Path, disk: Disk) -> None:
    """What comes next into the same folder needs that folder alone; one that was made anew, its name as well."""
    store, receipts = FolderStore(folder), folder / "receipt"
    await store.create("receipt/shop/1.json", b"done")

    disk.synced.clear()
    await store.create("receipt/shop/2.json", b"done")
    next_one = [path for path in disk.synced if path.parent.name != ".staging"]
    shutil.rmtree(receipts / "shop")
    disk.synced.clear()
    await store.create("receipt/shop/1.json", b"done")

    assert next_one == [receipts / "shop"]
    assert [path for path in disk.synced if path.parent.name != ".staging"] == [receipts / "shop", receipts]


async def test_file_in_the_way_is_not_taken_for_what_was_to_be_written(folder: Path) -> None:
    """That a folder's place is taken says nothing of the key."""
    store = FolderStore(folder)
    await store.create("receipt/shop", b"a file")

    with pytest.raises(
        StoreError, match=r"could not write “receipt/shop/1\.json”: (File exists|Not a directory)"
    ):
        await store.create("receipt/shop/1.json", b"done")
    with pytest.raises(NotInStoreError):
        await store.read("receipt/shop/1.json")


async def test_folder_counts_from_the_configuration(tmp_path: Path) -> None:
    """A store is written as a folder beside the configuration, or as a URL."""
    await open_store("store", tmp_path).create("a.json", b"content")

    for location in ("../store", str(tmp_path / "store"), (tmp_path / "store").as_uri()):
        assert await open_store(location, tmp_path / "other").read("a.json") == b"content"


def test_unknown_scheme_is_said(tmp_path: Path) -> None:
    """A store of a kind that is not there names the kinds that are."""
    with pytest.raises(
        StoreError,
        match="cannot be opened: write a folder, or a URL with az://, file://, gs://, s3://, s3\\+claims://",
    ):
        open_store("ftp://host/store", tmp_path)
