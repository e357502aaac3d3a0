"""What is made of what rules found: refusals, notes, a validation, and all of it short enough to carry."""

import pytest

from domain.actor import Actor
from domain.names import Subject
from domain.plan import Plan
from domain.rule import (
    LONGEST_SENTENCE,
    MOST_RULES,
    OUTPUT_ROOM,
    ROOM,
    RuleTerms,
    Ruling,
    Weight,
    abridged,
    notes,
    refusals,
    rule_on,
)
from domain.size import parse_size, say_size
from domain.terms import Proposal, Request, Terms
from domain.validation import cases, validation
from domain.value import digest_of
from tests.domain.strategies import NOON

SUBJECT = Subject(service="shop", environment="production")


def ruling(weight: Weight = Weight.BLOCK, *, passed: bool = False, **changes: object) -> Ruling:
    terms = RuleTerms(rule="files", severity=weight, name="no keys")
    return rule_on(terms, "it holds a.pem", passed=passed).but(**changes)


def proposal(*rulings: Ruling, refused: tuple[str, ...] = ()) -> Proposal:
    terms = Terms(targets={}, configuration=digest_of(b""), nonce="1")
    return Proposal(
        request=Request(subject=SUBJECT, version="2.0.0", actor=Actor(name="ana")),
        terms=terms,
        plan=Plan(subject=SUBJECT, steps=(), terms=terms.digest()),
        drawn_up=NOON,
        refusals=(*refused, *refusals(rulings)),
        rulings=rulings,
    )


def test_a_rule_that_is_not_kept_says_so_by_its_severity() -> None:
    """Block refuses; warn and note tell approvers; what is kept says nothing."""
    found = [ruling(weight) for weight in Weight] + [ruling(weight, passed=True) for weight in Weight]

    assert refusals(found) == ("no keys: it holds a.pem",)
    assert notes(found) == ("warning: no keys: it holds a.pem", "no keys: it holds a.pem")


def test_the_owners_words_come_first() -> None:
    """Message and remedy are the owner's; what was found stands beside them."""
    terms = RuleTerms(rule="files", message="Keys are not shipped", remedy="ask the platform team")

    assert str(rule_on(terms, "it holds a.pem", passed=False)) == (
        "files: Keys are not shipped (it holds a.pem); ask the platform team"
    )
    assert str(rule_on(terms, "3 files", passed=True)) == "files: 3 files"


def test_a_proposal_can_carry_whatever_rules_found() -> None:
    """However many rules say however much, it fits, and what speaks against a release keeps its output longest."""
    wordy = RuleTerms(rule="command", message="m" * LONGEST_SENTENCE, remedy="r" * LONGEST_SENTENCE)
    found = [rule_on(wordy, "s" * 9999, "o" * 9999, passed=number != 60) for number in range(2 * MOST_RULES)]

    kept = abridged(found)

    assert sum(len(one.name) + len(one.sentence) + len(one.remedy) for one in kept) <= ROOM
    assert len(proposal(*kept).model_dump_json()) < 40 * 1024
    assert sum(len(one.output) for one in kept) <= OUTPUT_ROOM
    assert kept[60].output == found[60].output
    assert [one.passed for one in kept] == [one.passed for one in found]


def test_what_was_kept_is_abridged_before_what_was_not() -> None:
    """A long list of what passed does not cost the reasons of a refusal a word."""
    found = [ruling(sentence="s" * 500), *(ruling(passed=True, sentence="p" * 300) for _ in range(60))]

    kept = abridged(found)

    assert kept[0] == found[0]
    assert all(len(one.sentence) < 100 for one in kept[1:])


def test_what_is_short_is_not_abridged() -> None:
    """One long sentence is no reason to cut it where there is room."""
    found = [ruling(sentence="s" * 600), ruling(passed=True)]

    assert list(abridged(found)) == found


def test_a_validation_has_a_case_for_everything() -> None:
    """What the plan lacks and what each rule found; only a block that is not kept stands in the way."""
    found = validation(
        proposal(ruling(), ruling(Weight.WARN), ruling(passed=True), refused=("there is no such release",))
    )

    assert not found.passed
    assert [(case.name, case.blocks) for case in found.cases] == [
        ("plan", True),
        ("no keys", True),
        ("no keys", False),
        ("no keys", False),
    ]


def test_a_validation_without_rules_has_a_case_too() -> None:
    """A report that is empty would read as one that was lost."""
    assert [(case.name, case.passed) for case in cases(proposal())] == [("plan", True)]


@pytest.mark.parametrize(
    ("written", "size", "said"),
    [
        ("999", 999, "999 B"),
        ("1kB", 1000, "1.0 kB"),
        ("1.5 MB", 1_500_000, "1.5 MB"),
        ("2gb", 2 * 10**9, "2.0 GB"),
        ("1KiB", 1024, "1.0 kB"),
    ],
)
def test_sizes_are_read_as_people_write_them(written: str, size: int, said: str) -> None:
    """A number and a unit, by thousands or by 1024."""
    assert (parse_size(written), say_size(size)) == (size, said)


@pytest.mark.parametrize("written", ["", "GB", "-1MB", "1e9", "2 parsecs", "1,5MB"])
def test_what_is_no_size_is_refused(written: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValueError, match="write a number and a unit"):
        parse_size(written)
