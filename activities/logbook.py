"""An environment's logbook, as its own worker writes it: page by page, sealed, each bound to the one before."""

from typing import Final

from pydantic import ValidationError
from temporalio import activity

from activities.archive import Archive
from activities.owing import Owing
from activities.pages import TRIES, Pages
from activities.ports import BadSealError, NoKeyError, NotInStoreError, StoreError
from activities.tools import Tools
from domain.logbook import LogPage, Note
from domain.names import log_prefix
from domain.value import Digest, digest_of

LOOKED_AT: Final = 200
"""So many of the newest pages a worker reads when it first has to write, lest it notes again what stands there."""


class Logbook:
    """Notes what is said and tried in one environment. Nothing waits for it, and nothing fails because of it."""

    def __init__(self, tools: Tools, archive: Archive) -> None:
        self._environment = tools.environment
        self._clock = tools.clock
        self._pages = Pages(tools.store, archive, tools.environment, log_prefix(tools.environment), LogPage)
        self._number = 0
        self._digest: Digest | None = None
        self._known = set[str]()
        self._owed: Owing[Note] = Owing(f"logbook of {tools.environment}", self._write)

    async def note(self, *notes: Note) -> None:
        """Write notes down, in this order. What is noted already, by whichever worker, is not noted again.

        Where the store takes none, they are written once it does.
        """
        fresh = [one for one in notes if one.same_as not in self._known]
        if fresh:
            await self._owed.add(*fresh)

    async def newest(self) -> Digest | None:
        """Return what stands for the whole logbook now; nothing where there is none, or the store cannot be read."""
        await self._owed.settle()
        try:
            numbers = await self._pages.numbers()
            if not numbers or numbers[-1] <= self._number:
                return self._digest
            return (await self._look(numbers[-1]))[0]
        except (StoreError, NoKeyError) as error:
            self._warn("logbook_not_read", error)
            return None

    async def _write(self, note: Note) -> None:
        for _ in range(TRIES):
            await self._catch_up()
            if note.same_as in self._known:
                return
            page = LogPage(
                environment=self._environment,
                number=self._number + 1,
                before=self._digest,
                note=note,
                at=self._clock.now(),
            )
            if await self._is_written(page):
                self._turn(page.number, digest_of(page.canonical().encode()), page)
                return
        message = f"others were quicker {TRIES} times"
        raise TimeoutError(message)

    async def _is_written(self, page: LogPage) -> bool:
        try:
            return (await self._pages.write(page)).paper == page
        except (BadSealError, ValidationError):
            return False  # what stands there is no page: the next one comes after it

    async def _catch_up(self) -> None:
        """Read what other workers have written since. A page that was taken out is never written in its place."""
        numbers = await self._pages.numbers()
        if self._number and (not numbers or numbers[-1] < self._number):
            self._warn("logbook_cut", f"page {self._number} is not there any more")
        for number in [number for number in numbers if number > self._number][-LOOKED_AT:]:
            digest, page = await self._look(number)
            self._turn(number, digest, page)

    async def _look(self, number: int) -> tuple[Digest | None, LogPage | None]:
        """Read a page. Of what stands there and is none, the digest: the next one is bound to that."""
        try:
            kept = await self._pages.read(number)
        except NotInStoreError:
            return None, None
        except BadSealError as error:
            self._warn("logbook_not_believed", error)
            return digest_of(await self._pages.text(number)), None
        return kept.digest, kept.paper

    def _turn(self, number: int, digest: Digest | None, page: LogPage | None) -> None:
        self._number, self._digest = number, digest
        if page and page.note.same_as:
            self._known.add(page.note.same_as)

    def _warn(self, event: str, why: object) -> None:
        activity.logger.warning(event, extra={"environment": self._environment, "why": str(why)})
