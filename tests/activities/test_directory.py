"""The directory target, beyond what every target keeps: what a web server finds below its root."""

import asyncio
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from activities import placements
from activities.finishing import StillWanted
from activities.linking import Contents, link_tree
from activities.ports import Place, StaleFenceError, TargetRefusalError, TargetTroubleError
from activities.targets.directory import DirectoryTarget
from domain.environment import Absent, Placement, Unknown, same
from domain.fence import Fence
from domain.marker import MARKER_PATH
from domain.names import Subject
from tests.activities.artifacts import COMPONENT, FILES, SUBJECT, Artifact, deed, look, packed, site


def leads_to(root: Path) -> str:
    return os.readlink(root / "current")  # noqa: PTH115 - letter by letter


def make_link(root: Path, link: str) -> None:
    root.mkdir()
    (root / "current").symlink_to(link)


def names(root: Path, *patterns: str) -> list[str]:
    return sorted(path.name for pattern in patterns for path in root.glob(pattern))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "live"


@pytest.fixture
def target(tmp_path: Path, root: Path) -> DirectoryTarget:
    return DirectoryTarget({"root": str(root), "keep": 3}, Place(tmp_path, SUBJECT, COMPONENT))


@pytest.fixture
def old(tmp_path: Path) -> Artifact:
    return site(tmp_path, "1.0.0")


@pytest.fixture
def new(tmp_path: Path) -> Artifact:
    return site(tmp_path, "2.0.0")


async def test_the_tree_is_served_with_its_marker(target: DirectoryTarget, root: Path, old: Artifact) -> None:
    """Below current stands what was packed, and what says which release and which deed it is."""
    await target.place(deed(7, 2, old))

    marker = json.loads((root / "current" / MARKER_PATH).read_bytes())
    assert look(root / "current") == look(old.file.with_name("source-1.0.0"))
    assert marker == {
        "service": "storefront",
        "environment": "dev",
        "component": "site",
        "version": "1.0.0",
        "release": old.placement.release,
        "artifact": old.placement.artifact,
        "turn": 7,
        "act": 2,
    }


async def test_programs_stay_programs_and_links_links(
    target: DirectoryTarget, root: Path, tmp_path: Path
) -> None:
    """The right to execute, links and empty folders come through."""
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "bin" / "run").write_text("#!/bin/sh\n")
    (source / "bin" / "run").chmod(0o755)
    (source / "latest").symlink_to("bin/run")

    await target.place(deed(1, 1, packed(source, "1.0.0")))

    assert look(root / "current") == look(source)
    assert look(root / "current")["bin/run"].startswith("runs ")


async def test_placements_of_one_artifact_share_their_files(
    target: DirectoryTarget, root: Path, old: Artifact
) -> None:
    """Files are hard links, and the marker is each placement's own."""
    await target.place(deed(1, 1, old))
    await target.place(deed(2, 1, old))

    one, two = root / "placements/1.1", root / "placements/2.1"
    assert (one / "index.html").samefile(two / "index.html")
    assert not (one / MARKER_PATH).samefile(two / MARKER_PATH)


