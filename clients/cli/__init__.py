"""The command line. Every command ends with a code of ``domain.outcome.Exit``; 130 is Ctrl-C."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from errno import EACCES, EDQUOT, EIO, EMFILE, ENOSPC, EPERM, EROFS
from typing import Annotated, Final, NoReturn

import typer
from typer.exceptions import Abort, TyperException

from clients.cli import (
    attending,
    comparing,
    configuring,
    deciding,
    freezing,
    hosting,
    overriding,
    permitting,
    pinning,
    printing,
    promoting,
    quarantining,
    recalling,
    showing_off,
    standing,
    surveying,
    validating,
)
from clients.cli.auditing import audit
from clients.cli.doctoring import doctor
from clients.cli.founding import environment, service
from clients.cli.notifying import notify
from clients.cli.releasing import release
from clients.cli.reviewing import review
from clients.cli.terminal import complain, say
from clients.trouble import ClientError
from domain.outcome import INTERRUPTED, Exit

app = typer.Typer(
    name="towpath",
    help="Walk a release from one environment to the next, and back again when it must.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        say(f"towpath {version('towpath')}")
        raise typer.Exit


@app.callback()
def _begin(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which Towpath this is."),
    ] = False,
) -> None:
    del version


_RUN: Final = "Run it"
_ASK: Final = "Ask for it"
_STEER: Final = "Say something to it"
_SEE: Final = "See it"

_COMMANDS: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    (_RUN, hosting.up),
    (_RUN, hosting.worker),
    (_RUN, showing_off.demo),
    (_RUN, doctor),
    (_ASK, promoting.plan),
    (_ASK, validating.validate),
    (_ASK, promoting.promote),
    (_ASK, promoting.rollback),
    (_ASK, promoting.adopt),
    (_ASK, promoting.cancel),
    (_STEER, deciding.approve),
    (_STEER, deciding.reject),
    (_STEER, deciding.hold),
    (_STEER, deciding.resume),
    (_STEER, deciding.retry),
    (_STEER, deciding.skip),
    (_STEER, freezing.freeze),
    (_STEER, freezing.thaw),
    (_STEER, pinning.pin),
    (_STEER, pinning.unpin),
    (_STEER, overriding.override),
    (_STEER, quarantining.quarantine),
    (_SEE, standing.status),
    (_SEE, attending.watch),
    (_SEE, surveying.services),
    (_SEE, recalling.history),
    (_SEE, printing.logs),
    (_SEE, comparing.diff),
    (_SEE, permitting.can),
)
for panel, command in _COMMANDS:
    app.command(rich_help_panel=panel)(command)
app.add_typer(configuring.config, name="config", rich_help_panel=_RUN)
app.add_typer(environment, name="environment", rich_help_panel=_RUN)
app.add_typer(service, name="service", rich_help_panel=_RUN)
app.add_typer(notify, name="notify", rich_help_panel=_RUN)
app.add_typer(release, name="release", rich_help_panel=_ASK)
app.add_typer(review, name="review", rich_help_panel=_STEER)
app.add_typer(audit, name="audit", rich_help_panel=_SEE)
app.add_typer(surveying.environments, name="environments", rich_help_panel=_SEE)


_OF_THE_MACHINE: Final = frozenset({EACCES, EPERM, EROFS, ENOSPC, EDQUOT, EIO, EMFILE})
"""Errors that no code of ours mends: who may read and write what, and how much of it there is."""


def main() -> NoReturn:
    """Run the command line and leave at once: an ordinary exit crashes now and then (sdk-python#300)."""
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        pass  # whoever reads has read enough
    except OSError as error:
        complain(_say_kept_out(error))
        code = code or Exit.USAGE
    os._exit(code)


def run(words: Sequence[str]) -> int:
    """Run one command line, and return what the shell is told. Raises nothing."""
    try:
        return int(app(list(words), standalone_mode=False) or Exit.DONE)
    except ClientError as error:
        complain(str(error))
        return error.exit
    except TyperException as error:
        if error.format_message():  # where there is none, the help was shown instead
            complain(_say_misuse(error))
        return Exit.USAGE
    except (KeyboardInterrupt, Abort):
        complain("Stopped. What was asked for goes on; see it with: towpath status")
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # so Rich ends where nobody reads any more
        return Exit.DONE
    except Exception as error:  # noqa: BLE001
        return _say_unforeseen(error)


def _say_unforeseen(error: Exception) -> int:
    """What the machine does not let us do is said; whatever else gets here is ours, and is told with all that helps."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        complain(_say_kept_out(error))
        return Exit.USAGE
    traceback.print_exception(error)
    complain(
        f"That was a mistake of Towpath’s, not yours: {type(error).__name__}. Please report "
        "what stands above."
    )
    return Exit.BUG


def _say_kept_out(error: OSError) -> str:
    where = f"“{error.filename}”" if error.filename else "what is written to"
    return f"This machine does not let us go on: {where}: {error.strerror}. Mend that, and say it again."


def _say_misuse(error: TyperException) -> str:
    said = error.format_message().strip()
    ends = said if said.endswith((".", "?", "!")) else f"{said}."
    context = getattr(error, "ctx", None)
    return f"{ends} How it is written: {context.command_path if context else 'towpath'} --help"
