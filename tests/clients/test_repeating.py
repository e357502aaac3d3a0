"""Showing a list again whenever it has changed."""

from collections.abc import Awaitable, Callable

import pytest

from clients.cli import repeating
from clients.cli.repeating import repeat
from clients.cli.terminal import say_table
from domain.value import Value


class Places(Value):
    names: tuple[str, ...]


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


def show(found: Places) -> None:
    say_table([("NAME",), *((name,) for name in found.names)])


def looks(*answers: Places | Exception) -> Callable[[], Awaitable[Places]]:
    """Return what looks once for each answer, and is then stopped."""
    left = [*answers, StoppedError()]

    async def look() -> Places:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return look


ONE, TWO = Places(names=("dev",)), Places(names=("dev", "production"))
AWAY = OSError("the server is away")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeating, "EVERY", 0)


async def test_elsewhere_only_what_is_new_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A line that was there before is not told again; a server that is away for a while is said once, and outlived."""
    with pytest.raises(StoppedError):
        await repeat(looks(ONE, ONE, AWAY, AWAY, TWO), show, as_json=False, passing=OSError)

    out, err = capsys.readouterr()
    assert out.split() == ["NAME", "dev", "production"]
    assert err.count("the server is away") == 1


async def test_on_a_terminal_it_is_drawn_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change is drawn whole, over what stood there; what has not changed is not drawn again."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")

    with pytest.raises(StoppedError):
        await repeat(looks(ONE, ONE, TWO), show, as_json=False, passing=OSError)

    drawn = capsys.readouterr().out.split("\x1b[H\x1b[2J")
    assert ["dev" in one for one in drawn] == [False, True, True]
    assert ["production" in one for one in drawn] == [False, False, True]


async def test_as_json_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a program reads it line by line."""
    with pytest.raises(StoppedError):
        await repeat(looks(ONE, ONE, TWO), show, as_json=True, passing=OSError)

    assert [Places.model_validate_json(line) for line in capsys.readouterr().out.splitlines()] == [ONE, TWO]


async def test_a_first_look_that_fails_is_an_end() -> None:
    """Whoever mistypes an address is told at once."""
    with pytest.raises(OSError, match="away"):
        await repeat(looks(AWAY), show, as_json=False, passing=OSError)
