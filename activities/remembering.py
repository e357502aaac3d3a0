"""What a worker has seen for itself and need not look up again; what is forgotten is looked up."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")
_MOST: Final = 1000


class Remembered(Generic[KeyT, ValueT]):
    """The newest thousand of what was noted."""

    def __init__(self) -> None:
        self._known = OrderedDict[KeyT, ValueT]()

    def of(self, key: KeyT) -> ValueT | None:
        return self._known.get(key)

    def note(self, key: KeyT, value: ValueT) -> None:
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
