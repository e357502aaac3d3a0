"""How far the packing and storing of a release is: a bar on a terminal, and nothing elsewhere."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clients.cli.terminal import console, plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from activities.ports import Progress


class Carrying:
    """Shows one line for what is done before anything can be counted, then one for each thing that is sent."""

    def __init__(self, bar: "Bar", beginning: "TaskID") -> None:
        self._bar = bar
        self._beginning = beginning

    def sending(self, name: str, size: int) -> "Progress":
        """Begin a line for something of this size, and return what takes how much of it is done."""
        self._bar.update(self._beginning, visible=False)
        line = self._bar.add_task(f"Storing {plain(name)}", total=max(size, 1))
        return lambda done: self._bar.update(line, completed=done)


@contextmanager
def carrying(beginning: str) -> Generator[Carrying]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    to = console()
    with Progress(*columns, console=to, transient=True, disable=not to.is_terminal) as bar:
        yield Carrying(bar, bar.add_task(plain(beginning), total=None))
