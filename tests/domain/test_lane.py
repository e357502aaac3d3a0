from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.answer import Ask, Done, NotBegun, Undone
from domain.environment import Absent, Holding, Unknown
from domain.fence import milliseconds
from domain.journal import OpenTurn, Recollection
from domain.lane import LaneState, Running, ended, lost, next_change, one_too_many, recalled
from domain.outcome import Outcome, Phase
from domain.queueing import withdrawn
from domain.terms import LaneTerms, Story
from tests.domain.lane_model import walk_many
from tests.domain.lane_world import (
    AGES,
    ASKERS,
    GONE,
    LANES,
    STORIES,
    SUBJECT,
    WORDS,
    Said,
    World,
    ask_of,
    taken,
)

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
NEW = ask_of("promotion/new", 1, Story.PROMOTION)
NEXT = ask_of("promotion/next", 1, Story.PROMOTION)
BACK = ask_of("ana", 1, Story.ROLLBACK)
ADOPT = ask_of("bo", 1, Story.ADOPTION)
NOTHING_REMEMBERED = Recollection(subject=SUBJECT)


def lane(*asks: Ask, open_turns: tuple[int, ...] = ()) -> LaneState:
    """A lane that has recalled, and then was asked this."""
    turns = tuple(OpenTurn(turn=turn, entries=()) for turn in open_turns)
    state = recalled(LaneState(subject=SUBJECT), Recollection(subject=SUBJECT, open=turns, highest=7))
    for ask in asks:
        state = taken(state, ask)
    return state


def started(state: LaneState, now: datetime = NOW) -> LaneState:
    """The lane with its next change running, of which there must be one."""
    after = next_change(state, now)
    assert after
    return after


def running(state: LaneState) -> Ask:
    """Whose change runs."""
    assert state.running
    return state.running.ask


def turn_of(state: LaneState) -> int:
    assert state.running
    return state.running.turn


def done(state: LaneState, outcome: Outcome = Outcome.PROMOTED, **after: Holding) -> Done:
    return Done(turn=turn_of(state), outcome=outcome, after=after)


def undone(state: LaneState) -> Undone:
    return Undone(turn=turn_of(state), outcome=Outcome.ROLLED_BACK, why="it was sick")


def not_begun(state: LaneState) -> NotBegun:
    return NotBegun(turn=turn_of(state), refusal=GONE)


def test_no_interleaving_breaks_a_promise_of_the_lane() -> None:
    """In 20,000 random lives no two changes overlap, nobody is lost or overtaken, and no turn is stale.

    Whoever is turned away is told, once, and by the terms of nobody else.
    """
    tally = walk_many(first=0, count=20_000)

    assert tally.turns > 50_000
    assert tally.turned_away > 5_000
    assert tally.yielded > 5_000


