"""Of two words about the same thing the later one counts, whichever of them a worker has heard first."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from workflows.doorkeeper import RefusedError


class LastWord:
    """Numbers words as they come, and lets none count that a later one has overtaken."""

    def __init__(self) -> None:
        self._number = 0
        self._counted: dict[str, int] = {}
        self._open: Counter[str] = Counter()

    def is_open(self, about: str) -> bool:
        """Tell whether something was said about it that nobody has judged yet."""
        return self._open[about] > 0

    @contextmanager
    def on(self, about: str) -> Iterator[None]:
        """Judge a word within this. Raises ``RefusedError`` where a later one counts already."""
        self._number += 1
        number = self._number
        self._open[about] += 1
        try:
            yield
        finally:
            self._open[about] -= 1
        if number < self._counted.get(about, 0):
            message = "something else was said about it later, and that counts"
            raise RefusedError(message)
        self._counted[about] = number
