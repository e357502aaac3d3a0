"""The rules of a lane: one change at a time, in order, rollbacks first, and nothing before what is unsettled.

Pure: every function takes the lane's state and returns the next one. An ask that was taken is in one place
only, the queue, the running change or among the orphans, until ``ended`` hands it back to be told, or it is
withdrawn.
"""

from datetime import datetime

from pydantic import Field

from domain.actor import ENGINE, Channel
from domain.answer import Ask, Done, NotBegun, Undone
from domain.environment import Holding
from domain.fence import next_turn
from domain.journal import Receipt, Recollection
from domain.names import Identifier, Subject
from domain.outcome import Outcome, Phase
from domain.terms import Request, Story
from domain.value import Value


class Running(Value):
    """The change that has the lane."""

    turn: int
    ask: Ask
    cancelling: str = ""
    """Why it is to be undone, where it is."""
    stuck: bool = False
    """Its undo needs a person."""
    joined: tuple[Ask, ...] = ()
    """Rollbacks that came while it ran, which its undo answers too; or all whom a settlement answers."""

    @property
    def is_settlement(self) -> bool:
        return self.ask.request.story is Story.SETTLEMENT


class LaneState(Value):
    """Who has the lane, who waits, and what is not accounted for."""

    subject: Subject
    last_turn: int = 0
    queue: tuple[Ask, ...] = ()
    running: Running | None = None
    unsettled: tuple[int, ...] = ()
    held: dict[Identifier, Holding] = Field(default_factory=dict)
    recalled: bool = False
    orphans: tuple[Ask, ...] = ()
    """Who waited for a change that was lost: its settlement is their answer."""
    slots: int = 0
    """How many deeds the lost change was to do."""
    offline: str = ""
    """What somebody did here last without the engine, until a change comes after it."""

    @property
    def phase(self) -> Phase:
        if self.unsettled or (self.running and self.running.stuck):
            return Phase.UNSETTLED
        return Phase.BUSY if self.running else Phase.IDLE


def asked(lane: LaneState, ask: Ask) -> LaneState:
    """Take an ask, once however often it comes. A rollback goes to the front, and has what runs undone.

    A copy takes the place of the first, as long as that waits. Another ask of the same asker has a place of
    its own: askers begin anew and copies come late, and only the asker knows which one it waits for.
    """
    running = lane.running
    begun = (running.ask, *running.joined) if running else lane.orphans
    if any(_is_same(ask, other) for other in begun):
        return lane
    if running and _is_rollback(ask) and running.ask.request.story is Story.PROMOTION:
        why = running.cancelling or f"{ask.request.actor.name} asked for a rollback"
        return lane.but(running=running.but(cancelling=why, joined=(*running.joined, ask)))
    rollbacks = tuple(other for other in lane.queue if _is_rollback(other))
    others = tuple(other for other in lane.queue if not _is_rollback(other))
    if _is_rollback(ask):
        return lane.but(queue=(*_placed(rollbacks, ask), *others))
    return lane.but(queue=(*rollbacks, *_placed(others, ask)))


def _is_rollback(ask: Ask) -> bool:
    return ask.request.story is Story.ROLLBACK


def _is_same(one: Ask, other: Ask) -> bool:
    return (one.asker, one.number, one.request.story) == (other.asker, other.number, other.request.story)


def _placed(line: tuple[Ask, ...], ask: Ask) -> tuple[Ask, ...]:
    """Put an ask where its copy stands, else at the end of the line."""
    if any(_is_same(ask, other) for other in line):
        return tuple(ask if _is_same(ask, other) else other for other in line)
    return (*line, ask)


def withdrawn(lane: LaneState, asker: str, reason: str) -> LaneState:
    """Let an asker go: what waits of theirs is dropped, untold; their running change is to be undone.

    What has begun is still accounted for to them. A rollback or settlement that runs is never cancelled.
    """
    queue = tuple(ask for ask in lane.queue if ask.asker != asker)
    lane = lane.but(queue=queue, orphans=_without_rollbacks(lane.orphans, asker))
    running = lane.running
    if running is None:
        return lane
    goes_back = _is_rollback(running.ask) or running.is_settlement
    cancels = running.ask.asker == asker and not goes_back
    return lane.but(
        running=running.but(
            cancelling=running.cancelling or (cancels and (reason or "withdrawn")) or "",
            joined=_without_rollbacks(running.joined, asker),
        )
    )


def _without_rollbacks(line: tuple[Ask, ...], asker: str) -> tuple[Ask, ...]:
    return tuple(ask for ask in line if not (ask.asker == asker and _is_rollback(ask)))


