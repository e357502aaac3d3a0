"""Small web servers that we run: one for archives, one that speaks what a registry must for a manifest."""

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Answer(NamedTuple):
    status: int = 200
    content: bytes = b""
    headers: Mapping[str, str] = {}


Answers = Callable[[str, Mapping[str, str]], Answer]
"""Path and headers, in lower case → what is answered."""


@contextmanager
def serving(answers: Answers) -> Generator[str]:
    """Run a server, and yield its address."""

    class Asked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = answers(self.path, {name.lower(): text for name, text in self.headers.items()})
            self.send_response(said.status)
            for name, text in {"Content-Length": str(len(said.content)), **said.headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(said.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


MANIFEST = json.dumps(
    {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
).encode()
DIGEST = f"sha256:{sha256(MANIFEST).hexdigest()}"
TOKEN = "for-anybody"


def registry(address: Callable[[], str], *, closed: bool = False) -> Answers:
    """Answer as a registry with one image, ``shop/web``.

    As most public ones do, it first sends everybody for a token; a ``closed`` one gives none.
    """

    def answer(path: str, headers: Mapping[str, str]) -> Answer:
        if path.startswith("/token?"):
            known = "scope=repository%3Ashop" in path
            return Answer(200, json.dumps({"token": TOKEN if known else "?"}).encode())
        if closed or headers.get("authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer realm="{address()}/token",service="registry"'
            return Answer(401, b"{}", {} if closed else {"WWW-Authenticate": challenge})
        if path == f"/v2/shop/web/manifests/{DIGEST}" and "oci.image.index" in headers.get("accept", ""):
            return Answer(200, MANIFEST)
        if path.startswith("/v2/shop/forged/"):
            return Answer(200, MANIFEST + b" ")
        return Answer(404, b"{}")

    return answer


@contextmanager
def registry_server(*, closed: bool = False) -> Generator[str]:
    """Run a registry, and yield its name as it stands in an image's."""
    known: list[str] = []
    with serving(registry(lambda: known[0], closed=closed)) as address:
        known.append(address)
        yield address.removeprefix("http://")
