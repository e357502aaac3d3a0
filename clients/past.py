"""What has ended: as the server still lists it, and as receipts prove it for as long as the store is kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from pydantic import ValidationError

from activities.archive import Archive, turns_with_receipts
from activities.ports import SealError, Store, StoreError
from activities.spaces import Anywhere
from clients.overview import Row, list_rows
from domain.journal import Receipt
from domain.names import ENVIRONMENT, RELEASE, SERVICE, STORY, Subject
from domain.passage import History, Passage, Source, Wanted, passage_of, together

AT_ONCE: Final = 8
"""How many receipts are read at the same time."""
STORIES: Final = ("promotion", "rollback", "adoption", "settlement")
"""A deploy is told by its promotion."""


async def listed(client: Anywhere, wanted: Wanted) -> list[Passage]:
    """Return what the server remembers to have ended, newest first, within its retention."""
    stories = ", ".join(f"'{story}'" for story in STORIES)
    names = {SERVICE: wanted.service, ENVIRONMENT: wanted.environment, RELEASE: wanted.release}
    query = [f"{STORY} IN ({stories})", "ExecutionStatus != 'Running'"]
    # A run that goes on in another has not ended.
    query.append("ExecutionStatus != 'ContinuedAsNew'")
    query += [f"{name}='{value}'" for name, value in names.items() if value]
    if wanted.since:
        query.append(f"CloseTime >= '{wanted.since.isoformat()}'")
    rows = await list_rows(client, " AND ".join(query), limit=wanted.limit)
    return [_passage(row) for row in rows]


def _passage(row: Row) -> Passage:
    kind, _, last = row.id.rpartition("/")
    return Passage(
        id=row.id,
        story=row.story,
        service=row.service,
        environment=row.environment,
        release=row.release,
        outcome=row.outcome or row.state,
        by=row.actor,
        turn=int(last) if kind.startswith("change/") and last.isdecimal() else None,
        began=row.started,
        ended=row.ended or row.started,
        known_from=(Source.SERVER,),
    )


async def look_back(
    client: Anywhere | None, archive: tuple[Store, Archive] | None, wanted: Wanted
) -> History:
    """Return what is wanted, newest first, from whoever can be asked. What cannot be read is named."""
    found = await listed(client, wanted) if client else []
    sealed: list[Passage] = []
    unread: list[str] = []
    if archive:
        try:
            async for one in _receipts(*archive, wanted):
                if isinstance(one, str):
                    unread.append(one)
                elif wanted.fits(passage := passage_of(one)):
                    sealed.append(passage)
                    if len(sealed) == wanted.limit:
                        break
        except StoreError as error:
            unread.append(str(error))
    return History(passages=together(found, sealed, wanted.limit), unread=tuple(unread))


async def _receipts(store: Store, archive: Archive, wanted: Wanted) -> AsyncIterator[Receipt | str]:
    """Yield receipts, newest first, a few at a time; or why one is not believed."""
    there = await turns_with_receipts(store, wanted.service, wanted.environment)
    turns = sorted(there, key=lambda one: one[1], reverse=True)
    for first in range(0, len(turns), AT_ONCE):
        for read in await asyncio.gather(*(_read(archive, *one) for one in turns[first : first + AT_ONCE])):
            if read is not None:
                yield read


async def _read(archive: Archive, subject: Subject, turn: int) -> Receipt | str | None:
    try:
        return await archive.receipt(subject, turn)
    except SealError as error:
        return str(error)
    except ValidationError:
        return (
            f"The receipt of turn {turn} of {subject} cannot be read: it is damaged, or of a newer Towpath."
        )
