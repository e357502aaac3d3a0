import gzip
import io
import os
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from copy import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.packing import pack
from activities.sources import unfold
from activities.unpacking import Limits, SourceRefusedError
from tests.activities.trees import File, Link, Tree, grow, reap, trees

SITE: Tree = {
    "index.html": File(b"hello"),
    "bin": {"run": File(b"#!", executable=True)},
    "latest": Link("bin/run"),
}
SMALL = Limits(entries=50, size=100 << 20, ratio=10, harmless=1 << 20)


def tar_by_hand(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(bytes(one.size)) if one.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, target, size, 0o644
    return made


def zip_by_hand(path: Path, *members: tuple[str, int, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, mode, content in members:
            made = zipfile.ZipInfo("x")
            made.filename, made.external_attr, made.create_system = name, mode << 16, 3
            made.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(made, content)
    return path


def tar_of(folder: Path, path: Path) -> Path:
    subprocess.run(["tar", "-C", str(folder), "-caf", str(path), "."], check=True)
    return path


def zip_of(folder: Path, path: Path) -> Path:
    members = []
    for found in sorted(folder.rglob("*")):
        name = found.relative_to(folder).as_posix()
        mode = found.lstat().st_mode
        if found.is_symlink():
            members.append((name, mode, str(found.readlink()).encode()))
        else:
            members.append((f"{name}/", mode, b"") if found.is_dir() else (name, mode, found.read_bytes()))
    return zip_by_hand(path, *members)


def git(repository: Path, *words: str) -> str:
    who = ("-c", "user.name=Ana", "-c", "user.email=ana@example.com", "-c", "init.defaultBranch=main")
    asked = subprocess.run(
        ["git", "-C", str(repository), *who, *words], check=True, capture_output=True, text=True
    )
    return asked.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose second commit, and its files on the disk, are other than its first, tagged one."""
    made = grow(tmp_path / "repository", SITE)
    git(made, "init", "-q")
    git(made, "add", ".")
    git(made, "commit", "-qm", "one")
    git(made, "tag", "v1")
    grow(made, {"index.html": File(b"later"), "built.js": File(b"untracked")})
    git(made, "commit", "-qam", "two")
    return made


def refusal(source: Path, revision: str = "", limits: Limits = SMALL) -> str:
    with tempfile.TemporaryDirectory() as name, pytest.raises(SourceRefusedError) as refused:
        unfold(source, revision, Path(name) / "into", limits)
    said = str(refused.value)
    assert said.startswith("Nothing was packed: “")
    assert said.isprintable()
    return said


@pytest.mark.parametrize(
    ("make", "name"),
    [(tar_of, "a.tar.gz"), (tar_of, "a.tgz"), (tar_of, "a.tar"), (zip_of, "a.zip"), (zip_of, "A.ZIP")],
)
def test_archive_has_the_digest_of_its_folder(
    make: Callable[[Path, Path], Path], name: str, tmp_path: Path
) -> None:
    """What an archive holds packs to the same bytes as the folder that it was made of."""
    folder = grow(tmp_path / "site", {**SITE, "empty": {}})
    archive = make(folder, tmp_path / name)

    found = unfold(archive, "", tmp_path / "into")

    assert pack(found.folder, tmp_path / "one.tar") == pack(folder, tmp_path / "other.tar")
    assert reap(found.folder) == reap(folder)


@given(tree=trees)
def test_any_tree_survives_its_archive(tree: Tree) -> None:
    """Whatever can be released can be released from an archive, with the same digest."""
    with tempfile.TemporaryDirectory() as name:
        folder = grow(Path(name) / "site", tree)
        with tarfile.open(Path(name) / "site.tgz", "w:gz") as tar:
            tar.add(folder, ".")

        found = unfold(Path(name) / "site.tgz", "", Path(name) / "into")

        assert pack(found.folder, Path(name) / "one.tar") == pack(folder, Path(name) / "other.tar")


ESCAPES = ["../escaped", "/escaped", "a/../../escaped", "a//b", "./../x", "a/.."]


@pytest.mark.parametrize("name", ESCAPES)
def test_name_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    """No name in an archive leads anywhere but into the folder."""
    page = member("index.html")

    assert "leads out of the folder" in refusal(tar_by_hand(tmp_path / "a.tgz", page, member(name)))
    assert "leads out of the folder" in refusal(zip_by_hand(tmp_path / "a.zip", (name, 0o100644, b"")))


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "a/../../b"])
def test_link_out_of_the_folder_is_refused(target: str, tmp_path: Path) -> None:
    """No link in an archive leads out, judged as those of a folder are."""
    tar = tar_by_hand(tmp_path / "a.tgz", member("index.html"), member("link", tarfile.SYMTYPE, target))
    zipped = zip_by_hand(tmp_path / "a.zip", ("x", 0o100644, b""), ("link", 0o120777, target.encode()))

    for said in (refusal(tar), refusal(zipped)):
        assert "“link”, which leads" in said


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A name below a link of the same archive is refused, wherever the link leads."""
    link = member("up", tarfile.SYMTYPE, "sub")

    said = refusal(tar_by_hand(tmp_path / "a.tgz", member("sub/x"), link, member("up/escaped")))

    assert "“up/escaped” below “up”, which is no folder" in said


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a named pipe"),
        (tarfile.LNKTYPE, "a hard link"),
        (b"Z", "of an unknown kind"),
    ],
)
def test_special_member_is_refused(kind: bytes, what: str, tmp_path: Path) -> None:
    """What is neither file, folder nor link is named for what it is."""
    tar = tar_by_hand(tmp_path / "a.tgz", member("index.html"), member("odd", kind, "index.html"))

    assert f"“odd”, which is {what}" in refusal(tar)


def test_device_in_a_zip_is_refused(tmp_path: Path) -> None:
    """A zip can hold devices, too."""
    assert "“null”, which is a device" in refusal(zip_by_hand(tmp_path / "a.zip", ("null", 0o020666, b"")))


@pytest.mark.parametrize("target", ["index.html", "sub/inner", "../index.html", "/etc/passwd"])
def test_hard_link_is_refused_wherever_it_leads(target: str, tmp_path: Path) -> None:
    """A hard link is never made, be it to a link, to another hard link, inside or out."""
    inner = member("sub/inner", tarfile.SYMTYPE, "../index.html")
    tar = tar_by_hand(
        tmp_path / "a.tgz", member("index.html"), inner, member("sub/odd", tarfile.LNKTYPE, target)
    )

    assert "“sub/odd”, which is a hard link" in refusal(tar)


def test_names_that_are_alike_elsewhere_stay_apart(tmp_path: Path) -> None:
    """Names that differ by case or by the form of a letter are other names: each comes out as it went in."""
    alike = {"README": File(b"1"), "readme": File(b"2"), "\u00e9": File(b"3"), "e\u0301": File(b"4")}
    folder = grow(tmp_path / "site", alike)

    for archive in (tar_of(folder, tmp_path / "a.tgz"), zip_of(folder, tmp_path / "a.zip")):
        assert reap(unfold(archive, "", tmp_path / f"into-{archive.suffix}").folder) == alike


def test_zip_whose_members_share_their_content_is_a_bomb(tmp_path: Path) -> None:
    """A thousand names for the same few bytes of a zip are counted for each name, or found to overlap."""
    zipped = zip_by_hand(tmp_path / "a.zip", ("film", 0o100644, bytes(900_000)))
    with zipfile.ZipFile(zipped, "a") as opened:
        for number in range(40):
            again = copy(opened.filelist[0])
            again.filename = again.orig_filename = f"film{number}"
            opened.filelist.append(again)
        opened.comment = b"written anew"

    said = refusal(zipped)

    assert "unfolds to more than" in said or "is damaged" in said


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    """Programs differ in which of two they take: neither is taken. A folder may be named again."""
    tar = tar_by_hand(tmp_path / "a.tgz", member("page"), member("./page"))
    zipped = zip_by_hand(tmp_path / "a.zip", ("page", 0o100644, b"1"), ("page", 0o100644, b"2"))
    again = tar_by_hand(tmp_path / "b.tgz", member("sub/x"), member("sub", tarfile.DIRTYPE), member("sub/y"))

    assert "“page” twice" in refusal(tar)
    assert "“page” twice" in refusal(zipped)
    assert set(reap(unfold(again, "", tmp_path / "into").folder)) == {"sub"}


def test_bomb_is_refused(tmp_path: Path) -> None:
    """What grows out of all measure is stopped on the way, by what comes out and not by what is promised."""
    tar = tar_by_hand(tmp_path / "a.tgz", member("film", size=20 << 20))
    zipped = zip_by_hand(tmp_path / "a.zip", ("film", 0o100644, bytes(20 << 20)))
    many = tar_by_hand(tmp_path / "b.tgz", *(member(f"{number}") for number in range(51)))
    deep = tar_by_hand(tmp_path / "c.tgz", member("/".join("x" * 60)))

    for bomb in (tar, zipped):
        assert "unfolds to more than 1,048,576 bytes" in refusal(bomb)
    for bomb in (many, deep):
        assert "unfolds to more than 50 names" in refusal(bomb)


def test_promise_of_a_bomb_is_refused(tmp_path: Path) -> None:
    """A header that promises terabytes is not followed there."""
    header = member("film", size=1 << 42)
    (tmp_path / "a.tgz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT)))
    extended = member("long", tarfile.XHDTYPE, size=1 << 30)
    (tmp_path / "b.tgz").write_bytes(gzip.compress(extended.tobuf(tarfile.GNU_FORMAT) + bytes(4096)))

    refusal(tmp_path / "a.tgz")
    refusal(tmp_path / "b.tgz")


@pytest.mark.parametrize("make", [tar_of, zip_of])
@given(cut=st.integers(0, 10_000))
def test_cut_archive_is_refused(make: Callable[[Path, Path], Path], cut: int) -> None:
    """An archive that breaks off anywhere is refused, wherever that is."""
    with tempfile.TemporaryDirectory() as name:
        suffix = "a.zip" if make is zip_of else "a.tar.gz"
        whole = make(grow(Path(name) / "site", {"x": File(os.urandom(3000))}), Path(name) / suffix)
        content = whole.read_bytes()
        whole.write_bytes(content[: cut % len(content)])

        assert "damaged" in refusal(whole)


def test_damage_is_not_taken_for_the_end(tmp_path: Path) -> None:
    """A tar whose second header is damaged, or that goes on after its end, is not packed by half."""
    tar = tar_of(grow(tmp_path / "site", {"a": File(b"1"), "b": File(b"2")}), tmp_path / "a.tar")
    content = tar.read_bytes()
    second = content.rindex(b"./", 0, content.rindex(b"ustar"))

    tar.write_bytes(content[:second] + b"?" + content[second + 1 :])
    assert "it breaks off in the middle" in refusal(tar)
    tar.write_bytes(content + content)
    assert "it goes on after its end" in refusal(tar)


def test_header_too_long_for_memory_is_refused(tmp_path: Path) -> None:
    """What describes a name is read whole: so it must be short, however little room it takes in the archive."""
    long = member("long", tarfile.XHDTYPE, size=2 << 20)
    (tmp_path / "a.tgz").write_bytes(gzip.compress(long.tobuf(tarfile.GNU_FORMAT) + bytes(4 << 20)))

    assert "a header in it is far too long" in refusal(tmp_path / "a.tgz")


@pytest.mark.parametrize("name", ["a.tgz", "a.tar", "a.zip"])
def test_what_is_no_archive_is_refused(name: str, tmp_path: Path) -> None:
    """A name makes no archive."""
    (tmp_path / name).write_bytes(b"<html>not found</html>" * 100)

    assert "is damaged, or no such archive as its name says" in refusal(tmp_path / name)


def test_empty_archive_is_refused(tmp_path: Path) -> None:
    """Where nothing was archived there is nothing to release."""
    assert "holds no files" in refusal(tar_by_hand(tmp_path / "a.tgz", member("sub", tarfile.DIRTYPE)))


def test_commit_has_the_digest_of_its_files(repository: Path, tmp_path: Path) -> None:
    """A revision packs what was committed, not what lies there now; and says which commit it is."""
    found = unfold(repository, "v1", tmp_path / "into")

    assert reap(found.folder) == SITE
    assert found.revision == git(repository, "rev-parse", "v1")
    site = grow(tmp_path / "site", SITE)
    assert pack(found.folder, tmp_path / "one.tar") == pack(site, tmp_path / "other.tar")


def test_whoever_packs_a_commit_has_the_same_bytes(repository: Path, tmp_path: Path) -> None:
    """Somebody's wish for other line ends changes no digest."""
    grow(repository, {"page.txt": File(b"one\ntwo\n")})
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "three")
    git(repository, "config", "core.autocrlf", "true")

    found = unfold(repository, "HEAD", tmp_path / "into")

    assert (found.folder / "page.txt").read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("revision", ["v9", "--output=/tmp/x", "HEAD:index.html", "a\0b"])
def test_revision_that_is_none_is_refused(repository: Path, revision: str) -> None:
    """A mistyped revision is said to be one, and is never taken for an option."""
    said = refusal(repository, revision)

    assert "read by git" in said


def test_submodule_is_refused(repository: Path) -> None:
    """What git would silently leave out is said."""
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/lib")
    git(repository, "commit", "-qm", "three")

    assert "a submodule, “vendor/lib”" in refusal(repository, "HEAD")


def test_folder_is_packed_as_it_lies_there(repository: Path, tmp_path: Path) -> None:
    """Without a revision, or below the top of a repository, a folder is a folder."""
    assert unfold(repository, "", tmp_path / "into") == (repository, "")
    assert unfold(repository / "bin", "v1", tmp_path / "into") == (repository / "bin", "")
