"""Locks that Terraform keeps on its state, and who holds them."""

import os
import pwd
import re
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

_FIELD: Final = re.compile(r"^\s*(ID|Who|Created|Operation):\s+(\S.*?)\s*$")
_HELD: Final = re.compile(r"already locked: ID=(\S+)")
_HEADLINE: Final = "Error acquiring the state lock"
_PROCESSES: Final = Path("/proc")
_ABOUT: Final = 2.0
"""Locks are dated by whole seconds, files by a clock that may stand a little behind."""


class StateLock(NamedTuple):
    """A lock on a state, as Terraform tells it to whoever comes second."""

    id: str
    who: str
    created: str

    def __str__(self) -> str:
        return f"{self.id} of {self.who}, since {self.created}"

    def is_left_behind(self, since: float, until: float, program: str) -> bool:
        """Tell whether it was taken between these times, by a run of this user's on this machine that is no more.

        Its holder's program would have to run here. Where that cannot be told, it may be alive.
        """
        ours = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
        with suppress(ValueError):
            created = datetime.strptime(self.created[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            return (
                self.who == ours
                and since - _ABOUT <= created.timestamp() <= until
                and _PROCESSES.is_dir()
                and not _runs_here(program)
            )
        return False


def lock_in(said: Sequence[str]) -> StateLock | None:
    """Return the lock that stood in the way, where that is what was said.

    Not all backends know who holds it: then what they tell is the lock that could not be had.
    """
    if not any(_HEADLINE in line for line in said):
        return None
    fields = {found[1]: found[2] for line in said if (found := _FIELD.match(line))}
    held = next((found[1] for line in said if (found := _HELD.search(line))), "")
    if held and held != fields.get("ID"):
        return StateLock(held, "somebody", "an unknown time")
    return StateLock(fields.get("ID", "?"), fields.get("Who", "somebody"), fields.get("Created", "?"))


def _runs_here(program: str) -> bool:
    """Tell whether any process of this user's runs this program."""
    path = Path(shutil.which(program) or program).resolve()
    return any(_runs(process, path) for process in _PROCESSES.iterdir() if process.name.isdigit())


def _runs(process: Path, program: Path) -> bool:
    with suppress(OSError):
        return (process / "exe").resolve() == program
    return False
