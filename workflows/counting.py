"""What is counted of workflows. The SDK's meter counts nothing twice, however often a history is replayed."""

from collections.abc import Mapping
from typing import Final

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from domain.names import STORY
from domain.outcome import Phase
from domain.record import OutcomeRecord, Record, RefusedRecord

PHASE_ENTERED: Final = "towpath_phase_entered"
OUTCOMES: Final = "towpath_outcomes"
MESSAGES_REFUSED: Final = "towpath_messages_refused"

_STORY: Final = SearchAttributeKey.for_keyword(STORY)


def count_phase(phase: Phase) -> None:
    _add(PHASE_ENTERED, "Phases that promotions, changes and lanes have entered", {"phase": phase})


def count_record(record: Record) -> None:
    """Count what ended, and what was refused at a door; other records are counted where they are made."""
    match record:
        case OutcomeRecord(outcome=outcome):
            _add(OUTCOMES, "Promotions and changes that have ended", {"story": _story(), "outcome": outcome})
        case RefusedRecord():
            _add(MESSAGES_REFUSED, "Messages that were not taken", {})
        case _:
            pass


def _add(name: str, description: str, labels: Mapping[str, str]) -> None:
    _, _, environment, *_ = (*workflow.info().workflow_id.split("/"), "", "", "")
    workflow.metric_meter().create_counter(name, description).add(1, {"environment": environment, **labels})


def _story() -> str:
    """A promotion is told by its id. What story a change tells, its lane wrote down when it started it."""
    kind = workflow.info().workflow_id.partition("/")[0]
    return workflow.info().typed_search_attributes.get(_STORY, kind) if kind == "change" else kind
