"""Who waits for a lane, in which order, and who need not wait any longer.

Each promotion is judged by its own terms alone: nobody loses a place, or the end of a soak, by what another says of
the lane. What is newer was asked for later, whenever it came to the lane.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from domain.answer import Ask
from domain.lane import LaneState
from domain.refusal import Cause, Refusal
from domain.terms import LanePolicy, Story
from domain.urgency import Urgency

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class TurnedAway(NamedTuple):
    """An ask that does not wait, and what its asker is to be told."""

    ask: Ask
    refusal: Refusal
    newer: Ask | None = None
    """For which it makes way."""


def asked(lane: LaneState, ask: Ask) -> tuple[LaneState, tuple[TurnedAway, ...]]:
    """Take an ask, once however often it comes; return also whom it turns away, which may be itself.

    A rollback goes to the front, and has what runs undone; what is in a hurry goes before what is not. A copy takes
    the place of the first, as long as that waits. Another ask of the same asker has a place of its own: askers begin
    anew, copies come late, others ask in their name, and only the asker knows which one it waits for.
    """
    running = lane.running
    begun = (running.ask, *running.joined) if running else lane.orphans
    if any(_is_same(ask, other) for other in begun):
        return lane, ()
    if running and ask.is_rollback and running.ask.request.story is Story.PROMOTION:
        why = running.cancelling or f"{ask.request.said_by} asked for a rollback"
        return lane.but(running=running.but(cancelling=why, joined=(*running.joined, ask))), ()
    if refusal := _refused(lane, ask):
        return lane, (TurnedAway(ask, refusal),)
    return _superseded(_lined_up(lane, ask))


def _lined_up(lane: LaneState, ask: Ask) -> LaneState:
    """Put an ask where its copy stands, else behind its like and before what can wait."""
    if any(_is_same(ask, other) for other in lane.queue):
        return lane.but(queue=tuple(ask if _is_same(ask, other) else other for other in lane.queue))
    first = [other for other in lane.queue if _rank(other) <= _rank(ask)]
    last = [other for other in lane.queue if _rank(other) > _rank(ask)]
    return lane.but(queue=(*first, ask, *last))


def _rank(ask: Ask) -> int:
    """Say how little it can wait, least first."""
    return 0 if ask.is_rollback else _RANKS[ask.request.urgency]


# Rollbacks, broken glass, hotfixes, everything else.
_RANKS: Final = {Urgency.BREAK_GLASS: 1, Urgency.HOTFIX: 2, Urgency.USUAL: 3}


def _is_same(one: Ask, other: Ask) -> bool:
    return (one.asker, one.number) == (other.asker, other.number) and one.gist == other.gist


def _refused(lane: LaneState, ask: Ask) -> Refusal | None:
    """Say why a new promotion may not wait here. What has a place, or had one, is never refused."""
    has_place = ask.comes_back or any(_is_same(ask, other) for other in lane.queue)
    if has_place or not _is_promotion(ask) or ask.lane.policy is not LanePolicy.REFUSE:
        return None
    if busy := _who_is_there(lane):
        subject = lane.subject
        why = (
            f"the lane of {subject} lets nobody wait, and {busy}; ask again when that is over: "
            f"towpath status {subject.service} {subject.environment} --watch"
        )
        return Refusal(cause=Cause.BUSY, why=why)
    return None


def _who_is_there(lane: LaneState) -> str:
    running = lane.running
    if lane.unsettled:
        return "what was done there last is not settled yet"
    if running:
        since = f" since {running.since:%Y-%m-%d %H:%M} UTC" if running.since else ""
        return f"{running.ask}, has had it{since}"
    return f"{lane.queue[0]}, is next" if lane.queue else ""


def _superseded(lane: LaneState) -> tuple[LaneState, tuple[TurnedAway, ...]]:
    """Turn away every promotion that a newer one makes needless, by its own terms."""
    turned = tuple(
        TurnedAway(ask, Refusal(cause=Cause.SUPERSEDED, why=_by_whom(lane, newer)), newer)
        for ask in lane.queue
        if _is_promotion(ask)
        and ask.lane.policy is LanePolicy.SUPERSEDE
        and (newer := _newer(ask, lane.queue))
    )
    if not turned:
        return lane, ()
    gone = [ask for ask, *_ in turned]
    return lane.but(queue=tuple(ask for ask in lane.queue if ask not in gone)), turned


def _by_whom(lane: LaneState, newer: Ask) -> str:
    return f"{newer}, is newer and waits in the lane of {lane.subject} in its place"


def yields_to(lane: LaneState) -> Ask | None:
    """Return the promotion that waits, and for which the running one is to end its soak, by its own terms."""
    running = lane.running
    if running is None or not (_is_promotion(running.ask) and running.ask.lane.yields):
        return None
    return _newer(running.ask, lane.queue)


def _newer(ask: Ask, line: Sequence[Ask]) -> Ask | None:
    """Return the newest promotion in the line that another asker asked for later than this one."""
    others = [other for other in line if _is_promotion(other) and other.asker != ask.asker]
    newest = max(others, key=_asked_for, default=None)
    return newest if newest and _asked_for(newest) > _asked_for(ask) else None


def _asked_for(ask: Ask) -> tuple[datetime, str]:
    return ask.since or _LONG_AGO, ask.asker


def _is_promotion(ask: Ask) -> bool:
    """Tell whether it could be carried out: what brings no terms is let into nothing, and makes way for nobody."""
    return ask.request.story is Story.PROMOTION and ask.proposal is not None


def rivals(lane: LaneState, ask: Ask) -> tuple[Ask, ...]:
    """Return what else was asked under the same name and number: no asker says two things at once.

    One of them is made up, or its asker was reset or began anew since.
    """
    running = (lane.running.ask, *lane.running.joined) if lane.running else ()
    known = (*lane.queue, *running, *lane.orphans)
    named = (other for other in known if (other.asker, other.number) == (ask.asker, ask.number))
    return tuple(other for other in named if not _is_same(other, ask))


def without(lane: LaneState, made_up: Ask) -> LaneState:
    """Drop an ask that nobody made. Nobody is told."""
    return lane.but(queue=tuple(ask for ask in lane.queue if not _is_same(ask, made_up)))


def withdrawn(lane: LaneState, asker: str, reason: str, *, spares_running: bool = False) -> LaneState:
    """Let an asker go: what waits of theirs is dropped, untold; their running change is to be undone, if not spared.

    What has begun is still accounted for to them. A rollback or settlement that runs is never cancelled.
    """
    queue = tuple(ask for ask in lane.queue if ask.asker != asker)
    lane = lane.but(queue=queue, orphans=_without_rollbacks(lane.orphans, asker))
    running = lane.running
    if running is None or spares_running:
        return lane
    goes_back = running.ask.is_rollback or running.is_settlement
    cancels = running.ask.asker == asker and not goes_back
    return lane.but(
        running=running.but(
            cancelling=running.cancelling or (cancels and (reason or "withdrawn")) or "",
            joined=_without_rollbacks(running.joined, asker),
        )
    )


def _without_rollbacks(line: tuple[Ask, ...], asker: str) -> tuple[Ask, ...]:
    return tuple(ask for ask in line if not (ask.asker == asker and ask.is_rollback))
