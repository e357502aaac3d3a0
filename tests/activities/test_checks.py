"""What every check must keep. Registering one in ``CHECKS`` is what puts it under these tests."""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from activities.checks import CHECKS
from activities.ports import Check, Expected
from domain.environment import Absent, Holding, Placement, Unknown
from tests.activities.answers import Answer, Site
from tests.activities.artifacts import COMPONENT, SUBJECT

HELD = Placement(version="1.0.0", release=f"sha256:{'a' * 64}", artifact=f"sha256:{'b' * 64}")


class World:
    """A service that is well, unwell or gone, and the settings of a check that asks it."""

    def __init__(self, folder: Path, site: Site) -> None:
        self._folder = folder
        self._site = site
        self.settings: dict[str, Callable[[], dict[str, JsonValue]]] = {
            "http": lambda: {"http": f"{site.address}/"},
            "command": lambda: {
                "command": [sys.executable, "-c", f"exit(open({str(folder / 'well')!r}).read() or 0)"]
            },
        }

    def be(self, *, well: bool) -> None:
        self._site.answers["/"] = Answer(200 if well else 503, b"said")
        (self._folder / "well").write_text("" if well else "unwell")

    @property
    def was_asked(self) -> bool:
        return bool(self._site.asked)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    site = Site()
    yield World(tmp_path, site)
    site.close()


@pytest.fixture(params=sorted(CHECKS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def check(kind: str, world: World, tmp_path: Path) -> Check:
    return CHECKS[kind](world.settings[kind](), tmp_path)


def expected(holding: Holding = HELD) -> Expected:
    return Expected(
        subject=SUBJECT, component=COMPONENT, holding=holding, began=datetime(2026, 1, 1, tzinfo=UTC)
    )


async def test_what_is_well_passes(check: Check, world: World) -> None:
    """A service that is well passes, with a sentence."""
    world.be(well=True)

    found = await check.look(expected())

    assert found.passed
    assert found.sentence


async def test_what_is_unwell_does_not_pass(check: Check, world: World) -> None:
    """A service that is not well is a finding, never an exception."""
    world.be(well=False)

    found = await check.look(expected())

    assert (found.passed, found.proven) == (False, False)
    assert found.sentence


async def test_each_look_is_a_new_one(check: Check, world: World) -> None:
    """A check looks at the service as it is now, not as it was."""
    world.be(well=False)
    assert not (await check.look(expected())).passed

    world.be(well=True)

    assert (await check.look(expected())).passed


async def test_nothing_is_well_where_nothing_is_to_stand(check: Check, world: World) -> None:
    """Where nothing is to stand there is nothing to ask: that passes, and proves nothing."""
    found = await check.look(expected(Absent()))

    assert (found.passed, found.proven) == (True, False)
    assert not world.was_asked


async def test_what_is_unknown_is_asked_and_proves_nothing(check: Check, world: World) -> None:
    """Where it is not known what stands there, it may be well, but no revision is proven."""
    world.be(well=True)

    found = await check.look(expected(Unknown()))

    assert (found.passed, found.proven) == (True, False)


def test_a_mistyped_setting_is_found_at_the_door(kind: str, world: World, tmp_path: Path) -> None:
    """A key that the check does not know is refused where people write, and ignored inside."""
    written = world.settings[kind]() | {"timeoot": "1s"}

    with pytest.raises(ValidationError, match="timeoot"):
        CHECKS[kind].settings.model_validate(written, extra="forbid")

    CHECKS[kind](written, tmp_path)


def test_the_first_setting_has_the_name_of_the_check(kind: str) -> None:
    """``{http: …}`` names the check and is its setting at once."""
    assert next(iter(CHECKS[kind].settings.model_fields)) == kind


async def test_a_program_that_hangs_is_stopped(tmp_path: Path) -> None:
    """A command check past its timeout does not pass, and says so."""
    hangs = CHECKS["command"](
        {"command": [sys.executable, "-c", "import time; time.sleep(600)"], "timeout": "0s"}, tmp_path
    )

    found = await hangs.look(expected())

    assert not found.passed
    assert "no end within" in found.sentence


async def test_a_program_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    """A command check that cannot start says why."""
    found = await CHECKS["command"]({"command": ["./nowhere"]}, tmp_path).look(expected())

    assert not found.passed
    assert "could not be started" in found.sentence


async def test_a_program_is_told_what_to_expect(tmp_path: Path) -> None:
    """A command check knows what should stand there, and its last words are in the sentence."""
    program = "import os; exit(os.environ['TOWPATH_VERSION'] + ' ' + os.environ['TOWPATH_RELEASE'])"

    found = await CHECKS["command"]({"command": [sys.executable, "-c", program]}, tmp_path).look(expected())

    assert f"1.0.0 {HELD.release}" in found.sentence
