"""What is counted of workflows. The SDK's meter counts nothing twice, however often a history is replayed."""

from collections.abc import Mapping
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from domain.attempt import Kind
from domain.names import STORY
from domain.outcome import Phase
from domain.record import OutcomeRecord, Record, RefusedRecord

PHASE_ENTERED: Final = "towpath_phase_entered"
OUTCOMES: Final = "towpath_outcomes"
MESSAGES_REFUSED: Final = "towpath_messages_refused"
NOTICES: Final = "towpath_notices"
ATTEMPTS: Final = "towpath_attempts"

_STORY: Final = SearchAttributeKey.for_keyword(STORY)


def count_phase(phase: Phase) -> None:
    """Count a phase that this promotion, change or lane has entered."""
    _add(
        PHASE_ENTERED,
        "Phases that were entered",
        {"story": _story(), "environment": _where(), "phase": phase},
    )


def count_record(record: Record) -> None:
    """Count what ended, and what was refused at a door. No label is of a sender's choosing."""
    match record:
        case OutcomeRecord(outcome=outcome):
            labels = {"story": _story(), "environment": _where(), "outcome": outcome}
            _add(OUTCOMES, "Promotions and changes that have ended", labels)
        case RefusedRecord():
            _add(MESSAGES_REFUSED, "Messages that were not taken", {"story": _story()})
        case _:
            pass


def count_notices(outcome: str, count: int) -> None:
    """Count notices, one for each channel, by what came of them."""
    if count:
        _add(NOTICES, "Notices, one for each channel", {"outcome": outcome}, count)


def count_attempt(kind: Kind) -> None:
    """Count what no honest use brings about. The id of what was started by hand is no label: anybody chose it."""
    environment = "" if kind is Kind.START else _where()
    _add(ATTEMPTS, "What no honest use brings about", {"environment": environment, "kind": kind})


def _add(name: str, description: str, labels: Mapping[str, str], count: int = 1) -> None:
    workflow.metric_meter().create_counter(name, description).add(count, labels)


def _story() -> str:
    """An id says it, but for a change: what story that tells, its lane wrote down when it started it."""
    kind = workflow.info().workflow_id.partition("/")[0]
    return workflow.info().typed_search_attributes.get(_STORY, kind) if kind == "change" else kind


def _where() -> str:
    kind, _, environment, *_ = (*workflow.info().workflow_id.split("/"), "", "", "")
    return "" if kind == "pipeline" else environment
