"""Logs: events with keys on standard error, for people or one JSON object a line, and silent on replay."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Final, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger
from temporalio import activity, workflow

LOUD: Final = ("asyncio", "httpcore", "httpx", "uvicorn")
"""Libraries that tell of each request at the level at which we tell of each event."""

SAID_OTHERWISE: Final = (
    "temporal_activity",
    "temporal_log",
    "temporal_workflow",
    "__temporal_error_identifier",
)
"""What the SDK hangs on a record, and stands in the ids already."""


def begin_logs(*, as_json: bool, stream: TextIO | None = None) -> logging.Handler:
    """Have all that is logged, by us and by libraries, written as events. Returns the handler that does."""
    output = stream or sys.stderr
    handler = logging.StreamHandler(output)
    handler.addFilter(_is_news)
    handler.addFilter(_calmly)
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _tell_where,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_for_machines() if as_json else _for_people(colors=output.isatty())),
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
    _quieten_the_sdk()
    return handler


def _quieten_the_sdk() -> None:
    """The ids are keys of the event here; the SDK would append them to the message."""
    workflow.logger.workflow_info_on_message = False
    workflow.logger.workflow_info_on_extra = False
    # A formatter may import something when it first runs, which the sandbox would load once a workflow.
    workflow.logger.disable_sandbox = True
    activity.logger.activity_info_on_message = False
    activity.logger.activity_info_on_extra = False


def _is_news(_: logging.LogRecord) -> bool:
    return not (workflow.in_workflow() and workflow.unsafe.is_replaying_history_events())


def _calmly(record: logging.LogRecord) -> bool:
    """Leave out where in the code something was cancelled: it was stopped on purpose, and is no fault of that place."""
    if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
        record.exc_info = None
    return True


def _tell_where(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the ids of the workflow or activity that speaks."""
    core = event.get("temporal_log")
    event.update(core.fields if core else {})
    for key in SAID_OTHERWISE:
        event.pop(key, None)
    if workflow.in_workflow():
        here = workflow.info()
        event.update(workflow=here.workflow_id, run=here.run_id)
    elif activity.in_activity():
        doing = activity.info()
        event.update(
            workflow=doing.workflow_id,
            run=doing.workflow_run_id,
            activity=doing.activity_type,
            attempt=doing.attempt,
        )
    return event


# Tracebacks never show the values of local variables: a secret may be among them.


def _for_machines() -> Sequence[Processor]:
    return structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)


def _for_people(*, colors: bool) -> Sequence[Processor]:
    return (
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
        ),
    )
