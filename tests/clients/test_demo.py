"""The demo as a new user runs it: a process of its own, with and without a terminal."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

TOWPATH = Path(sys.executable).with_name("towpath")
TOP = Path(__file__).parents[2]
PATIENCE = 60.0
"""What the demo may take, once installed."""

pytestmark = [pytest.mark.processes, pytest.mark.slow]


class Showing:
    """A demo that runs, what it says, and what it starts."""

    def __init__(self, *words: str, terminal: bool = False) -> None:
        self.said = ""
        self._mark = f"DEMO_UNDER_TEST={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self._ours, theirs = pty.openpty() if terminal else os.pipe()
        self._process = subprocess.Popen(
            [TOWPATH, "demo", *words],
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            cwd=TOP,
            env=os.environ | {name: value, "COLUMNS": "80"},
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [self._process.pid, *self.survivors()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        os.close(self._ours)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def until(self, text: str) -> None:
        """Read until it has said this."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            assert self._read(deadline - time.monotonic()), f"it never said “{text}”:\n{self.said}"

    def end(self) -> int:
        """Read to the end, and return what the shell is told."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline - time.monotonic()):
            pass
        return self._process.wait(max(deadline - time.monotonic(), 1))

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    @property
    def folder(self) -> Path | None:
        found = re.search(r"folder +(/\S+towpath-demo-\w+)", self.said)
        return Path(found[1]) if found else None

    @property
    def ports(self) -> set[int]:
        return {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", self.said)}

    def survivors(self) -> list[int]:
        """Return the processes that this demo has started and that still run."""
        return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if self._has_mark(entry)]

    def _has_mark(self, entry: Path) -> bool:
        try:
            return self._mark.encode() in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _read(self, within: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(within, 0))
        assert ready, f"it says no more:\n{self.said}"
        try:
            more = os.read(self._ours, 1 << 16)
        except OSError:  # what a terminal says at its end
            more = b""
        self.said += more.decode(errors="replace")
        return bool(more)


def is_open(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def serves(said: str) -> dict[str, str]:
    _, _, told = said.partition("What every environment serves now")
    return dict(re.findall(r"^ +(dev|staging|production) +(\S+) \([0-9a-f]{8}\) at http", told, re.MULTILINE))


def left_behind(showing: Showing) -> tuple[list[int], set[int]]:
    return showing.survivors(), {port for port in showing.ports if is_open(port)}


@pytest.fixture
def kept() -> Iterator[Showing]:
    """A demo that is over and runs on."""
    with Showing("--yes", "--keep") as showing:
        showing.until("Everything runs on until Ctrl-C.")
        yield showing


def test_the_demo_comes_true_without_a_terminal_and_can_be_looked_into(kept: Showing) -> None:
    """Each environment serves what the story says, the commands that it ends with work, and a Ctrl-C ends it well."""
    assert serves(kept.said) == {"dev": "3.0.0", "staging": "2.0.0", "production": "1.0.0"}
    assert "ada@example.com (claimed, not proven) says approve, by signal" in kept.said
    assert "/health.json answered without" in kept.said
    assert "\x1b" not in kept.said
    assert max(map(len, kept.said.splitlines())) <= 80

    _, _, told = kept.said.partition("The histories")
    histories = "\n".join(re.findall(r"^  ((?:export|\S*temporal|\S*towpath status).*)$", told, re.MULTILINE))
    looked = subprocess.run(
        ["/bin/sh", "-ec", histories], cwd=TOP, capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert looked.returncode == 0, looked.stderr
    assert "promotion/storefront/production/2.0.0" in looked.stdout
    assert "WorkflowExecutionCompleted" in looked.stdout

    kept.interrupt()

    assert kept.end() == 0
    assert left_behind(kept) == ([], set())


def test_ctrl_c_while_it_starts_leaves_nothing() -> None:
    """Also before anything is ready."""
    with Showing("--yes") as showing:
        showing.until("Towpath: a release walks")
        showing.interrupt()

        assert showing.end() == 130
        assert left_behind(showing) == ([], set())


def test_a_demo_that_does_not_come_true_says_why_and_keeps_the_logs() -> None:
    """A worker that dies is noticed at once; what is left is the folder, with what everybody said."""
    with Showing("--yes") as showing:
        showing.until("1.0.0 walks to production")
        found = re.search(r"worker +process (\d+)", showing.said)
        assert found
        os.kill(int(found[1]), signal.SIGKILL)

        assert showing.end() == 1
        assert "The worker ended by itself" in showing.said
        assert left_behind(showing) == ([], set())
        assert showing.folder
        assert (showing.folder / "logs" / "worker.log").exists()


def test_on_a_terminal_a_person_lets_the_second_release_in() -> None:
    """It stops and asks; a yes is that person's approval. It ends by itself, quickly, and leaves nothing."""
    began = time.monotonic()

    with Showing(terminal=True) as showing:
        showing.until("[y/n]")
        showing.type("y\n")

        assert (showing.end(), time.monotonic() - began < PATIENCE) == (0, True), showing.said
        assert serves(showing.said) == {"dev": "3.0.0", "staging": "2.0.0", "production": "1.0.0"}
        assert "ada@example.com (claimed, not proven) says approve, by update" in showing.said
        assert left_behind(showing) == ([], set())
        assert showing.folder
        assert not showing.folder.exists()


def test_a_no_at_the_terminal_is_a_rejection_and_ctrl_c_in_mid_demo_leaves_nothing() -> None:
    """The promotion ends with it; a Ctrl-C typed there drops the rest, and all that was started ends."""
    with Showing(terminal=True) as showing:
        showing.until("[y/n]")
        showing.type("n\n")
        showing.until("ended: rejected")
        showing.interrupt()

        assert showing.end() == 130
        assert left_behind(showing) == ([], set())
        assert showing.folder
        assert not showing.folder.exists()
