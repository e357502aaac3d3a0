from collections.abc import Callable
from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actor import Actor, Proof
from domain.approval import Decision, Policy, Verdict
from domain.attempt import Kind
from domain.clearance import judge, judge_done, judge_undo
from domain.environment import Absent, Placement, Unknown
from domain.fence import Fence, milliseconds
from domain.gate import Freeze, Pin, Quarantine
from domain.names import Subject, change_id
from domain.plan import Plan, Step, Undo, Verb
from domain.refusal import Cause
from domain.rule import RuleTerms, Weight
from domain.signature import Signature
from domain.terms import Proposal, Request, Story, Terms
from domain.warrant import Facts, Warrant, up_to_date
from domain.windows import PlannedFreeze, Schedule, Window
from tests.domain.strategies import NOON, digest

SUBJECT = Subject(service="shop", environment="production")
TURN = milliseconds(NOON)
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
SECOND = PLACE.but(component="db", before=Absent())
REQUEST = Request(subject=SUBJECT, version="2.0", actor=Actor(name="ana"))
TERMS = Terms(targets={}, configuration=digest("configuration"), nonce="1")
PLAN = Plan(
    subject=SUBJECT, version="2.0", release=digest("2.0"), steps=(PLACE, SECOND), terms=TERMS.digest()
)
RULE = RuleTerms(rule="metadata", settings={"metadata": {"require": ["author"]}})
PROPOSAL = Proposal(request=REQUEST, terms=TERMS, plan=PLAN, drawn_up=NOON, held_to=(RULE.mark,))
APPROVED = Decision(
    actor=Actor(name="bo", proof=Proof.SSH_SIGNATURE),
    verdict=Verdict.APPROVE,
    intent=PLAN.intent,
    at=NOON + timedelta(hours=9),
    signature=Signature(at=NOON, expires=NOON, ssh=""),
)
"""The signer's own time counts, not the one that somebody wrote beside it."""
WARRANT = Warrant(asker="promotion/shop/production/2.0", turn=TURN, request=REQUEST, decisions=(APPROVED,))
FACTS = Facts(
    now=NOON + timedelta(hours=1),
    workflow_id=change_id(SUBJECT, TURN),
    environment="production",
    proposal=PROPOSAL,
    open_turn=TURN,
    freeze=Freeze(by=Actor(name="cy"), reason="over", since=NOON, until=NOON + timedelta(hours=1)),
    pin=Pin(by=Actor(name="cy"), reason="over too", since=NOON, until=NOON + timedelta(hours=1)),
    quarantine=Quarantine(
        service="shop", version="2.0", number=2, lifted=True, by=Actor(name="cy"), reason="no leak", at=NOON
    ),
    policy=Policy(quorum=1, approvers=("ana", "bo"), valid=timedelta(hours=1), signed=True),
    unproven_request="",
    observed={"site": OLD, "db": Absent()},
)
FROZEN = Freeze(by=Actor(name="cy"), reason="holidays", since=NOON)
PIN = Pin(by=Actor(name="cy"), reason="it works", since=NOON, release="1.0")
HOLIDAYS = PlannedFreeze.model_validate(
    {"from": "2026-01-05 13:00", "until": "2026-01-06 00:00", "zone": "UTC", "reason": "holidays"}
)
LATER = Window.model_validate({"from": "14:00", "to": "15:00", "zone": "UTC"})
BAD = Quarantine(service="shop", version="2.0", number=1, by=Actor(name="cy"), reason="it leaks", at=NOON)
RESTORE = PLACE.but(verb=Verb.RESTORE, before=NEW, after=OLD, of=Fence(turn=TURN - 5, act=1))
BACKWARD = PROPOSAL.but(
    request=REQUEST.but(story=Story.ROLLBACK), plan=PLAN.but(steps=(RESTORE,), terms=digest("undo terms"))
)

Case = tuple[Warrant, Step, Facts]
Wrong = Callable[[Warrant, Step, Facts], Case]


def fact(**changes: object) -> Wrong:
    return lambda warrant, step, facts: (warrant, step, facts.but(**changes))


def warranted(**changes: object) -> Wrong:
    return lambda warrant, step, facts: (warrant.but(**changes), step, facts)


