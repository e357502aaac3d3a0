"""Releases to place, deeds to place them by, and a look at what stands there afterwards."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from activities.packing import pack
from activities.ports import Deed
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence
from domain.journal import Capture
from domain.names import Subject
from domain.value import digest_of

SUBJECT = Subject(service="storefront", environment="dev")
COMPONENT = "site"
FILES = ("index.html", "assets/app.js", "assets/deep/style.css")


class Artifact(NamedTuple):
    file: Path
    placement: Placement


def site(folder: Path, version: str, files: Mapping[str, bytes] | None = None) -> Artifact:
    """Pack a small site whose every file names its version, so that a mixture of two shows."""
    source = folder / f"source-{version}"
    for name, content in (files or {name: version.encode() for name in FILES}).items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    return packed(source, version)


def packed(source: Path, version: str) -> Artifact:
    file = source.with_name(f"{version}.tar")
    digest = pack(source, file).digest
    release = digest_of(f"release {version}".encode())
    return Artifact(file, Placement(version=version, release=release, artifact=digest))


def deed(
    turn: int,
    act: int,
    artifact: Artifact | None = None,
    *,
    capture: Capture | None = None,
    said: Callable[[str], None] = lambda _: None,
) -> Deed:
    """Place an artifact, or put a capture back; the artifact is then the captured one's."""
    after: Holding = artifact.placement if artifact else Absent()
    return Deed(
        subject=SUBJECT,
        component=COMPONENT,
        fence=Fence(turn=turn, act=act),
        after=capture.holding if capture else after,
        artifact=artifact.file if artifact else None,
        capture=capture,
        said=said,
    )


def look(folder: Path) -> dict[str, str]:
    """Read all of a tree but the marker: content, links and whether a file is a program."""
    found: dict[str, str] = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            found[path.relative_to(folder).as_posix()] = _describe(path)
    return {path: what for path, what in found.items() if not path.startswith(".well-known")}


def _describe(path: Path) -> str:
    if path.is_symlink():
        return f"→ {path.readlink()}"
    if path.is_dir():
        return "folder"
    runs = "runs " if path.stat().st_mode & 0o100 else ""
    return runs + hashlib.sha256(path.read_bytes()).hexdigest()
