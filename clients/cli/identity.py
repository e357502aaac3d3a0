"""Who acts: as said, as configured, as git knows, or as the machine does."""

import getpass
import socket
import subprocess
from typing import NamedTuple

from clients.cli.terminal import say_aside


class Me(NamedTuple):
    """A name, and where it was found."""

    name: str
    source: str


def who_am_i(said: str, configured: str) -> str:
    """Return who acts, and say so where nobody named them on the command line."""
    if said:
        return said
    me = find_me(configured)
    say_aside(f"Acting as {me.name} ({me.source}; --by names another).")
    return me.name


def find_me(configured: str) -> Me:
    if configured:
        return Me(configured, "TOWPATH_BY")
    if email := _git_email():
        return Me(email, "user.email of git")
    return Me(f"{_user()}@{socket.gethostname()}", "this login")


def _git_email() -> str:
    try:
        asked = subprocess.run(
            ["git", "config", "user.email"],  # noqa: S607 - whatever git the person uses
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
