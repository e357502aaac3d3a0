"""What the bench prints is judged as the bars are written."""

import json
from pathlib import Path

import pytest

from tests.bench.figures import Bar, Figure, write


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [
        (Bar(75), 75, True),
        (Bar(75), 76, False),
        (Bar(0.3, at_least=True), 0.3, True),
        (Bar(0.3, at_least=True), 0.29, False),
        (None, 1e9, None),
    ],
)
def test_a_bar_is_met_at_its_value(*, bar: Bar | None, value: float, met: bool | None) -> None:
    """At the bar is met, past it is not, and without one nothing is judged."""
    assert Figure("cost", value, "events", bar).met is met


def test_the_file_has_what_the_table_shows(tmp_path: Path) -> None:
    """Each figure has its name, value, unit, bar and verdict."""
    write([Figure("cost", 61, "events", Bar(75)), Figure("size", 1, "MiB")], tmp_path / "out.json")

    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"name": "cost", "value": 61, "unit": "events", "bar": "≤ 75", "met": True},
        {"name": "size", "value": 1, "unit": "MiB", "bar": None, "met": None},
    ]
