"""A mistake in the configuration: where it stands, what is wrong, what to write instead."""

from typing import NamedTuple


class Spot(NamedTuple):
    """A place in the folder: a file, and the keys that lead there."""

    file: str
    keys: tuple[str | int, ...] = ()

    def below(self, *keys: str | int) -> "Spot":
        return Spot(self.file, (*self.keys, *keys))

    def holds(self, other: "Spot") -> bool:
        """Tell whether the other place is this one or inside of it."""
        return self.file == other.file and other.keys[: len(self.keys)] == self.keys


class Fault(NamedTuple):
    """Something is wrong here: what, what to write instead, and which other places that was judged by."""

    spot: Spot
    problem: str
    fix: str
    leans_on: tuple[Spot, ...] = ()
    bound: Spot | None = None
    """Where the floor stands that this goes below."""
    is_warning: bool = False
