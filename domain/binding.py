"""Pages that are written once each, and bound each to the text of the one before: so that none vanishes unnoticed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from pydantic import Field

from domain.value import Digest, Value


class BoundPage(Value):
    """A page, by its number from 1, and ``before``, the digest of the text of the one before it."""

    number: int = Field(ge=1)
    before: Digest | None = None
    at: datetime
    """When it was written, by the worker's own clock."""


PageT = TypeVar("PageT", bound=BoundPage)


class Read(NamedTuple, Generic[PageT]):
    """A page as it was read, and the digest of its text."""

    page: PageT
    digest: Digest


def binding_faults(of: str, pages: Sequence[Read[PageT]]) -> Iterator[str]:
    """Say which pages were taken out, put in, or exchanged. Of the newest only what names it tells.

    ``pages`` are in order of the numbers that they are kept under.
    """
    for number, one in enumerate(pages, start=1):
        if one.page.number != number:
            yield f"page {number} of {of} is not there any more"
            return
    for before, after in pairwise(pages):
        if after.page.before != before.digest:
            yield f"page {after.page.number} of {of} does not follow on the one before"
    if pages and pages[0].page.before is not None:
        yield f"the first page of {of} follows on another one"
