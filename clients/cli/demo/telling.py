"""How the demo reads: chapters, rows, and on a terminal one more line for what goes on now."""

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Final

from clients.cli.terminal import console, is_terminal, plain, say, say_commands

if TYPE_CHECKING:
    from rich.status import Status

WIDTH: Final = 78
COLUMN: Final = 12
MARGIN: Final = "  "
INDENT: Final = MARGIN + " " * COLUMN
ROOM: Final = WIDTH - len(INDENT)


class Telling:
    """Says things as they happen."""

    def __init__(self) -> None:
        self._live: Status | None = None

    def title(self, text: str) -> None:
        say(text, "bold")

    def chapter(self, text: str) -> None:
        say()
        say(text, "bold")

    def row(self, where: str, text: str) -> None:
        self.rows(where, [text])

    def rows(self, where: str, texts: Iterable[str], took: str = "") -> None:
        """Say several things of one place, and at the end of the last how long it all took."""
        lines = [line for text in texts for line in _wrapped(text)]
        if took and lines:
            lines[-1] = f"{lines[-1]:<{ROOM - len(took) - 1}} {took}"
        for line in lines:
            say(f"{MARGIN}{where:<{COLUMN}}{line}")
            where = ""

    def command(self, words: Sequence[str]) -> None:
        """Say a command to paste, folded where the shell lets it be."""
        lines = fold(words, ROOM)
        say_commands([f"\n{INDENT}".join([f"{INDENT.removeprefix(MARGIN)}{lines[0]}", *lines[1:]])])

    @contextmanager
    def live(self) -> Generator[None]:
        """Show what goes on now, while the block runs, where there is a terminal to show it on."""
        if not console().is_terminal:
            yield
            return
        self._live = console().status("", spinner="dots")
        try:
            with self._live:
                yield
        finally:
            self._live = None

    def now(self, where: str, what: str) -> None:
        if self._live and what:
            self._live.update(plain(shorten(f"{where}: {what}", WIDTH - len(MARGIN), placeholder=" …")))

    async def asked(self, question: str) -> bool | None:
        """Ask the person at the terminal; None where nobody is there to answer."""
        if not is_terminal():
            return None
        if self._live:
            self._live.stop()
        try:
            return await self._answer(question)
        finally:
            if self._live:
                self._live.start()

    async def _answer(self, question: str) -> bool | None:
        while True:
            console().print(
                f"{INDENT}{plain(question)} [y/n] ", end="", markup=False, highlight=False, style="bold"
            )
            answer = await _line()
            if answer is None:
                say()
                return None
            if answer.strip().lower() in {"y", "yes", "n", "no"}:
                return answer.strip().lower().startswith("y")


def _wrapped(text: str) -> list[str]:
    """Fold a sentence; what a list says is set in behind its dash."""
    behind = "  " if text.startswith("- ") else ""
    return wrap(text, ROOM, subsequent_indent=behind, break_long_words=False, break_on_hyphens=False)


async def _line() -> str | None:
    """Read a line from the terminal without keeping anything else from going on; None at its end."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    descriptor = sys.stdin.fileno()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 4096).decode(errors="replace") or None


def typed(program: str) -> str:
    """Return how a person in this folder would type the name of a program."""
    path = Path(program)
    if shutil.which(path.name) == program:
        return path.name
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else program


def fold(words: Sequence[str], width: int) -> list[str]:
    """Fold a command before its options, with what tells a shell that it goes on."""
    lines = [""]
    for word in _with_values(words):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if len(longer) > width - 2 and lines[-1]:
            lines[-1] += " \\"
            lines.append(f"  {word}")
        else:
            lines[-1] = longer
    return lines


def _with_values(words: Sequence[str]) -> list[str]:
    """Put each option together with its value, and what comes before the first option."""
    parts: list[str] = []
    for word in words:
        if word.startswith("-") or not parts:
            parts.append(shlex.quote(word))
        else:
            parts[-1] += f" {shlex.quote(word)}"
    return parts
