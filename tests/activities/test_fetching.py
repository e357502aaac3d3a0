"""Releases from archives that are elsewhere: only what was named, and nothing that leads astray."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from activities.fetching import Download, FetchRefusedError, check_way, read_download
from activities.sources import unfold_download
from activities.unpacking import Limits, SourceRefusedError
from tests.activities.test_sources import SITE, member, tar_by_hand, tar_of
from tests.activities.trees import grow, names, reap
from tests.activities.web_server import Answer, serving


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return tar_of(grow(tmp_path / "site", SITE), tmp_path / "site.tgz").read_bytes()


def refusal(url: str, content: bytes, folder: Path, limits: Limits = Limits()) -> str:  # noqa: B008 - frozen
    """Fetch what must not be fetched, see that nothing is left of it, and return what was said."""
    into = folder / "into"
    into.mkdir()
    with pytest.raises(SourceRefusedError) as refused:
        unfold_download(Download(url, digest_of(content)), into / "site", limits)
    assert {name for name in names(into) if not name.startswith("site")} == set()
    said = str(refused.value)
    assert said.startswith("Nothing was packed: “http")
    return said


def test_archive_is_fetched_and_unfolded(archive: bytes, tmp_path: Path) -> None:
    """What has the digest is what its folder was, also by way of a redirect, and whatever the server calls it."""

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        assert headers["accept-encoding"] == "identity"
        if path.startswith("/latest"):
            return Answer(302, b"", {"Location": "/1/site.bin"})
        return Answer(200, archive, {"Content-Encoding": "gzip", "Content-Type": "application/x-tar"})

    with serving(answer) as address:
        wanted = read_download(f"{address}/latest/site.tgz?token=x#sha256={sha256(archive).hexdigest()}")
        found = unfold_download(wanted, tmp_path / "into")

    assert reap(found.folder) == SITE
    assert str(wanted) == f"{address}/latest/site.tgz"
    assert not (tmp_path / "into.tgz").exists()


def test_other_content_is_refused_before_it_is_unfolded(archive: bytes, tmp_path: Path) -> None:
    """An archive of another digest is not looked into, hostile or not."""
    hostile = tar_by_hand(tmp_path / "a.tgz", member("../escaped")).read_bytes()

    with serving(lambda _path, _headers: Answer(200, hostile)) as address:
        said = refusal(f"{address}/site.tgz", archive, tmp_path)

    assert f"should be {digest_of(archive)[7:15]}, and what is there is {digest_of(hostile)[7:15]}" in said
    assert "leads out" not in said


def test_right_digest_excuses_no_hostile_archive(tmp_path: Path) -> None:
    """Whoever names the digest of a hostile archive is refused as if it were a file, under its address."""
    hostile = tar_by_hand(tmp_path / "a.tgz", member("../escaped")).read_bytes()

    with serving(lambda _path, _headers: Answer(200, hostile)) as address:
        said = refusal(f"{address}/site.tgz?token=secret", hostile, tmp_path)

    assert "/site.tgz” holds “../escaped”, which leads out of the folder" in said
    assert "secret" not in said


@pytest.mark.parametrize("promise", [{}, {"Content-Length": "99999999"}], ids=["silent", "honest"])
def test_more_than_may_be_is_not_fetched(promise: dict[str, str], archive: bytes, tmp_path: Path) -> None:
    """The download stops at the limit, whatever was promised."""
    with serving(lambda _path, _headers: Answer(200, archive, promise)) as address:
        said = refusal(f"{address}/site.tgz", archive, tmp_path, Limits(size=len(archive) - 1))

    assert f"is larger than {len(archive) - 1} bytes" in said


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("file:///etc/passwd", "leads on to file://127.0.0.1, away from the web"),
        ("ftp://127.0.0.1/site.tgz", "leads on to ftp://127.0.0.1, away from the web"),
        ("/again", "leads on and on, more than 5 times"),
    ],
)
def test_way_that_leads_astray_is_not_followed(to: str, why: str, archive: bytes, tmp_path: Path) -> None:
    """A redirect leads to the web, and comes to an end."""
    with serving(lambda _path, _headers: Answer(302, b"", {"Location": to})) as address:
        assert why in refusal(f"{address}/site.tgz", archive, tmp_path)


def test_way_out_of_tls_is_not_followed() -> None:
    """Whoever asked by https is not led on to http; the other way round is well."""
    safe, open_ = httpx.URL("https://builds.example/a.zip"), httpx.URL("http://builds.example/a.zip")

    check_way(open_, safe)
    with pytest.raises(FetchRefusedError, match="away from the web or from TLS"):
        check_way(safe, open_)


def test_missing_archive_is_said(archive: bytes, tmp_path: Path) -> None:
    """What the server answered instead is said."""
    with serving(lambda _path, _headers: Answer(404, b"<html>")) as address:
        assert "was answered by 404 Not Found. Check the address" in refusal(
            f"{address}/a.zip", archive, tmp_path
        )


def test_server_that_is_away_is_said(archive: bytes, tmp_path: Path) -> None:
    """Where nobody listens, that is the sentence."""
    assert "could not be fetched: " in refusal("http://127.0.0.1:9/site.zip", archive, tmp_path)


def test_address_that_is_of_no_archive_is_refused_unasked(archive: bytes, tmp_path: Path) -> None:
    """Only what ends as an archive does is fetched."""
    assert "does not end as an archive does" in refusal("http://127.0.0.1:9/site.html", archive, tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://builds.example/site.tgz", "may hold another archive tomorrow: write the digest"),
        ("https://builds.example/site.tgz#sha256=12", "may hold another archive tomorrow"),
        ("https://builds.example/site.tgz#md5=" + "0" * 64, "may hold another archive tomorrow"),
        ("https://ana:hunter2@builds.example/site.tgz#sha256=" + "0" * 64, "with a name or a password in it"),
        ("https:///site.tgz#sha256=" + "0" * 64, "is not an address"),
        ("https://[/site.tgz", "is not an address"),
    ],
)
def test_address_that_promises_too_little_is_refused(text: str, why: str) -> None:
    """An address has a host and a digest, and holds no secret; a secret is not repeated."""
    with pytest.raises(ValueError, match=why) as refused:
        read_download(text)

    assert "hunter2" not in str(refused.value)
