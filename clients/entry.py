"""Where the program begins. A shell that wants names is answered before anything else is loaded."""

import gc
import os
import signal
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from clients.completing import VARIABLE, complete
from domain.outcome import INTERRUPTED


def main() -> NoReturn:
    """Answer a shell, or run the command line."""
    variables = os.environ  # noqa: TID251 - a shell asks by them, and settings take too long to load
    if VARIABLE in variables and (told := complete(variables, Path.cwd())) is not None:
        sys.stdout.write(f"{told}\n" if told else "")
        sys.stdout.flush()
        os._exit(0)
    _print_whatever_it_is()
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else shells have it ignored
        signal.signal(signal.SIGINT, _leave)
    # What is loaded stays: looking through it for rubbish every 700 objects takes a tenth of the time to begin.
    # It holds for the life of the process, as commands load more when they run.
    gc.set_threshold(50_000)
    from clients.cli import main as run  # noqa: PLC0415 - it takes a third of a second

    signal.signal(signal.SIGINT, usual)
    run()


def _print_whatever_it_is() -> None:
    """Where a stream takes fewer characters than we speak, the others are replaced: nothing is worth a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _leave(*_: object) -> NoReturn:
    """Ctrl-C while nothing is asked for yet."""
    os._exit(INTERRUPTED)
