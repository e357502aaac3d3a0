"""A folder on this machine, or mounted there: ``current`` leads to what is placed, and switches at once."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, JsonValue

from activities.ports import Deed, Observation, Place
from activities.trees import Trees
from domain.plan import Undo
from domain.value import Value


class DirectorySettings(Value):
    """What people may write about a directory target."""

    root: str = Field(min_length=1)
    keep: int = Field(default=5, ge=1, le=1000)


class DirectoryTarget:
    """Places trees of files. See ``docs/how-to/targets/directory.md``."""

    settings: ClassVar[type[Value]] = DirectorySettings

    def __init__(self, settings: Mapping[str, JsonValue], place: Place) -> None:
        given = DirectorySettings.model_validate(settings)
        self._trees = Trees(place.folder / given.root, given.keep, place)

    @property
    def undo(self) -> Undo:
        return Undo.RESTORE

    @property
    def fenced(self) -> bool:
        return self._trees.can_lock

    @property
    def repeatable(self) -> bool:
        return True

    async def observe(self) -> Observation:
        return await self._trees.observe()

    async def place(self, deed: Deed) -> None:
        """Switch to the artifact's tree. Reading ``current`` finds the old tree or the new one, whole."""
        await self._trees.place(deed)

    async def restore(self, deed: Deed) -> None:
        """Put the captured content back under the new fence; a link that was not ours, as it was."""
        await self._trees.restore(deed)
