"""The trails of an environment's promotions, and the ledgers of its lanes, in the store."""

from activities.archive import Archive, Kept
from activities.pages import TRIES, Pages, believed, numbers_in
from activities.ports import BadSealError, Clock, Store
from domain.names import Subject, ledger_prefix, segment_key, trail_prefix
from domain.trail import Closed, DisagreementError, Page, Piece, Segment, Trail, next_segment, page_after


class Trails:
    """Keeps records, write-ahead and once. What it is given twice, it keeps once; what stands, stands."""

    def __init__(self, store: Store, archive: Archive, clock: Clock) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock

    async def keep(self, trail: Trail, piece: Piece) -> None:
        """Keep what of a piece is not kept yet; open the trail in the ledger first, and close it last.

        Raises ``BadSealError`` where what stands there is not to be believed or tells another story, and
        ``StoreError`` as the store does.
        """
        last = await self._last(trail)
        if last is None:
            await self._note(trail)
        for _ in range(TRIES):
            segment = _next(trail, piece, last, self._clock)
            if segment is None:
                break
            await self._archive.write_segment(segment)
            last = await self._last(trail)
        if last and last.paper.closed:
            await self._note(
                Closed(
                    trail=trail,
                    count=last.paper.end,
                    head=last.paper.head,
                    segment=last.digest,
                    how=last.paper.closed,
                )
            )

    async def is_open(self, trail: Trail) -> bool:
        """Tell whether anything of a trail is kept."""
        return bool(await self._store.list(trail_prefix(trail.subject, trail.version, trail.run)))

    async def end_of(self, trail: Trail) -> Piece:
        """Return the empty piece that comes after all that is kept."""
        last = await self._last(trail)
        if last is None:
            return Piece()
        return Piece(first=last.paper.end, anchor=last.paper.head, written=last.paper.end)

    async def newest_page(self, subject: Subject) -> Kept[Page] | None:
        return await self._ledger(subject).newest()

    async def _last(self, trail: Trail) -> Kept[Segment] | None:
        subject = trail.subject
        firsts = numbers_in(await self._store.list(trail_prefix(subject, trail.version, trail.run)))
        if not firsts:
            return None
        key = segment_key(subject, trail.version, trail.run, firsts[-1])
        return await believed(self._archive, key, subject.environment, Segment)

    async def _note(self, event: Trail | Closed) -> None:
        """Write the ledger's next page, unless it says so already."""
        subject = event.trail.subject if isinstance(event, Closed) else event.subject

        def after(newest: Kept[Page] | None) -> Page | None:
            before = newest.digest if newest else None
            return page_after(newest.paper if newest else None, before, event, self._clock.now())

        await self._ledger(subject).add(after)

    def _ledger(self, subject: Subject) -> Pages[Page]:
        return Pages(self._store, self._archive, subject.environment, ledger_prefix(subject), Page)


def _next(trail: Trail, piece: Piece, last: Kept[Segment] | None, clock: Clock) -> Segment | None:
    try:
        return next_segment(
            trail, piece, last.paper if last else None, last.digest if last else None, clock.now()
        )
    except DisagreementError as error:
        raise BadSealError(str(error)) from error
