"""What a change that has ended comes to: who may say so, what should stand there now, and what its receipt says."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from domain.attempt import Kind
from domain.clearance import judge_done, judge_undo
from domain.environment import Holding, Unknown, same
from domain.fence import Fence
from domain.journal import Entry, Receipt, Settled, Soaked, standing
from domain.order import Account
from domain.override import Override
from domain.plan import Deed
from domain.refusal import Cause, Refusal
from domain.terms import Proposal, Story
from domain.warrant import Facts, Warrant

WISHES: Final = frozenset({Story.ROLLBACK, Story.ADOPTION})
"""What somebody asks for, and nobody has to approve."""


def judge_end(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    """What moved forward must be let in to its end; what put back is judged as the undo that it was."""
    undone = _undoes(proposal)
    if undone is None:
        return judge_done(warrant, facts)
    return judge_undo(proposal.plan.subject, warrant.turn, undone, facts)


def judge_end_of_undo(warrant: Warrant, proposal: Proposal, facts: Facts) -> Refusal | None:
    """What was put back is accounted for by the change itself, whatever became of its lane, and by nobody else."""
    if proposal.request != warrant.request:
        why = "Its terms were drawn up for another request."
        return Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.WARRANT)
    itself = Fence(turn=warrant.turn, act=0)
    return judge_undo(proposal.plan.subject, warrant.turn, itself, facts)


def should_stand(account: Account, proposal: Proposal, journal: Sequence[Entry]) -> dict[str, Holding]:
    """Return what should stand there, by sealed plan or captures; nothing, where a person said to leave it."""
    if account.skipped:
        return {}
    if account.settled is Settled.DONE:
        return proposal.plan.after
    captured = {entry.step.berth: _left_by(entry) for entry in journal}
    return proposal.plan.kept | captured if captured else {}


def _undoes(proposal: Proposal) -> Fence | None:
    """Return the first deed that a plan puts back; None where it moves forward."""
    return next((step.of for step in proposal.plan.steps if step.of), None)


def _left_by(entry: Entry) -> Holding:
    """Return what stands where a change was undone: what was captured, but for a pivot, which stays."""
    return entry.step.after if entry.step.is_pivot else entry.capture.holding


def told_to_stand(account: Account, proposal: Proposal, journal: Sequence[Entry]) -> dict[str, Holding]:
    """Return what should stand where a target cannot show it. Of a pivot that ended in trouble nobody knows."""
    if account.settled is Settled.DONE:
        return proposal.plan.after
    unsure = Unknown(why="its deed ended in trouble, and cannot be undone")
    return proposal.plan.before | {
        entry.step.berth: unsure if entry.step.berth in account.unsure else _left_by(entry)
        for entry in journal
    }


def astray(proposal: Proposal, after: Mapping[str, Holding], skipped: Sequence[str]) -> tuple[str, ...]:
    """Say what does not stand there although the plan was done."""
    return tuple(
        f"{berth} should hold {wanted}, and holds {after[berth]}"
        for berth, wanted in proposal.plan.after.items()
        if berth not in skipped and not isinstance(wanted, Unknown) and not same(wanted, after[berth])
    )


def _overridden(journal: Sequence[Entry]) -> tuple[Override, ...]:
    found: list[Override] = []
    for one in (override for entry in journal for override in entry.overridden):
        found += [] if one in found else [one]
    return tuple(found)


def write_up(account: Account, proposal: Proposal, journal: Sequence[Entry], now: datetime) -> Receipt:
    """Say what was done: what the journal says, not what is told. What health checks found is not in it yet."""
    warrant, plan, undone = account.warrant, proposal.plan, _undoes(proposal)
    is_soaked = account.settled is Settled.DONE and bool(proposal.terms.soak)
    cut = account.cut if is_soaked and account.soak is None else ""
    soaked = (Soaked.CUT if cut else Soaked.FULL) if is_soaked else Soaked.NONE
    return Receipt(
        subject=plan.subject,
        turn=warrant.turn,
        story=warrant.request.story,
        settled=account.settled,
        outcome=account.outcome,
        version=plan.version or None,
        release=plan.release,
        before=plan.before | {entry.step.berth: entry.capture.holding for entry in journal},
        after={},
        deeds=standing(Deed(step=entry.step, fence=entry.fence) for entry in journal),
        journaled=tuple(sorted(entry.fence.act for entry in journal)),
        overridden=_overridden(journal),
        of=warrant.request.of or (undone.turn if undone else None),
        soaked=soaked,
        cut=cut,
        healthy=not account.skipped,
        actor=warrant.request.actor,
        reason=warrant.request.reason,
        signed=None if warrant.request.story is Story.PROMOTION else warrant.request.signature,
        request=warrant.request if warrant.request.story in WISHES else None,
        words=account.words if account.skipped else (),
        asker=warrant.asker,
        intent=plan.intent,
        why=account.why,
        evidence=(cut,) if cut else (),
        records=account.records,
        began=account.began,
        ended=now,
    )
