"""What was measured, beside the bar that it is held to."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import RootModel
from rich import box
from rich.console import Console
from rich.table import Table


class Bar(NamedTuple):
    """At most, or at least, so much."""

    value: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.value:g}"

    def is_met(self, value: float) -> bool:
        return value >= self.value if self.at_least else value <= self.value


class Figure(NamedTuple):
    """One number. Without a bar it is reported, and judged by nobody."""

    name: str
    value: float
    unit: str
    bar: Bar | None = None

    @property
    def met(self) -> bool | None:
        return self.bar.is_met(self.value) if self.bar else None


Row = dict[str, str | float | bool | None]


def write(figures: Sequence[Figure], file: Path) -> None:
    """Write a list of ``name``, ``value``, ``unit``, ``bar`` and ``met``, as JSON."""
    rows: list[Row] = [
        {
            "name": figure.name,
            "value": round(figure.value, 4),
            "unit": figure.unit,
            "bar": str(figure.bar) if figure.bar else None,
            "met": figure.met,
        }
        for figure in figures
    ]
    file.write_text(RootModel[list[Row]](rows).model_dump_json(indent=2) + "\n")


def show(figures: Sequence[Figure]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("measured")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("bar", justify="right")
    table.add_column("")
    for figure in figures:
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        value = f"{figure.value:.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
        table.add_row(figure.name, value, figure.unit, str(figure.bar or ""), verdict)
    Console(width=None if Console().is_terminal else 120).print(table)
