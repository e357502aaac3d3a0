"""Who need not, or may not, wait for a lane: by whose terms, for whom, and what they are told."""

from datetime import UTC, datetime

import pytest

from domain.answer import Ask
from domain.journal import OpenTurn, Recollection
from domain.lane import LaneState, next_change, recalled
from domain.queueing import TurnedAway, asked, yields_to
from domain.refusal import Cause
from domain.terms import LaneTerms, Story
from domain.urgency import Urgency
from tests.domain.lane_world import QUEUE, REFUSE, SUBJECT, SUPERSEDE, ask_of

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
BACK = ask_of("ana", 1, Story.ROLLBACK)
ADOPT = ask_of("bo", 1, Story.ADOPTION)


def promotion(name: str, lane: LaneTerms, since: int = 0, number: int = 1) -> Ask:
    return ask_of(f"promotion/{name}", number, Story.PROMOTION, lane, since)


OLD, NEW, NEWEST = (promotion(name, SUPERSEDE, since) for since, name in enumerate(("old", "new", "newest")))


def lane(*asks: Ask, open_turns: tuple[int, ...] = ()) -> LaneState:
    """A lane that has recalled, and then was asked this."""
    turns = tuple(OpenTurn(turn=turn, entries=()) for turn in open_turns)
    state = recalled(LaneState(subject=SUBJECT), Recollection(subject=SUBJECT, open=turns))
    for ask in asks:
        state, _ = asked(state, ask)
    return state


def busy(with_: Ask, *asks: Ask) -> LaneState:
    """A lane in which this runs, and that then was asked those."""
    state = next_change(lane(with_), NOW)
    assert state
    for ask in asks:
        state, _ = asked(state, ask)
    return state


def who(turned_away: tuple[TurnedAway, ...]) -> list[Ask]:
    return [ask for ask, *_ in turned_away]


def test_the_newest_promotion_supersedes_those_that_wait_and_they_hear_by_whom() -> None:
    """What runs goes on, what waited is told the release, who asked for it, and when."""
    state, turned_away = asked(busy(OLD, NEW), NEWEST)

    assert state.queue == (NEWEST,)
    assert state.running
    assert state.running.ask == OLD
    ((ask, refusal, newer),) = turned_away
    assert (ask, refusal.cause, newer) == (NEW, Cause.SUPERSEDED, NEWEST)
    assert "asked for by promotion/newest (claimed, not proven) at 1970-01-02 00:02 UTC" in refusal.why


def test_newer_is_what_was_asked_for_later_not_what_came_later() -> None:
    """A promotion that waited for its approval meanwhile does not take the place of a newer one."""
    state, turned_away = asked(busy(OLD, NEWEST), NEW)

    assert state.queue == (NEWEST,)
    assert who(turned_away) == [NEW]


def test_a_late_copy_of_what_was_superseded_supersedes_nothing() -> None:
    """It is told once more, and the newer one keeps its place."""
    state, turned_away = asked(busy(OLD, NEW, NEWEST), NEW)

    assert state.queue == (NEWEST,)
    assert who(turned_away) == [NEW]


@pytest.mark.parametrize(
    "waits",
    [promotion("old", QUEUE), promotion("old", REFUSE).but(comes_back=True), BACK, ADOPT],
)
def test_what_waits_by_other_terms_is_not_superseded(waits: Ask) -> None:
    """A newcomer's terms decide about the newcomer alone, so a forged ask takes no place that was not to be had."""
    state, turned_away = asked(busy(ADOPT.but(number=2), waits), NEW)

    assert sorted(map(str, state.queue)) == sorted(map(str, (waits, NEW)))
    assert turned_away == ()


