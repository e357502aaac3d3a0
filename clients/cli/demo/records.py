"""What the records of a change say, in the few words that a demo has."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from domain.record import DecisionRecord, EffectRecord, JudgementRecord, Record

NO_TIME = timedelta()


def decisions(records: Iterable[Record]) -> Iterator[str]:
    for record in records:
        if isinstance(record, DecisionRecord):
            decision = record.decision
            comment = f": {decision.comment}" if decision.comment else ""
            yield f"{decision.actor} says {decision.verdict}, by {decision.actor.channel}{comment}"


def events(records: Iterable[Record], soak: timedelta = NO_TIME) -> list[str]:
    """Say what was done and what was found: a line for each deed and each failure, what was well at its end."""
    lines: list[str] = []
    for record in records:
        match record:
            case EffectRecord(did=did):
                lines.append(did)
            case JudgementRecord(of="health", passed=True, sentences=sentences) if lines:
                lines[-1] += f" · {_well(sentences)}"
            case JudgementRecord(of="soak", passed=True) if lines:
                lines[-1] += f" · soaked {soak.total_seconds():g}s"
            case JudgementRecord(of="health" | "soak", passed=False, sentences=sentences):
                lines.append("not healthy:")
                lines += [f"- {sentence.partition('; ')[0]}" for sentence in sentences]
            case _:
                pass
    return lines


def waited(records: Sequence[Record]) -> timedelta:
    """Return how long people took to decide: from the plan's validation to the last decision."""
    asked = [record.at for record in records if isinstance(record, JudgementRecord)]
    decided = [record.at for record in records if isinstance(record, DecisionRecord)]
    return decided[-1] - asked[0] if asked and decided else NO_TIME


def way_back(records: Sequence[Record]) -> timedelta:
    """Return how long it took from the failure to the release before, in place and found well."""
    failed = next(
        (record.at for record in records if isinstance(record, JudgementRecord) and not record.passed), None
    )
    well = [record.at for record in records if isinstance(record, JudgementRecord) and record.passed]
    return well[-1] - failed if failed and well else NO_TIME


def _well(sentences: Sequence[str]) -> str:
    unproven = all(sentence.endswith(("unproven", "nothing is proven")) for sentence in sentences)
    return "healthy, not proven" if unproven else "healthy, proven"
