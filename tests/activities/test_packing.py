import os
import resource
import socket
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.packing import PackingRefusedError, pack, unpack
from tests.activities.trees import File, Link, Tree, grow, reap, trees


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return grow(tmp_path / "site", {"index.html": File(b"hello"), "run": File(b"#!", executable=True)})


def refusal(folder: Path) -> str:
    """Pack what cannot be packed, see that nothing is left of the attempt, and return what was said."""
    into = folder.parent / "into"
    into.mkdir()
    with pytest.raises(PackingRefusedError) as refused:
        pack(folder, into / "artifact.tar")
    assert list(into.iterdir()) == []
    return str(refused.value)


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
def masking(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def test_known_tree_has_the_known_digest(tmp_path: Path) -> None:
    """A digest once given stays: what older versions of Towpath and Python stored is found by it."""
    long = "a name that the plain format of tar has no room for, whatever it does with it, and then some more of it"
    tree: Tree = {
        "index.html": File(b"hello"),
        "bin": {"run": File(b"#!/bin/sh\n", executable=True)},
        "latest": Link("bin/run"),
        "leer": {"äöü.txt": File(bytes(1000)), long: Link("äöü.txt"), "nothing": {}},
    }

    packed = pack(grow(tmp_path / "tree", tree), tmp_path / "tree.tar")

    assert packed.digest == "sha256:206f15e6893bd2d353673bd47d96e063a74bc1070c9750807ddfaf50d4971707"
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


@pytest.mark.parametrize(
    "links",
    [
        {"link": Link("../site/index.html")},
        {"link": Link("sub/../../x")},
        {"up": Link("sub/deep"), "sub": {"deep": Link("..")}, "link": Link("up/../x")},
        {"sub": {"link": Link("../../x")}},
    ],
    ids=str,
)
def test_link_out_of_the_folder_is_refused(links: Tree, site: Path) -> None:
    """A link that leaves the folder is refused, even where it comes back or goes by way of other links."""
    said = refusal(grow(site, links))

    assert "link” leads out of the folder" in said


def test_absolute_link_is_refused(site: Path) -> None:
    """An absolute link leads somewhere else on every machine."""
    (site / "link").symlink_to(site / "index.html")

    assert "link” leads to an absolute path" in refusal(site)


@pytest.mark.parametrize("links", [{"one": Link("one")}, {"one": Link("two"), "two": Link("./one")}], ids=str)
def test_links_in_a_circle_are_refused(links: Tree, site: Path) -> None:
    """A link that leads nowhere but to itself is refused."""
    assert "leads in a circle" in refusal(grow(site, links))


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    """A mistyped path is said to be one."""
    assert "site” does not exist. Check the path." in refusal(tmp_path / "site")


def test_single_file_is_refused(site: Path) -> None:
    """A file is no folder, and the way out is said."""
    assert "is not a folder. Put the file into a folder of its own" in refusal(site / "index.html")


@pytest.mark.parametrize("tree", [{}, {"build": {"assets": {}}}, {".git": {"HEAD": File()}}], ids=str)
def test_empty_tree_is_refused(tree: Tree, tmp_path: Path) -> None:
    """Where nothing was built there is nothing to release; folders alone are nothing."""
    assert "holds no files" in refusal(grow(tmp_path / "site", tree))


def _make_pipe(path: Path) -> None:
    os.mkfifo(path)


def _make_socket(path: Path) -> None:
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


def _make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize(
    ("make", "what"),
    [(_make_pipe, "a named pipe"), (_make_socket, "a socket"), (_make_device, "a device")],
)
def test_special_file_is_refused(make: Callable[[Path], None], what: str, site: Path) -> None:
    """What is neither file, folder nor link cannot be put anywhere else, and is never waited for."""
    make(site / "special")

    assert f"special” is {what}. Remove it" in refusal(site)


@pytest.mark.parametrize(
    "tree",
    [{".well-known": {"towpath.json": File()}}, {".well-known": Link("run")}, {".well-known": File()}],
    ids=str,
)
def test_our_own_path_is_refused(tree: Tree, site: Path) -> None:
    """A release cannot say of itself what it is: its target says that, in a folder that must be one."""
    assert "Towpath" in refusal(grow(site, tree))


@pytest.mark.parametrize("name", ["line\nbreak", "back\\slash", "latin-\udce9", "\x1b[2J"])
def test_name_that_is_another_elsewhere_is_refused(name: str, site: Path) -> None:
    """Names that other machines read otherwise are refused, and shown so that a terminal stays whole."""
    grow(site, {name: File()})

    said = refusal(site)

    assert "Rename it." in said
    assert said.isprintable()


@pytest.mark.parametrize("unreadable", ["index.html", "sub"])
def test_unreadable_is_refused(unreadable: str) -> None:
    """What may not be read is named; nothing is packed without it."""
    with tempfile.TemporaryDirectory() as name, as_nobody(Path(name)):
        site = grow(Path(name) / "site", {"index.html": File(), "sub": {"page": File()}})
        (site / unreadable).chmod(0)

        said = refusal(site)
        (site / unreadable).chmod(0o700)

    assert f"{unreadable}” may not be read" in said


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be somebody to whom rights apply."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def _grow_longer(site: Path) -> None:
    with (site / "index.html").open("ab") as file:
        file.write(b"!")


def _grow_shorter(site: Path) -> None:
    os.truncate(site / "index.html", 1)


def _replace(site: Path) -> None:
    (site / "new").write_bytes(b"HELLO")
    (site / "new").replace(site / "index.html")


def _remove(site: Path) -> None:
    (site / "index.html").unlink()


def _add(site: Path) -> None:
    (site / "added.html").touch()


def _make_it_a_pipe(site: Path) -> None:
    _remove(site)
    _make_pipe(site / "index.html")


CHANGES = [_grow_longer, _grow_shorter, _replace, _remove, _add, _make_it_a_pipe]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("moment", ["first/", "index.html", "last.html"])
def test_change_while_packing_is_refused(
    change: Callable[[Path], None], moment: str, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever changes before, while or after it is packed itself, and until all is packed, is noticed."""
    grow(site, {"first": {}, "last.html": File()})
    real = tarfile.TarInfo.tobuf

    def tobuf(self: tarfile.TarInfo, *arguments: object) -> bytes:
        if self.name == moment.rstrip("/"):
            change(site)
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarInfo, "tobuf", tobuf)

    said = refusal(site)

    assert "html” changed while it was being packed" in said or "named pipe" in said


def test_no_room_is_refused(site: Path) -> None:
    """A disk that takes no more leaves nothing half-written."""
    grow(site, {"film.mp4": File(bytes(100_000))})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        said = refusal(site)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "artifact.tar” could not be written: File too large. Make room there" in said
