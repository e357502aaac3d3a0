"""Who signs: the people in ``allowed_signers``, beside ``towpath.yaml``, and OpenSSH to check them with.

The file is OpenSSH's own (``man ssh-keygen``, ALLOWED SIGNERS): a person's names, the key, and where needed from
when until when it is valid, or the authority that certifies it. ``revoked_keys`` beside it, where it is there, is
a list of keys or a key revocation list: what is in it signs nothing any more, nor has it ever.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from activities.attempts import caught
from domain.actor import person
from domain.attempt import Kind
from domain.configuration_files import REVOKED_KEYS_FILE, SIGNERS_FILE
from domain.statement import Statement

_LONGEST: Final = 10.0
_ASKING: Final = {"LC_ALL": "C", "TZ": "UTC"}
"""ssh-keygen reads times in its own zone."""


class OpenSshSigners:
    """Checks signatures against the two files as they are now."""

    def __init__(self, folder: Path) -> None:
        self._signers = folder / SIGNERS_FILE
        self._revoked = folder / REVOKED_KEYS_FILE

    async def why_not(self, statement: Statement, signature: str, now: datetime) -> str:
        """Say why a signature is not this person's over this statement, or nothing where it is.

        Raises ``OSError`` or ``subprocess.TimeoutExpired`` where it could not be looked at: try again.
        """
        return await asyncio.to_thread(self._why_not, statement, signature, now)

    def _why_not(self, statement: Statement, signature: str, now: datetime) -> str:
        program = shutil.which("ssh-keygen")
        if program is None:
            return "this worker has no ssh-keygen to check signatures with; install OpenSSH's client"
        if not self._signers.is_file():
            return f"this worker knows nobody's key: there is no {SIGNERS_FILE} beside its towpath.yaml"
        with tempfile.NamedTemporaryFile("w", suffix=".sig", encoding="utf-8", errors="replace") as file:
            file.write(signature)
            file.flush()
            asked = _Asked(program, statement, file.name)
            why, meant = self._judge(asked, now)
        # Whoever signs with a key of their own, and writes their name in other letters, tries nothing.
        if why and not meant:
            caught(Kind.SIGNATURE, why, statement.by)
        return why

    def _judge(self, asked: "_Asked", now: datetime) -> tuple[str, tuple[str, ...]]:
        """Say what speaks against it, and how the name is written in which it would be good, were it so."""
        when = f"-Overify-time={now.astimezone(UTC):%Y%m%d%H%M%S}"
        known = ["-f", str(self._signers)]
        revoked = ["-r", str(self._revoked)] if self._revoked.exists() else []
        by = asked.statement.by
        if asked.succeeds("verify", when, *known, "-I", by, *revoked):
            return "", ()
        if not asked.succeeds("check-novalidate"):
            why = "its signature does not fit: something else was signed, or what was signed has been changed"
            return why, ()
        names = asked.names(when, *known)
        if not names:
            return f"its key is nobody's in {SIGNERS_FILE}, or is not valid at this time", ()
        if by not in names:
            meant = [name for name in names if person(name) == person(by)]
            good = tuple(
                name for name in meant if asked.succeeds("verify", when, *known, "-I", name, *revoked)
            )
            return f"it was signed with the key of {', '.join(names)}, not with one of {by}'s", good
        why = f"its key has been revoked, or may not sign this, by {SIGNERS_FILE} or {REVOKED_KEYS_FILE}"
        return why, ()


class _Asked:
    """One signature, about which ssh-keygen is asked several questions."""

    def __init__(self, program: str, statement: Statement, signature: str) -> None:
        self.statement = statement
        self._program = program
        self._signature = signature

    def succeeds(self, question: str, *more: str) -> bool:
        return self._ask(question, more).returncode == 0

    def names(self, *more: str) -> tuple[str, ...]:
        """Return the names whose key it is."""
        asked = self._ask("find-principals", more)
        return (
            tuple(filter(None, asked.stdout.replace("\n", ",").split(","))) if asked.returncode == 0 else ()
        )

    def _ask(self, question: str, more: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 - a fixed command line, and no shell
            [self._program, "-Y", question, "-n", self.statement.purpose, "-s", self._signature, *more],
            input=self.statement.text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=_ASKING,
            timeout=_LONGEST,
            check=False,
        )
