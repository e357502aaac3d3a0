"""Rows of sealed pages in the store: each is written once, under its number, and bound to the one before."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from pydantic import ValidationError

from activities.archive import Archive, Kept
from activities.ports import BadSealError, Store
from domain.logbook import LogPage
from domain.trail import Page
from domain.value import Value

PaperT = TypeVar("PaperT", bound=Value)
PageT = TypeVar("PageT", Page, LogPage)
TRIES: Final = 20
"""How often a page is written anew because another worker was quicker."""
_LONGEST_NUMBER: Final = 12
"""Digits. What has more is not of ours, and would leave no room for a next."""


class Pages(Generic[PageT]):
    """One row, below its prefix. Two workers may write it at once: of two with one number one is kept."""

    def __init__(
        self, store: Store, archive: Archive, environment: str, prefix: str, kind: type[PageT]
    ) -> None:
        self._store = store
        self._archive = archive
        self._environment = environment
        self._prefix = prefix
        self._kind: type[PageT] = kind

    async def numbers(self) -> list[int]:
        return numbers_in(await self._store.list(self._prefix))

    async def read(self, number: int) -> Kept[PageT]:
        """Read a page. Raises ``BadSealError`` where what stands there is not to be believed."""
        return await believed(self._archive, f"{self._prefix}/{number}.json", self._environment, self._kind)

    async def text(self, number: int) -> bytes:
        """Read what stands there, be it a page or not."""
        return await self._store.read(f"{self._prefix}/{number}.json")

    async def newest(self) -> Kept[PageT] | None:
        numbers = await self.numbers()
        return await self.read(numbers[-1]) if numbers else None

    async def write(self, page: PageT) -> Kept[PageT]:
        """Write a page; return the one that stands under its number, whoever wrote it."""
        return await self._archive.write_page(self._environment, page)

    async def add(
        self,
        after: Callable[[Kept[PageT] | None], PageT | None],
        newest: Kept[PageT] | None = None,
    ) -> None:
        """Write the page that comes after the newest; one that another worker wrote meanwhile comes before it.

        ``after`` makes it, or None where the row says so already. ``newest`` is the newest page, where somebody has
        just read it. Raises ``TimeoutError`` where others were always quicker.
        """
        newest = newest or await self.newest()
        for _ in range(TRIES):
            page = after(newest)
            if page is None:
                return
            newest = await self.write(page)
        message = f"“{self._prefix}” was written by others {TRIES} times in between."
        raise TimeoutError(message)


async def believed(archive: Archive, key: str, environment: str, kind: type[PaperT]) -> Kept[PaperT]:
    """Read a paper. Raises ``BadSealError`` also where nobody can read what stands there."""
    try:
        return await archive.read(key, environment, kind)
    except ValidationError as error:
        raise BadSealError(
            f"“{key}” in the store cannot be read: it was altered, or a newer Towpath wrote it"
        ) from error


def numbers_in(keys: list[str]) -> list[int]:
    """Return the numbers that keys end in, in order; what ends in none is passed over."""
    names = [key.rsplit("/", 1)[1].removesuffix(".json") for key in keys]
    return sorted(int(name) for name in names if name.isdecimal() and len(name) <= _LONGEST_NUMBER)
