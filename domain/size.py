"""How much room something takes, as people write it and as it is said to them."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE: Final = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)\s*")


def parse_size(text: object) -> object:
    """Read ``500MB``, ``2 GB`` or ``1GiB``; anything else is left for pydantic to judge."""
    if not isinstance(text, str):
        return text
    found = _SIZE.fullmatch(text)
    if found is None or found[2].casefold() not in _UNITS:
        message = f"“{text[:60]}” is not a size; write a number and a unit, such as 500MB, 2GB or 1GiB"
        raise ValueError(message)
    return int(float(found[1]) * _UNITS[found[2].casefold()])


Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=str), Field(ge=0)]


def say_size(count: int) -> str:
    """Say a number of bytes: ``12 B``, ``1.5 kB``, ``2.0 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