@pytest.mark.parametrize(
    "comes",
    [
        ask_of("ana", 9, Story.ROLLBACK, since=9),
        ask_of("bo", 9, Story.ADOPTION, since=9),
        promotion("bare", SUPERSEDE, since=9).but(proposal=None),
    ],
)
def test_what_cannot_be_let_in_by_terms_supersedes_nothing_and_ends_no_soak(comes: Ask) -> None:
    """Neither a rollback, nor an adoption, nor an ask without sealed terms."""
    soaks = busy(promotion("soaks", QUEUE.but(yields=True)))

    state, turned_away = asked(busy(ADOPT, NEW), comes)
    after, _ = asked(soaks, comes)

    assert NEW in state.queue
    assert turned_away == ()
    assert yields_to(after) is None


def test_asks_of_one_asker_leave_each_other_alone() -> None:
    """Only the asker knows which of them it waits for."""
    again = promotion("new", SUPERSEDE, since=7, number=2)

    assert busy(OLD, NEW, again).queue == (NEW, again)


def test_a_lane_that_is_busy_refuses_and_says_who_has_it_since_when() -> None:
    """Where nobody may wait, the refusal names who is there, and how to see that it is over."""
    state, turned_away = asked(busy(OLD), promotion("late", REFUSE))

    ((_, refusal, _),) = turned_away
    assert state.queue == ()
    assert refusal.cause is Cause.BUSY
    assert (
        "asked for by promotion/old (claimed, not proven) at 1970-01-02 00:00 UTC, "
        "has had it since 2026-01-05 12:00 UTC" in refusal.why
    )
    assert "towpath status shop production --watch" in refusal.why


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (lane(OLD), "promotion/old (claimed, not proven) at 1970-01-02 00:00 UTC, is next"),
        (lane(open_turns=(5,)), "what was done there last is not settled yet"),
    ],
)
def test_a_lane_that_is_not_free_refuses(state: LaneState, why: str) -> None:
    """Also while somebody waits or something is unsettled."""
    after, turned_away = asked(state, promotion("late", REFUSE))

    assert after == state
    assert why in turned_away[0].refusal.why


def test_a_free_lane_takes_what_it_would_refuse_later() -> None:
    """Also what has a place already, or had one: a copy, and what comes back with a new plan."""
    first = promotion("first", REFUSE)
    back = promotion("back", REFUSE, number=2).but(comes_back=True)

    assert lane(first, first).queue == (first,)
    assert busy(first, back).queue == (back,)


@pytest.mark.parametrize("comes", [BACK, ADOPT])
def test_what_is_no_promotion_is_never_refused(comes: Ask) -> None:
    """A way back is always open."""
    state, turned_away = asked(busy(ADOPT.but(number=2), promotion("next", REFUSE)), comes)

    assert comes in state.queue
    assert turned_away == ()


def test_a_soak_yields_to_the_newest_that_waits() -> None:
    """By the terms of what runs; what is older does not end it."""
    runs = promotion("runs", QUEUE.but(yields=True), since=5)
    older, newer, newest = (promotion(f"at-{since}", QUEUE, since) for since in (4, 6, 7))

    assert yields_to(busy(runs, older)) is None
    assert yields_to(busy(runs, older, newest, newer)) == newest
    assert yields_to(busy(promotion("stays", QUEUE), newest)) is None
    assert yields_to(lane(runs, newest)) is None


def in_a_hurry(name: str, urgency: Urgency) -> Ask:
    ask = promotion(name, QUEUE)
    return ask.but(request=ask.request.but(urgency=urgency))


def test_what_is_in_a_hurry_goes_before_what_is_not_each_behind_its_like() -> None:
    """Rollbacks first, then broken glass, hotfixes and the others; a copy moves nobody, whatever it says of itself."""
    usual, hotfix, glass = (in_a_hurry(urgency, urgency) for urgency in Urgency)
    second, copy = in_a_hurry("second", Urgency.HOTFIX), usual.but(lane=SUPERSEDE, comes_back=True)
    expected = (BACK, glass, hotfix, second, usual, ADOPT)

    assert lane(usual, hotfix, ADOPT, glass, second, BACK).queue == expected
    copied = lane(usual, hotfix, ADOPT, glass, second, BACK, copy).queue
    assert [ask.asker for ask in copied] == [ask.asker for ask in expected]
