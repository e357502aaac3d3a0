"""A real application under a real supervisord: what runs is what was placed, and what that cost is counted."""

import asyncio
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from activities.ports import Place, StaleFenceError, TargetRefusalError, TargetTroubleError
from activities.targets.supervisor import SupervisorTarget
from domain.environment import Absent, Unknown, same
from domain.fence import Fence
from tests.activities.artifacts import COMPONENT, SUBJECT, Artifact, deed, site
from tests.activities.supervised import Kept

APPLICATION = Path(__file__).with_name("application.py")


class Hall(NamedTuple):
    """An application, where it answers, and the target that places it."""

    folder: Path
    url: str
    kept: Kept
    target: SupervisorTarget

    def release(self, version: str) -> Artifact:
        return site(self.folder, version, {"version": version.encode()})

    def answer(self) -> str:
        """Ask the application once; say nothing where it does not answer."""
        try:
            with urllib.request.urlopen(self.url, timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def with_(self, **settings: object) -> SupervisorTarget:
        given = {"root": "live", "program": "web", "url": self.kept.address(), "probe": self.url, **settings}
        return SupervisorTarget(given, Place(self.folder, SUBJECT, COMPONENT))  # type: ignore[arg-type]


@pytest.fixture(params=[0], ids=["at once"])
def hall(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hall]:
    """An application that counts as started after so many seconds; at once, where nothing else is said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = Kept(
        f"[program:web]\ncommand={sys.executable} {APPLICATION} {port} {tmp_path}/live/current\n"
        f"autostart=false\nstartsecs={request.param}\nstartretries=0\n"
    )
    hall = Hall(tmp_path, f"http://127.0.0.1:{port}/", kept, None)  # type: ignore[arg-type]
    yield hall._replace(target=hall.with_())
    kept.stop()


async def test_it_is_restarted_under_load_and_what_was_lost_is_counted(hall: Hall) -> None:
    """Whoever asks meanwhile is answered by the old release, by nobody for a moment, and then by the new one alone."""
    await hall.target.place(deed(1, 1, hall.release("1.0.0")))
    answers = [hall.answer()]
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set() or answers[-1] != "2.0.0":
            answers.append(await asyncio.to_thread(hall.answer))
            await asyncio.sleep(0.01)

    asking = asyncio.create_task(ask())
    said: list[str] = []
    await hall.target.place(deed(2, 1, hall.release("2.0.0"), said=said.append))
    over.set()
    await asking

    assert answers[0] == "1.0.0"
    assert set(answers) <= {"1.0.0", "", "2.0.0"}
    assert answers.index("2.0.0") > len(answers) - 1 - answers[::-1].index("1.0.0")
    (told,) = said
    lost, _, asked, *_ = told.rpartition(": ")[2].split()
    assert 0 < int(lost) < int(asked)
    assert f"requests to {hall.url} were lost" in told


@pytest.mark.parametrize("hall", [1], ids=["after a second"], indirect=True)
async def test_what_does_not_stay_up_is_refused_and_the_old_one_runs_again(hall: Hall) -> None:
    """With the last words of the program, for people; the undo restarts what stood before."""
    old = hall.release("1.0.0")
    await hall.target.place(deed(1, 1, old))
    before = (await hall.target.observe()).capture
    said: list[str] = []

    with pytest.raises(TargetRefusalError, match="does not stay up"):
        await hall.target.place(deed(2, 1, hall.release("sick"), said=said.append))
    between = await hall.target.observe()
    await hall.target.restore(deed(2, 2, old, capture=before))

    assert "this release cannot start" in said
    assert isinstance(between.capture.holding, Unknown)
    assert "was not restarted since" in between.capture.holding.why
    assert same((await hall.target.observe()).capture.holding, old.placement)
    assert hall.answer() == "1.0.0"


async def test_a_deed_that_died_before_the_restart_is_done_again(hall: Hall) -> None:
    """The tree alone is no deed: until the restart nobody claims that the new release runs."""
    await hall.target.place(deed(1, 1, hall.release("1.0.0")))
    new = hall.release("2.0.0")
    (hall.folder / "live/restarted.json").rename(hall.folder / "kept")
    await hall.target.place(deed(2, 1, new))
    (hall.folder / "kept").rename(hall.folder / "live/restarted.json")

    died = await hall.target.observe()
    await hall.target.place(deed(2, 1, new))

    assert isinstance(died.capture.holding, Unknown)
    assert same((await hall.target.observe()).capture.holding, new.placement)


async def test_where_nothing_stood_it_is_stopped_and_a_late_undo_stops_nothing(hall: Hall) -> None:
    """Undoing the first release leaves no process that runs from nowhere."""
    nothing = (await hall.target.observe()).capture
    await hall.target.place(deed(1, 5, hall.release("1.0.0")))

    with pytest.raises(StaleFenceError):
        await hall.target.restore(deed(1, 2, capture=nothing))
    assert hall.answer() == "1.0.0"
    await hall.target.restore(deed(1, 6, capture=nothing))

    seen = await hall.target.observe()
    assert (seen.capture.holding, seen.fence) == (Absent(), Fence(turn=1, act=6))
    assert not hall.answer()


async def test_what_is_wrong_with_supervisord_is_said_before_anything_is_touched(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such program, nobody there, the wrong password, no password."""
    release = hall.release("1.0.0")
    guarded = Kept("[program:web]\ncommand=/bin/sleep 9\nautostart=false\n", password="right")
    monkeypatch.setenv("SUPERVISOR_PASSWORD", "wrong")
    login = {"url": guarded.address(), "user": "towpath"}
    try:
        with pytest.raises(TargetRefusalError, match="has no program “wbe”; it has: web"):
            await hall.with_(program="wbe").place(deed(1, 1, release))
        with pytest.raises(TargetTroubleError, match="is not to be reached"):
            await hall.with_(url="unix:///nowhere/at.sock").place(deed(1, 1, release))
        with pytest.raises(TargetRefusalError, match="does not take the user and password"):
            await hall.with_(**login, password="SUPERVISOR_PASSWORD").place(deed(1, 1, release))
        with pytest.raises(TargetRefusalError, match="has no variable NOWHERE"):
            await hall.with_(**login, password="NOWHERE").place(deed(1, 1, release))
    finally:
        guarded.stop()

    assert not (hall.folder / "live/current").is_symlink()
