"""What a worker logs, read by a test."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from workers.logs import begin_logs


@contextmanager
def logged_to(stream: io.StringIO) -> Iterator[None]:
    """Log as a worker does: pytest's own handler also listens where nothing is passed on."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    begin_logs(as_json=True, stream=stream)
    root.setLevel(logging.DEBUG)
    try:
        root.info("here")
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    assert "here" in stream.getvalue()
