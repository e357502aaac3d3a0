"""A lane among everything that can happen to it, with what it promises checked after every step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from domain.actor import Actor
from domain.answer import Ask, Done, NotBegun, Undone
from domain.fence import milliseconds
from domain.journal import OpenTurn, Recollection
from domain.lane import LaneState, Running, ended, lost, next_change, recalled
from domain.names import Subject
from domain.outcome import Outcome, Phase
from domain.queueing import TurnedAway, asked, withdrawn, yields_to
from domain.refusal import Cause, Refusal
from domain.terms import LanePolicy, LaneTerms, Request, Sealed, Story

SUBJECT: Final = Subject(service="shop", environment="production")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
GONE: Final = Refusal(cause=Cause.GONE, why="nobody asks for it any more")
ASKERS: Final = ("promotion/1", "promotion/2", "promotion/3", "ana", "bo")
STORIES: Final = (Story.PROMOTION, Story.PROMOTION, Story.PROMOTION, Story.ROLLBACK, Story.ADOPTION)
WORDS: Final = (Done, Undone, NotBegun)
MESSAGES_KEPT: Final = 6
MOST_STEPS_TO_REST: Final = 200

Key = tuple[str, int, Story, datetime | None]
Said = type[Done] | type[Undone] | type[NotBegun]


QUEUE: Final = LaneTerms()
SUPERSEDE: Final = LaneTerms(policy=LanePolicy.SUPERSEDE)
REFUSE: Final = LaneTerms(policy=LanePolicy.REFUSE)
LANES: Final = (QUEUE, QUEUE, SUPERSEDE, SUPERSEDE.but(yields=True), QUEUE.but(yields=True), REFUSE)
AGES: Final = (0, 0, 0, -2, -7)
"""How long before it comes to the lane a promotion was asked for: some wait for people first."""
_PAPER: Final = Sealed(kind="proposal", environment=SUBJECT.environment, key="", body="", signature="")


@cache
def _bare(asker: str, number: int, story: Story) -> Ask:
    request = Request(story=story, subject=SUBJECT, actor=Actor(name=asker))
    proposal = _PAPER if story is Story.PROMOTION else None
    return Ask(asker=asker, number=number, request=request, proposal=proposal)


def ask_of(asker: str, number: int, story: Story, lane: LaneTerms = QUEUE, since: int = 0) -> Ask:
    """Return an ask; ``since`` are the minutes after some day's beginning when it was asked for."""
    return _bare(asker, number, story).but(lane=lane, since=EPOCH + timedelta(days=1, minutes=since))


def taken(lane: LaneState, ask: Ask) -> LaneState:
    """Return the lane that was asked; nobody is turned away."""
    after, turned_away = asked(lane, ask)
    assert not turned_away
    return after


def key_of(ask: Ask) -> Key:
    story = ask.request.story
    return ask.asker, ask.number, story, ask.since if story is Story.PROMOTION else None


def is_rollback(key: Key) -> bool:
    return key[2] is Story.ROLLBACK


def is_newer(one: Ask, other: Ask) -> bool:
    """Tell whether one promotion was asked for later than another, and by somebody else."""
    both = {one.request.story, other.request.story} == {Story.PROMOTION}
    assert one.since, other.since
    return both and one.asker != other.asker and (one.since, one.asker) > (other.since or EPOCH, other.asker)


@dataclass
class Change:
    """A change that runs, or that still runs although its lane is dead."""

    turn: int
    request: Request
    journaled: bool = False


@dataclass
class Asker:
    """Somebody who asks, remembers what they wait for, and asks again when the lane died under them."""

    number: int = 0
    waits_for: Key | None = None
    asks_again: Story | None = None

    def hears(self, key: Key) -> None:
        """There is an answer: whoever waits for another goes on waiting."""
        if self.waits_for == key:
            self.waits_for = None


