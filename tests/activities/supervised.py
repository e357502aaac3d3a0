"""A real supervisord on a socket, and the applications that it keeps."""

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

_READY: Final = 20.0


class Kept:
    """A supervisord with these ``[program:…]`` sections, in a short folder of its own: sockets have short names."""

    def __init__(self, programs: str, *, password: str = "") -> None:
        self._programs = programs
        self._password = password
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._run: subprocess.Popen[bytes] | None = None

    def address(self) -> str:
        """Start it where it does not run yet, and return its address."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="towpath-")
            self._start(Path(self._folder.name))
        return f"unix://{self._folder.name}/s"

    def stop(self) -> None:
        """Stop it, and all that it keeps; it may be started again."""
        if self._run:
            self._run.terminate()
            self._run.wait(_READY)
            self._run = None
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _start(self, folder: Path) -> None:
        login = f"username=towpath\npassword={self._password}\n" if self._password else ""
        (folder / "conf").write_text(
            f"[unix_http_server]\nfile={folder}/s\n{login}"
            f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
            f"{self._programs}\n"
        )
        self._run = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "supervisor.supervisord",
                "-n",
                "-c",
                str(folder / "conf"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _READY
        while not _listens(folder / "s"):
            assert self._run.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "supervisord did not start"
            time.sleep(0.02)


def _listens(file: Path) -> bool:
    """Tell whether somebody answers on a socket, which is there a moment before that."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(str(file)) == 0
