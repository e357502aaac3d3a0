"""What two releases do not have in common, file by file."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from domain.berth import Berth
from domain.names import Identifier
from domain.value import Digest, Value


class File(Value):
    """One thing in an artifact: a file by its content's digest, or a link by where it leads."""

    size: int = 0
    content: str
    executable: bool = False


class How(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class FileDifference(Value):
    """A file that one side has and the other has not, or has otherwise."""

    path: str
    how: How
    before: int | None = None
    """Its size in bytes, where it was."""
    after: int | None = None
    text: str = ""
    """How its text differs, as ``diff -u`` says it, where that was asked for and both are small texts."""


class ComponentDifference(Value):
    """How a component differs; without an artifact on one side, it is not there."""

    component: Berth
    before: Digest | None = None
    after: Digest | None = None
    before_version: str = ""
    after_version: str = ""
    files: tuple[FileDifference, ...] = ()


class Setting(Value):
    """What two manifests say otherwise."""

    name: str
    before: str = ""
    after: str = ""


class Difference(Value):
    """All of it. Nothing in it means that both are the same."""

    schema_version: Literal[1] = 1
    service: Identifier
    before: str
    after: str
    components: tuple[ComponentDifference, ...] = ()
    settings: tuple[Setting, ...] = ()


def compare(before: Mapping[str, File], after: Mapping[str, File]) -> tuple[FileDifference, ...]:
    """Return every path that is not the same on both sides, in order."""
    return tuple(
        FileDifference(
            path=path,
            how=_how(path, before, after),
            before=before[path].size if path in before else None,
            after=after[path].size if path in after else None,
        )
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    )


def _how(path: str, before: Mapping[str, File], after: Mapping[str, File]) -> How:
    if path not in before:
        return How.ADDED
    return How.REMOVED if path not in after else How.CHANGED


def compare_settings(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Setting, ...]:
    """Return what is written in two manifests and does not read the same."""
    return tuple(
        Setting(name=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "") != after.get(name, "")
    )
