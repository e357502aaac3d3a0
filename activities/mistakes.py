"""What is wrong with a configuration folder, said so that whoever wrote it can mend it."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_SHOWN: Final = 100


class Mistake(NamedTuple):
    """One thing to mend: where, what is wrong, what to write instead. ``line`` 0 is the file as a whole."""

    file: str
    line: int
    key: str
    problem: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        return f"{where}: {key}{self.problem}; {self.fix}"


class BrokenConfigurationError(Exception):
    """The configuration cannot be used. The text lists every mistake, a line each."""

    def __init__(self, folder: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__(folder, mistakes)
        self.folder = folder
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        many = len(self.mistakes)
        headline = f"The configuration in {self.folder} has {many} mistake{'s' if many > 1 else ''}:"
        shown = [str(mistake) for mistake in self.mistakes[:_SHOWN]]
        rest = [f"and {many - _SHOWN} more"] if many > _SHOWN else []
        return "\n  ".join([headline, *shown, *rest])


def say_key(keys: Iterable[str | int]) -> str:
    """Say where in a file something stands: ``environments.production.health[0].within``."""
    said = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return said.removeprefix(".")
