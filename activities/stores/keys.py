"""What a key of the release store may be."""

import re
from typing import Final

_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def checked(key: str) -> str:
    """Return the key. Raises ``ValueError`` where it would mean something else to one store or another."""
    if not _KEY.fullmatch(key):
        message = f"“{key}” cannot be a key of the release store"
        raise ValueError(message)
    return key