class LaneLives(RuleBasedStateMachine):
    """The same world, steered by hypothesis, which shrinks what it finds."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(
        name=st.sampled_from(ASKERS),
        story=st.sampled_from(STORIES),
        lane=st.sampled_from(LANES),
        age=st.sampled_from(AGES),
    )
    def ask(self, name: str, story: Story, lane: LaneTerms, age: int) -> None:
        self.world.ask(name, story, lane, age)

    @rule(which=st.integers(0, 5))
    def repeat(self, which: int) -> None:
        self.world.repeat(which)

    @rule(name=st.sampled_from(ASKERS))
    def withdraw(self, name: str) -> None:
        self.world.withdraw(name)

    @rule(name=st.sampled_from(ASKERS))
    def forget(self, name: str) -> None:
        self.world.forget(name)

    @rule()
    def start(self) -> None:
        self.world.start()

    @rule()
    def journal(self) -> None:
        self.world.journal()

    @rule(said=st.sampled_from(WORDS))
    def answer(self, said: Said) -> None:
        self.world.answer(said)

    @rule(slots=st.integers(0, 3))
    def lose(self, slots: int) -> None:
        self.world.lose(slots)

    @rule()
    def die(self) -> None:
        self.world.die()

    @rule()
    def recall(self) -> None:
        self.world.recall()

    @rule(stands=st.booleans(), leaves=st.booleans())
    def stray(self, *, stands: bool, leaves: bool) -> None:
        self.world.stray(stands=stands, leaves=leaves)

    @rule(milliseconds=st.integers(-4000, 5000))
    def tick(self, milliseconds: int) -> None:
        self.world.tick(milliseconds)

    @invariant()
    def promises_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.come_to_rest(lambda: Done)


TestLaneLives = LaneLives.TestCase
TestLaneLives.settings = settings(stateful_step_count=40)


def test_a_lane_that_has_not_recalled_starts_nothing() -> None:
    """A lane just born may be preceded by a change that nobody accounted for: it looks first."""
    born = taken(LaneState(subject=SUBJECT), NEW)

    assert next_change(born, NOW) is None
    assert running(started(recalled(born, NOTHING_REMEMBERED))) == NEW


def test_a_turn_outranks_what_was_recalled_and_the_time_of_its_ask() -> None:
    """The first turn after a birth is above the highest ever seen, and at least the milliseconds of its ask."""
    far = milliseconds(NOW) + 5_000
    ahead = recalled(lane(NEW.but(dated=NOW)), Recollection(subject=SUBJECT, highest=far))

    assert turn_of(started(ahead)) == far + 1
    assert turn_of(started(lane(NEW.but(dated=NOW)))) == milliseconds(NOW)


def test_turns_grow_although_the_clock_jumps_back() -> None:
    """The turn after the next is higher, even where it was asked for a day earlier."""
    first = started(lane(NEW.but(dated=NOW), NEXT.but(dated=NOW - timedelta(days=1))))
    freed, _ = ended(first, done(first))

    assert turn_of(started(freed)) == turn_of(first) + 1


@pytest.mark.parametrize("open_turns", [(), (5,)], ids=["an ask", "a settlement"])
def test_a_turn_is_the_same_whenever_it_is_given(open_turns: tuple[int, ...]) -> None:
    """A replay may see another time than the first run saw, and has to name the same change."""
    state = lane(NEW.but(dated=NOW), open_turns=open_turns)

    assert turn_of(started(state, NOW + timedelta(hours=1))) == turn_of(started(state, NOW))


def test_a_copy_of_an_ask_changes_nothing() -> None:
    """Neither while it waits, nor while it runs, nor while a settlement is to answer it."""
    waiting = lane(NEW, NEXT)
    at_work = started(waiting)
    orphaned = lost(at_work, NOTHING_REMEMBERED, slots=1)

    assert taken(waiting, NEW) == waiting
    assert taken(at_work, NEW) == at_work
    assert taken(orphaned, NEW) == orphaned
    assert taken(started(orphaned), NEW) == started(orphaned)


def test_the_newest_copy_of_an_ask_is_what_is_done() -> None:
    """Sent again it has a later date; what else is asked under its name and number takes nothing from it."""
    again, other = NEW.but(dated=NOW, comes_back=True), NEW.but(intent="sha256:another")

    assert taken(lane(NEW, NEXT), again).queue == (again, NEXT)
    assert taken(lane(NEW, NEXT), other).queue == (NEW, NEXT, other)
    assert taken(started(lane(NEW)), other).queue == (other,)


def test_what_else_runs_in_an_askers_name_is_not_what_it_waits_for() -> None:
    """Who withdraws is answered at once, unless the change of that very ask has begun."""
    at_work = started(lane(NEW, NEXT))

    assert at_work.has_begun(NEW.asker, NEW.number)
    assert not at_work.has_begun(NEW.asker, NEW.number + 1)
    assert not at_work.has_begun(NEXT.asker, NEXT.number)


def test_another_ask_never_displaces_an_earlier_one() -> None:
    """Neither a late copy of an old ask nor an asker that began anew costs anybody their place."""
    second, first = ask_of("promotion/new", 2, Story.PROMOTION), NEW

    assert lane(second, first).queue == (second, first)
    assert lane(first, second).queue == (first, second)


def test_a_rollback_goes_ahead_of_promotions_and_behind_rollbacks() -> None:
    """Rollbacks first, each kind in the order in which it came."""
    second = ask_of("bo", 1, Story.ROLLBACK)

    assert lane(NEW, BACK, ADOPT, NEXT, second, BACK).queue == (BACK, second, NEW, ADOPT, NEXT)


def test_a_rollback_has_the_running_promotion_undone_and_is_answered_by_it() -> None:
    """Whoever asks for a rollback in mid-promotion is told when the promotion is undone."""
    both = taken(started(lane(NEW, NEXT)), BACK)

    freed, told = ended(both, undone(both))

    assert both.running
    assert both.running.cancelling == "ana (claimed, not proven) asked for a rollback"
    assert told == (NEW, BACK)
    assert freed.queue == (NEXT,)


@pytest.mark.parametrize("outcome", [Outcome.PROMOTED, Outcome.NOTHING_TO_DO])
def test_a_rollback_whose_promotion_stands_after_all_comes_next(outcome: Outcome) -> None:
    """The cancel came too late: the promotion is told, the rollback goes to the front."""
    both = taken(started(lane(NEW, NEXT)), BACK)

    freed, told = ended(both, done(both, outcome))

    assert told == (NEW,)
    assert freed.queue == (BACK, NEXT)


@pytest.mark.parametrize("found", [Outcome.PROMOTED, Outcome.ROLLED_BACK])
def test_a_rollback_is_not_answered_by_finding_that_the_lost_promotion_stands(found: Outcome) -> None:
    """A settlement that finds the receipt of a promotion that stands leaves the rollback to be done."""
    both = taken(started(lane(NEW)), BACK)
    settling = started(lost(both, NOTHING_REMEMBERED, slots=1))

    freed, told = ended(settling, done(settling, found))

    stands = found is Outcome.PROMOTED
    assert told == ((NEW,) if stands else (NEW, BACK))
    assert freed.queue == ((BACK,) if stands else ())


def test_a_rollback_waits_for_an_adoption_a_rollback_and_a_settlement() -> None:
    """Nothing but a promotion is undone for it."""
    for ask in (ADOPT, ask_of("bo", 1, Story.ROLLBACK)):
        at_work = taken(started(lane(ask)), BACK)
        assert at_work.running
        assert not at_work.running.cancelling
        assert at_work.queue == (BACK,)
    assert taken(started(lane(open_turns=(5,))), BACK).queue == (BACK,)


def test_a_withdrawn_ask_is_dropped_while_it_waits_and_undone_while_it_runs() -> None:
    """What has begun is still accounted for to its asker, with the reason that was given."""
    gone = withdrawn(lane(NEW, NEXT), NEW.asker, "cancelled")
    stopping = withdrawn(started(lane(NEW)), NEW.asker, "cancelled")

    assert gone.queue == (NEXT,)
    assert stopping.running
    assert stopping.running.cancelling == "cancelled"
    assert ended(stopping, undone(stopping))[1] == (NEW,)


def test_a_withdrawal_that_spares_what_runs_drops_what_waits_and_no_more() -> None:
    """Whoever was rejected before their turn goes; whether a running change has begun is for its effect to say."""
    waiting = withdrawn(lane(NEW, NEXT), NEW.asker, "rejected", spares_running=True)
    running = started(lane(NEW))

    assert waiting.queue == (NEXT,)
    assert withdrawn(running, NEW.asker, "rejected", spares_running=True) == running


def test_a_withdrawal_cancels_nobody_elses_change_and_no_undo() -> None:
    """Not that of another asker, not a rollback, and not a settlement, whose asker has no name."""
    for state, asker in (
        (started(lane(NEW)), NEXT.asker),
        (started(lane(BACK)), BACK.asker),
        (started(lane(open_turns=(5,))), ""),
    ):
        assert withdrawn(state, asker, "cancelled") == state


def test_a_withdrawn_rollback_is_not_done_later() -> None:
    """Neither after the promotion that it came into stands, nor after that was lost and found to stand."""
    both = taken(started(lane(NEW)), BACK)
    alone = withdrawn(both, BACK.asker, "")
    orphaned = withdrawn(lost(both, NOTHING_REMEMBERED, slots=1), BACK.asker, "")

    assert ended(alone, done(alone))[0].queue == ()
    assert orphaned.orphans == (NEW,)


def test_a_second_reason_does_not_hide_the_first() -> None:
    """A change is undone for what was said first."""
    stopping = withdrawn(started(lane(NEW)), NEW.asker, "cancelled")

    both = withdrawn(taken(stopping, BACK), NEW.asker, "again")

    assert both.running
    assert both.running.cancelling == "cancelled"


def test_unsettled_turns_are_settled_first_and_newest_first() -> None:
    """A rollback waits too: nobody can say what it would undo."""
    first = started(lane(BACK, NEW, open_turns=(3, 5)))
    after_first, told_first = ended(first, done(first, Outcome.ROLLED_BACK))
    second = started(after_first)
    after_second, _ = ended(second, done(second, Outcome.ROLLED_BACK))

    assert [running(state).request.of for state in (first, second)] == [5, 3]
    assert running(first).request.story is Story.SETTLEMENT
    assert told_first == ()
    assert running(started(after_second)) == BACK


def test_whoever_waited_for_a_lost_change_is_told_when_all_is_settled() -> None:
    """Also where the settlement is lost too: both are settled before the asker hears of it."""
    first = started(lane(NEW))
    settling = started(lost(first, NOTHING_REMEMBERED, slots=2))
    again = started(lost(settling, NOTHING_REMEMBERED, slots=1))
    after_again, told_again = ended(again, done(again, Outcome.ROLLED_BACK))
    last = started(after_again)

    freed, told = ended(last, undone(last))

    assert running(again).request.of == turn_of(settling)
    assert running(last).request.of == turn_of(first)
    assert (told_again, told) == ((), (NEW,))
    assert freed.phase is Phase.IDLE


def test_the_settlement_knows_how_many_deeds_were_lost() -> None:
    """The most that any lost change was to do, until all is settled; then nothing is left of it."""
    settling = started(lost(started(lane(NEW)), NOTHING_REMEMBERED, slots=3))
    again = started(lost(settling, NOTHING_REMEMBERED, slots=1))
    freed, _ = ended(again, undone(again))
    last = started(freed)

    assert [running(state).request.slots for state in (settling, again, last)] == [3, 3, 3]
    assert ended(last, undone(last))[0].slots == 0


def test_a_settlement_that_did_not_begin_comes_up_again() -> None:
    """What nobody accounted for stays unsettled, and whoever waits for it goes on waiting."""
    settling = started(lost(started(lane(NEW)), NOTHING_REMEMBERED, slots=3))

    freed, told = ended(settling, not_begun(settling))

    assert told == ()
    assert running(started(freed)).but(number=0) == running(settling).but(number=0)


def test_recalling_forgets_no_turn_that_is_known_to_be_unsettled() -> None:
    """A change lost before its first deed left nothing in the store, and is settled all the same."""
    dropped = lost(started(lane(NEW)), NOTHING_REMEMBERED, slots=1)
    seen = Recollection(subject=SUBJECT, open=(OpenTurn(turn=3, entries=()),))

    assert recalled(dropped, seen).unsettled == (3, *dropped.unsettled)


def test_recalling_does_not_take_the_running_change_for_a_lost_one() -> None:
    """A change that runs has a journal and no receipt, as it should."""
    at_work = started(lane(NEW))
    seen = Recollection(subject=SUBJECT, open=(OpenTurn(turn=turn_of(at_work), entries=()),))

    assert recalled(at_work, seen).unsettled == ()


def test_a_change_is_answered_although_an_older_turn_turns_up_unsettled() -> None:
    """Only a settlement's answer waits until all is settled."""
    seen = Recollection(subject=SUBJECT, open=(OpenTurn(turn=3, entries=()),))
    at_work = recalled(started(lane(NEW)), seen)

    freed, told = ended(at_work, done(at_work))

    assert told == (NEW,)
    assert running(started(freed)).request.of == 3


