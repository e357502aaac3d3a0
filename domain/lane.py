"""The rules of a lane: one change at a time, in order, and nothing before what is unsettled.

Pure: every function takes the lane's state and returns the next one. An ask that was taken is in one place
only, the queue, the running change or among the orphans, until ``ended`` hands it back to be told, or
``domain.queueing`` turns it away, or it is withdrawn.
"""

from datetime import datetime

from pydantic import Field

from domain.actor import ENGINE, Channel
from domain.answer import Ask, Done, NotBegun, Undone
from domain.berth import Berth
from domain.environment import Holding
from domain.fence import next_turn
from domain.journal import Receipt, Recollection
from domain.names import Subject
from domain.outcome import Outcome, Phase
from domain.terms import Request, Story
from domain.value import Value


class Running(Value):
    """The change that has the lane."""

    turn: int
    ask: Ask
    since: datetime | None = None
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
    held: dict[Berth, Holding] = Field(default_factory=dict)
    recalled: bool = False
    orphans: tuple[Ask, ...] = ()
    """Who waited for a change that was lost: its settlement is their answer."""
    slots: int = 0
    """How many deeds the lost change was to do."""
    offline: str = ""
    """What somebody did here last without the engine, until a change comes after it."""
    rollbacks: int = 0
    """How many were begun, or answered by the undo of what ran."""

    @property
    def phase(self) -> Phase:
        if self.unsettled or (self.running and self.running.stuck):
            return Phase.UNSETTLED
        return Phase.BUSY if self.running else Phase.IDLE

    def waits(self, asker: str, number: int) -> bool:
        """Tell whether an ask waits for its turn."""
        return any((ask.asker, ask.number) == (asker, number) for ask in self.queue)

    def has_begun(self, asker: str, number: int) -> bool:
        """Tell whether a change runs, or is not accounted for yet, whose answer somebody waits for."""
        begun = (self.running.ask, *self.running.joined) if self.running else ()
        return any((ask.asker, ask.number) == (asker, number) for ask in (*begun, *self.orphans))


def one_too_many(lane: LaneState, ask: Ask) -> str:
    """Say why a rollback would undo one change more than whoever asks for it can mean, or nothing where it would not.

    Whoever names the turn means that one. Of two who ask at once, each knew of no other; and where a change was lost,
    its settlement is what they want.
    """
    if not ask.is_rollback or ask.request.of is not None:
        return ""
    asks = (*([lane.running.ask] if lane.running else []), *lane.queue)
    other = next((one for one in asks if one.is_rollback and one.asker != ask.asker), None)
    if other:
        return (
            f"a rollback of {lane.subject} is under way already, asked for by {other.request.said_by}; another would "
            "undo one change more"
        )
    if lane.unsettled:
        turns = " and ".join(f"turn {turn}" for turn in lane.unsettled)
        return (
            f"{turns} of {lane.subject} is being settled, which puts back whatever that had begun; another rollback "
            "would undo one change more. See what stands there when that is over, and ask again if that is to go too"
        )
    if ask.rollbacks is not None and lane.rollbacks > ask.rollbacks:
        return (
            f"somebody else has just had {lane.subject} rolled back; another would undo one change more. See what "
            "stands there now, and ask again if that is to go too"
        )
    return ""


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

    What is unsettled is settled first, newest first, as undoing goes. The turn depends on the lane and on what was
    asked alone: ``now`` only says since when it runs.
    """
    if lane.running or not lane.recalled:
        return None
    if lane.unsettled:
        turn = lane.last_turn + 1
        settlement = Running(
            turn=turn, ask=_settlement(lane, max(lane.unsettled)), since=now, joined=lane.orphans
        )
        return lane.but(last_turn=turn, running=settlement, orphans=())
    if lane.queue:
        ask, *rest = lane.queue
        turn = next_turn(lane.last_turn, ask.dated) if ask.dated else lane.last_turn + 1
        return lane.but(
            last_turn=turn,
            queue=tuple(rest),
            running=Running(turn=turn, ask=ask, since=now),
            rollbacks=lane.rollbacks + ask.is_rollback,
        )
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
        rollbacks=lane.rollbacks
        + (isinstance(answer, Undone) and any(ask.is_rollback for ask in running.joined)),
    )
    if running.is_settlement and unsettled:
        return freed.but(orphans=running.joined), ()
    still_wanted = tuple(ask for ask in running.joined if ask.is_rollback) if _stands(running, answer) else ()
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
    if running.ask.is_rollback:
        # Its undos leave no journal to settle it by: it is made after all, before anybody else's.
        waiting = running.joined
        freed = freed.but(queue=(running.ask, *freed.queue))
    return freed.but(
        unsettled=tuple(sorted({*freed.unsettled, running.turn})),
        orphans=waiting,
        slots=max(slots, lane.slots),
    )
