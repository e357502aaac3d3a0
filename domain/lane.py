"""The rules of a lane: one change at a time, in order, rollbacks first, and nothing before what is unsettled.

Pure: every function takes the lane's state and returns the next one.
"""

from datetime import datetime

from pydantic import Field

from domain.actor import ENGINE
from domain.answer import Ask, Done, NotBegun, Undone
from domain.environment import Holding
from domain.fence import next_turn
from domain.journal import Recollection
from domain.names import Identifier, Subject
from domain.outcome import Phase
from domain.terms import Request, Story
from domain.value import Value


class Running(Value):
    """The change that has the lane."""

    turn: int
    ask: Ask
    cancelling: str = ""
    joined: tuple[Ask, ...] = ()
    """Rollbacks that came while it ran: its undo is their answer too."""


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

    @property
    def phase(self) -> Phase:
        if self.unsettled:
            return Phase.UNSETTLED
        return Phase.BUSY if self.running else Phase.IDLE


def asked(lane: LaneState, ask: Ask) -> LaneState:
    """Take an ask: an asker has one place, a rollback goes to the front, and ends what runs by having it undone."""
    running = lane.running
    if running and _is_same(running.ask, ask):
        return lane
    if running and ask.request.story is Story.ROLLBACK and running.ask.request.story is Story.PROMOTION:
        joined = running.but(
            cancelling=running.cancelling or f"{ask.request.actor.name} asked for a rollback",
            joined=(*(other for other in running.joined if other.asker != ask.asker), ask),
        )
        return lane.but(running=joined)
    others = tuple(other for other in lane.queue if other.asker != ask.asker)
    if ask.request.story is Story.ROLLBACK:
        ahead = tuple(other for other in others if other.request.story is Story.ROLLBACK)
        behind = tuple(other for other in others if other.request.story is not Story.ROLLBACK)
        return lane.but(queue=(*ahead, ask, *behind))
    place = next((at for at, other in enumerate(lane.queue) if other.asker == ask.asker), len(others))
    return lane.but(queue=(*others[:place], ask, *others[place:]))


def _is_same(one: Ask, other: Ask) -> bool:
    return one.asker == other.asker and one.number == other.number


def withdrawn(lane: LaneState, asker: str, reason: str) -> LaneState:
    """Let an asker go: their place in the queue is dropped, their running change is to be undone."""
    queue = tuple(ask for ask in lane.queue if ask.asker != asker)
    running = lane.running
    if running and running.ask.asker == asker and not running.cancelling:
        return lane.but(queue=queue, running=running.but(cancelling=reason or "withdrawn"))
    return lane.but(queue=queue)


def recalled(lane: LaneState, memory: Recollection) -> LaneState:
    """Learn what the store remembers: the highest turn, what is held, and which turns nobody accounted for."""
    return lane.but(
        last_turn=max(lane.last_turn, memory.highest),
        unsettled=tuple(turn.turn for turn in memory.open),
        held=dict(memory.held),
        recalled=True,
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

    A rollback that joined a change which was kept after all is not answered by it: it goes to the front.
    """
    running = lane.running
    if running is None:
        return lane, ()
    kept = isinstance(answer, Done) and running.ask.request.story is Story.PROMOTION
    settled = running.ask.request.of if running.ask.request.story is Story.SETTLEMENT else None
    unsettled = tuple(turn for turn in lane.unsettled if turn != settled)
    freed = lane.but(
        running=None,
        unsettled=unsettled,
        queue=(*running.joined, *lane.queue) if kept else lane.queue,
        held=lane.held if isinstance(answer, NotBegun) else {**lane.held, **answer.after},
        slots=lane.slots if unsettled else 0,
    )
    mine = (running.ask,) if running.ask.asker else ()
    return freed, mine if kept else (*mine, *running.joined)


def lost(lane: LaneState, memory: Recollection, slots: int) -> LaneState:
    """The change ended without an account: its turn is unsettled, and is settled before anybody else's.

    Whoever waited for it is told by its settlement. ``slots`` is how many deeds it was to do.
    """
    running = lane.running
    if running is None:
        return recalled(lane, memory)
    waiting = (running.ask, *running.joined) if running.ask.asker else running.joined
    freed = recalled(lane.but(running=None), memory)
    unsettled = tuple(sorted({*freed.unsettled, running.turn}))
    return freed.but(unsettled=unsettled, orphans=waiting, slots=max(slots, lane.slots))