def test_what_is_held_is_what_was_answered_and_what_was_recalled() -> None:
    """An answer changes what it speaks of, a recollection replaces it all, not beginning changes nothing."""
    first = started(recalled(lane(NEW, NEXT), Recollection(subject=SUBJECT, held={"db": Absent()})))
    freed, _ = ended(first, done(first, site=Unknown()))
    second = started(freed)

    assert freed.held == {"db": Absent(), "site": Unknown()}
    assert ended(second, not_begun(second))[0].held == freed.held
    assert lost(second, NOTHING_REMEMBERED, slots=1).held == {}


def test_an_answer_nobody_waits_for_changes_nothing() -> None:
    """No change runs, so nothing can have ended."""
    idle = lane(NEW)
    answer = NotBegun(turn=1, refusal=GONE)
    memory = Recollection(subject=SUBJECT, highest=99, held={"site": Absent()})

    assert ended(idle, answer) == (idle, ())
    assert lost(idle, memory, slots=1) == recalled(idle, memory)


def test_the_phase_says_unsettled_before_busy_before_idle() -> None:
    """A lane that settles is still unsettled."""
    assert lane(NEW).phase is Phase.IDLE
    assert started(lane(NEW)).phase is Phase.BUSY
    assert started(lane(NEW, open_turns=(5,))).phase is Phase.UNSETTLED


