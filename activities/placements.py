"""The folder of a directory target: what ``current`` leads to, what it may lead to, and the newest fence.

Below the root::

    current                    → placements/<turn>.<act>
    placements/<turn>.<act>/   a tree, and its .well-known/towpath.json
    trees/<artifact digest>/   an artifact, unpacked once; the files of placements are hard links to these
    fence.json                 the newest fence seen
    lock                       held while comparing with fence.json, writing it and switching, no longer
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from activities.finishing import StillWanted
from activities.linking import Contents, contents_of, link_tree, see_onto_disk, settle
from activities.locks import can_lock, locked, own_lock
from activities.packing import CorruptArtifactError, unpack, verify_digest
from activities.ports import StaleFenceError, TargetRefusalError
from domain.fence import Fence, read_fence
from domain.marker import MARKER_PATH, Marker


class Standing(NamedTuple):
    """What ``current`` is: a link, with its text and a placement's marker; something else; or nothing."""

    link: str | None = None
    marker: Marker | None = None
    since: datetime | None = None
    is_no_link: bool = False


class Placements:
    """Blocking: for threads. Raises ``OSError`` as it comes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._current = root / "current"
        self._placements = root / "placements"
        self._trees = root / "trees"

    @property
    def can_lock(self) -> bool:
        return can_lock(self.root)

    def standing(self) -> Standing:
        try:
            link = os.readlink(self._current)  # noqa: PTH115 - a Path would tidy it
            since = datetime.fromtimestamp(self._current.lstat().st_mtime, UTC)
        except FileNotFoundError:
            return Standing()
        except OSError:
            if not self._current.exists() or self._current.is_symlink():
                raise
            return Standing(is_no_link=True)
        marker = self._marker(self.root / link)
        if marker is None and self._is_switched_from(link):
            return self.standing()
        return Standing(link, marker if marker and link == link_to(marker.fence) else None, since)

    def _is_switched_from(self, link: str) -> bool:
        try:
            return os.readlink(self._current) != link  # noqa: PTH115 - likewise
        except OSError:
            return True

    def _marker(self, placement: Path) -> Marker | None:
        try:
            return Marker.model_validate_json((placement / MARKER_PATH).read_bytes())
        except (OSError, ValidationError):
            return None

    def newest_fence(self) -> Fence | None:
        """Return the newest fence seen, by its file or what stands there. Raises ``TargetRefusalError``."""
        marker = self.standing().marker
        seen = [fence for fence in (self._written_fence(), marker and marker.fence) if fence]
        return max(seen, key=lambda fence: (fence.turn, fence.act), default=None)

    def _written_fence(self) -> Fence | None:
        file = self.root / "fence.json"
        try:
            return Fence.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as broken:
            raise TargetRefusalError(
                f"{file} cannot be read, so nobody can tell which deed was the last here. Write the newest "
                'fence into it, as {"turn": …, "act": …}, or remove it if nothing else writes to this folder.'
            ) from broken

    def refuse_older(self, fence: Fence) -> None:
        newest = self.newest_fence()
        if newest and newest.outranks(fence):
            raise StaleFenceError(f"Deed {fence} comes too late for {self.root}, which has seen {newest}.")

    @contextmanager
    def prepared(
        self, marker: Marker, artifact: Path | None, still_wanted: StillWanted
    ) -> Generator[Path, None, None]:
        """Make a placement in full, under a name that does not count; what is not made use of is removed."""
        self._placements.mkdir(parents=True, exist_ok=True)
        self._trees.mkdir(exist_ok=True)
        passing = self._placements / _passing(marker.fence)
        folder = passing / "tree"
        try:
            passing.mkdir()
            self._link(marker, artifact, folder, still_wanted)
            _write_durably(folder / MARKER_PATH, marker.canonical())
            see_onto_disk(folder)
            yield folder
        finally:
            shutil.rmtree(passing, ignore_errors=True)

    def _link(self, marker: Marker, artifact: Path | None, folder: Path, still_wanted: StillWanted) -> None:
        """Link the artifact's tree and read it all: a file may have been changed in another placement."""
        tree = self._trees / marker.artifact.removeprefix("sha256:")
        if tree.exists() and _is_linked(tree, folder, still_wanted):
            return
        is_damaged = tree.exists()
        if artifact is None:
            raise TargetRefusalError(
                f"{marker.version} of {marker.component} cannot be placed in {self.root}: "
                "its files there are gone or damaged, and its artifact was not to be had."
            )
        if is_damaged:
            self._discard(tree, marker.fence)
            shutil.rmtree(folder, ignore_errors=True)
        self._unpack(artifact, marker, tree, still_wanted)
        if not _is_linked(tree, folder, still_wanted):
            raise OSError(f"what was written below {self.root} is not what is read there now")

    def _unpack(self, artifact: Path, marker: Marker, tree: Path, still_wanted: StillWanted) -> None:
        passing = self._trees / _passing(marker.fence)
        try:
            passing.mkdir()
            verify_digest(artifact, marker.artifact)
            unpack(artifact, passing / "files")
            contents = contents_of(passing / "files", still_wanted)
            moment = self._next_moment(passing)
            settle(passing / "files", contents, moment)
            _write_durably(passing / "contents.json", json.dumps(contents))
            os.utime(passing / "contents.json", (moment, moment))
            _rename_unless_there(passing, tree)
            see_onto_disk(self._trees)
        except CorruptArtifactError as corrupt:
            raise TargetRefusalError(str(corrupt)) from corrupt
        finally:
            shutil.rmtree(passing, ignore_errors=True)

    def _next_moment(self, passing: Path) -> int:
        """Return a second that no other tree has: servers make an ETag of a file's size and time."""
        moment = int(passing.stat().st_mtime)
        for file in self._trees.glob("*/contents.json"):
            with suppress(FileNotFoundError):  # another attempt at the same deed takes its own away
                moment = max(moment, int(file.stat().st_mtime) + 1)
        return moment

    def switch(
        self,
        fence: Fence,
        link: str | None,
        prepared: Path | None,
        may_switch: Callable[[], bool],
        still_wanted: StillWanted,
    ) -> None:
        """Let ``current`` be this link, or nothing, unless a newer fence was seen.

        ``may_switch`` is asked under the lock, and may raise; where it says no, only the fence is remembered.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = self.root / "lock" if self.can_lock else own_lock(str(self.root.absolute()))
        with locked(lock, still_wanted):
            self.refuse_older(fence)
            switching = may_switch()
            still_wanted()
            self._write_fence(fence)
            if switching and prepared:
                self._discard(self.root / link_to(fence), fence)
                prepared.rename(self.root / link_to(fence))
                see_onto_disk(self._placements)
            if switching:
                self._point(link)

    def _write_fence(self, fence: Fence) -> None:
        fresh = self.root / ".fence.json"
        fresh.unlink(missing_ok=True)
        _write_durably(fresh, fence.canonical())
        fresh.replace(self.root / "fence.json")
        see_onto_disk(self.root)

    def _point(self, link: str | None) -> None:
        if link is None:
            self._current.unlink(missing_ok=True)
        else:
            fresh = self.root / ".current"
            fresh.unlink(missing_ok=True)
            os.symlink(link, fresh)  # noqa: PTH211 - likewise
            fresh.replace(self._current)
        see_onto_disk(self.root)

    def prune(self, keep: int, fence: Fence) -> None:
        """Remove what neither the newest placements nor ``current`` need, and what outranked deeds left.

        What is newer than this fence is somebody else's, and what has no marker may be anybody's: both stay.
        """
        ours = self._ours()
        old = sorted(
            (seen for seen in ours if not seen.outranks(fence)), key=lambda seen: (seen.turn, seen.act)
        )
        current = self.standing().link
        for seen in old[:-keep]:
            if link_to(seen) != current:
                self._discard(self.root / link_to(seen), fence)
        passing = {
            folder: _read_passing(folder)
            for part in (self._trees, self._placements)
            for folder in part.glob(".*")
        }
        for folder, deed in passing.items():
            if deed is not None and fence.outranks(deed):
                shutil.rmtree(folder, ignore_errors=True)
        if not any(deed is not None and deed.outranks(fence) for deed in passing.values()):
            self._prune_trees(fence)  # else a newer deed may be about to link one

    def _prune_trees(self, fence: Fence) -> None:
        needed = {marker.artifact.removeprefix("sha256:") for marker in self._ours().values()}
        for tree in self._trees.glob("[!.]*"):
            if tree.name not in needed:
                self._discard(tree, fence)

    def _ours(self) -> dict[Fence, Marker]:
        markers = map(self._marker, self._placements.glob("[!.]*"))
        return {marker.fence: marker for marker in markers if marker}

    def _discard(self, folder: Path, fence: Fence) -> None:
        """Remove a folder so that a kill in the middle leaves none that looks whole."""
        if folder.exists():
            gone = folder.parent / _passing(fence)
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def link_to(fence: Fence) -> str:
    return f"placements/{fence}"


def _passing(fence: Fence) -> str:
    """Name a folder on its way in or out. What an outranked deed left under such a name is nobody's."""
    return f".{fence}.{secrets.token_hex(4)}"


def _read_passing(folder: Path) -> Fence | None:
    try:
        return read_fence(folder.name.removeprefix(".").rpartition(".")[0])
    except ValueError:
        return None


def _rename_unless_there(folder: Path, name: Path) -> None:
    try:
        folder.rename(name)
    except OSError:
        if not name.exists():
            raise


def _is_linked(tree: Path, folder: Path, still_wanted: StillWanted) -> bool:
    """Link a tree into a new folder; tell whether the folder holds what was once unpacked."""
    try:
        contents: Contents = json.loads((tree / "contents.json").read_bytes())
        link_tree(tree / "files", contents, folder, still_wanted)
    except (FileNotFoundError, ValueError):
        return False
    return contents_of(folder, still_wanted) == contents


def _write_durably(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("x", encoding="utf-8") as written:
        written.write(text)
        written.flush()
        os.fsync(written.fileno())
