"""Releases to place, deeds to place them by, and a look at what stands there afterwards."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from activities.ports import Deed
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence
from domain.journal import Capture
from domain.marker import MARKER_PATH
from domain.names import Subject
from domain.value import digest_of

SUBJECT = Subject(service="storefront", environment="dev")
COMPONENT = "site"


class Artifact(NamedTuple):
    file: Path
    placement: Placement


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """Make one member of an archive, of any kind and name."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def pack(folder: Path, version: str, *members: tuple[tarfile.TarInfo, bytes]) -> Artifact:
    """Write members to a tar file as they are, however unfit, and say where and what it is."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    artifact = digest_of(packed.getvalue())
    file = folder / f"{version}-{artifact[-8:]}.tar"
    file.write_bytes(packed.getvalue())
    release = digest_of(f"release {version}".encode())
    return Artifact(file, Placement(version=version, release=release, artifact=artifact))


def site(folder: Path, version: str, files: Mapping[str, bytes] | None = None) -> Artifact:
    """Pack a small site whose every file names its version, so that a mixture of two shows."""
    given = files or {name: version.encode() for name in ("index.html", "assets/app.js", "assets/deep/style.css")}
    return pack(folder, version, *(member(name, content) for name, content in given.items()))


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


def tree(folder: Path) -> dict[str, str]:
    """Read all of a tree but the marker: content, links and whether a file is a program."""
    found: dict[str, str] = {}
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            found[path.relative_to(folder).as_posix()] = _describe(path)
    return {path: what for path, what in found.items() if path not in {MARKER_PATH, ".well-known"}}


def _describe(path: Path) -> str:
    if path.is_symlink():
        return f"→ {path.readlink()}"
    if path.is_dir():
        return "folder"
    runs = "runs " if path.stat().st_mode & 0o100 else ""
    return runs + hashlib.sha256(path.read_bytes()).hexdigest()
