"""What a worker has seen for itself and need not look up again; what is forgotten is looked up."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Remembered(Generic[KeyT, ValueT]):
    """The newest of what was noted, and so many at ``most``."""

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._known = OrderedDict[KeyT, ValueT]()

    def of(self, key: KeyT) -> ValueT | None:
        return self._known.get(key)

    def note(self, key: KeyT, value: ValueT) -> None:
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
