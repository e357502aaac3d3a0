from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.environment import Absent, Holding, Placement, Unknown
from domain.fence import Fence
from domain.names import Subject
from domain.plan import (
    Deed,
    Plan,
    Step,
    Undo,
    Verb,
    differs,
    is_nothing_to_do,
    material,
    put_back,
)
from domain.terms import CheckTerms, Fleet, in_waves
from tests.domain.strategies import NOON, digest, holdings, plans, steps

OLD = Placement(version="1.0", release=digest("1.0"), artifact=digest("site 1.0"))
NEW = Placement(version="2.0", release=digest("2.0"), artifact=digest("site 2.0"))
PLACE = Step(
    component="site",
    target="directory",
    verb=Verb.PLACE,
    before=OLD,
    after=NEW,
    undo=Undo.RESTORE,
    fenced=True,
    repeatable=True,
)
SECOND = PLACE.but(component="db", target="command", undo=Undo.COMMAND, before=Absent())
PLAN = Plan(
    subject=Subject(service="shop", environment="production"),
    version="2.0",
    release=digest("2.0"),
    steps=(PLACE, SECOND),
    terms=digest("terms"),
)
ELSEWHERE = Subject(service="shop", environment="staging")
AGAIN = {"fence": Fence(turn=9, act=9), "since": NOON}


def first(**changes: object) -> Callable[[Plan], Plan]:
    """A change of the plan's first step."""
    return lambda plan: plan.but(steps=(plan.steps[0].but(**changes), *plan.steps[1:]))


