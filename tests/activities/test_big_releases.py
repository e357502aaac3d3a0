import subprocess
import sys
from pathlib import Path

import pytest

from tests.activities.object_server import BUCKET, let_in

SCRIPT = """
import asyncio, resource, sys
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
    print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

asyncio.run(carry(sys.argv[1], Path(sys.argv[2])))
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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_huge_release_goes_to_a_bucket_in_parts(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """Two gigabytes go into a bucket and out again in a fraction of that."""
    if "slow" not in str(pytestconfig.getoption("markexpr")):
        pytest.skip("half a minute and two gigabytes of disk: ask for it by -m slow")
    let_in(monkeypatch, s3)

    assert carried(f"s3://{BUCKET}/huge", tmp_path / "film", 2 << 30) < 256 << 20
