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
from typing import Final, NamedTuple

from activities.attempts import caught
from domain.actor import person
from domain.attempt import Kind
from domain.configuration_files import REVOKED_KEYS_FILE, SIGNERS_FILE
from domain.statement import Statement

_LONGEST: Final = 10.0
_ASKING: Final = {"LC_ALL": "C", "TZ": "UTC"}
"""ssh-keygen reads times in its own zone."""


class _Found(NamedTuple):
    """What speaks against a signature, if anything, and whether honest use brings that about."""

    why: str
    is_honest: bool = False


class OpenSshSigners:
    """Checks signatures against the two files as they are now."""

    def __init__(self, folder: Path) -> None:
        self._signers = folder / SIGNERS_FILE
        self._revoked = folder / REVOKED_KEYS_FILE

    async def why_not(
        self, statement: Statement, signature: str, now: datetime, given: datetime | None = None
    ) -> str:
        """Say why a signature is not this person's over this statement, or nothing where it is.

        Raises ``OSError`` or ``subprocess.TimeoutExpired`` where it could not be looked at: try again.
        """
        return await asyncio.to_thread(self._why_not, statement, signature, now, given)

    def _why_not(self, statement: Statement, signature: str, now: datetime, given: datetime | None) -> str:
        program = shutil.which("ssh-keygen")
        if program is None:
            return "this worker has no ssh-keygen to check signatures with; install OpenSSH's client"
        if not self._signers.is_file():
            return f"this worker knows nobody's key: there is no {SIGNERS_FILE} beside its towpath.yaml"
        with tempfile.NamedTemporaryFile("w", suffix=".sig", encoding="utf-8", errors="replace") as file:
            file.write(signature)
            file.flush()
            asked = _Asked(program, statement, file.name)
            found = self._judge(asked, now, given)
        if found.why and not found.is_honest:
            caught(Kind.SIGNATURE, found.why, statement.by)
        return found.why

    def _judge(self, asked: "_Asked", now: datetime, given: datetime | None) -> _Found:
        by = asked.statement.by
        if self._is_good(asked, by, now):
            return _Found("")
        if not asked.succeeds("check-novalidate"):
            return _Found(
                "its signature does not fit: something else was signed, or what was signed has been changed"
            )
        if given and self._would_be_good(asked, by, given):
            return _Found(f"it was good when it was given; {self._become(asked, now)}", is_honest=True)
        return self._judge_key(asked, by, now)

    def _judge_key(self, asked: "_Asked", by: str, now: datetime) -> _Found:
        """Say why the key is not one that this person signs with now."""
        names = asked.names(_at(now), "-f", str(self._signers))
        if not names:
            return _Found(f"its key is nobody's in {SIGNERS_FILE}, or is not valid at this time")
        if by not in names:
            # Whoever signs with a key of their own, and writes their name in other letters, tries nothing.
            meant = [name for name in names if person(name) == person(by)]
            return _Found(
                f"it was signed with the key of {', '.join(names)}, not with one of {by}'s",
                is_honest=any(self._is_good(asked, name, now) for name in meant),
            )
        if self._would_be_good(asked, by, now):
            return _Found(f"its key has been revoked, by {REVOKED_KEYS_FILE}")
        return _Found(f"its key may not sign this, by {SIGNERS_FILE}")

    def _become(self, asked: "_Asked", now: datetime) -> str:
        """Say what has become since of a key that was good."""
        if self._would_be_good(asked, asked.statement.by, now):
            return f"its key has been revoked since, by {REVOKED_KEYS_FILE}"
        return f"its key has ended since, by {SIGNERS_FILE}"

    def _is_good(self, asked: "_Asked", name: str, when: datetime) -> bool:
        revoked = ("-r", str(self._revoked)) if self._revoked.exists() else ()
        return self._would_be_good(asked, name, when, *revoked)

    def _would_be_good(self, asked: "_Asked", name: str, when: datetime, *revoked: str) -> bool:
        """Tell whether it is this person's, were no key revoked but those of ``revoked``."""
        return asked.succeeds("verify", _at(when), "-f", str(self._signers), "-I", name, *revoked)


def _at(when: datetime) -> str:
    return f"-Overify-time={when.astimezone(UTC):%Y%m%d%H%M%S}"


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
