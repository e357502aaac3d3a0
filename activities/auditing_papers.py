"""Reading sealed papers as an auditor does: a paper to the letter as it was sealed, or why it is not one."""

from collections.abc import Iterable
from typing import Final, TypeVar

from pydantic import ValidationError

from activities.archive import Archive, Kept
from activities.ports import NotInStoreError, SealError
from domain.value import Value

PaperT = TypeVar("PaperT", bound=Value)
NOT_BELIEVED: Final = "is not to be believed"


async def read_paper(archive: Archive, key: str, environment: str, kind: type[PaperT]) -> Kept[PaperT] | str:
    """Return the paper under a key, or say why that is not to be believed."""
    try:
        kept = await archive.read(key, environment, kind)
    except NotInStoreError:
        return f"“{key}” went away while it was looked for"
    except SealError as error:
        return f"“{key}” {NOT_BELIEVED}: {error}"
    except ValidationError:
        return f"“{key}” cannot be read: it was altered, or a newer Towpath wrote it"
    return kept if kept.as_written else f"“{key}” is not written as it was sealed"


def in_order(keys: Iterable[str]) -> list[str]:
    """Sort keys by the number that they end in; what ends in none is looked at last."""

    def number(key: str) -> tuple[bool, int, str]:
        name = key.rsplit("/", 1)[1].removesuffix(".json")
        return (not name.isdecimal(), int(name) if name.isdecimal() else 0, key)

    return sorted(keys, key=number)