# Everything that can be wrong, each alone: what would make it wrong, the cause and what is said.
WRONG: dict[str, tuple[Wrong, Cause, str]] = {
    "a broken seal": (fact(proposal=None), Cause.FORBIDDEN, "a good seal of this environment"),
    "another environment": (fact(environment="staging"), Cause.FORBIDDEN, "for another request"),
    "another request": (
        warranted(request=REQUEST.but(version="3.0")),
        Cause.FORBIDDEN,
        "for another request",
    ),
    "a step of no plan": (lambda w, s, f: (w, s.but(after=OLD), f), Cause.FORBIDDEN, "no such step"),
    "a plan that was refused": (
        fact(proposal=PROPOSAL.but(refusals=("staging has never held it",))),
        Cause.FORBIDDEN,
        "its plan was refused when it was drawn up: staging has never held it",
    ),
    "another workflow": (
        fact(workflow_id=change_id(SUBJECT, 1)),
        Cause.FORBIDDEN,
        "it comes from the workflow",
    ),
    "a turn far ahead": (
        lambda w, s, f: (w, s, f.but(now=NOON - timedelta(days=1, milliseconds=1))),
        Cause.FORBIDDEN,
        "more than a day ahead",
    ),
    "a turn that is none": (
        lambda w, s, f: (w.but(turn=0), s, f.but(workflow_id=change_id(SUBJECT, 0))),
        Cause.FORBIDDEN,
        "no lane gives turn 0",
    ),
    "a turn that is over": (fact(has_receipt=True), Cause.FORBIDDEN, "it is over"),
    "a release that is not proven": (
        fact(unproven_release="it is not signed"),
        Cause.FORBIDDEN,
        "its release is not proven to be its author's: it is not signed",
    ),
    "a request that is not proven": (
        fact(unproven_request="it is not signed"),
        Cause.FORBIDDEN,
        "the request in the name of ana is not proven theirs: it is not signed",
    ),
    "an approval that is not proven": (
        warranted(decisions=(APPROVED.but(actor=Actor(name="bo")),)),
        Cause.VOID,
        "lacks the approval",
    ),
    "an approval whose key was revoked": (
        lambda w, s, f: (
            w.but(decisions=(APPROVED.but(actor=Actor(name="bo")),)),
            s,
            f.but(in_vain=("what bo said does not count: it was revoked",)),
        ),
        Cause.VOID,
        "lacks the approval of 1 of: ana, bo; what bo said does not count: it was revoked",
    ),
    "a silence": (
        fact(unanswered=("the lane", "the asker")),
        Cause.UNANSWERED,
        "the lane and the asker did not",
    ),
    "another open turn": (fact(open_turn=TURN + 1), Cause.GONE, f"does not have turn {TURN} open"),
    "no open turn": (fact(open_turn=None), Cause.GONE, f"does not have turn {TURN} open"),
    "an asker who left": (fact(asking=False), Cause.GONE, "is no longer asking"),
    "a freeze": (
        fact(freeze=FROZEN),
        Cause.GATE,
        "production is frozen by cy (claimed, not proven): holidays",
    ),
    "a pin": (
        fact(pin=PIN),
        Cause.GATE,
        "shop in production is pinned at 1.0 by cy (claimed, not proven): it works",
    ),
    "a planned freeze": (
        fact(schedule=Schedule(freezes=(HOLIDAYS,))),
        Cause.GATE,
        "production is frozen as planned until Tue 2026-01-06 00:00 UTC: holidays",
    ),
    "a closed window": (
        fact(schedule=Schedule(windows=((LATER,),)), begins=True),
        Cause.GATE,
        "production is outside its windows, of which the next opens Mon 2026-01-05 14:00 UTC",
    ),
    "a quarantine": (
        fact(quarantine=BAD),
        Cause.FORBIDDEN,
        "2.0 of shop is in quarantine by cy (claimed, not proven)",
    ),
    "an environment that only observes": (fact(observes=True), Cause.FORBIDDEN, "production only observes"),
    "terms that only observe": (
        fact(proposal=PROPOSAL.but(terms=TERMS.but(observe_only=True))),
        Cause.FORBIDDEN,
        "production only observes",
    ),
    "a rule that was written since": (
        fact(
            rules=(RULE, RULE.but(settings={"metadata": {"require": ["notes"]}}, name="notes")), begins=True
        ),
        Cause.VOID,
        "production holds releases to more than when plan",
    ),
    "no approval": (warranted(decisions=()), Cause.VOID, "lacks the approval of 1 of: ana, bo"),
    "an approver who left": (
        fact(policy=FACTS.policy.but(approvers=("ana",))),
        Cause.VOID,
        "lacks the approval of 1 of: ana",
    ),
    "one's own approval": (
        warranted(decisions=(APPROVED.but(actor=Actor(name="ANA", proof=Proof.SSH_SIGNATURE)),)),
        Cause.VOID,
        "lacks the approval",
    ),
    "an approval of another plan": (
        warranted(decisions=(APPROVED.but(intent=digest("another plan")),)),
        Cause.VOID,
        "lacks the approval",
    ),
    "a rejection": (
        warranted(decisions=(APPROVED, APPROVED.but(verdict=Verdict.REJECT))),
        Cause.VOID,
        "was rejected",
    ),
    "an old approval": (
        fact(policy=FACTS.policy.but(valid=timedelta(minutes=59))),
        Cause.VOID,
        "has lapsed",
    ),
    "other content there": (fact(observed={"site": NEW}), Cause.VOID, "site was to go from 1.0"),
    "other content elsewhere": (fact(observed={"db": OLD}), Cause.VOID, "db was to go from nothing"),
    "who knows what there": (fact(observed={"site": Unknown()}), Cause.VOID, "but unknown stands there now"),
}