@dataclass
class World:
    """The lane, what is around it, and an account of it that the lane knows nothing of."""

    lane: LaneState | None = None
    clock: int = 1_000_000
    change: Change | None = None
    strays: list[Change] = field(default_factory=list)
    journals: set[int] = field(default_factory=set)
    receipts: dict[int, Outcome] = field(default_factory=dict)
    askers: dict[str, Asker] = field(default_factory=lambda: {name: Asker() for name in ASKERS})
    messages: list[Ask] = field(default_factory=list)
    in_hand: dict[Key, int] = field(default_factory=dict)
    """What the lane has taken and not given back, each with the place in line that it came to have."""
    begun: set[Key] = field(default_factory=set)
    turned_away: int = 0
    """How many were told that they need not, or may not, wait."""
    yielded: int = 0
    """How many steps found a soak that was to end for somebody."""
    arrivals: int = 0
    owed: set[int] = field(default_factory=set)
    """The turns that this lane has to settle."""
    turns: list[int] = field(default_factory=list)
    """Every turn ever given, in order."""
    life_began: int = 0
    """How many turns had been given when this lane was born."""

    # What askers do.

    def ask(self, name: str, story: Story, lane: LaneTerms = QUEUE, age: int = 0) -> None:
        """Somebody who waits for nothing asks for something new, or again for what died with a lane."""
        asker = self.askers[name]
        if asker.waits_for is None:
            asker.number += 1
            ask = ask_of(name, asker.number, story, lane, self.arrivals + age).but(dated=self.now)
            ask = ask.but(comes_back=asker.asks_again is not None)
            asker.asks_again = None
            asker.waits_for = key_of(ask)
            self.messages = [*self.messages[1 - MESSAGES_KEPT :], ask]
            self._deliver(ask)

    def repeat(self, which: int) -> None:
        """A message arrives once more, perhaps long after it was answered."""
        if self.messages:
            self._deliver(self.messages[which % len(self.messages)])

    def forget(self, name: str) -> None:
        """An asker dies and begins anew, with its first number; what it had asked is nobody's now."""
        self.askers[name] = Asker()

    def withdraw(self, name: str) -> None:
        """An asker lets go of all it asked: it stops waiting, unless what it asked has begun."""
        if self.lane is None:
            return
        before = self.lane.running
        self.lane = withdrawn(self.lane, name, "")
        running = self.lane.running
        at_work = before and key_of(before.ask)
        for key in [key for key in self.in_hand if key[0] == name]:
            if key not in self.begun or (is_rollback(key) and key != at_work):
                self._let_go(key)
        if before and running and running.cancelling != before.cancelling:
            assert before.ask.asker == name, "somebody else's change is undone"
        if running and running.ask.asker == name and not self._goes_back(running):
            assert running.cancelling, "a withdrawn change goes on"
        asker = self.askers[name]
        if asker.waits_for not in self.in_hand:
            asker.waits_for = None

    def _deliver(self, ask: Ask) -> None:
        """The lane is born by being asked, where there is none."""
        before = self.lane or self._born()
        self.lane, turned_away = asked(before, ask)
        self.arrivals += 1
        is_known = key_of(ask) in self.in_hand
        self.in_hand.setdefault(key_of(ask), self.arrivals)
        self._check_turned_away(before, ask, turned_away, is_known=is_known)
        for other, *_ in turned_away:
            self._let_go(key_of(other))
            self.askers[other.asker].hears(key_of(other))
        self.turned_away += len(turned_away)

    def _check_turned_away(
        self, before: LaneState, ask: Ask, turned_away: Sequence[TurnedAway], *, is_known: bool
    ) -> None:
        """Exactly those are turned away who are to be, by their own terms; none of them has begun."""
        is_busy = before.running or before.queue or before.unsettled
        is_refused = (
            ask.request.story is Story.PROMOTION
            and ask.lane == REFUSE
            and bool(is_busy)
            and not (is_known or ask.comes_back)
        )
        line = [*before.queue, *([] if key_of(ask) in self.begun else [ask])]
        needless = [one for one in line if any(is_newer(other, one) for other in line)]
        expected = (
            {key_of(ask)}
            if is_refused
            else {key_of(one) for one in needless if one.lane.policy is LanePolicy.SUPERSEDE}
        )
        told = [key_of(one) for one, *_ in turned_away]
        assert len(told) == len(set(told)), "somebody is turned away twice"
        assert set(told) == expected, "somebody is turned away who is to wait, or waits for nothing"
        for one, refusal, _ in turned_away:
            assert one == ask or is_newer(ask, one), "somebody is turned away for what does not concern them"
            cause = Cause.BUSY if is_refused else Cause.SUPERSEDED
            assert refusal.cause is cause, "somebody is told another reason than the true one"

    def _let_go(self, key: Key) -> None:
        del self.in_hand[key]
        self.begun.discard(key)

    # What happens to the lane.

    def _born(self) -> LaneState:
        self.life_began = len(self.turns)
        return LaneState(subject=SUBJECT)

    def recall(self) -> None:
        """The lane learns what the store remembers, at its birth and perhaps once more."""
        if self.lane:
            memory = self._memory()
            self.lane = recalled(self.lane, memory)
            self.owed |= {turn.turn for turn in memory.open} - ({self.change.turn} if self.change else set())

    def _memory(self) -> Recollection:
        opened = sorted(self.journals - self.receipts.keys())
        turns = [OpenTurn(turn=turn, entries=()) for turn in opened]
        highest = max((*self.journals, *self.receipts), default=0)
        return Recollection(subject=SUBJECT, open=tuple(turns), highest=highest)

    def die(self) -> None:
        """The lane is terminated: its state is gone, its change goes on, its askers must ask again."""
        self.strays += [self.change] if self.change else []
        self.lane, self.change = None, None
        self.in_hand, self.begun, self.owed = {}, set(), set()
        for asker in self.askers.values():
            if asker.waits_for:
                asker.asks_again = asker.waits_for[2]
                asker.waits_for = None

    def tick(self, milliseconds: int) -> None:
        """The clock goes on, or jumps back."""
        self.clock = max(0, self.clock + milliseconds)

    # What changes do.

    @property
    def now(self) -> datetime:
        return EPOCH + timedelta(milliseconds=self.clock)

    def start(self) -> None:
        """The lane gives out its next turn, if it can."""
        lane = self.lane
        if lane is None:
            return
        after = next_change(lane, self.now)
        if after is None:
            idle = not lane.queue and not self.owed
            assert self.change or not lane.recalled or idle, "the lane stands still while somebody waits"
            return
        assert self.change is None, "two changes at once"
        assert lane.recalled, "a change began before the lane knew what is unsettled"
        running = after.running
        assert running
        self._check_next(running)
        self._check_turn(running)
        self.lane, self.change = after, Change(running.turn, running.ask.request)
        self.turns.append(running.turn)
        if not running.is_settlement:
            self.begun.add(key_of(running.ask))
        if any(stray.turn == running.turn for stray in self.strays):
            # It left no trace and the clock jumped back: its id is taken, and this change cannot start.
            self.lose(slots=0)

    def _check_next(self, running: Running) -> None:
        if self.owed:
            assert running.ask.request.of == max(self.owed), "something else came before a settlement"
            return
        assert not running.is_settlement, "a settlement of nothing"
        assert self.journals <= self.receipts.keys(), "a change began while an earlier one is unaccounted for"
        line = sorted((not is_rollback(key), place, key) for key, place in self.in_hand.items())
        assert line[0][2] == key_of(running.ask), "somebody was overtaken"

    def _check_turn(self, running: Running) -> None:
        turn, dated = running.turn, running.ask.dated
        traces = (*self.journals, *self.receipts)
        mine = self.turns[self.life_began :]
        assert turn > max((*traces, *mine), default=-1), "a turn does not outrank an earlier one"
        assert dated is None or turn >= milliseconds(dated), "a turn lies before its time"
        assert running.is_settlement or dated, "an ask without its time"

    def journal(self) -> None:
        """The change's first deed is cleared and noted."""
        if self.change:
            self.change.journaled = True
            self.journals.add(self.change.turn)

    def answer(self, said: Said) -> None:
        """The change leaves its receipt and answers; but not that it has not begun, once it has."""
        change, lane = self.change, self.lane
        if change is None or lane is None or lane.running is None:
            return
        if change.request.story is Story.SETTLEMENT:
            self._settle(change, lane, lane.running, said)
        elif said is NotBegun and not change.journaled:
            self._end(
                lane, NotBegun(turn=change.turn, refusal=GONE), {*map(key_of, self._waiting(lane.running))}
            )
        else:
            stands = said is Done
            self.journal()
            self.leave_receipt(change, stands=stands)
            kept = stands and change.request.story is Story.PROMOTION
            told = {key for key in map(key_of, self._waiting(lane.running)) if key in self.begun or not kept}
            self._end(lane, self._account(change.turn), told)

    def _settle(self, change: Change, lane: LaneState, running: Running, said: Said) -> None:
        """A settlement ends once the lost change is over, by the receipt that was found, or by undoing."""
        turn = change.request.of
        assert turn is not None
        if said is NotBegun and not change.journaled:
            self._end(lane, NotBegun(turn=change.turn, refusal=GONE), set())
            return
        if any(stray.turn == turn for stray in self.strays):
            return
        self.receipts.setdefault(turn, Outcome.ROLLED_BACK)
        if change.journaled:
            self.receipts[change.turn] = Outcome.ROLLED_BACK
        self.owed.discard(turn)
        stands = self.receipts[turn] is Outcome.PROMOTED
        told = {key for key in map(key_of, running.joined) if not (stands and is_rollback(key))}
        self._end(lane, self._account(turn), set() if self.owed else told)

    def leave_receipt(self, change: Change, *, stands: bool) -> None:
        outcomes = {Story.PROMOTION: Outcome.PROMOTED, Story.ADOPTION: Outcome.NOTHING_TO_DO}
        done = outcomes.get(change.request.story, Outcome.ROLLED_BACK)
        self.receipts[change.turn] = done if stands else Outcome.CANCELLED

    def _account(self, turn: int) -> Done | Undone:
        outcome = self.receipts[turn]
        if outcome is Outcome.CANCELLED:
            return Undone(turn=turn, outcome=outcome, why="it was put back")
        return Done(turn=turn, outcome=outcome)

    def _end(self, lane: LaneState, said: Done | Undone | NotBegun, expected: set[Key]) -> None:
        self.lane, told = ended(lane, said)
        self.change = None
        keys = [key_of(ask) for ask in told]
        assert len(keys) == len(set(keys)), "somebody is told twice"
        assert set(keys) == expected, "somebody is told too early, too late, or what is not theirs"
        for key in keys:
            assert key in self.in_hand, "somebody is told again"
            self._let_go(key)
            self.askers[key[0]].hears(key)

    def lose(self, slots: int) -> None:
        """The change closes without an answer, at whatever point, its receipt left or not."""
        if self.change and self.lane:
            memory = self._memory()
            self.lane = lost(self.lane, memory, slots)
            self.owed |= {self.change.turn, *(turn.turn for turn in memory.open)}
            self.change = None
            assert self.lane.slots >= slots, "a deed of the lost change is forgotten"

    def stray(self, *, stands: bool, leaves: bool) -> None:
        """The oldest change without a lane ends: with a receipt where it had begun, or without a word."""
        if self.strays:
            stray = self.strays.pop(0)
            if stray.journaled and leaves and stray.turn not in self.receipts:
                self.leave_receipt(stray, stands=stands)

    # What must be true at any time.

    def check(self) -> None:
        lane = self.lane
        if lane is None:
            return
        running = lane.running
        assert (running and running.turn) == (self.change and self.change.turn), "lane and change disagree"
        has = [*map(key_of, (*lane.queue, *lane.orphans, *(self._waiting(running) if running else ())))]
        assert len(has) == len(set(has)), "an ask is in two places"
        assert set(has) == self.in_hand.keys(), "an ask is lost, or came from nowhere"
        line = [(not is_rollback(key), self.in_hand[key]) for key in map(key_of, lane.queue)]
        assert line == sorted(line), "a rollback waits behind a promotion, or somebody has jumped the queue"
        for asker in self.askers.values():
            assert asker.waits_for is None or asker.waits_for in self.in_hand, "somebody waits for ever"
        assert {*lane.unsettled} == self.owed, "what is unsettled is forgotten, or settled twice"
        assert (lane.phase is Phase.UNSETTLED) == bool(self.owed), "what is unsettled is not shown"
        self._check_order(lane)
        if running:
            assert not (running.cancelling and self._goes_back(running)), "an undo is cancelled"
            joined = running.ask.request.story is Story.PROMOTION and running.joined
            assert running.cancelling or not joined, "a rollback waits for a promotion to end well"

    def _check_order(self, lane: LaneState) -> None:
        """Nobody waits in vain, and a soak ends only where its own terms say so and somebody newer waits."""
        for one in lane.queue:
            vain = one.lane.policy is LanePolicy.SUPERSEDE and any(
                is_newer(other, one) for other in lane.queue
            )
            assert not vain, "somebody waits whom a newer promotion makes needless"
        at_work, newer = lane.running and lane.running.ask, yields_to(lane)
        waiting = [other for other in lane.queue if at_work and is_newer(other, at_work)]
        is_to_yield = bool(at_work and at_work.lane.yields and waiting)
        assert (newer is not None) == is_to_yield, "a soak ends for nobody, or not although it yields"
        assert newer is None or not any(is_newer(other, newer) for other in waiting), "it is not the newest"
        self.yielded += is_to_yield

    @staticmethod
    def _goes_back(running: Running) -> bool:
        return running.ask.request.story in {Story.ROLLBACK, Story.SETTLEMENT}

    @staticmethod
    def _waiting(running: Running) -> Sequence[Ask]:
        return running.joined if running.is_settlement else (running.ask, *running.joined)

    def come_to_rest(self, say: Callable[[], Said]) -> None:
        """Nothing goes wrong any more: everybody who asked is told, and nothing is left."""
        while self.strays:
            self.stray(stands=True, leaves=True)
        for name, asker in self.askers.items():
            if asker.asks_again:
                self.ask(name, asker.asks_again)
        self.recall()
        for _ in range(MOST_STEPS_TO_REST):
            self.start()
            self.check()
            if self.change is None:
                break
            self.answer(say())
            self.check()
        assert self.lane is None or self.lane.phase is Phase.IDLE, "the lane never comes to rest"
        assert not self.in_hand, "somebody was never told"
        assert not any(asker.waits_for or asker.asks_again for asker in self.askers.values())
