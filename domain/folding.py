"""Folding a long text, so that what many steps say alike is said once on the wire."""

import zlib
from base64 import b64decode, b64encode
from typing import Final

LONGEST_PLAIN: Final = 12 * 1024
"""Bytes. What is shorter stays as it is, for whoever reads a history."""
LARGEST_UNFOLDED: Final = 4 << 20
_MARK: Final = "folded:"


def folded(text: str) -> str:
    """Return a long text folded, and a short one as it is."""
    plain = text.encode()
    return text if len(plain) <= LONGEST_PLAIN else _MARK + b64encode(zlib.compress(plain, 9)).decode()


def unfolded(text: str) -> str:
    """Return what was folded. Of what is damaged, or too large to be honest, nothing is left."""
    if not text.startswith(_MARK):
        return text
    try:
        opened = zlib.decompressobj()
        plain = opened.decompress(b64decode(text.removeprefix(_MARK), validate=True), LARGEST_UNFOLDED)
        return plain.decode() if opened.eof else ""
    except (zlib.error, ValueError):
        return ""
