"""What an auditor checks of journals: each deed is accounted for, and beside a receipt is none that it knows not."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from domain.audit import Finding, Paper, Told
from domain.drawing import draw_undo
from domain.environment import Holding, same
from domain.journal import Entry, OpenTurn, Receipt, Settled
from domain.names import Subject
from domain.plan import Deed, Step
from domain.trail import receipt_named_in


def unaccounted_findings(
    subject: Subject, entries: Mapping[int, Sequence[Entry]], accounted: Collection[int]
) -> Iterator[Finding]:
    """Find turns that were begun and have no receipt, although a later one has: nothing begins over such a turn.

    What was begun last may be under way.
    """
    newest = max(accounted, default=0)
    for turn, found in entries.items():
        if turn < newest and turn not in accounted and not all(entry.void for entry in found):
            what = "it was begun, and its receipt is not there, although a later change has one"
            yield Finding(subject=subject, turn=turn, what=what)


def beside_findings(paper: Paper) -> Iterator[Finding]:
    """Find where a receipt and its journal do not know the same deeds. A change that was lost tells of none itself."""
    receipt = paper.receipt
    acts = {entry.fence.act for entry in paper.entries if not entry.void}
    told = {deed.fence.act for deed in receipt.deeds}
    for act in receipt.journaled:
        if act not in acts | told:
            what = f"its journal had an entry {act}, and that is not there any more"
            yield Finding(subject=receipt.subject, turn=receipt.turn, what=what)
    berths = {deed.step.berth for deed in receipt.deeds}
    for entry in paper.entries:
        if berths and not entry.void and entry.step.berth not in berths:
            what = f"its journal has the deed {entry.fence} “{entry.step}”, and it says nothing of that"
            yield Finding(subject=receipt.subject, turn=receipt.turn, what=what)


def left_findings(told: Told, turns: Collection[int]) -> Iterator[Finding]:
    """Find a promotion that was closed with a receipt that is not there: so even the newest is missed."""
    turn = receipt_named_in(told.closed)
    if turn is not None and turn not in turns:
        what = f"its change left the receipt of turn {turn}, and that is not there any more"
        yield Finding(subject=told.subject, version=told.version, what=what)


def say_put_back(receipt: Receipt, entries: Mapping[int, Sequence[Entry]]) -> tuple[str, ...]:
    """Say what a rollback or settlement put back: the deeds of the turn that it undid, newest first.

    It has none of its own; ``entries`` is the lane's journal.
    """
    if receipt.of is None or receipt.settled is not Settled.DONE:
        return ()
    steps = draw_undo(receipt.subject, _deeds_undone(receipt.of, entries)).steps
    return tuple(_put_back(step, receipt.after.get(step.berth)) for step in steps)


def _deeds_undone(turn: int, entries: Mapping[int, Sequence[Entry]]) -> tuple[Deed, ...]:
    """Return what was to be undone: of a rollback without the engine that was lost, what that was to undo."""
    deeds = OpenTurn(turn=turn, entries=tuple(entries.get(turn, ()))).deeds
    earlier = next((deed.step.of.turn for deed in deeds if deed.step.of and deed.step.of.turn < turn), None)
    return deeds if earlier is None else _deeds_undone(earlier, entries)


def _put_back(step: Step, held: Holding | None) -> str:
    if held is None or same(held, step.after):
        return str(step)
    return f"{step.berth}: {step.after} was to be put back, and what stood there at the end is {held}"