def test_a_warrant_is_cleared_where_every_fact_is_right() -> None:
    """At the very end of a freeze and of an approval's life, and before the day ahead is over."""
    assert judge(WARRANT, PLACE, FACTS) is None
    assert judge(WARRANT, SECOND, FACTS) is None
    assert judge(WARRANT, PLACE, FACTS.but(now=NOON - timedelta(days=1), freeze=None, pin=None)) is None


@pytest.mark.parametrize("name", WRONG)
def test_each_wrong_fact_alone_refuses_for_its_own_cause(name: str) -> None:
    """The cause says what may help, the sentence what was found."""
    make_wrong, cause, sentence = WRONG[name]

    refusal = judge(*make_wrong(WARRANT, PLACE, FACTS))

    assert refusal
    assert refusal.cause is cause
    assert sentence in refusal.why


ATTEMPTS = {
    "a broken seal": Kind.SEAL,
    "another environment": Kind.WARRANT,
    "another request": Kind.WARRANT,
    "a step of no plan": Kind.WARRANT,
    "another workflow": Kind.STRANGER,
    "a turn far ahead": Kind.STRANGER,
    "a turn that is none": Kind.STRANGER,
}


@pytest.mark.parametrize("name", WRONG)
def test_people_are_called_for_what_no_honest_use_brings_about_and_for_nothing_else(name: str) -> None:
    """Gates, roles, approvals, and what has changed meanwhile refuse honest people every day."""
    refusal = judge(*WRONG[name][0](WARRANT, PLACE, FACTS))

    assert refusal
    assert refusal.attempt is ATTEMPTS.get(name)


def test_a_promotion_that_has_gone_is_honest_and_one_that_never_was_is_not() -> None:
    """Whoever asks in the lane for a promotion without one is no promotion that has just ended."""
    gone, never = (
        judge(WARRANT.but(asker=asker), PLACE, FACTS.but(asking=False))
        for asker in (WARRANT.asker, "person/eve")
    )

    assert gone
    assert never
    assert (gone.attempt, never.attempt) == (None, Kind.WARRANT)


def test_of_two_wrong_facts_the_graver_is_said() -> None:
    """What can never be right is said before what may become right by waiting."""
    graver = [Cause.FORBIDDEN, Cause.UNANSWERED, Cause.GONE, Cause.GATE, Cause.VOID]

    for (first, cause, _), (second, also, _) in combinations(WRONG.values(), 2):
        refusal = judge(*second(*first(WARRANT, PLACE, FACTS)))
        assert refusal
        assert refusal.cause is min(cause, also, key=graver.index)


