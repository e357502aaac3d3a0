import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.actor import Actor, Proof, person

letters = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.strip)


@given(name=letters)
def test_a_person_is_the_same_in_any_letter_case_and_spacing(name: str) -> None:
    """Whoever may not decide cannot by typing their name otherwise."""
    assert person(f" {name}\t") == person(name)
    assert person(name.casefold()) == person(name)


@pytest.mark.parametrize("name", ["ANA", "ana ", "\u0041na", "\uff21na"])
def test_one_name_typed_in_several_ways_is_one_person(name: str) -> None:
    """Case, spaces and wide letters do not make another."""
    assert Actor(name=name).is_same_person(Actor(name="Ana"))


def test_an_accent_is_one_however_it_is_encoded() -> None:
    """A keyboard that composes accents otherwise does not make a second approver out of a requester."""
    assert person("Jos\u00e9") == person("Jose\u0301")


def test_different_names_are_different_people() -> None:
    """Nothing but spelling is forgiven."""
    assert not Actor(name="ana").is_same_person(Actor(name="anna"))
    assert person("jose") != person("jos\u00e9")


def test_a_name_that_nobody_vouches_for_is_shown_as_claimed() -> None:
    """The reader always sees what is proven and what is not."""
    assert str(Actor(name="ana")) == "ana (claimed, not proven)"
    assert str(Actor(name="ana", proof=Proof.SSH_SIGNATURE)) == "ana"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_an_actor_has_a_name_of_sensible_length(name: str) -> None:
    """Nobody acts without saying who they are."""
    with pytest.raises(ValidationError):
        Actor(name=name)


@pytest.mark.parametrize(
    "unseen", ["\n", "\x00", "\x1b[2J", "\u200b", "\u202e", "\u2028", "\u3164", "\ufe0f", "\u2800"]
)
def test_a_name_is_one_line_that_can_be_seen(unseen: str) -> None:
    """No name is shown as another's, nor writes a line of its own beneath itself where people approve."""
    with pytest.raises(ValidationError, match="one line"):
        Actor(name=f"ana{unseen}ada")
