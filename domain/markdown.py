"""What people wrote, in texts that are read as Markdown: it is shown as it stands and formats nothing."""

import re
from typing import Final

_SIGNS: Final = re.compile(r"[\\`*\[\]<|~]|&(?=[#\w])|(?<!\w)_|_(?!\w)|^[#+\->=]|#(?=#*$)|^\d+(?=[.)])")


def literal(text: str) -> str:
    """Return a text as one line of Markdown that reads as it was written: no link, image, heading or emphasis."""
    return _SIGNS.sub(_escaped, " ".join(text.split()))


def fenced(text: str) -> str:
    """Return a text as a block of code that nothing in it ends."""
    unbroken = text.replace("```", "'''")
    return f"```\n{unbroken}\n```"


def _escaped(sign: re.Match[str]) -> str:
    found = sign.group()
    return f"{found}\\" if found.isdigit() else f"\\{found}"
