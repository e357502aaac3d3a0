"""A real S3 server on this machine, and a door before it that forgets the conditions of a write.

Some servers that speak like S3 are as forgetful: they write over what stands there, and say that all is well.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest

BUCKET = "towpath"
NAME = "towpath-tests"
SECRET = "not-a-secret"


@contextmanager
def object_server(log: Path) -> Generator[str]:
    """Run moto's server in a process of its own, with a bucket in it, and yield its address."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stdout=output, stderr=output
        )
        try:
            address = _address(log, process)
            urlopen(Request(f"{address}/{BUCKET}", method="PUT"), timeout=10).close()
            yield address
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def careless_server(folder: Path, log: Path) -> Generator[str]:
    """Run rclone's S3 server over a folder with a bucket in it: it takes no notice of conditions."""
    (folder / BUCKET).mkdir(parents=True)
    rclone = str(Path(sys.executable).with_name("rclone"))
    words = ("serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", f"{NAME},{SECRET}", str(folder))
    with log.open("wb") as output:
        process = subprocess.Popen([rclone, "--config", "", *words], stdout=output, stderr=output)
        try:
            yield _address(log, process)
        finally:
            process.terminate()
            process.wait(10)


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    for _ in range(600):
        for word in log.read_text(errors="replace").split():
            if found := re.search(r"http://127\.0\.0\.1:\d+", word):
                return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text(errors='replace')}")


def let_in(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Say by the environment where S3 is, and who we are to it."""
    for name, said in {
        "AWS_ENDPOINT": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": NAME,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, said)


@contextmanager
def forgetful(address: str) -> Generator[str]:
    """Run a door before a server that drops ``If-None-Match`` from whatever passes."""
    with door(address, forgets="if-none-match") as found:
        yield found


_OUR_OWN = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})

Passing = tuple[str, str, int]
"""A request that has passed: method, path, and length of its content."""


@contextmanager
def door(
    address: str, forgets: str = "", passed: Callable[[Passing], None] = lambda _: None
) -> Generator[str]:
    """Run a door before a server, that says what has passed."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            host = address.removeprefix("http://")
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: said for name, said in self.headers.items() if name.lower() != forgets}
            with closing(HTTPConnection(host, timeout=30)) as asked:
                asked.request(self.command, self.path, content, kept)
                answer = asked.getresponse()
                body = answer.read()
            passed((self.command, self.path, len(content)))
            with suppress(ConnectionError):  # whoever asked may have been killed
                self._answer(answer, body)

        def _answer(self, answer: HTTPResponse, body: bytes) -> None:
            self.send_response(answer.status)
            for name, said in answer.getheaders():
                if name.lower() not in _OUR_OWN:
                    self.send_header(name, said)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as opened:
        Thread(target=opened.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{opened.server_address[1]}"
        finally:
            opened.shutdown()
