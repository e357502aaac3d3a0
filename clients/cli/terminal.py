"""What people and programs read: sentences on a terminal, plain lines elsewhere, JSON where asked."""

import signal
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NoReturn

import typer

from domain.outcome import Exit

if TYPE_CHECKING:
    from rich.console import Console

    from domain.value import Value

NARROWEST: Final = 8
"""Columns of a table are not cut shorter than this."""


def say(text: str = "", style: str = "") -> None:
    """Print a sentence: wrapped on a terminal, one line elsewhere."""
    _print(_console(to_errors=False), text, style)


def quoted(text: str) -> str:
    """Return people's words, each further line set off: they begin no line that could pass for one of ours."""
    return "\n    │ ".join(text.strip().splitlines())


def say_aside(text: str) -> None:
    """Print what is not the answer, so that a program that reads the answer does not meet it."""
    _print(_console(to_errors=True), text, "dim")


def complain(text: str) -> None:
    _print(_console(to_errors=True), text, "")


def say_commands(commands: Iterable[str]) -> None:
    """Print commands to paste: never wrapped."""
    for command in commands:
        console = _console(to_errors=False)
        console.print(f"  {plain(command)}", style="bold", markup=False, highlight=False, soft_wrap=True)


def say_lines(lines: Iterable[str]) -> None:
    """Print what is drawn, a line a line: never wrapped."""
    for line in lines:
        _console(to_errors=False).print(
            plain(f"  {line}"),
            markup=False,
            highlight=False,
            soft_wrap=True,
            style="dim" if "○" in line else None,
        )


def say_line(text: str, style: str = "") -> None:
    """Print a line that somebody else has written: never wrapped."""
    _console(to_errors=False).print(
        plain(text), style=style or None, markup=False, highlight=False, soft_wrap=True
    )


def say_json(value: "Value") -> None:
    """Print one value, as every other program that speaks of it has it."""
    sys.stdout.write(value.model_dump_json(indent=2) + "\n")


def say_plain(text: str) -> None:
    """Print a text as it is, to be piped on, but for what would command a terminal."""
    sys.stdout.write(plain(text))


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns, each as wide as what is in it; the first row is their heads.

    On a terminal that is too narrow the widest columns are cut short, and each row stays one line.
    """
    widths = [max(len(plain(row[column])) for row in rows) for column in range(len(rows[0]))]
    if console().is_terminal:
        widths = _fitting(widths, console().width)
    for number, row in enumerate(rows):
        cells = (_cut(plain(cell), width).ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cells).rstrip()
        style = "dim" if number == 0 else ""
        _console(to_errors=False).print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    fitted = list(widths)
    while sum(fitted) + 2 * (len(fitted) - 1) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def leave(code: Exit) -> NoReturn:
    """End the command with what its shell is told."""
    raise typer.Exit(int(code))


def is_terminal() -> bool:
    return sys.stdout.isatty() and sys.stdin.isatty()


def confirmed(question: str) -> bool:
    """Ask a person on a terminal. Ctrl-C is heard at once: a loop would only note it while they are asked."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.confirm(plain(question))
    finally:
        signal.signal(signal.SIGINT, before)


def plain(text: str) -> str:
    """Take out what would command a terminal instead of being read: people's words come from anywhere."""
    return "".join(letter if letter in "\n\t" or _is_readable(letter) else "�" for letter in text)


def _is_readable(letter: str) -> bool:
    return not unicodedata.category(letter).startswith("C")


def _print(console: "Console", text: str, style: str) -> None:
    console.print(
        plain(text), style=style or None, markup=False, highlight=False, soft_wrap=not console.is_terminal
    )


def console() -> "Console":
    return _console(to_errors=False)


@cache
def _console(*, to_errors: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=to_errors)
