from pathlib import Path
from uuid import uuid4

import pytest

from activities.ports import StoreError
from activities.stores import open_store
from activities.stores.bucket import PROBE
from tests.activities.object_server import BUCKET, forgetful, let_in


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/{uuid4().hex}"


async def test_store_that_forgets_conditions_is_found_out(
    s3: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a second write would win, nothing is written at all, and the sentence says what to do."""
    (tmp_path / "artifact").write_bytes(b"content")
    with forgetful(s3) as door:
        let_in(monkeypatch, door)
        store = open_store(url, tmp_path)

        with pytest.raises(StoreError, match=r"writes over what stands there.* Use a store that honours"):
            await store.create("receipt/shop/dev/1.json", b"first")
        with pytest.raises(StoreError, match="writes over what stands there"):
            await store.upload("artifact/sha256/1.tar", tmp_path / "artifact")

        assert await store.list("receipt") == []
        assert await store.list("artifact") == []


async def test_store_is_tried_once(
    s3: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process tries a store before its first write; a store that has passed is believed."""
    let_in(monkeypatch, s3)
    await open_store(url, tmp_path).create("release/shop/1.json", b"")

    with forgetful(s3) as door:
        let_in(monkeypatch, door)
        await open_store(url, tmp_path).create("release/shop/2.json", b"")

    let_in(monkeypatch, s3)
    assert PROBE.startswith(".probe/")
    assert await open_store(url, tmp_path).list("release") == ["release/shop/1.json", "release/shop/2.json"]


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
@pytest.mark.parametrize("place", ["me:hunter2@bucket/releases", "me@bucket", "bucket?sig=hunter2"])
def test_credentials_in_the_url_are_refused(scheme: str, place: str, tmp_path: Path) -> None:
    """Whoever writes a secret into the configuration is told where it belongs, and it is not repeated."""
    with pytest.raises(StoreError, match="do not belong into the configuration") as refused:
        open_store(f"{scheme}://{place}", tmp_path)

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_url_without_a_bucket_is_refused(scheme: str, tmp_path: Path) -> None:
    """A URL that names no bucket is shown how one does."""
    with pytest.raises(StoreError, match=rf"names no bucket: write {scheme}://BUCKET"):
        open_store(f"{scheme}:///releases", tmp_path)


async def test_missing_bucket_is_said(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is not there is trouble with the store, in a sentence, and nothing is thought written."""
    let_in(monkeypatch, s3)

    with pytest.raises(StoreError, match=r"“s3://nowhere/x” could not write .* Check that it is there"):
        await open_store("s3://nowhere/x", tmp_path).create("a.json", b"")


async def test_server_that_is_away_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens, the sentence comes within a few tries."""
    let_in(monkeypatch, "http://127.0.0.1:9")

    with pytest.raises(StoreError, match=r"could not read “a\.json”"):
        await open_store(f"s3://{BUCKET}", tmp_path).read("a.json")