async def test_without_hard_links_files_are_copied(
    target: DirectoryTarget, root: Path, old: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without hard links holds copies, with the same times."""

    def no_links(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)

    await target.place(deed(1, 1, old))

    assert look(root / "current") == look(old.file.with_name("source-1.0.0"))


async def test_files_of_two_releases_never_have_the_same_time(
    target: DirectoryTarget, root: Path, tmp_path: Path
) -> None:
    """Releases placed at once differ by a second, or a server would give them one ETag."""
    one, two = (
        site(tmp_path, version, {"index.html": b"same size"[:4] + version.encode()})
        for version in ("1.0", "2.0")
    )
    await target.place(deed(1, 1, one))
    await target.place(deed(2, 1, two))

    times = {int((root / "placements" / name / "index.html").stat().st_mtime) for name in ("1.1", "2.1")}

    assert len(times) == 2


async def test_an_undo_puts_back_every_byte(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact
) -> None:
    """After the undo current holds the very tree of before."""
    await target.place(deed(1, 1, old))
    stood, before = look(root / "current"), (await target.observe()).capture
    await target.place(deed(2, 1, new))
    assert look(root / "current") != stood

    await target.restore(deed(2, 2, old, capture=before))

    assert look(root / "current") == stood


@pytest.mark.parametrize("bring_artifact", [True, False])
async def test_a_pruned_placement_can_be_put_back(
    target: DirectoryTarget, root: Path, tmp_path: Path, old: Artifact, *, bring_artifact: bool
) -> None:
    """What is no longer kept is unpacked again; without its artifact, the undo says what it lacks."""
    await target.place(deed(1, 1, old))
    stood, before = look(root / "current"), (await target.observe()).capture
    for turn in range(2, 7):
        await target.place(deed(turn, 1, site(tmp_path, f"{turn}.0.0")))
    assert not (root / "placements/1.1").exists()

    if bring_artifact:
        await target.restore(deed(6, 2, old, capture=before))
        assert look(root / "current") == stood
    else:
        with pytest.raises(TargetRefusalError, match="its artifact was not to be had"):
            await target.restore(deed(6, 2, capture=before))


@pytest.mark.parametrize("bring_artifact", [True, False])
async def test_a_damaged_tree_is_never_put_back(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact, *, bring_artifact: bool
) -> None:
    """A file edited in place is noticed: the tree is unpacked again, or the undo is refused."""
    await target.place(deed(1, 1, old))
    stood, before = look(root / "current"), (await target.observe()).capture
    await target.place(deed(2, 1, new))
    edited = root / "placements/1.1/index.html"
    edited.chmod(0o644)
    edited.write_text("edited")

    if bring_artifact:
        await target.restore(deed(2, 2, old, capture=before))
        assert look(root / "current") == stood
    else:
        with pytest.raises(TargetRefusalError, match="gone or damaged"):
            await target.restore(deed(2, 2, capture=before))


async def test_an_artifact_with_another_digest_is_refused(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact
) -> None:
    """What is placed is what its digest says, and nothing of the other stays behind."""
    await target.place(deed(1, 1, old))

    with pytest.raises(TargetRefusalError, match="damaged"):
        await target.place(deed(2, 1, Artifact(old.file, new.placement)))

    assert leads_to(root) == "placements/1.1"
    assert names(root, "placements/.*", "trees/.*") == []


async def test_the_last_placements_are_kept(target: DirectoryTarget, root: Path, tmp_path: Path) -> None:
    """Of many placements the newest three stay, with the trees they are made of."""
    for turn in range(1, 7):
        await target.place(deed(turn, 1, site(tmp_path, f"{turn}.0.0")))

    assert names(root, "placements/*") == ["4.1", "5.1", "6.1"]
    assert len(names(root, "trees/*")) == 3


async def test_what_others_left_among_the_placements_stays(
    target: DirectoryTarget, root: Path, tmp_path: Path
) -> None:
    """Pruning removes only what carries a marker of ours under its own name."""
    (root / "placements/0.1").mkdir(parents=True)
    (root / "placements/.keep").touch()

    for turn in range(1, 7):
        await target.place(deed(turn, 1, site(tmp_path, f"{turn}.0.0")))

    assert (root / "placements/0.1").exists()
    assert (root / "placements/.keep").exists()


async def test_what_a_killed_deed_left_is_cleared_away(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact
) -> None:
    """What an outranked deed was still preparing is removed by the next one."""
    await target.place(deed(1, 1, old))
    (root / "placements/.1.2.abcd1234").mkdir()
    (root / "trees/.1.2.abcd1234").mkdir()

    await target.place(deed(2, 1, new))

    assert names(root, "placements/.*", "trees/.*") == []


@pytest.mark.parametrize("link", ["/srv/elsewhere", "../gone", "placements/by-hand"])
async def test_a_link_that_was_not_ours_is_put_back_as_it_was(
    target: DirectoryTarget, root: Path, new: Artifact, link: str
) -> None:
    """Whatever current led to before Towpath came, leads there again after an undo, letter by letter."""
    make_link(root, link)
    before = (await target.observe()).capture
    assert isinstance(before.holding, Unknown)
    await target.place(deed(1, 1, new))

    await target.restore(deed(1, 2, capture=before))

    assert leads_to(root) == link


async def test_a_copy_of_a_placement_is_not_believed(
    target: DirectoryTarget, root: Path, old: Artifact
) -> None:
    """A marker counts only where the deed that it names has put it."""
    await target.place(deed(1, 1, old))
    (root / "placements/1.1").rename(root / "placements/by-hand")
    (root / "current").unlink()
    (root / "current").symlink_to("placements/by-hand")

    assert isinstance((await target.observe()).capture.holding, Unknown)


async def test_a_real_folder_named_current_is_not_touched(
    target: DirectoryTarget, root: Path, new: Artifact
) -> None:
    """A real folder in the way is refused before anything is done, and undoing that leaves it alone too."""
    (root / "current").mkdir(parents=True)
    (root / "current/index.html").write_text("by hand")
    before = (await target.observe()).capture
    assert isinstance(before.holding, Unknown)

    with pytest.raises(TargetRefusalError, match="not a link"):
        await target.place(deed(1, 1, new))
    await target.restore(deed(1, 2, capture=before))

    assert look(root / "current").keys() == {"index.html"}
    assert not (root / "trees").exists()


async def test_two_components_cannot_share_a_root(
    target: DirectoryTarget, root: Path, tmp_path: Path, new: Artifact
) -> None:
    """A root copied from another environment's configuration is refused, and what stands there stays."""
    await target.place(deed(1, 1, new))
    elsewhere = Subject(service="storefront", environment="production")
    other = DirectoryTarget({"root": str(root)}, Place(tmp_path, elsewhere, COMPONENT))

    with pytest.raises(TargetRefusalError, match="site of storefront in dev"):
        await other.place(deed(2, 1, new)._replace(subject=elsewhere))

    assert same((await target.observe()).capture.holding, new.placement)


async def test_a_broken_marker_is_not_believed(target: DirectoryTarget, root: Path, old: Artifact) -> None:
    """Where the marker cannot be read, nobody says that the release stands there."""
    await target.place(deed(1, 1, old))
    (root / "current" / MARKER_PATH).write_text("{")

    seen = await target.observe()

    assert isinstance(seen.capture.holding, Unknown)
    assert seen.fence == Fence(turn=1, act=1)


async def test_a_broken_fence_stops_everything(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact
) -> None:
    """Without a readable fence nobody knows which deed came last, and nothing is changed."""
    await target.place(deed(1, 1, old))
    (root / "fence.json").write_text("{")

    with pytest.raises(TargetRefusalError, match=r"fence\.json cannot be read"):
        await target.place(deed(2, 1, new))


def _stop(*_: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


KILLED_AT = {"before the fence": "_write_fence", "after the fence": "_point", "while pruning": "prune"}


@pytest.mark.parametrize("moment", KILLED_AT.values(), ids=KILLED_AT.keys())
async def test_a_kill_leaves_a_whole_tree_and_a_second_run_finishes(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact, moment: str
) -> None:
    """Killed at any step the old tree or the new one is served, whole; run again, the deed is done."""
    await target.place(deed(1, 1, old))
    script = (
        "import asyncio, pathlib, sys\n"
        "from activities import placements\n"
        "from tests.activities import test_directory as t\n"
        f"setattr(placements.Placements, {moment!r}, t._stop)\n"
        "root, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
        "target = t.DirectoryTarget({'root': str(root)}, t.Place(folder, t.SUBJECT, t.COMPONENT))\n"
        "asyncio.run(target.place(t.deed(2, 1, t.packed(folder / 'source-2.0.0', '2.0.0'))))\n"
    )

    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, str(root), str(root.parent)], check=False
    )

    assert ended.returncode == -signal.SIGKILL
    whole = new if moment == "prune" else old
    assert look(root / "current") == look(whole.file.with_name(f"source-{whole.placement.version}"))
    await target.place(deed(2, 1, new))
    assert look(root / "current") == look(new.file.with_name("source-2.0.0"))