CHANGES: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "another environment": (lambda plan: plan.but(subject=ELSEWHERE), "intent"),
    "another service": (lambda plan: plan.but(subject=PLAN.subject.but(service="cart")), "intent"),
    "another release": (lambda plan: plan.but(release=digest("3.0")), "intent"),
    "other terms": (lambda plan: plan.but(terms=digest("other terms")), "intent"),
    "another order": (lambda plan: plan.but(steps=plan.steps[::-1]), "intent and basis"),
    "a step less": (lambda plan: plan.but(steps=plan.steps[:1]), "intent and basis"),
    "another component": (first(component="docs"), "intent and basis"),
    "another target": (first(target="command"), "intent and basis"),
    "another verb": (first(verb=Verb.RESTORE), "intent"),
    "another undo": (first(undo=Undo.PIVOT), "intent"),
    "another artifact": (first(after=NEW.but(artifact=digest("site 2.1"))), "intent"),
    "a component's other release": (first(after=NEW.but(release=digest("2.1"))), "intent"),
    "nothing to stand there": (first(after=Absent()), "intent"),
    "another artifact before": (first(before=OLD.but(artifact=digest("site 1.1"))), "basis"),
    "another release before": (first(before=OLD.but(release=digest("1.1"))), "basis"),
    "nothing before": (first(before=Absent()), "basis"),
    "who knows what before": (first(before=Unknown()), "basis"),
    "put there again before": (first(before=OLD.but(**AGAIN)), ""),
    "to be put there under another fence": (first(after=NEW.but(**AGAIN)), ""),
    "a target that is not fenced": (first(fenced=False), ""),
    "a target that cannot repeat": (first(repeatable=False), ""),
    "another deed to undo": (first(of=Fence(turn=1, act=1)), ""),
    "another word for the version": (lambda plan: plan.but(version="two"), ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_of_a_plan_changes_the_digests_it_should(name: str) -> None:
    """The intent is of what people approve, the basis of what it is planned against, neither of fences."""
    change, digests = CHANGES[name]

    changed = change(PLAN)

    assert changed != PLAN
    assert (changed.intent != PLAN.intent) == ("intent" in digests)
    assert (changed.basis != PLAN.basis) == ("basis" in digests)


def content(holding: Holding) -> object:
    """What a holding is of, less who put it there and when."""
    return (holding.release, holding.artifact) if isinstance(holding, Placement) else holding.held


def actions(plan: Plan) -> list[object]:
    return [
        plan.subject,
        plan.release,
        *((s.component, s.target, s.verb, s.undo, content(s.after)) for s in plan.steps),
    ]


@given(one=plans, other=plans)
def test_intents_are_equal_exactly_when_the_actions_and_terms_are(one: Plan, other: Plan) -> None:
    """No two plans that people would tell apart share an approval."""
    assert (one.intent == other.intent) == ([*actions(one), one.terms] == [*actions(other), other.terms])


@given(old=plans, befores=st.lists(holdings, min_size=3, max_size=3), nonce=st.sampled_from(["one", "two"]))
def test_a_replanned_difference_is_material_exactly_when_other_content_would_be_undone_to(
    old: Plan, befores: list[Holding], nonce: str
) -> None:
    """One sentence for every step whose beginning has changed, whatever the new terms are."""
    redrawn = [step.but(before=before) for step, before in zip(old.steps, befores, strict=False)]
    new = old.but(steps=tuple(redrawn), terms=digest(nonce))
    changed = [
        step
        for step, now in zip(old.steps, redrawn, strict=True)
        if content(step.before) != content(now.before)
    ]

    said = material(old, new)

    assert len(said) == len(changed)
    assert all(step.component in sentence for step, sentence in zip(changed, said, strict=True))
    assert (not said) == (old.basis == new.basis)


@given(old=plans, new=plans)
def test_another_action_is_always_material(old: Plan, new: Plan) -> None:
    """An approval never covers what was not in the plan that was read."""
    assume(actions(old) != actions(new))

    assert material(old, new) == (
        f"what would be done has changed since plan {old.intent[7:15]} was approved",
    )


def test_an_approver_reads_what_has_changed() -> None:
    """The sentence says what was to happen, and what stands in its way."""
    found = first(before=OLD.but(version="1.5", release=digest("1.5")))(PLAN)

    (said,) = material(PLAN, found)

    assert said.startswith(
        f"site was to go from {OLD} to {NEW}, but 1.5 ({digest('1.5')[7:15]}) stands there now"
    )


@given(step=steps, observed=holdings)
def test_a_target_differs_exactly_when_the_basis_would_be_another(step: Step, observed: Holding) -> None:
    """What could not be told when planned, and still cannot, is no difference."""
    plan = PLAN.but(steps=(step,))
    replanned = PLAN.but(steps=(step.but(before=observed),))

    assert differs(step, observed) == (plan.basis != replanned.basis)


@given(done=st.lists(steps, max_size=4))
def test_putting_back_undoes_every_deed_that_can_be_undone_newest_first(done: list[Step]) -> None:
    """Each step names its deed, and goes from what the deed left to what it found."""
    deeds = [Deed(step=step, fence=Fence(turn=5, act=act)) for act, step in enumerate(done, start=1)]

    undo = put_back(PLAN, deeds)

    undone = [
        deed for deed in deeds if deed.step.undo is not Undo.PIVOT and deed.step.verb is not Verb.OBSERVE
    ]
    assert [step.of for step in undo.steps] == [deed.fence for deed in reversed(undone)]
    for step, deed in zip(undo.steps, reversed(undone), strict=True):
        assert step.verb is Verb.RESTORE
        assert (step.before, step.after) == (deed.step.after, deed.step.before)
        assert (step.component, step.target, step.undo) == (
            deed.step.component,
            deed.step.target,
            deed.step.undo,
        )
        assert not step.may_give_up
    assert undo.but(steps=()) == PLAN.but(steps=())


def test_a_pivot_and_a_look_are_not_put_back() -> None:
    """There is no way back from the one, and nothing to put back after the other."""
    deeds = [
        Deed(step=PLACE.but(undo=Undo.PIVOT), fence=Fence(turn=5, act=1)),
        Deed(step=PLACE.but(verb=Verb.OBSERVE), fence=Fence(turn=5, act=2)),
        Deed(step=SECOND, fence=Fence(turn=5, act=3)),
    ]

    assert [step.component for step in put_back(PLAN, deeds).steps] == ["db"]


@given(planned=st.lists(steps, max_size=3))
def test_there_is_nothing_to_do_exactly_when_all_that_would_be_placed_stands(planned: list[Step]) -> None:
    """Looking and putting back are always something to do."""
    stands = [
        step.verb is Verb.PLACE
        and not isinstance(step.before, Unknown)
        and content(step.before) == content(step.after)
        for step in planned
    ]

    assert is_nothing_to_do(planned) == all(stands)


@given(plan=plans)
def test_a_plan_names_its_pivots(plan: Plan) -> None:
    """Approvers see each step that cannot be undone."""
    assert list(plan.pivots) == [
        step for step in plan.steps if step.undo is Undo.PIVOT and step.verb is Verb.PLACE
    ]


def test_a_plan_says_what_is_held_before_and_after() -> None:
    """Per component, as the receipt will."""
    assert PLAN.before == {"site": OLD, "db": Absent()}
    assert PLAN.after == {"site": NEW, "db": NEW}


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (Verb.PLACE, f"site: {OLD} → {NEW}"),
        (Verb.RESTORE, f"site: put back {NEW}"),
        (Verb.OBSERVE, "site: observe, change nothing"),
    ],
)
def test_a_step_says_what_it_does(verb: Verb, said: str) -> None:
    """In words that an approver reads."""
    assert str(PLACE.but(verb=verb)) == said


