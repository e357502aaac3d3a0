"""How large a release may be."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, JsonValue

from activities.ports import Case, Desk, Judgement
from domain.names import Identifier
from domain.size import Size, say_size
from domain.value import Value


class SizeLimit(Value):
    """What is measured, and how large that may be."""

    at_most: Size
    files: int | None = Field(default=None, ge=1)
    component: Identifier | None = None


class ReleaseSizeSettings(Value):
    """What people may write about a release_size rule."""

    release_size: SizeLimit


class ReleaseSizeRule:
    """Adds up what the manifest says, which the store's artifacts were verified against. Images count nothing."""

    settings: ClassVar[type[Value]] = ReleaseSizeSettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        del desk  # nothing here is relative to it
        self._limit = ReleaseSizeSettings.model_validate(settings).release_size

    async def judge(self, case: Case) -> Judgement:
        limit = self._limit
        parts = [one for one in case.release.components if limit.component in {None, one.name}]
        size, files = sum(part.size for part in parts), sum(part.files for part in parts)
        what = limit.component or f"release {case.release.version}"
        if size > limit.at_most:
            return Judgement(
                passed=False,
                sentence=f"{what} takes {say_size(size)}, which is more than {say_size(limit.at_most)}: leave out "
                "what it does not need",
            )
        if limit.files is not None and files > limit.files:
            return Judgement(
                passed=False, sentence=f"{what} has {files:,} files, which is more than {limit.files:,}"
            )
        return Judgement(passed=True, sentence=f"{what} takes {say_size(size)} in {files:,} files")
