"""Which files a release may not hold, which it must, and how large one may be."""

import asyncio
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, ClassVar, Final, NamedTuple, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from activities.ports import Case, Desk, Judgement
from domain.names import Identifier
from domain.size import Size, say_size
from domain.value import Value

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Patterns = Annotated[tuple[Pattern, ...], Field(max_length=100)]
_SHOWN: Final = 3


class FilePolicy(Value):
    """Patterns as in shells: one with a slash is of the whole path, one without is of a name in any folder."""

    forbid: Patterns = ()
    require: Patterns = ()
    largest: Size | None = None
    component: Identifier | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.forbid and not self.require and self.largest is None:
            raise ValueError("this asks for nothing; write forbid, require or largest")
        return self


class FilesSettings(Value):
    """What people may write about a files rule."""

    files: FilePolicy


class _File(NamedTuple):
    component: str
    path: str
    size: int

    def fits(self, pattern: str) -> bool:
        anchored = "/" in pattern
        return fnmatchcase(self.path if anchored else self.path.rpartition("/")[2], pattern.removeprefix("/"))


class FilesRule:
    """Reads the names in the artifacts whose digests were just verified. Images have none to be read."""

    settings: ClassVar[type[Value]] = FilesSettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        del desk  # nothing here is relative to it
        self._policy = FilesSettings.model_validate(settings).files

    async def judge(self, case: Case) -> Judgement:
        chosen = {name: tar for name, tar in case.artifacts.items() if self._policy.component in {None, name}}
        try:
            files = await asyncio.to_thread(_listed, chosen)
        except (OSError, tarfile.TarError) as broken:
            return Judgement(passed=False, sentence=f"the files could not be listed: {broken}")
        wrong = list(self._objections(files))
        if wrong:
            return Judgement(passed=False, sentence="; ".join(wrong))
        return Judgement(passed=True, sentence=f"its files are as they should be, {len(files):,} of them")

    def _objections(self, files: Sequence[_File]) -> Iterator[str]:
        # A secret is one however it is spelt; what is to be found must be found by its name.
        lower = [file._replace(path=file.path.casefold()) for file in files]
        forbidden = [
            file
            for file, plain in zip(files, lower, strict=True)
            if any(plain.fits(pattern.casefold()) for pattern in self._policy.forbid)
        ]
        if forbidden:
            yield f"it holds {_name(forbidden)}, which must not be in a release: take it out of the source"
        for pattern in self._policy.require:
            if not any(file.fits(pattern) for file in files):
                yield f"it holds no “{pattern}”: check that it was built, and from where"
        largest = self._policy.largest
        if largest is not None and (large := [file for file in files if file.size > largest]):
            yield f"it holds {_name(large)}, of more than {say_size(largest)}: keep large files elsewhere"


def _name(files: Sequence[_File]) -> str:
    shown = ", ".join(f"{file.component}/{file.path}" for file in files[:_SHOWN])
    more = len(files) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown


def _listed(artifacts: Mapping[str, Path]) -> list[_File]:
    return [file for component, tar in artifacts.items() for file in _in(component, tar)]


def _in(component: str, tar: Path) -> Iterable[_File]:
    with tarfile.open(tar, "r:", encoding="utf-8") as archive:
        for member in archive:
            if not member.isdir():
                yield _File(component, member.name.removeprefix("./"), member.size)
