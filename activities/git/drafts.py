"""Trees that a deed, or its undo, makes of what a branch holds."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from activities.git.clone import Clone
from activities.git.edits import edited, put_back, seen
from activities.git.settings import Write
from activities.git.trees import Draft, Tree, merged
from activities.packing import CorruptArtifactError, unpack, verify_digest
from activities.ports import Deed, TargetRefusalError
from activities.yaml_places import NoPlaceError
from domain.environment import Absent, Placement


@asynccontextmanager
async def unpacked(deed: Deed, writes: Sequence[Write]) -> AsyncGenerator[Path | None, None]:
    """Have the release's files in a folder, where they are to be copied. Raises ``TargetRefusalError``."""
    if not any(write.is_copy for write in writes) or not isinstance(deed.after, Placement):
        yield None
        return
    if deed.artifact is None:
        raise TargetRefusalError(
            f"{deed.component} of {deed.after.version} has no files that could be copied: it is an image. "
            "Write values only."
        )
    with tempfile.TemporaryDirectory(prefix="towpath-git-") as passing:
        folder = Path(passing, "files")
        try:
            await asyncio.to_thread(verify_digest, deed.artifact, deed.after.artifact)
            await asyncio.to_thread(unpack, deed.artifact, folder)
        except CorruptArtifactError as corrupt:
            raise TargetRefusalError(str(corrupt)) from corrupt
        yield folder


async def draft_deed(
    draft: Draft, before: Tree, writes: Sequence[Write], deed: Deed, files: Path | None
) -> None:
    """Write what the release says. Raises ``TargetRefusalError``, a sentence, where that cannot be."""
    for write in (one for one in writes if one.is_copy):
        await before.item(write.where)
        if isinstance(deed.after, Absent):
            await draft.clear(write.where)
        else:
            await draft.put_files(write.where, _part(files, write, deed))
    for file, several in _by_file(writes):
        if isinstance(deed.after, Absent):
            raise TargetRefusalError(f"Nothing is to stand at {file}, and a value cannot be written away.")
        text = await before.text(file)
        if text is None:
            raise TargetRefusalError(
                f"There is no {file} in {before.address}. Make it there first, or mend its path under write:."
            )
        for write in several:
            with _in(file, before):
                text = await asyncio.to_thread(edited, write, text, deed)
        await draft.put_text(file, text)


def _part(files: Path | None, write: Write, deed: Deed) -> Path:
    part = files / (write.source or "") if files else None
    if part is None or not (part.exists() or part.is_symlink()) or (write.file and part.is_dir()):
        raise TargetRefusalError(
            f"{deed.component} of {deed.after} has no {'file' if write.file else 'folder'} {write.source}, which is "
            f"to be written to {write.where}."
        )
    return part


class Undone(NamedTuple):
    """What an undo is made of: what is found, what the deed had written, and what stood there before."""

    found: Tree
    written: Tree
    before: Tree


async def draft_undo(draft: Draft, clone: Clone, trees: Undone, writes: Sequence[Write]) -> None:
    """Put back what stood there before, and leave what others have changed beside it. Raises as ``draft_deed``."""
    for write in (one for one in writes if one.is_copy):
        await draft.put_tree(write.where, await trees.before.item(write.where))
    for file, several in _by_file(writes):
        captured, ours, now = [await tree.text(file) for tree in (trees.before, trees.written, trees.found)]
        if now == captured:
            continue
        if captured is None or now in {ours, None}:
            await draft.put_tree(file, await trees.before.item(file))
        else:
            with _in(file, trees.found):
                await draft.put_text(
                    file, await _undone(clone, several, captured, ours or captured, now or "")
                )


async def _undone(clone: Clone, writes: Sequence[Write], captured: str, ours: str, now: str) -> str:
    """Take our change out of a text that others have changed since; else, each value by itself."""
    text = await merged(clone, now, ours, captured)
    try:
        if text is not None and await asyncio.to_thread(_is_seen_alike, writes, text, captured):
            return text
    except NoPlaceError:
        pass
    for write in writes:
        now = await asyncio.to_thread(put_back, write, now, captured)
    return now


def _is_seen_alike(writes: Sequence[Write], text: str, other: str) -> bool:
    return all(seen(write, text) == seen(write, other) for write in writes)


def _by_file(writes: Sequence[Write]) -> list[tuple[str, list[Write]]]:
    edits = sorted((write for write in writes if not write.is_copy), key=lambda write: write.where)
    return [(file, list(several)) for file, several in groupby(edits, key=lambda write: write.where)]


@contextmanager
def _in(file: str, tree: Tree) -> Generator[None, None, None]:
    try:
        yield
    except NoPlaceError as no:
        raise TargetRefusalError(f"{file} in {tree.address} was left as it is: {no}.") from no