def test_a_deploy_may_give_up_and_an_undo_may_not() -> None:
    """Only putting back goes on until a person says otherwise."""
    assert {verb: PLACE.but(verb=verb).may_give_up for verb in Verb} == {
        Verb.PLACE: True,
        Verb.OBSERVE: True,
        Verb.RESTORE: False,
    }


def test_what_a_target_promises_is_approved_with_the_plan_and_no_part_of_its_undo() -> None:
    """Other actions make another plan, materially; a plan that promises none has the digest it always had."""
    promised, other = (first(change=digest(actions))(PLAN) for actions in ("create", "delete"))

    assert len({PLAN.intent, promised.intent, other.intent}) == 3
    assert material(promised, other)
    assert not material(promised, promised.but(terms=digest("other terms")))
    assert (
        put_back(promised, [Deed(step=promised.steps[0], fence=Fence(turn=1, act=1))]).steps[0].change is None
    )


def test_a_step_is_waited_for_exactly_where_its_component_has_a_later_wave() -> None:
    """Neither the last wave nor another component makes a step one that has to be well first."""
    early, late = PLACE.but(at="eu-1", wave=1), PLACE.but(at="us-1", wave=2)
    plan = PLAN.but(steps=(early, late, SECOND.but(wave=3)))

    assert [plan.is_waited_for(step) for step in plan.steps] == [True, False, False]


def test_a_check_looks_at_one_target_exactly_where_it_names_it() -> None:
    """What names no target is about all of them, and no single one of them answers it."""
    named = CheckTerms(check="http", component="site", target="eu-1")

    assert named.looks_at("site@eu-1")
    assert not any(map(named.looks_at, ("site", "site@us-1", "db@eu-1")))
    assert not named.but(target=None).looks_at("site")


def test_a_change_has_its_budget_for_each_wave_and_every_pause() -> None:
    """The longest road counts once, what people want to wait for in full."""
    minute = timedelta(minutes=1)
    site = Fleet(waves=(("a",), ("b",), ("c",)), pause=5 * minute)
    api = Fleet(waves=(("a",), ("b",)), pause=minute)

    assert in_waves(10 * minute, []) == 10 * minute
    assert in_waves(10 * minute, [Fleet()]) == 10 * minute
    assert in_waves(10 * minute, [site, api]) == (30 + 10 + 1) * minute
