"""What every target must keep. Registering one in ``TARGETS`` is what puts it under these tests."""

import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import pytest
from pydantic import JsonValue, ValidationError

from activities.ports import ConfiguredTarget, Place, StaleFenceError, Target, TargetRefusalError
from activities.targets import TARGETS
from domain.environment import Absent, same
from domain.fence import Fence
from domain.plan import Undo
from tests.activities.artifacts import COMPONENT, SUBJECT, Artifact, deed, site
from tests.activities.infrastructure import at_hand, contents
from tests.activities.supervised import Kept

IDLE: Final = Kept("[program:idle]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
"""One supervisord for all tests here, started by the first that asks."""
DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "targets"


def _directory(_: Path) -> dict[str, JsonValue]:
    return {"root": "live"}


def _command(folder: Path) -> dict[str, JsonValue]:
    program: list[JsonValue] = [
        sys.executable,
        str(Path(__file__).with_name("deployer.py")),
        str(folder / "world.json"),
    ]
    return {"deploy": program, "undo": program, "observe": program, "fenced": True}


def _supervisor(_: Path) -> dict[str, JsonValue]:
    return {"root": "live", "program": "idle", "url": IDLE.address()}


def _git(folder: Path) -> dict[str, JsonValue]:
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder / "fleet.git")], check=True)
    return {"repository": "fleet.git", "write": [{"folder": "production/site"}]}


def _terraform(_: Path) -> dict[str, JsonValue]:
    return {"root": "live", "drift": False}


SETTINGS: dict[str, Callable[[Path], dict[str, JsonValue]]] = {
    "directory": _directory,
    "command": _command,
    "supervisor": _supervisor,
    "terraform": _terraform,
    "git": _git,
}


@pytest.fixture(scope="module", autouse=True)
def kept() -> Generator[None, None, None]:
    yield
    IDLE.stop()


@pytest.fixture(params=sorted(TARGETS))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "terraform":
        at_hand(monkeypatch)
    return str(request.param)


@pytest.fixture
def target(kind: str, tmp_path: Path) -> ConfiguredTarget:
    return TARGETS[kind](SETTINGS[kind](tmp_path), Place(tmp_path, SUBJECT, COMPONENT))


@pytest.fixture
def old(tmp_path: Path) -> Artifact:
    return site(tmp_path, "1.0.0", contents("1.0.0"))


@pytest.fixture
def new(tmp_path: Path) -> Artifact:
    return site(tmp_path, "2.0.0", contents("2.0.0"))


async def test_nothing_stands_at_first(target: Target) -> None:
    """A target that nothing was ever placed at holds nothing and has seen no fence."""
    seen = await target.observe()

    assert (seen.capture.holding, seen.fence) == (Absent(), None)


async def test_what_was_placed_is_observed(target: Target, old: Artifact, new: Artifact) -> None:
    """After a deed the target shows that deed's content and fence."""
    await target.place(deed(1, 1, old))
    await target.place(deed(2, 1, new))

    seen = await target.observe()

    assert same(seen.capture.holding, new.placement)
    assert seen.fence == Fence(turn=2, act=1)


async def test_placing_twice_is_placing_once(target: Target, old: Artifact) -> None:
    """A second run of a deed changes nothing, not even when it was done."""
    await target.place(deed(1, 1, old))
    once = await target.observe()

    await target.place(deed(1, 1, old))

    assert await target.observe() == once


async def test_restoring_twice_is_restoring_once(target: Target, old: Artifact, new: Artifact) -> None:
    """A second run of an undo changes nothing either."""
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    await target.place(deed(2, 1, new))
    await target.restore(deed(2, 2, old, capture=before))
    once = await target.observe()

    await target.restore(deed(2, 2, old, capture=before))

    assert await target.observe() == once


@pytest.mark.parametrize(("turn", "act"), [(2, 4), (1, 9), (0, 0)])
async def test_an_older_deed_comes_too_late(
    target: Target, old: Artifact, new: Artifact, turn: int, act: int
) -> None:
    """A deed with an older turn, or an older act of the same turn, is refused and changes nothing."""
    await target.place(deed(2, 5, new))
    stood = await target.observe()

    with pytest.raises(StaleFenceError):
        await target.place(deed(turn, act, old))

    assert await target.observe() == stood


@pytest.mark.parametrize(("turn", "act"), [(2, 4), (1, 9), (0, 0)])
async def test_an_older_undo_comes_too_late(
    target: Target, old: Artifact, new: Artifact, turn: int, act: int
) -> None:
    """An undo that was outranked is refused as a deed is."""
    await target.place(deed(0, 0, old))
    before = (await target.observe()).capture
    await target.place(deed(2, 5, new))
    stood = await target.observe()

    with pytest.raises(StaleFenceError):
        await target.restore(deed(turn, act, old, capture=before))

    assert await target.observe() == stood


async def test_a_deed_that_wakes_after_its_undo_changes_nothing(
    target: Target, old: Artifact, new: Artifact
) -> None:
    """The undo's act is higher, so the late write of a worker that was cut off is refused."""
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    await target.restore(deed(2, 2, old, capture=before))

    with pytest.raises(StaleFenceError):
        await target.place(deed(2, 1, new))

    assert same((await target.observe()).capture.holding, old.placement)


async def test_an_undo_puts_back_the_release_before(target: Target, old: Artifact, new: Artifact) -> None:
    """What stood there before stands there again, under the undo's fence."""
    await target.place(deed(1, 1, old))
    before = (await target.observe()).capture
    await target.place(deed(2, 1, new))

    await target.restore(deed(2, 2, old, capture=before))

    seen = await target.observe()
    assert same(seen.capture.holding, old.placement)
    assert seen.fence == Fence(turn=2, act=2)


async def test_an_undo_puts_back_nothing(target: Target, new: Artifact) -> None:
    """Where nothing stood before, nothing stands after the undo, and the fence is remembered."""
    before = (await target.observe()).capture
    await target.place(deed(2, 1, new))

    await target.restore(deed(2, 2, capture=before))

    seen = await target.observe()
    assert (seen.capture.holding, seen.fence) == (Absent(), Fence(turn=2, act=2))


async def test_an_undo_without_a_capture_is_refused(target: Target) -> None:
    """Nobody can put back what nobody noted."""
    with pytest.raises(TargetRefusalError, match="no capture"):
        await target.restore(deed(2, 2))


async def test_what_it_says_of_itself_fits(target: ConfiguredTarget) -> None:
    """A target that can put things back and show them says so."""
    assert target.undo in {Undo.RESTORE, Undo.COMMAND}
    assert target.fenced
    assert target.repeatable


def test_a_mistyped_setting_is_found_at_the_door(kind: str, tmp_path: Path) -> None:
    """A key that the target does not know is refused where people write, and ignored inside."""
    written = SETTINGS[kind](tmp_path) | {"rooot": "live"}

    with pytest.raises(ValidationError, match="rooot"):
        TARGETS[kind].settings.model_validate(written, extra="forbid")

    TARGETS[kind](written, Place(tmp_path, SUBJECT, COMPONENT))


def test_every_setting_is_documented(kind: str) -> None:
    """The target's page has a row for each of its settings."""
    page = (DOCS / f"{kind}.md").read_text()

    assert [name for name in TARGETS[kind].settings.model_fields if f"\n| `{name}` |" not in page] == []
