import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.packing import CorruptArtifactError, pack, unpack, verify_digest
from tests.activities.trees import File, Link, Tree, grow, reap

SITE: Tree = {
    "index.html": File(b"hello"),
    "bin": {"run": File(b"#!", executable=True)},
    "latest": Link("bin/run"),
}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    pack(grow(tmp_path / "site", SITE), tmp_path / "site.tar")
    return tmp_path / "site.tar"


def archive(path: Path, *members: tarfile.TarInfo) -> Path:
    """Write an archive by hand, of members that Towpath would not pack."""
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)) if member.size else None)
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content + bytes(-len(content) % 512) + bytes(1024))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, content in {"mode": 0o644, **fields}.items():
        setattr(made, field, content)
    return made


PAGE = member("index.html")


def refusal(tar: Path) -> str:
    """Unpack what must not be, see that nothing is left of the attempt, and return what was said."""
    folder = tar.parent / "into"
    folder.mkdir()
    with pytest.raises(CorruptArtifactError) as refused:
        unpack(tar, folder / "copy")
    assert list(folder.iterdir()) == []
    return str(refused.value)


def test_modes_are_exact_whoever_unpacks(artifact: Path, tmp_path: Path) -> None:
    """Neither the packer's rights nor the unpacker's mask shows in what stands there."""
    before = os.umask(0o077)
    try:
        unpack(artifact, tmp_path / "copy")
    finally:
        os.umask(before)

    found = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "copy").rglob("*")}
    assert found == {"index.html": 0o644, "bin": 0o755, "run": 0o755, "latest": 0o755}
    assert (tmp_path / "copy").stat().st_mode & 0o7777 == 0o755


def test_what_stands_there_is_not_overwritten(artifact: Path, tmp_path: Path) -> None:
    """A folder with something in it is left as it is."""
    taken = grow(tmp_path / "taken", {"precious": File(b"!")})

    with pytest.raises(OSError, match="not empty"):
        unpack(artifact, taken)

    assert reap(taken) == {"precious": File(b"!")}


@pytest.mark.parametrize(
    "bad",
    [
        (member("../escaped"),),
        (member("/escaped"),),
        (member("a/../../escaped"),),
        (member("sub/page"),),
        (member("index.html"),),
        (member("link", tarfile.SYMTYPE, linkname=".."), member("link/escaped")),
        (member("."),),
        (
            member("sub", tarfile.DIRTYPE, mode=0o755),
            member("sub/"),
        ),
        (member("page", mode=0o4755),),
        (member("page", mode=0o666),),
        (member("pipe", tarfile.FIFOTYPE),),
        (member("null", tarfile.CHRTYPE, devmajor=1, devminor=3),),
        (member("disk", tarfile.BLKTYPE),),
        (member("hard", tarfile.LNKTYPE, linkname="index.html"),),
        (member("page", pax_headers={"GNU.sparse.map": "0,1"}),),
        (member("back\\slash"),),
    ],
    ids=lambda members: " ".join(f"{one.name}:{one.type.decode()}:{one.mode:o}" for one in members),
)
def test_what_is_never_packed_is_never_unpacked(bad: tuple[tarfile.TarInfo, ...], tmp_path: Path) -> None:
    """An archive made by hand opens no way out of its folder, and to no device or privilege."""
    said = refusal(archive(tmp_path / "bad.tar", PAGE, *bad))

    assert "in it is nothing that Towpath packs" in said


@pytest.mark.parametrize("target", ["/etc", "..", "./..", "a/../../b"])
def test_link_out_of_the_folder_is_not_made(target: str, tmp_path: Path) -> None:
    """Links of an archive are judged as those of a folder are."""
    said = refusal(archive(tmp_path / "bad.tar", PAGE, member("link", tarfile.SYMTYPE, linkname=target)))

    assert "“link” in it leads" in said


def test_release_cannot_bring_its_own_evidence(tmp_path: Path) -> None:
    """What tells which release runs comes from the target, even where somebody stored an archive by hand."""
    folder = member(".well-known", tarfile.DIRTYPE, mode=0o755)

    said = refusal(archive(tmp_path / "bad.tar", PAGE, folder, member(".well-known/towpath.json")))

    assert "towpath.json” in it is where Towpath says" in said


@given(cut=st.integers(0, 3500), tail=st.binary(max_size=600))
def test_cut_archive_is_refused(cut: int, tail: bytes) -> None:
    """An archive that breaks off anywhere, and goes on in another way or not at all, leaves nothing."""
    with tempfile.TemporaryDirectory() as name:
        tar = Path(name) / "site.tar"
        pack(grow(Path(name) / "site", SITE), tar)
        content = tar.read_bytes()
        cut = min(cut, len(content) - 1)
        changed = content[:cut] + tail
        tar.write_bytes(changed if changed != content else b"")

        refusal(tar)


@given(flips=st.lists(st.tuples(st.integers(0, 4095), st.integers(1, 255)), min_size=1, max_size=4))
def test_damaged_archive_stays_in_its_folder(flips: list[tuple[int, int]]) -> None:
    """Whatever bytes are wrong, unpacking ends in a sentence or inside the folder: in nothing else."""
    with tempfile.TemporaryDirectory() as name:
        tar = Path(name) / "site.tar"
        pack(grow(Path(name) / "site", SITE), tar)
        content = bytearray(tar.read_bytes())
        for position, change in flips:
            content[position % len(content)] ^= change
        tar.write_bytes(content)
        folder = Path(name) / "into"
        folder.mkdir()

        try:
            unpack(tar, folder / "copy")
        except CorruptArtifactError:
            assert list(folder.iterdir()) == []

        assert {path.name for path in Path(name).iterdir()} == {"site", "site.tar", "into"}
        assert {path.name for path in folder.iterdir()} <= {"copy"}


@given(position=st.integers(0, 10_000), change=st.integers(1, 255))
def test_one_wrong_byte_is_another_digest(position: int, change: int) -> None:
    """A file of this digest passes, and one with any byte changed does not."""
    with tempfile.TemporaryDirectory() as name:
        tar = Path(name) / "site.tar"
        packed = pack(grow(Path(name) / "site", SITE), tar)
        verify_digest(tar, packed.digest)
        content = bytearray(tar.read_bytes())
        content[position % len(content)] ^= change
        tar.write_bytes(content)

        with pytest.raises(CorruptArtifactError, match="is damaged and was not used: it should be"):
            verify_digest(tar, packed.digest)


def test_large_sizes_and_names_survive(tmp_path: Path) -> None:
    """Where the plain format has no room, the extended one is used, and is read back."""
    long: Mapping[str, File] = {"x" * 255: File(b"1"), "ß" * 120: File(b"2")}
    tree: Tree = {"y" * 200: {"z" * 200: long}}
    pack(grow(tmp_path / "site", tree), tmp_path / "site.tar")

    unpack(tmp_path / "site.tar", tmp_path / "copy")

    assert reap(tmp_path / "copy") == tree