def test_a_lane_whose_change_needs_a_person_is_shown_as_unsettled() -> None:
    """Nothing else moves there until somebody has said what to do."""
    at_work = started(lane(NEW))
    assert at_work.running

    assert at_work.but(running=at_work.running.but(stuck=True)).phase is Phase.UNSETTLED


def rollback_of(name: str, rollbacks: int | None = None, of: int | None = None) -> Ask:
    ask = ask_of(name, 1, Story.ROLLBACK)
    return ask.but(rollbacks=rollbacks, request=ask.request.but(of=of))


@given(
    done=st.integers(0, 2),
    known=st.none() | st.integers(0, 2),
    there=st.sampled_from(["nobody", "waits", "runs", "itself", "a promotion"]),
    of=st.none() | st.just(7),
    unsettled=st.sampled_from([(), (5,)]),
)
def test_a_rollback_is_one_too_many_exactly_when_its_asker_cannot_have_known_of_another(
    done: int, known: int | None, there: str, of: int | None, unsettled: tuple[int, ...]
) -> None:
    """One that is under way, or waits, or was done since, or a settlement; whoever names a turn means that one."""
    others = {"waits": (rollback_of("bo"),), "itself": (rollback_of("ana"),), "a promotion": (NEW,)}
    state = lane().but(unsettled=unsettled, rollbacks=done, queue=others.get(there, ()))
    if there == "runs":
        state = state.but(running=Running(turn=1, ask=rollback_of("bo")))

    why = one_too_many(state, rollback_of("ana", known, of))

    missed = known is not None and done > known
    assert bool(why) == (of is None and (there in {"waits", "runs"} or missed or bool(unsettled)))


def test_a_lane_counts_the_rollbacks_that_it_began_and_those_that_an_undo_answered() -> None:
    """Not one that was answered by a promotion that stands after all: that comes yet."""
    began = started(lane(BACK))
    joined = taken(started(lane(NEW)), BACK)

    assert [state.rollbacks for state in (lane(BACK), began, ended(began, done(began))[0])] == [0, 1, 1]
    assert ended(joined, undone(joined))[0].rollbacks == 1
    assert ended(joined, done(joined))[0].rollbacks == 0
