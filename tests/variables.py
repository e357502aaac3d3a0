"""Keep the process's variables where they are in memory, while tests change them.

Threads that are not Python's read them at any moment, and glibc moves its list of them as one is added: whoever
reads just then reads what was freed, and the process is gone. So the list stands in a room that is never left, and
what was once said is kept.
"""

import ctypes
import os
import sys
from typing import Final

_ROOM: Final = 10_000


class _List:
    """What C calls ``environ``: pointers to ``name=value``, the last one null."""

    def __init__(self) -> None:
        self._room = (ctypes.c_void_p * _ROOM)()
        self._names: list[bytes] = []
        self._kept: list[ctypes.Array[ctypes.c_char]] = []
        for name, value in os.environb.items():
            self.put(name, value)
        ctypes.c_void_p.in_dll(ctypes.CDLL(None), "environ").value = ctypes.addressof(self._room)

    def put(self, name: bytes, value: bytes) -> None:
        said = ctypes.create_string_buffer(name + b"=" + value)
        self._kept.append(said)
        if name not in self._names:
            self._names.append(name)
        self._room[self._names.index(name)] = ctypes.addressof(said)

    def remove(self, name: bytes) -> None:
        if name in self._names:
            place = self._names.index(name)
            del self._names[place]
            for left in range(place, len(self._names) + 1):
                self._room[left] = self._room[left + 1]


def stay() -> None:
    """Have ``os.environ`` write into such a list from now on."""
    if sys.platform == "linux":
        listed = _List()
        for name, instead in (("putenv", listed.put), ("unsetenv", listed.remove)):
            setattr(os, name, instead)
