"""What belongs to a turn: the deeds of one plan, under the numbers that its account goes by."""

from collections.abc import Sequence

from domain.journal import Entry
from domain.plan import Step, Verb
from domain.refusal import Cause, Refusal, forbidden
from domain.rehearsal import acts
from domain.terms import Proposal
from domain.value import short


def out_of_line(
    proposal: Proposal, step: Step, act: int, first: Entry | None, noted: Entry | None
) -> Refusal | None:
    """Say why this step is no deed of a turn that ``first`` was the first deed of, or nothing where it is.

    ``noted`` is what an earlier attempt wrote down under this number.
    """
    most = acts(proposal.terms, proposal.plan)
    if not 1 <= act <= most:
        return forbidden(f"its plan has {most} deeds, and none with number {act}")
    if noted and not noted.void and noted.step != step:
        return forbidden(f"deed {noted.fence} is “{noted.step}”, not “{step}”")
    return of_another(proposal, first) if first else None


def of_another(proposal: Proposal, entry: Entry) -> Refusal | None:
    """Say that a turn was begun by another plan than this; nothing of what does not say by which."""
    intent = proposal.plan.intent
    if entry.void or entry.intent is None or entry.intent == intent:
        return None
    begun = f"turn {entry.fence.turn} of {entry.subject} was begun by plan {short(entry.intent)}"
    return forbidden(f"{begun}, not by {short(intent)}")


def judge_deeds(proposal: Proposal, journal: Sequence[Entry]) -> Refusal | None:
    """What moved forward did so by deeds that were cleared, each: whatever is not in the journal never was."""
    begun = {entry.step.berth for entry in journal}
    missing = [
        step.berth for step in proposal.plan.steps if step.verb is Verb.PLACE and step.berth not in begun
    ]
    if not missing:
        return None
    why = f"It says it was done, and {', '.join(missing)} was never begun."
    return Refusal(cause=Cause.FORBIDDEN, why=why)
