"""The trails of an environment's promotions, and the ledgers of its lanes, in the store."""

from collections.abc import Callable

from activities.archive import Archive, Kept
from activities.pages import TRIES, Pages, believed, numbers_in
from activities.ports import BadSealError, Clock, Store
from domain.names import Subject, ledger_prefix, segment_key, trail_prefix
from domain.record import Record
from domain.trail import Closed, DisagreementError, Page, Piece, Segment, Trail, next_segment, page_after
from domain.value import Digest


class Trails:
    """Keeps records, write-ahead and once. What it is given twice, it keeps once; what stands, stands."""

    def __init__(self, store: Store, archive: Archive, clock: Clock) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock

    async def keep(self, trail: Trail, piece: Piece, newest: Kept[Page] | None = None) -> None:
        """Keep what of a piece is not kept yet; open the trail in the ledger first, and close it last.

        ``newest`` is the ledger's newest page, where somebody has just read it. Raises ``BadSealError`` where what
        stands there is not to be believed or tells another story, and ``StoreError`` as the store does.
        """
        await self._keep_after(await self._last(trail), trail, piece, newest)

    async def close(
        self,
        trail: Trail,
        piece: Piece,
        ending: Callable[[Digest], Record],
        how: str,
        newest: Kept[Page] | None,
    ) -> None:
        """Keep what of a piece is not kept yet, and a last record made of the link before it. Raises like ``keep``."""
        last = await self._keep_after(await self._last(trail), trail, piece, newest)
        end = _end_after(last)
        await self._keep_after(last, trail, end.but(records=(ending(end.anchor),), closed=how), newest)

    async def _keep_after(
        self, last: Kept[Segment] | None, trail: Trail, piece: Piece, newest: Kept[Page] | None
    ) -> Kept[Segment] | None:
        if last is None:
            await self._note(trail, newest)
        for _ in range(TRIES):
            segment = _next(trail, piece, last, self._clock)
            if segment is None:
                break
            last = await self._archive.write_segment(segment)
        if last and last.paper.closed:
            await self._note(
                Closed(
                    trail=trail,
                    count=last.paper.end,
                    head=last.paper.head,
                    segment=last.digest,
                    how=last.paper.closed,
                ),
                newest,
            )
        return last

    async def is_open(self, trail: Trail) -> bool:
        """Tell whether anything of a trail is kept."""
        return bool(await self._store.list(trail_prefix(trail.subject, trail.version, trail.run)))

    async def end_of(self, trail: Trail) -> Piece:
        """Return the empty piece that comes after all that is kept."""
        return _end_after(await self._last(trail))

    async def newest_page(self, subject: Subject) -> Kept[Page] | None:
        return await self._ledger(subject).newest()

    async def _last(self, trail: Trail) -> Kept[Segment] | None:
        subject = trail.subject
        firsts = numbers_in(await self._store.list(trail_prefix(subject, trail.version, trail.run)))
        if not firsts:
            return None
        key = segment_key(subject, trail.version, trail.run, firsts[-1])
        return await believed(self._archive, key, subject.environment, Segment)

    async def _note(self, event: Trail | Closed, newest: Kept[Page] | None) -> None:
        """Write the ledger's next page, unless it says so already."""
        subject = event.trail.subject if isinstance(event, Closed) else event.subject

        def after(newest: Kept[Page] | None) -> Page | None:
            before = newest.digest if newest else None
            return page_after(newest.paper if newest else None, before, event, self._clock.now())

        await self._ledger(subject).add(after, newest)

    def _ledger(self, subject: Subject) -> Pages[Page]:
        return Pages(self._store, self._archive, subject.environment, ledger_prefix(subject), Page)


def _end_after(last: Kept[Segment] | None) -> Piece:
    if last is None:
        return Piece()
    return Piece(first=last.paper.end, anchor=last.paper.head, written=last.paper.end)


def _next(trail: Trail, piece: Piece, last: Kept[Segment] | None, clock: Clock) -> Segment | None:
    try:
        return next_segment(
            trail, piece, last.paper if last else None, last.digest if last else None, clock.now()
        )
    except DisagreementError as error:
        raise BadSealError(str(error)) from error
