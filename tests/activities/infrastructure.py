"""Configurations of the one provider that is built in, and a Terraform to apply them with."""

import json
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import JsonValue


def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the test where there is no Terraform; else see to it that it reads nobody's own settings."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform on this machine: the terraform target is NOT tested")
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)


def own_copy(folder: Path) -> str:
    """Return the path of a Terraform that nobody else runs."""
    found, own = Path(shutil.which("terraform") or ""), folder / "bin" / "terraform"
    own.parent.mkdir()
    try:
        own.hardlink_to(found.resolve())
    except OSError:
        shutil.copy(found, own)
    return str(own)


def contents(version: str, more: str = "") -> dict[str, bytes]:
    """Return a release's files: a site of one resource that knows its version."""
    resource = f'resource "terraform_data" "site" {{\n  input = "{version}"\n}}\n'
    return {"main.tf": f"{resource}{more}".encode(), "index.html": version.encode()}


def in_state(root: Path) -> dict[str, object]:
    """Return what there is, by the state: address → what it was made with."""
    state = json.loads((root / "terraform.tfstate").read_bytes())
    return {
        f"{one['type']}.{one['name']}": one["instances"][0]["attributes"]["input"]["value"]
        for one in state["resources"]
    }


class StateServer:
    """Keeps one state for Terraform's ``http`` backend, and who has locked it: a lock outlives its holder."""

    def __init__(self) -> None:
        self.state = b""
        self.lock: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._asked())
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def settings(self) -> dict[str, JsonValue]:
        address = f"http://127.0.0.1:{self._server.server_address[1]}/"
        return {"address": address, "lock_address": address, "unlock_address": address, "retry_max": "0"}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _asked(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a class, one short method for each verb
        kept = self

        class Asked(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if kept.state else 404, kept.state)

            def do_POST(self) -> None:
                kept.state = self._body()
                self._answer(200)

            def do_LOCK(self) -> None:
                wanted = json.loads(self._body())
                if kept.lock:
                    self._answer(423, json.dumps(kept.lock).encode())
                else:
                    kept.lock = wanted
                    self._answer(200)

            def do_UNLOCK(self) -> None:
                self._body()
                kept.lock = {}
                self._answer(200)

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def _answer(self, status: int, content: bytes = b"") -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        return Asked
