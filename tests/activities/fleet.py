"""An environment repository of somebody's: bare, with people who push to it, and served over HTTP if need be."""

import base64
import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import urlsplit

PEOPLE = {
    **{f"GIT_{role}_NAME": "Jo Doe" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "jo@shop.example" for role in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}

KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop   # production's own
resources:
  - ../../base
images:
  - name: registry.example/shop/web
    newTag: 1.0.0 # {"$imagepolicy": "shop:web:tag"}
"""
VALUES = """\
# values of production
replicas: 3
image:
    repository: registry.example/shop/web
    tag: "1.0.0"     # written by releases
resources: {limits: {memory: 256Mi}}
password: hunter22
"""
RELEASE = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: web
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: web
spec:
  chart:
    spec: {chart: web, version: '1.0.0'}
  values:
    image:
      tag: 1.0.0
"""
APPLICATIONS = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: web
spec:
  generators:
    - list:
        elements:
          - cluster: staging
            version: 1.0.0
          - cluster: production
            version: 1.0.0
  template:
    spec:
      source:
        targetRevision: '{{version}}'
"""
FILES: Mapping[str, str] = {
    "apps/web/overlays/production/kustomization.yaml": KUSTOMIZATION,
    "charts/web/values-production.yaml": VALUES.replace("\n", "\r\n"),
    "clusters/production/web.yaml": RELEASE.removesuffix("\n"),
    "argo/web.yaml": APPLICATIONS,
    "config/web.json": '{\n\t"web": {"image": "registry.example/shop/web:1.0.0", "port": 80}\n}\n',
    "README.md": "# Fleet\n",
}
"""What such repositories hold; one file has another system's line ends, one has no last one."""


class Fleet:
    """The repository, and somebody's working copy of it."""

    def __init__(self, folder: Path, files: Mapping[str, str] = FILES) -> None:
        self.bare = folder / "fleet.git"
        self.copy = folder / "copy"
        _git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        _git(folder, "clone", "--quiet", str(self.bare), str(self.copy))
        _git(self.copy, "checkout", "--quiet", "-B", "main")
        self.push(files)

    def push(self, files: Mapping[str, str | None], *, onto: str = "main") -> str:
        """Somebody changes files, upon what is there, and pushes that."""
        _git(self.copy, "fetch", "--quiet", "origin")
        if onto in self("for-each-ref", "--format=%(refname:short)", "refs/heads").split():
            _git(self.copy, "reset", "--quiet", "--hard", f"origin/{onto}")
        for name, text in files.items():
            file = self.copy / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_bytes(text.encode())
        _git(self.copy, "add", "--all")
        _git(self.copy, "commit", "--quiet", "--allow-empty", "-m", "By hand")
        _git(self.copy, "push", "--quiet", "origin", f"HEAD:refs/heads/{onto}")
        return self("rev-parse", onto).strip()

    def merge(self, branch: str) -> None:
        """Somebody merges a branch, in a merge commit of their own."""
        _git(self.copy, "fetch", "--quiet", "origin")
        _git(self.copy, "reset", "--quiet", "--hard", "origin/main")
        _git(self.copy, "merge", "--quiet", "--no-ff", "-m", "Merge", f"origin/{branch}")
        _git(self.copy, "push", "--quiet", "origin", "HEAD:refs/heads/main")

    def files(self, branch: str = "main") -> dict[str, str]:
        names = self("ls-tree", "-r", "--name-only", branch).splitlines()
        return {name: self("show", f"{branch}:{name}") for name in names}

    def messages(self, branch: str = "main") -> list[str]:
        return self("log", "--format=%B%x00", branch).split("\0\n")[:-1]

    def hook(self, name: str, script: str) -> None:
        """Have the host do something when somebody pushes."""
        file = self.bare / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def __call__(self, *words: str) -> str:
        return _git(self.bare, *words)


def _git(folder: Path, *words: str) -> str:
    run = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **PEOPLE}, capture_output=True, check=False
    )
    assert run.returncode == 0, (words, run.stderr)
    return run.stdout.decode()


class _Host(BaseHTTPRequestHandler):
    root: ClassVar[Path]
    login: ClassVar[str]

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != self.login:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="fleet"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer()

    do_POST = do_GET  # noqa: N815 - the library's name

    def _answer(self) -> None:
        split = urlsplit(self.path)
        about = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": split.path,
            "QUERY_STRING": split.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "somebody",
            "PATH": os.environ["PATH"],
        }
        ran = subprocess.run(
            ["git", "http-backend"], input=self._body(), env=about, capture_output=True, check=False
        )
        head, _, content = ran.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, text in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def served(folder: Path, user: str, password: str) -> Generator[str]:
    """Serve the repositories below a folder, as hosts of git do, to whoever has the password."""

    class Asked(_Host):
        root = folder
        login = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
