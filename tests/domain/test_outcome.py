from domain.outcome import EXIT_OF, Exit, Outcome


def test_every_outcome_has_an_exit_code() -> None:
    """The list of outcomes is closed, and a script can tell them apart."""
    assert set(EXIT_OF) == set(Outcome)


def test_exit_codes_are_those_that_are_documented() -> None:
    """Scripts rely on the numbers: a change breaks them."""
    assert {outcome.value: int(code) for outcome, code in EXIT_OF.items()} == {
        "promoted": 0,
        "nothing to do": 0,
        "refused": 10,
        "rejected": 11,
        "expired": 12,
        "rolled back": 13,
        "cancelled": 14,
        "superseded": 15,
        "settled by hand": 16,
    }
    assert [int(code) for code in Exit if code not in EXIT_OF.values()] == [1, 2, 3, 4, 20, 21, 22]


def test_only_what_went_well_is_success() -> None:
    """A script that checks for zero never takes an undone promotion for a promoted one."""
    assert {outcome for outcome, code in EXIT_OF.items() if not code} == {
        Outcome.PROMOTED,
        Outcome.NOTHING_TO_DO,
    }
