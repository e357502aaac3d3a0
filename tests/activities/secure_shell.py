"""A real OpenSSH server on this machine, for whoever has the key."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple

SERVER: Final = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
_SETTINGS: Final = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/person.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
KexAlgorithms curve25519-sha256
UseDNS no
"""


class SecureHost(NamedTuple):
    """Where it listens, and the files of the one key that it lets in and of its own."""

    port: int
    user: str
    key: Path
    known_hosts: Path

    def address(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


@contextmanager
def listening(folder: Path) -> Generator[SecureHost]:
    """Run the server for the block; its settings, keys and log are in this folder."""
    assert SERVER
    folder.mkdir()
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "settings").write_text(_SETTINGS.format(port=port, folder=folder))
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    words = [SERVER, "-D", "-f", str(folder / "settings"), "-E", str(folder / "log")]
    with subprocess.Popen(words) as server:
        try:
            _await(port, folder / "log")
            yield SecureHost(port, getpass.getuser(), folder / "person", known)
        finally:
            server.terminate()


def _await(port: int, log: Path) -> None:
    until = monotonic() + 10
    while monotonic() < until:
        with socket.socket() as knock:
            knock.settimeout(0.1)
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(log.read_text())
