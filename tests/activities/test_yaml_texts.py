"""Files as people keep them: whatever is written around a value, not a byte of it changes."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from hypothesis import given
from hypothesis import strategies as some

from activities.yaml_edits import get, put
from activities.yaml_paths import Index, Key, Path

_HERE: Final = "\0"
NOISE: Final = (
    "", "# version: old", "    # an odd one", "#", "# {{ not a template }}", "# é € 🚀 \ttab", "# images:", " ",
)  # fmt: skip
NEIGHBOURS: Final[tuple[str, ...]] = (
    "plain: old", "quoted: 'old'", 'double: "old \\" # no comment"', "empty:", "flow: {a: old, b: [old, 'x, y']}",
    "list:\n- old\n- name: old\n  tag: old", "list:\n    -   old", "text: |\n  target: old\n\n  # kept\n",
    "folded: >-\n  old\n  old", "anchor: &a {v: old}\nalias: *a", "anchors: &b\n  v: old\nmerged:\n  <<: *b",
    "? old\n: old", "number: 1_000  # old", "tagged: !x old", '"a key: with colon": old', "tab: old\t# after a tab",
    f"long: {'old ' * 500}", "several: old\n  old\n  old", "date: 2024-05-01", "nothing: ~",
    "url: http://old.example/#old", "windows: C:\\old\\new", "brackets: 'a]b}c'",
)  # fmt: skip
WRITTEN: Final = (
    ("", "old", ""), ("", "'old'", ""), ("", '"old"', ""), ("  ", "old", "   "), ("&tag ", "old", ""),
    ("!str ", "old", ""), ("", "old", " # old"), ("", '"o\\x6cd"', "\t"), ("\t", "old", "\t# x"), ("", "1.0", ""),
    ("", "~", "  #"),
)  # fmt: skip
VALUES: Final = some.sampled_from([
    "2.0.0", "1.10", "yes", "", "a: b", "x #y", "- z", "sha256:ab", "é€🚀", "it's", '"', "\\n", "{{ x }}", "*a", "&b",
    "!c", "%", "@", "`", "|", "old", "0x1F", "null", "2024-05-01",
])  # fmt: skip


class Written(NamedTuple):
    """A value in a text, with what stands before and behind it, and the path that leads there."""

    head: str
    value: str
    tail: str
    path: Path


@some.composite
def texts(draw: some.DrawFn) -> Written:
    """Write a file with one value in it at a known path, and all kinds of things around that."""
    around = some.lists(some.sampled_from(NEIGHBOURS), max_size=3, unique_by=lambda line: line.split(":")[0])
    noise = some.lists(some.sampled_from(NOISE), max_size=2)
    path: Path = (Key("target"),)
    before, value, behind = draw(some.sampled_from(WRITTEN))
    lines = [f"target: {before}{_HERE}{behind}"]
    for level in range(draw(some.integers(0, 3))):
        lines = [*draw(noise), *_beside(draw, around, lines), *draw(noise)]
        if draw(some.booleans()):
            lines = _under(f"level{level}", lines, draw(some.integers(1, 5)))
            path = (Key(f"level{level}"), *path)
        else:
            lines = _item(lines, draw(some.integers(1, 3)))
            lines = _under(f"level{level}", lines, draw(some.integers(0, 2)))
            path = (Key(f"level{level}"), Index(0), *path)
    if draw(some.booleans()):
        other = draw(some.sampled_from(NEIGHBOURS[:12]))
        lines = (
            [*other.split("\n"), "---", *lines]
            if draw(some.booleans())
            else [*lines, "---  # next", *other.split("\n")]
        )
    end = draw(some.sampled_from(["\n", "\r\n"]))
    text = draw(some.sampled_from(["", "---\n", "%YAML 1.2\n---\n", "# head\n\n"])) + "\n".join(lines)
    text = text.replace("\n", end) + draw(some.sampled_from(["", end, end * 3, f"{end}..."]))
    head, _, tail = text.partition(_HERE)
    return Written(head, value, tail, path)


def _beside(draw: some.DrawFn, around: some.SearchStrategy[Sequence[str]], lines: list[str]) -> list[str]:
    before, after = draw(around), draw(around)
    after = [one for one in after if one.split(":")[0] not in {other.split(":")[0] for other in before}]
    return [*"\n".join(before).split("\n"), *lines, *"\n".join(after).split("\n")]


def _under(key: str, lines: list[str], indent: int) -> list[str]:
    return [f"{key}:", *(f"{' ' * indent}{line}" if line else line for line in lines)]


def _item(lines: list[str], indent: int) -> list[str]:
    shifted = [f"{' ' * (indent + 1)}{line}" if line else line for line in lines]
    return ["-", *shifted]


@given(texts(), VALUES)
def test_the_bytes_around_a_value_stay(written: Written, value: str) -> None:
    """Comments, neighbours, line ends, blanks, anchors, tags: all that is before and behind it is there as it was."""
    head, old, tail, path = written
    text = head + old + tail

    after = put(text, path, {}, value)

    assert after.startswith(head)
    assert after.endswith(tail)
    assert "\n" not in after[len(head) : len(after) - len(tail)]
    assert get(after, path, {}) == value
    assert put(after, path, {}, value) == after
