"""Who is to sign decisions and cannot any more: the folder's own files, at this time."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from activities.mistakes import Mistake, say_key
from activities.ports import Clock
from activities.yaml_lines import read_yaml
from domain.configuration import Configuration
from domain.configuration_files import REVOKED_KEYS_FILE, SIGNERS_FILE
from domain.signers import KeyLine, key_lines, lost_key_faults

_KEY: Final = re.compile(rb"AAAA[A-Za-z0-9+/=]+")
_LIST: Final = b"SSHKRL"
"""How a key revocation list begins; any other file is one key a line."""
_LONGEST: Final = 10.0
_LISTED: Final = 1
"""How ``ssh-keygen -Q`` ends where a key is on the list; with 255 where there is no such list."""


def find_lost_keys(folder: Path, configuration: Configuration, clock: Clock) -> tuple[Mistake, ...]:
    """Return a warning for each approver all of whose keys are revoked or have ended.

    What cannot be read warns of nobody: OpenSSH says what it makes of it where a signature is looked at.
    """
    try:
        lines = tuple(key_lines((folder / SIGNERS_FILE).read_text(encoding="utf-8")))
        revoked = frozenset(_revoked(folder / REVOKED_KEYS_FILE, lines))
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired):
        return ()
    return tuple(
        Mistake(
            fault.spot.file,
            _line(folder / fault.spot.file, fault.spot.keys),
            say_key(fault.spot.keys),
            fault.problem,
            fault.fix,
        )
        for fault in lost_key_faults(configuration, lines, revoked, clock.now())
    )


def _line(file: Path, keys: tuple[str | int, ...]) -> int:
    root = read_yaml(file.read_text(encoding="utf-8")).root
    return root.line_of(keys) if root else 0


def _revoked(file: Path, lines: Sequence[KeyLine]) -> Iterator[str]:
    """Yield which of the keys are revoked."""
    if not file.exists():
        return
    content = file.read_bytes()
    if content.startswith(_LIST):
        yield from (one.key for one in lines if _is_listed(file, one))
        return
    for line in content.splitlines():
        if not line.lstrip().startswith(b"#"):
            yield from (found.decode() for found in _KEY.findall(line))


def _is_listed(file: Path, line: KeyLine) -> bool:
    """Have OpenSSH say whether a key revocation list names the key."""
    program = shutil.which("ssh-keygen")
    if program is None:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as public:
        public.write(f"{line.kind} {line.key}\n")
        public.flush()
        asked = subprocess.run(  # noqa: S603 - a fixed command line, and no shell
            [program, "-Q", "-f", str(file), public.name], capture_output=True, timeout=_LONGEST, check=False
        )
    return asked.returncode == _LISTED
