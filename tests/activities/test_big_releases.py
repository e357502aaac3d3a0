import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest

from activities.packing import pack
from activities.releases import fetch_artifact, read_release
from activities.stores import open_store
from activities.stores.bucket import open_objects
from activities.stores.parts import PART
from domain.names import artifact_key
from tests.activities.object_server import BUCKET, Passing, door, let_in

SCRIPT = """
import asyncio, os, resource, sys
from pathlib import Path
from activities.stores import open_store

async def carry(url, file):
    store = open_store(url, Path())
    await store.create("warm", b"")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await store.upload("artifact/sha256/1.tar", file)
    size = 0
    async for piece in store.stream("artifact/sha256/1.tar"):
        size += len(piece)
    print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, flush=True)

asyncio.run(carry(sys.argv[1], Path(sys.argv[2])))
os._exit(0)  # as the command line does: the library's threads may crash an ordinary exit
"""


def carried(url: str, file: Path, size: int) -> int:
    """Put a file into a store and read it back, in a process of its own; return how much memory that took."""
    with file.open("wb") as opened:
        opened.truncate(size)
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT, url, str(file)], capture_output=True, text=True, check=True
    )
    found, kilobytes = said.stdout.split()
    assert int(found) == size
    return int(kilobytes) << 10


def test_big_release_passes_through_little_memory(tmp_path: Path) -> None:
    """Three hundred megabytes go into a folder and out again in a fraction of that."""
    assert carried((tmp_path / "store").as_uri(), tmp_path / "film", 300 << 20) < 100 << 20


@pytest.fixture
def only_when_slow(pytestconfig: pytest.Config) -> Callable[[], None]:
    """Skip what takes half a minute and gigabytes of disk, unless it was asked for."""

    def skip() -> None:
        if "slow" not in str(pytestconfig.getoption("markexpr")):
            pytest.skip("half a minute and gigabytes of disk: ask for it by -m slow")

    return skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_huge_release_goes_to_a_bucket_in_parts(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_when_slow: Callable[[], None]
) -> None:
    """Two gigabytes go into a bucket and out again in a fraction of that."""
    only_when_slow()
    let_in(monkeypatch, s3)

    assert carried(f"s3://{BUCKET}/huge", tmp_path / "film", 2 << 30) < 256 << 20


SERVICE = """
service: shop
components:
  site: {kind: content}
environments:
  dev:
    site: {target: directory, root: live}
"""
CREATE = (str(Path(sys.executable).with_name("towpath")), "release", "create", "shop", "1", "--from", "site")


def shop(folder: Path, url: str, size: int) -> Path:
    """Make a configuration folder with a big site beside it; no part of the site is like another."""
    for name, text in {
        "towpath.yaml": f"store: {url}\n",
        "environments/dev.yaml": "environment: dev\n",
        "services/shop.yaml": SERVICE,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "site").mkdir()
    with (folder / "site" / "film").open("wb") as film:
        for number in range(size // PART):
            film.write(number.to_bytes(8, "big"))
            film.seek(PART - 8, os.SEEK_CUR)
        film.truncate(size)
    return folder


def on_a_terminal(words: tuple[str, ...], folder: Path) -> str:
    """Run a command on a terminal of its own, and return what it showed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0, shown.decode(errors="replace")
    return shown.decode(errors="replace")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the last one at it has gone
        return b""


def killed_and_run_again(address: str, scheme: str, folder: Path, size: int) -> tuple[int, int, str, str]:
    """Kill ``release create`` with some parts sent, run it again on a terminal, and see the release whole.

    Returns how many bytes of parts stood when it was killed, and how many were sent after that; what the first
    run said, and what the second showed.
    """
    url = f"{scheme}://{BUCKET}/{uuid4().hex}"
    shop(folder, url, size)
    sent: list[int] = []
    enough = Event()

    def passed(passing: Passing) -> None:
        method, path, length = passing
        if method == "PUT" and "/.parts/" in path:
            sent.append(length)
            if len(sent) == 3:
                enough.set()

    with door(address, passed=passed) as through, pytest.MonkeyPatch.context() as patch:
        let_in(patch, through)
        with subprocess.Popen(CREATE, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as first:
            assert enough.wait(240)
            first.kill()
            assert first.stdout
            said = first.stdout.read().decode()
        store = open_store(url, folder)
        assert asyncio.run(store.list("release")) == []
        assert asyncio.run(store.list("artifact")) == []
        stood = asyncio.run(parts_that_stand(url))
        sent.clear()
        shown = on_a_terminal(CREATE, folder)
        again = sum(sent)
        asyncio.run(see_whole(url, folder))
    return stood, again, said, shown


async def parts_that_stand(url: str) -> int:
    return sum((await open_objects(url).sizes(".parts")).values())


async def see_whole(url: str, folder: Path) -> None:
    store = open_store(url, folder)
    release = await read_release(store, "shop", "1")
    artifact = await fetch_artifact(store, release.components[0].artifact, folder / "cache")
    packed = await asyncio.to_thread(pack, folder / "site", folder / "again.tar")
    assert packed.digest == release.components[0].artifact
    assert artifact.stat().st_size == packed.size
    await store.remove(artifact_key(packed.digest))
    assert await parts_that_stand(url) == 0


@pytest.mark.parametrize(("server", "scheme"), [("s3", "s3"), ("careless_s3", "s3+claims")])
def test_upload_that_was_killed_goes_on_where_it_stopped(
    server: str, scheme: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """What stood when the command was killed is not sent again; a terminal is shown a bar, and nothing else is."""
    size = 8 * PART
    stood, again, said, shown = killed_and_run_again(request.getfixturevalue(server), scheme, tmp_path, size)

    assert stood >= 3 * PART
    assert again <= size + PART - stood
    assert "Storing" not in said
    assert "Storing site" in shown


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_gigabytes_that_were_killed_go_on_where_they_stopped(
    careless_s3: str, tmp_path: Path, only_when_slow: Callable[[], None]
) -> None:
    """A release of two gigabytes is killed on its way, and goes on."""
    only_when_slow()
    stood, again, _, _ = killed_and_run_again(careless_s3, "s3+claims", tmp_path, 2 << 30)

    assert stood >= 3 * PART
    assert again <= (2 << 30) + PART - stood
