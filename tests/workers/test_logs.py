"""What a worker writes of what went wrong, and of what was stopped."""

import asyncio
import io
import logging

from tests.logged import logged_to


def test_what_was_cancelled_shows_no_traceback_and_what_failed_does() -> None:
    """An operator who terminates a change is not shown where in the code its deed was."""
    stream = io.StringIO()
    with logged_to(stream):
        for error in (asyncio.CancelledError("Activity cancelled"), OSError("no space")):
            try:
                raise error
            except (asyncio.CancelledError, OSError):
                logging.getLogger("temporalio.activity").warning(
                    "Completing activity as failed", exc_info=True
                )

    cancelled, failed = stream.getvalue().splitlines()[-2:]
    assert "Completing activity as failed" in cancelled
    assert "Traceback" not in cancelled
    assert "OSError: no space" in failed