def recalled(lane: LaneState, memory: Recollection) -> LaneState:
    """Learn what the store remembers: the highest turn, what is held, and which turns nobody accounted for.

    A turn that the lane knows to be unsettled stays so, even where the store knows nothing of it: it may have
    been lost before its first deed, and only its settlement makes sure that this never begins.
    """
    running = {lane.running.turn} if lane.running else set[int]()
    unsettled = {*lane.unsettled, *(turn.turn for turn in memory.open)} - running
    return lane.but(
        last_turn=max(lane.last_turn, memory.highest),
        unsettled=tuple(sorted(unsettled)),
        held=dict(memory.held),
        recalled=True,
        offline=_told_offline(memory.newest),
    )


def _told_offline(newest: Receipt | None) -> str:
    if newest is None or newest.actor.channel is not Channel.OFFLINE:
        return ""
    return (
        f"rolled back without the engine, by {newest.actor}, as turn {newest.turn}, "
        f"{newest.ended:%Y-%m-%d %H:%M} UTC: {newest.reason}"
    )


def next_change(lane: LaneState, now: datetime) -> LaneState | None:
    """Return the lane with its next change running, or None where it is busy or nobody waits.

    What is unsettled is settled first, newest first, as undoing goes.
    """
    if lane.running or not lane.recalled:
        return None
    turn = next_turn(lane.last_turn, now)
    if lane.unsettled:
        settlement = Running(turn=turn, ask=_settlement(lane, max(lane.unsettled)), joined=lane.orphans)
        return lane.but(last_turn=turn, running=settlement, orphans=())
    if lane.queue:
        ask, *rest = lane.queue
        return lane.but(last_turn=turn, queue=tuple(rest), running=Running(turn=turn, ask=ask))
    return None


def _settlement(lane: LaneState, lost_turn: int) -> Ask:
    request = Request(
        story=Story.SETTLEMENT,
        subject=lane.subject,
        actor=ENGINE,
        reason=f"the change of turn {lost_turn} ended without leaving a receipt",
        of=lost_turn,
        slots=lane.slots,
    )
    return Ask(asker="", number=lost_turn, request=request)


def ended(lane: LaneState, answer: Done | Undone | NotBegun) -> tuple[LaneState, tuple[Ask, ...]]:
    """The change accounted for itself: return the freed lane, and the asks that this answers.

    A settlement answers whoever waited for the lost change, once nothing is unsettled any more; one that did
    not begin has settled nothing, and comes up again. A rollback is never answered by a change that stands
    after all: it goes to the front.
    """
    running = lane.running
    if running is None:
        return lane, ()
    accounted = running.ask.request.of if running.is_settlement and not isinstance(answer, NotBegun) else None
    unsettled = tuple(turn for turn in lane.unsettled if turn != accounted)
    freed = lane.but(
        running=None,
        unsettled=unsettled,
        held=lane.held if isinstance(answer, NotBegun) else {**lane.held, **answer.after},
        slots=lane.slots if unsettled else 0,
        offline=lane.offline if isinstance(answer, NotBegun) else "",
    )
    if running.is_settlement and unsettled:
        return freed.but(orphans=running.joined), ()
    still_wanted = tuple(filter(_is_rollback, running.joined)) if _stands(running, answer) else ()
    answered = (ask for ask in (running.ask, *running.joined) if ask.asker and ask not in still_wanted)
    return freed.but(queue=(*still_wanted, *lane.queue)), tuple(answered)


def _stands(running: Running, answer: Done | Undone | NotBegun) -> bool:
    """Tell whether a promotion stands now: this one, or the lost one that was settled and turned out well."""
    if not isinstance(answer, Done):
        return False
    is_promotion = running.ask.request.story is Story.PROMOTION
    return is_promotion or (running.is_settlement and answer.outcome is Outcome.PROMOTED)


def lost(lane: LaneState, memory: Recollection, slots: int) -> LaneState:
    """The change ended without an account: its turn is unsettled, and is settled before anybody else's.

    Whoever waited for it is told by its settlement. ``slots`` is how many deeds it was to do.
    """
    running = lane.running
    if running is None:
        return recalled(lane, memory)
    waiting = running.joined if running.is_settlement else (running.ask, *running.joined)
    freed = recalled(lane.but(running=None), memory)
    if _is_rollback(running.ask):
        # Its undos leave no journal to settle it by: it is made after all, before anybody else's.
        waiting = running.joined
        freed = freed.but(queue=(running.ask, *freed.queue))
    return freed.but(
        unsettled=tuple(sorted({*freed.unsettled, running.turn})),
        orphans=waiting,
        slots=max(slots, lane.slots),
    )
