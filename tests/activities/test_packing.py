import os
import tarfile
import tempfile
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.packing import pack, unpack
from tests.activities.trees import File, Link, Tree, grow, reap, trees


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return grow(tmp_path / "site", {"index.html": File(b"hello"), "run": File(b"#!", executable=True)})


@given(tree=trees)
def test_unpacked_is_as_it_was(tree: Tree) -> None:
    """What is unpacked has the names, contents, links and right to execute of what was packed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        pack(grow(folder / "source", tree), folder / "artifact.tar")
        unpack(folder / "artifact.tar", folder / "copy")

        assert reap(folder / "copy") == tree


@given(tree=trees, umask=st.sampled_from([0o000, 0o022, 0o077]))
def test_same_tree_has_the_same_bytes(tree: Tree, umask: int) -> None:
    """Place, times, the order of making and the rights of others make no other artifact."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grow(folder / "one", tree)
        with masking(umask):
            grow(folder / "deeper" / "other", tree, lambda names: sorted(names, reverse=True))
        for path in (folder / "deeper" / "other").rglob("*"):
            os.utime(path, (1, 1), follow_symlinks=False)

        one = pack(folder / "one", folder / "one.tar")
        other = pack(folder / "deeper" / "other", folder / "other.tar")

        assert one == other
        assert (folder / "one.tar").read_bytes() == (folder / "other.tar").read_bytes()


@contextmanager
def masking(umask: int) -> Generator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def test_known_tree_has_the_known_digest(tmp_path: Path) -> None:
    """A digest once given stays: what older versions of Towpath and Python stored is found by it."""
    long = "a name that the plain format has no room for, " * 4
    tree: Tree = {
        "index.html": File(b"hello"),
        "bin": {"run": File(b"#!/bin/sh\n", executable=True)},
        "latest": Link("bin/run"),
        "leer": {"äöü.txt": File(bytes(1000)), long: Link("äöü.txt"), "nothing": {}},
    }

    packed = pack(grow(tmp_path / "tree", tree), tmp_path / "tree.tar")

    assert packed.digest == "sha256:7564a5c299374ca8f513815579fe22540f0955d305278d6c6f7832eadfd79946"
    assert packed.files == 5


def test_digest_and_size_are_those_of_the_file(site: Path, tmp_path: Path) -> None:
    """What is said of the artifact is true of the file that was written."""
    artifact = tmp_path / "site.tar"

    packed = pack(site, artifact)

    assert packed.digest == f"sha256:{sha256(artifact.read_bytes()).hexdigest()}"
    assert packed.size == artifact.stat().st_size
    assert packed.files == 2


def test_other_programs_read_the_artifact(site: Path, tmp_path: Path) -> None:
    """It is an ordinary tar, and says nothing of owners and times."""
    pack(site, tmp_path / "site.tar")

    with tarfile.open(tmp_path / "site.tar") as archive:
        members = archive.getmembers()

    assert [(member.name, member.mode) for member in members] == [("index.html", 0o644), ("run", 0o755)]
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {(0, 0, "", 0)}


@pytest.mark.parametrize("tree", [{".git": {"HEAD": File()}}, {"sub": {".git": File(b"gitdir")}}], ids=str)
def test_version_control_is_left_out(tree: Tree, tmp_path: Path) -> None:
    """What git keeps beside the files is no part of a release, at any depth."""
    folders: Tree = {"sub": {}, "index.html": File()}
    plain = pack(grow(tmp_path / "plain", folders), tmp_path / "plain.tar")

    checkout = grow(grow(tmp_path / "checkout", folders), tree)

    assert pack(checkout, tmp_path / "checkout.tar").digest == plain.digest


def test_content_is_never_held_in_memory(tmp_path: Path) -> None:
    """A file much larger than the memory in use is packed and unpacked."""
    source = grow(tmp_path / "source", {"film.mp4": File()})
    os.truncate(source / "film.mp4", 64 << 20)

    tracemalloc.start()
    pack(source, tmp_path / "artifact.tar")
    unpack(tmp_path / "artifact.tar", tmp_path / "copy")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (tmp_path / "copy" / "film.mp4").stat().st_size == 64 << 20
    assert peak < 8 << 20


def test_link_up_inside_is_kept(tmp_path: Path) -> None:
    """A link may lead to any folder above it in the tree, and on from there, as it is written."""
    links = {"up": Link("../.."), "page": Link("../.././index.html"), "round": Link("up/a/../index.html")}
    tree: Tree = {"index.html": File(), "a": {"b": links}}
    pack(grow(tmp_path / "tree", tree), tmp_path / "tree.tar")

    unpack(tmp_path / "tree.tar", tmp_path / "copy")

    assert reap(tmp_path / "copy") == tree
