"""What a commit would change, as a diff for people: bounded, and without what looks secret in the lines around."""

import re
from typing import Final

from activities.git.clone import Clone
from activities.git.trees import Tree
from activities.masking import MASK, secrets_in

_LONGEST: Final = 3000
_MOST_LINES: Final = 80
_MOST_READ: Final = 1 << 20
"""Bytes of a diff, of which the rest is not even counted."""
_PAIR: Final = re.compile(r"""^([ +-]\s*(?:-\s+)?["']?([\w.-]+)["']?\s*[:=]\s*)(\S.*)$""")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


async def preview_of(clone: Clone, before: Tree, after: Tree) -> str:
    """Return the diff between two trees."""
    words = (
        "-U2",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "--src-prefix=",
        "--dst-prefix=",
    )
    diff = await clone.local("diff-tree", "-p", *words, before.name, after.name, most=_MOST_READ)
    return shortened(diff.decode(errors="replace"), is_all=len(diff) < _MOST_READ)


def shortened(diff: str, *, is_all: bool = True) -> str:
    """Return what people read of a diff: its beginning, masked, and how much more there is."""
    lines = [line for line in diff.splitlines() if not line.startswith(("diff --git ", "index "))]
    shown: list[str] = []
    room = _LONGEST
    for line in map(veiled, lines[:_MOST_LINES]):
        room -= len(line.encode()) + 1
        if room < 0:
            break
        shown.append(line)
    rest = len(lines) - len(shown)
    least = "" if is_all else "more than "
    return "\n".join([*shown, *([f"… and {least}{rest:,} more lines"] if rest else [])])


def veiled(line: str) -> str:
    """Return a line of a diff without a value whose key looks as if it were secret."""
    plain = _UNPRINTABLE.sub("", line)
    pair = _PAIR.match(plain)
    return f"{pair[1]}{MASK}" if pair and secrets_in({pair[2]: pair[3].strip("\"'")}) else plain
