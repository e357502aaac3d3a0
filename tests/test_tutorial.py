"""The tutorial and the README's quick start are run as they stand, and say what the pages show."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

import pytest

from domain.outcome import Phase
from workers.server import free_port

ROOT = Path(__file__).parent.parent
USUAL_PORTS: Final = ("7233", "8233", "8111", "8112")
FIRST: Final = ""
END: Final = "--- the end of a block: "
PATIENCE: Final = 60.0
"""Seconds, for one block on a busy machine."""

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
CHANGING = {
    r"^ *\d+(\.\d)?[smh]+  ": "",
    r"\b[0-9a-f]{8}\b": "DIGITS",
    r"\b1\d{12}\b": "TURN",
    r"\b\d+ ms\b": "N ms",
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC": "THEN",
    r"\bprocess \d+\b": "process N",
    r" --address 127\.0\.0\.1:7233\b": "",
    r" +": " ",
}
"""What is another at every run."""


class Step(NamedTuple):
    """One block of commands, the terminal it is typed into, and the output that the page shows for it."""

    terminal: str
    commands: str
    shown: str


def read_steps(text: str) -> list[Step]:
    steps: list[Step] = []
    for language, terminal, content in BLOCK.findall(text):
        if language == "sh":
            steps.append(Step(terminal, content, ""))
        elif language == "text" and steps:
            steps[-1] = steps[-1]._replace(shown=content)
    return steps


class Reader:
    """Somebody who types a page into terminals: their own ports, and the digits that their own run showed them."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ports = {usual: str(free_port()) for usual in USUAL_PORTS}
        self._digits: dict[str, str] = {}
        self._terminals: dict[str, subprocess.Popen[bytes]] = {}
        self._shell = self._open(["bash"], stdin=subprocess.PIPE)

    def type(self, step: Step) -> str:
        """Type a block, and return what it prints. What runs in another terminal prints until it is stopped."""
        commands = self._spoken(step.commands)
        if step.terminal == FIRST:
            return self._type_first(commands)
        self._stop(step.terminal)
        return self._type_elsewhere(step, commands)

    def close(self) -> None:
        for terminal in list(self._terminals):
            self._stop(terminal)
        self._shell.communicate()

    def compare(self, shown: str, printed: str) -> None:
        """Every line that the page shows was printed, in order, but for what changes and what is quickly over."""
        rest = iter(printed.splitlines())
        for line in filter(_stays, shown.splitlines()):
            found = next((other for other in rest if _plain(other) == _plain(line)), None)
            assert found is not None, f"“{line}” was not printed after what stands before it:\n{printed}"
            self._digits.update(zip(_digits(line), _digits(found), strict=True))

    def _type_first(self, commands: str) -> str:
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f'{{\n{commands}\n}} </dev/null\necho "{END}$?"\n'.encode())
        self._shell.stdin.flush()
        printed: list[str] = []
        for line in iter(self._shell.stdout.readline, b""):
            if line.startswith(END.encode()):
                assert line.strip().endswith(b" 0"), "".join(printed)
                return self._written("".join(printed))
            printed.append(line.decode())
        raise AssertionError("".join(printed))

    def _type_elsewhere(self, step: Step, commands: str) -> str:
        """Start what stays there, and wait until it has said what the page shows, or is there to be asked."""
        *before, last = commands.replace("towpath up", self._up()).strip().splitlines()
        log = self._home / f"{step.terminal}.log"
        script = "\n".join([*before, f"exec {last}"])
        with log.open("wb") as output:
            self._terminals[step.terminal] = self._open(["bash", "-c", script], stdout=output)
        wanted = {_plain(line) for line in step.shown.splitlines()}
        deadline = time.monotonic() + PATIENCE
        while True:
            printed = self._written(log.read_text())
            if wanted <= {_plain(line) for line in printed.splitlines()}:
                return printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.1)

    def _up(self) -> str:
        return f"towpath up --port {self._ports['7233']} --ui-port {self._ports['8233']}"

    def _stop(self, terminal: str) -> None:
        if running := self._terminals.pop(terminal, None):
            running.send_signal(signal.SIGINT)
            try:
                running.wait(PATIENCE / 3)
            except subprocess.TimeoutExpired:  # Python's own web server may miss one
                running.send_signal(signal.SIGINT)
                running.wait(PATIENCE)

    def _open(
        self,
        command: list[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd=self._home,
            env=_variables(self._home),
            start_new_session=True,
        )

    def _spoken(self, commands: str) -> str:
        address = f"127.0.0.1:{self._ports['7233']}"
        addressed = re.sub(
            r"^(temporal workflow \w+)", rf"\1 --address {address}", commands, flags=re.MULTILINE
        )
        return _replaced(_replaced(addressed, self._ports), self._digits)

    def _written(self, printed: str) -> str:
        usual = {own: usual for usual, own in self._ports.items()}
        return _replaced(printed, usual | {str(self._home): "/home/lin"})


def _variables(home: Path) -> dict[str, str]:
    """Return what a newcomer's terminal has."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(("TEMPORAL_", "TOWPATH_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    return own | {"HOME": str(home), "PATH": path, "PYTHONUNBUFFERED": "1"}


def _replaced(text: str, table: Mapping[str, str]) -> str:
    if not table:
        return text
    return re.sub("|".join(map(re.escape, table)), lambda found: table[found[0]], text)


def _plain(line: str) -> str:
    for pattern, stands_for in CHANGING.items():
        line = re.sub(pattern, stands_for, line)
    return line.strip()


def _digits(line: str) -> list[str]:
    return re.findall(r"\b[0-9a-f]{8}\b", line)


def _stays(line: str) -> bool:
    """Tell whether a line is printed at every run: which phases a watcher meets on the way is a matter of luck."""
    return not re.match(rf"^ *[\d.]+[smh]+  ({'|'.join(Phase)})(:|$)", line)


@contextmanager
def reading(home: Path) -> Iterator[Reader]:
    reader = Reader(home)
    try:
        yield reader
    finally:
        reader.close()


@pytest.mark.server
@pytest.mark.processes
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_tutorial_is_true(tmp_path: Path) -> None:
    """Every command of the page, typed in order, prints what the page shows."""
    steps = read_steps((ROOT / "docs/tutorial.md").read_text())
    assert any("towpath rollback" in step.commands for step in steps)

    with reading(tmp_path) as reader:
        for step in steps:
            reader.compare(step.shown, reader.type(step))


@pytest.mark.server
@pytest.mark.processes
@pytest.mark.timeout(120)
def test_the_quick_start_is_true(tmp_path: Path) -> None:
    """The lines of the README's quick start promote a folder of somebody's own."""
    _, _, chapter = (ROOT / "README.md").read_text().partition("\n## Your own project\n")
    (tmp_path / "my-site").mkdir()
    (tmp_path / "my-site/index.html").write_text("<h1>Mine</h1>")

    with reading(tmp_path) as reader:
        for step in read_steps(chapter.partition("\n## ")[0]):
            reader.compare(step.shown, reader.type(step))

    assert (tmp_path / "shop/live/staging/current/index.html").read_text() == "<h1>Mine</h1>"