async def test_an_undo_after_a_kill_between_fence_and_switch(
    target: DirectoryTarget, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deed that stopped between its fence and its switch is undone as any other."""
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    with monkeypatch.context() as broken:
        broken.setattr(placements.Placements, "_point", _fail(errno.EIO))
        with pytest.raises(TargetTroubleError):
            await target.place(deed(2, 1, new))

    await target.restore(deed(2, 2, old, capture=before))

    assert same((await target.observe()).capture.holding, old.placement)
    with pytest.raises(StaleFenceError):
        await target.place(deed(2, 1, new))


def _fail(code: int) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


DISK = {errno.ENOSPC: TargetTroubleError, errno.EACCES: TargetRefusalError}


@pytest.mark.parametrize("code", DISK)
async def test_what_the_disk_refuses_leaves_the_old_tree(
    target: DirectoryTarget, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full disk may pass and is tried again, a missing right is not; neither leaves anything half done."""
    await target.place(deed(1, 1, old))
    monkeypatch.setattr(placements, "unpack", _fail(code))

    with pytest.raises(DISK[code], match=os.strerror(code)):
        await target.place(deed(2, 1, new))

    assert same((await target.observe()).capture.holding, old.placement)
    assert names(old.file.parent / "live", "placements/.*", "trees/.*") == []


async def test_a_file_system_without_locks_is_not_fenced(
    target: DirectoryTarget, root: Path, old: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the root's file system has no locks the target says so, and takes turns on this worker only."""
    flock = fcntl.flock

    def no_locks_below_root(handle: int, operation: int) -> None:
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(root.parent):
            raise OSError(errno.ENOTSUP, "no locks here")
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", no_locks_below_root)

    await target.place(deed(1, 1, old))

    assert not target.fenced
    assert not (root / "lock").exists()
    assert same((await target.observe()).capture.holding, old.placement)


@pytest.mark.parametrize("places", [True, False], ids=["placing", "taking away"])
async def test_a_deed_that_is_outranked_while_it_prepares_changes_nothing(
    target: DirectoryTarget, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch, *, places: bool
) -> None:
    """A worker stopped between preparing and switching finds, under the lock, that it is too late."""
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    prepared, go_on = threading.Event(), threading.Event()
    switch = placements.Placements.switch

    def slowly(self: placements.Placements, fence: Fence, *given: Any) -> None:
        if fence.act == 1:
            prepared.set()
            go_on.wait()
        switch(self, fence, *given)

    monkeypatch.setattr(placements.Placements, "switch", slowly)
    late = asyncio.ensure_future(target.place(deed(2, 1, new if places else None)))
    await asyncio.to_thread(prepared.wait)
    await target.restore(deed(2, 2, old, capture=before))
    stood = await target.observe()

    go_on.set()
    with pytest.raises(StaleFenceError):
        await late

    assert await target.observe() == stood


async def test_current_is_there_at_every_step(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is removed or renamed on the way to the next release, current leads to a page after it."""
    await target.place(deed(1, 1, old))
    steps: list[bool] = []

    def watched(name: str) -> None:
        step = vars(Path)[name]

        def watch(path: Path, *given: Any, **more: Any) -> Any:
            done = step(path, *given, **more)
            steps.append((root / "current" / "index.html").exists())
            return done

        monkeypatch.setattr(Path, name, watch)

    for name in ("unlink", "rename", "replace"):
        watched(name)
    await target.place(deed(2, 1, new))

    assert steps
    assert all(steps)


async def test_a_cancel_waits_for_the_thread_that_may_still_switch(
    target: DirectoryTarget, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a cancelled deed has raised, nothing of it goes on: current stays as it is then."""
    await target.place(deed(1, 1, old))
    switching, go_on = threading.Event(), threading.Event()
    point = vars(placements.Placements)["_point"]

    def slowly(self: placements.Placements, link: str | None) -> None:
        switching.set()
        go_on.wait()
        point(self, link)

    monkeypatch.setattr(placements.Placements, "_point", slowly)
    placing = asyncio.ensure_future(target.place(deed(2, 1, new)))
    await asyncio.to_thread(switching.wait)

    try:
        placing.cancel()
        done, _ = await asyncio.wait((placing,), timeout=0.05)
        assert not done
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await placing

    assert same((await target.observe()).capture.holding, new.placement)


async def test_a_cancel_before_the_switch_keeps_the_old_tree(
    target: DirectoryTarget, root: Path, old: Artifact, new: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deed that is cancelled while it prepares does not switch, and clears away what it prepared."""
    await target.place(deed(1, 1, old))
    preparing, go_on = threading.Event(), threading.Event()

    def slowly(source: Path, contents: Contents, folder: Path, still_wanted: StillWanted) -> None:
        preparing.set()
        go_on.wait()
        link_tree(source, contents, folder, still_wanted)

    monkeypatch.setattr(placements, "link_tree", slowly)
    placing = asyncio.ensure_future(target.place(deed(2, 1, new)))
    await asyncio.to_thread(preparing.wait)
    placing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await placing

    seen = await target.observe()
    assert (seen.capture.holding.held, seen.fence) == ("release", Fence(turn=1, act=1))
    assert same(seen.capture.holding, old.placement)
    assert names(root, "placements/.*") == []


async def test_of_many_racing_deeds_the_newest_stands_and_readers_never_notice(
    tmp_path: Path, root: Path, old: Artifact
) -> None:
    """Whatever the order, the highest fence ends up standing, and current is a whole tree at any moment."""
    place = Place(tmp_path, SUBJECT, COMPONENT)
    await DirectoryTarget({"root": str(root), "keep": 100}, place).place(deed(1, 1, old))
    artifacts = [site(tmp_path, f"{turn}.0.0") for turn in range(2, 14)]
    done = threading.Event()

    def read() -> set[frozenset[str]]:
        seen: set[frozenset[str]] = set()
        while not done.is_set():
            standing = root / leads_to(root)
            seen.add(frozenset((standing / name).read_text() for name in FILES))
        return seen

    async def race(turn: int, artifact: Artifact) -> None:
        racing = DirectoryTarget({"root": str(root), "keep": 100}, place)
        with suppress(StaleFenceError):
            await racing.place(deed(turn, 1, artifact))

    reader = asyncio.ensure_future(asyncio.to_thread(read))
    turns = sorted(enumerate(artifacts, start=2), key=lambda numbered: numbered[0] * 7 % 13)
    try:
        await asyncio.gather(*(race(turn, artifact) for turn, artifact in turns))
    finally:
        done.set()

    assert all(len(versions) == 1 for versions in await reader)
    assert leads_to(root) == "placements/13.1"


async def test_one_deed_run_by_two_workers_at_once_is_one_deed(
    tmp_path: Path, root: Path, new: Artifact
) -> None:
    """A first attempt that is still alive and its retry end in the same state, whatever either takes away."""
    for number in range(20):
        here = root / str(number)
        place = Place(tmp_path, SUBJECT, COMPONENT)
        targets = [DirectoryTarget({"root": str(here)}, place) for _ in range(4)]

        await asyncio.gather(*(target.place(deed(1, 1, new)) for target in targets))

        assert names(here, "placements/*") == ["1.1"]
        assert look(here / "current") == look(new.file.with_name("source-2.0.0"))


async def test_absent_takes_current_away(target: DirectoryTarget, root: Path, old: Artifact) -> None:
    """A deed after which nothing is to stand there removes current, and nothing else."""
    await target.place(deed(1, 1, old))

    await target.place(deed(2, 1))

    assert (await target.observe()).capture.holding == Absent()
    assert (root / "placements/1.1/index.html").exists()


async def test_a_placement_says_since_when(target: DirectoryTarget, old: Artifact) -> None:
    """What is observed names the deed that put it there, and the time."""
    await target.place(deed(3, 1, old))

    holding = (await target.observe()).capture.holding

    assert isinstance(holding, Placement)
    assert holding.fence == Fence(turn=3, act=1)
    assert holding.since is not None