@given(names=st.sets(st.sampled_from([*WRONG])))
def test_a_warrant_is_cleared_exactly_when_nothing_is_wrong(names: set[str]) -> None:
    """However many facts are wrong together, they never make a right one."""
    case: Case = (WARRANT, PLACE, FACTS)
    for name in sorted(names):
        case = WRONG[name][0](*case)

    assert (judge(*case) is None) == (not names)


@pytest.mark.parametrize("quorum", [0, 1])
def test_facts_without_a_policy_clear_nothing_forward(quorum: int) -> None:
    """Whoever forgets to look the policy up has not opened the gate by it."""
    forgetful = Facts.model_validate(FACTS.model_dump(exclude={"policy"}))
    policy = FACTS.policy.but(quorum=quorum)
    unapproved = WARRANT.but(decisions=())

    assert judge(unapproved, PLACE, forgetful)
    assert (judge(unapproved, PLACE, FACTS.but(policy=policy)) is None) == (quorum == 0)


def test_only_a_rule_that_could_refuse_and_was_not_judged_voids_a_plan() -> None:
    """What is said about a rule, what only warns, what is asked no more, and a change that has begun, void nothing."""
    said_otherwise = RULE.but(name="author", message="name yourself", remedy="--author")
    warning = RuleTerms(rule="files", settings={"files": {}}, severity=Weight.WARN)
    stricter = RULE.but(settings={"metadata": {"require": ["author", "notes"]}})
    raised = warning.but(severity=Weight.BLOCK)

    def cause(
        *rules: RuleTerms, begins: bool = True, held_to: tuple[str, ...] | None = (RULE.mark,)
    ) -> object:
        facts = FACTS.but(rules=rules, begins=begins, proposal=PROPOSAL.but(held_to=held_to))
        refusal = judge(WARRANT, PLACE, facts)
        return refusal and refusal.cause

    assert [cause(RULE), cause(said_otherwise, warning), cause()] == [None, None, None]
    assert [cause(RULE, stricter), cause(raised), cause(RULE, held_to=())] == [Cause.VOID] * 3
    assert [cause(stricter, begins=False), cause(stricter, held_to=None)] == [None, None]


def test_a_window_that_has_closed_stops_nothing_that_has_begun() -> None:
    """It gates the beginning only. A planned freeze stops what is under way, and says when it ends itself."""
    closed = FACTS.but(schedule=Schedule(windows=((LATER,),), freezes=(HOLIDAYS,)))

    assert judge(WARRANT, PLACE, closed.but(schedule=closed.schedule.but(freezes=()))) is None
    under_way, beginning = judge(WARRANT, PLACE, closed), judge(WARRANT, PLACE, closed.but(begins=True))
    assert under_way
    assert beginning
    assert under_way.opens == HOLIDAYS.span.end
    assert beginning.opens == HOLIDAYS.span.end + timedelta(hours=14)


GATES = (
    "a freeze",
    "a pin",
    "a planned freeze",
    "a closed window",
    "a quarantine",
    "an environment that only observes",
    "no approval",
    "an approver who left",
    "a rejection",
    "an old approval",
    "other content there",
)


@given(names=st.sets(st.sampled_from(GATES)))
def test_what_only_puts_back_passes_every_gate(names: set[str]) -> None:
    """A rollback waits neither for a thaw nor for an approval, and whatever stands there is put back."""
    case: Case = (WARRANT.but(request=BACKWARD.request), RESTORE, FACTS.but(proposal=BACKWARD))
    for name in sorted(names):
        case = WRONG[name][0](*case)

    assert judge(*case) is None


def test_a_rollback_needs_its_turn_all_the_same() -> None:
    """It passes gates, not the lane."""
    facts = FACTS.but(proposal=BACKWARD, open_turn=None)

    refusal = judge(WARRANT.but(request=BACKWARD.request), RESTORE, facts)

    assert refusal
    assert refusal.cause is Cause.GONE


OWN, ANOTHERS = Fence(turn=TURN, act=1), Fence(turn=TURN - 5, act=1)
UNIMPORTANT = tuple(
    name for name, (_, cause, _) in WRONG.items() if cause in {Cause.GATE, Cause.VOID, Cause.UNANSWERED}
)


