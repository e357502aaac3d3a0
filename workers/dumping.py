"""Keeping the memory of a worker, and so the secrets in it, off the disk when it crashes."""

import resource
from contextlib import suppress
from typing import Final

_NO_DUMP: Final = 1
"""A limit of one byte: too small for a file, and for Linux a word to hand nothing to a crash handler's pipe either.

0 would still be piped (core(5), “Piping core dumps to a program”; the kernel's fs/coredump.c).
"""


def leave_no_dumps() -> None:
    """Have this process, and every program that it starts from now on, leave no core dump."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    most = _NO_DUMP if hard == resource.RLIM_INFINITY else min(_NO_DUMP, hard)
    # Who may not set it has it set lower already.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (most, most))
