import os
import resource
import socket
import tarfile
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from activities.packing import PackingRefusedError, pack
from tests.activities.trees import File, Link, Tree, grow


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


@pytest.mark.parametrize(
    "links",
    [
        {"link": Link("../site/index.html")},
        {"link": Link("./..")},
        {"link": Link(".././..")},
        {"sub": {"link": Link("../../x")}},
        {"link": Link("sub/../../x")},
        {"up": Link("sub/deep"), "sub": {"deep": Link("..")}, "link": Link("up/../x")},
        {"zlink": Link("../x"), "link": Link("zlink")},
    ],
    ids=str,
)
def test_link_out_of_the_folder_is_refused(links: Tree, site: Path) -> None:
    """A link that leaves the folder is refused, even where it comes back, or goes by way of others."""
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
        Path(f"{short}/s").rename(path)


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
    [
        {".well-known": {"towpath.json": File()}},
        {".Well-Known": {"towpath.JSON": File()}},
        {".well-known": Link("run")},
        {".well-known": File()},
        {"project": {".towpath": {"keys": {"production.pem": File()}}}},
    ],
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
def as_nobody(folder: Path) -> Generator[None]:
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