@given(
    names=st.sets(st.sampled_from([*UNIMPORTANT, "an asker who left", "a broken seal"])),
    of=st.sampled_from([OWN, ANOTHERS]),
)
def test_no_gate_and_no_silence_ever_blocks_an_undo(names: set[str], of: Fence) -> None:
    """It is judged by who it is alone."""
    case: Case = (WARRANT, PLACE, FACTS)
    for name in sorted(names):
        case = WRONG[name][0](*case)

    assert judge_undo(SUBJECT, TURN, of, case[2]) is None


@pytest.mark.parametrize("of", [OWN, ANOTHERS])
@pytest.mark.parametrize("name", ["another workflow", "a turn far ahead", "a turn that is over"])
def test_an_undo_by_somebody_else_is_forbidden(name: str, of: Fence) -> None:
    """Another workflow, a forged turn, a change that is over: none of them may touch anything."""
    _, _, facts = WRONG[name][0](WARRANT, PLACE, FACTS)

    refusal = judge_undo(SUBJECT, TURN, of, facts)

    assert refusal
    assert refusal.cause is Cause.FORBIDDEN


@pytest.mark.parametrize("of", [OWN, ANOTHERS])
@pytest.mark.parametrize("open_turn", [TURN, TURN + 1, TURN - 5, None])
def test_another_turns_deeds_are_undone_only_by_the_turn_that_is_open(
    of: Fence, open_turn: int | None
) -> None:
    """One's own are undone whatever became of the lane, and with no lane nobody else can be at work."""
    refusal = judge_undo(SUBJECT, TURN, of, FACTS.but(open_turn=open_turn))

    assert (refusal is None) == (of == OWN or open_turn in {TURN, None})


DONE_ASIDE = (
    "a step of no plan",
    "another environment",
    "a release that is not proven",
    "a request that is not proven",
    "a quarantine",
    "an environment that only observes",
    "terms that only observe",
    *(n for n, (_, c, _) in WRONG.items() if c in {Cause.GATE, Cause.VOID}),
)


@pytest.mark.parametrize("name", WRONG)
def test_a_change_leaves_its_receipt_as_done_exactly_while_it_is_let_in(name: str) -> None:
    """Gates may shut behind it; its turn, its asker and its terms must hold to the end."""
    warrant, _, facts = WRONG[name][0](WARRANT, PLACE, FACTS)

    assert judge_done(WARRANT, FACTS) is None
    assert (judge_done(warrant, facts) is None) == (name in DONE_ASIDE)


@given(off=st.integers(-1, 1))
def test_a_freeze_holds_exactly_until_its_end(off: int) -> None:
    """From its end on, to the microsecond, it holds no more; without an end it holds for ever."""
    freeze = FROZEN.but(until=NOON)

    assert freeze.holds(NOON + timedelta(microseconds=off)) == (off < 0)
    assert FROZEN.holds(NOON + timedelta(days=36500))


def test_a_freeze_says_who_why_and_until_when() -> None:
    """For whoever is held up by it."""
    assert (
        str(FROZEN.but(until=NOON))
        == "frozen by cy (claimed, not proven) until 2026-01-05 12:00 UTC: holidays"
    )
    assert str(FROZEN.but(reason="")) == "frozen by cy (claimed, not proven): no reason given"


def test_what_was_said_of_an_earlier_plan_let_in_nothing_of_this_one() -> None:
    """Nor is it written down as if it had."""
    facts = FACTS.but(decisions=(APPROVED.but(intent=digest("earlier")), APPROVED), begins=True)

    assert up_to_date(WARRANT, facts).decisions == (APPROVED,)


@pytest.mark.parametrize("begins", [True, False])
def test_what_was_said_since_counts_until_the_change_begins(*, begins: bool) -> None:
    """A no that came after the approval keeps the first deed from being done, and stops none that follows it."""
    no = APPROVED.but(actor=Actor(name="bo", proof=Proof.SSH_SIGNATURE), verdict=Verdict.REJECT)
    no = no.but(signature=Signature(at=NOON + timedelta(minutes=1), expires=NOON, ssh=""))
    facts = FACTS.but(decisions=(APPROVED, no), begins=begins)

    refusal = judge(up_to_date(WARRANT, facts), PLACE, facts)

    assert (refusal is not None) == begins
    if refusal:
        assert (refusal.cause, "was rejected" in refusal.why) == (Cause.VOID, True)
