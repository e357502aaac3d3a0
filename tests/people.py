"""People with OpenSSH keys of their own, made by the real ssh-keygen."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from activities.ports import Clock
from clients.signing import Signer

needs_openssh = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed: no signature can be made"
)


class People:
    """Keys in a folder, one for each person."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def key(self, name: str) -> Path:
        """Return the person's private key."""
        key = self._folder / name
        if not key.exists():
            ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key))
        return key

    def public(self, name: str) -> str:
        return self.key(name).with_name(f"{name}.pub").read_text().strip()

    def signer(self, name: str, clock: Clock | None = None) -> Signer:
        return Signer(self.key(name), clock)

    def allow(self, folder: Path, people: Mapping[str, str], options: str = "") -> None:
        """Write ``allowed_signers``: each name, and whose key it is."""
        lines = [f"{name} {options} {self.public(whose)}" for name, whose in people.items()]
        (folder / "allowed_signers").write_text("\n".join(lines) + "\n")

    def revoke(self, folder: Path, *names: str) -> None:
        (folder / "revoked_keys").write_text("".join(f"{self.public(name)}\n" for name in names))


def ssh_keygen(*words: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["ssh-keygen", *words],
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
