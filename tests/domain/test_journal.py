from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.actor import Actor
from domain.environment import Absent, Placement
from domain.fence import Fence
from domain.journal import (
    Capture,
    Entry,
    OpenTurn,
    Receipt,
    Settled,
    called_off,
    can_be_rolled_back,
)
from domain.names import Subject
from domain.outcome import Outcome
from domain.plan import Step, Undo, Verb
from domain.terms import Story, TargetTerms
from tests.domain.strategies import NOON, digest

SUBJECT = Subject(service="shop", environment="production")
NEW = Placement(version="2.0", release=digest("2.0"), artifact=digest("site 2.0"))
PLACE = Step(
    component="site",
    target="directory",
    verb=Verb.PLACE,
    before=Absent(),
    after=NEW,
    undo=Undo.RESTORE,
    fenced=True,
    repeatable=True,
)


def receipt(turn: int, story: Story, settled: Settled, of: int | None) -> Receipt:
    return Receipt(
        subject=SUBJECT,
        turn=turn,
        story=story,
        settled=settled,
        outcome=Outcome.PROMOTED if settled is Settled.DONE else Outcome.ROLLED_BACK,
        before={},
        after={},
        of=of,
        actor=Actor(name="ana"),
        began=NOON,
        ended=NOON + timedelta(minutes=1),
    )


def entry(act: int, *, void: bool = False) -> Entry:
    return Entry(
        subject=SUBJECT,
        fence=Fence(turn=7, act=act),
        step=PLACE.but(component=f"part-{act}"),
        steps=12,
        target=TargetTerms(target="directory"),
        capture=Capture(holding=Absent()),
        at=NOON,
        void=void,
    )


told = st.lists(
    st.tuples(st.sampled_from(Story), st.sampled_from(Settled), st.none() | st.integers(1, 4)), max_size=6
)


@given(told=told, shuffled=st.randoms(use_true_random=False))
def test_a_receipt_can_be_rolled_back_exactly_while_its_deeds_stand(
    told: list[tuple[Story, Settled, int | None]], shuffled: Random
) -> None:
    """A promotion that was kept and that no finished rollback names; the newest comes first."""
    receipts = [receipt(turn, *line) for turn, line in enumerate(told, start=1)]
    undone = {of for story, settled, of in told if (story, settled) == (Story.ROLLBACK, Settled.DONE)}
    expected = [
        turn
        for turn, (story, settled, _) in enumerate(told, start=1)
        if (story, settled) == (Story.PROMOTION, Settled.DONE) and turn not in undone
    ]
    shuffled.shuffle(receipts)

    assert [receipt.turn for receipt in can_be_rolled_back(receipts)] == expected[::-1]


def test_a_promotion_rolled_back_leaves_the_one_before_as_the_next_candidate() -> None:
    """Rolling back twice goes back twice; a rollback that failed undid nothing."""
    first = receipt(1, Story.PROMOTION, Settled.DONE, None)
    second = receipt(2, Story.PROMOTION, Settled.DONE, None)
    back = receipt(3, Story.ROLLBACK, Settled.DONE, 2)
    failed = receipt(4, Story.ROLLBACK, Settled.UNDONE, 1)

    assert can_be_rolled_back([first, second, back]) == [first]
    assert can_be_rolled_back([first, second, back, failed]) == [first]
    assert can_be_rolled_back([receipt for receipt in (first, second, back) if receipt is not second]) == [
        first
    ]


@given(acts=st.permutations(range(1, 13)), void=st.sets(st.integers(1, 12)))
def test_the_deeds_of_an_open_turn_are_those_not_called_off_oldest_first(
    acts: list[int], void: set[int]
) -> None:
    """A store lists 10 before 2, and undoing must not go by that."""
    open_turn = OpenTurn(turn=7, entries=tuple(entry(act, void=act in void) for act in acts))

    assert [deed.fence.act for deed in open_turn.deeds] == [act for act in range(1, 13) if act not in void]


def test_what_is_called_off_is_no_deed() -> None:
    """It takes the deed's place in the journal, and nothing of it is undone."""
    off = called_off(SUBJECT, Fence(turn=7, act=2), NOON)

    assert off.fence == Fence(turn=7, act=2)
    assert [deed.fence.act for deed in OpenTurn(turn=7, entries=(entry(1), off)).deeds] == [1]
