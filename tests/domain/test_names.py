import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.names import (
    LONGEST_NAME,
    SEARCH_ATTRIBUTES,
    MisnamedWorkflowError,
    Subject,
    artifact_key,
    change_id,
    effects_queue,
    environment_id,
    environment_of,
    is_identifier,
    is_promotion,
    journal_key,
    journal_prefix,
    lane_id,
    manifest_key,
    names_in,
    pipeline_id,
    promotion_id,
    read_id,
    receipt_key,
    receipt_prefix,
)
from tests.domain.strategies import INNER, digest, few_names, identifiers, subjects

SHOP = Subject(service="shop", environment="production")
near_names = st.text([*"aZ9.-_", " ", "/", "\n", "é", "٣", "\0"], max_size=4)


@given(name=near_names | st.text(INNER, min_size=62, max_size=64))
def test_a_name_is_an_identifier_exactly_when_it_is_safe_everywhere(name: str) -> None:
    """Plain letters and digits at both ends, dots, dashes and underscores between, 1 to 63 characters."""
    inside = set(name) <= set(INNER)
    ends = {name[:1], name[-1:]} <= set(INNER) - set("._-") and name != ""

    assert is_identifier(name) == (inside and ends and len(name) <= LONGEST_NAME)


@given(name=identifiers)
def test_every_identifier_names_a_subject_and_nothing_else_does(name: str) -> None:
    """A subject is refused, in words, where a name would not be safe."""
    assert Subject(service=name, environment=name).service == name
    for wrong in (f"{name}/", f"{name}\n", f" {name}", "", "x" * 64):
        with pytest.raises(ValidationError, match="cannot be a name"):
            Subject(service=wrong, environment=name)


@given(name=identifiers, subject=subjects, version=identifiers, turn=st.integers(0, 2**62))
def test_reading_an_id_gives_back_what_it_was_made_of(
    name: str, subject: Subject, version: str, turn: int
) -> None:
    """Every workflow learns from its own id what it is about."""
    service, environment = subject.service, subject.environment

    assert read_id(promotion_id(subject, version), "promotion") == (service, environment, version)
    assert read_id(lane_id(subject), "lane") == (service, environment)
    assert read_id(change_id(subject, turn), "change") == (service, environment, str(turn))
    assert read_id(environment_id(name), "environment") == (name,)


@pytest.mark.parametrize(
    ("workflow_id", "story"),
    [
        ("", "lane"),
        ("lane", "lane"),
        ("lane/shop", "lane"),
        ("lane/shop/production/", "lane"),
        ("lane/shop/production/1.0", "lane"),
        ("lane//production", "lane"),
        ("/lane/shop/production", "lane"),
        ("Lane/shop/production", "lane"),
        ("lane/shop/produc tion", "lane"),
        ("promotion/shop/production/1.0", "change"),
        ("change/shop/production/one", "change"),
        ("change/shop/production/01", "change"),
        ("change/shop/production/1.0", "change"),
        (f"environment/{'x' * 64}", "environment"),
    ],
)
def test_an_id_of_another_form_is_refused_with_the_right_one(workflow_id: str, story: str) -> None:
    """The sentence says what the id should look like, and what it was."""
    with pytest.raises(
        MisnamedWorkflowError, match=f"must be started under the id {story}/<.*>; “{workflow_id}”"
    ):
        read_id(workflow_id, story)


@given(subject=subjects, version=identifiers)
def test_what_an_id_holds_is_told_before_it_is_checked(subject: Subject, version: str) -> None:
    """Whoever started a workflow has chosen its id: what is not there is empty, what is too much is left."""
    whole = (subject.service, subject.environment, version)

    assert names_in(promotion_id(subject, version), 3) == whole
    assert names_in(f"{promotion_id(subject, version)}/more", 3) == whole
    assert names_in(lane_id(subject), 3) == (subject.service, subject.environment, "")
    assert names_in(version, 2) == ("", "")
    assert is_promotion(promotion_id(subject, version))
    assert not is_promotion(lane_id(subject))
    assert environment_of(effects_queue(subject.environment)) == subject.environment


@given(name=near_names | few_names)
def test_an_id_is_read_exactly_when_it_was_made_of_a_name(name: str) -> None:
    """What nobody could have made cannot be read."""
    try:
        parts = read_id(environment_id(name), "environment")
    except MisnamedWorkflowError:
        parts = ()

    assert parts == ((name,) if is_identifier(name) else ())


def test_the_form_of_a_change_ends_in_its_turn() -> None:
    """The sentence for each story names that story's own parts."""
    with pytest.raises(MisnamedWorkflowError, match=re.escape("change/<service>/<environment>/<turn>")):
        read_id("change", "change")
    with pytest.raises(MisnamedWorkflowError, match=re.escape("promotion/<service>/<environment>/<version>")):
        read_id("promotion", "promotion")
    with pytest.raises(MisnamedWorkflowError, match=re.escape("pipeline/<service>/<version>")):
        read_id("pipeline", "pipeline")


@given(one=subjects, other=subjects)
def test_two_subjects_share_a_name_exactly_when_they_are_one(one: Subject, other: Subject) -> None:
    """Ids, queues and keys of different subjects never collide, and no folder lies in another's."""
    is_one = one == other

    assert (lane_id(one) == lane_id(other)) == is_one
    assert (promotion_id(one, "1.0") == promotion_id(other, "1.0")) == is_one
    assert (change_id(one, 1) == change_id(other, 1)) == is_one
    assert (journal_key(one, 1, 1) == journal_key(other, 1, 1)) == is_one
    assert (receipt_key(one, 1) == receipt_key(other, 1)) == is_one
    assert f"{journal_prefix(one)}/".startswith(f"{journal_prefix(other)}/") == is_one
    assert f"{receipt_prefix(one)}/".startswith(f"{receipt_prefix(other)}/") == is_one
    assert (effects_queue(one.environment) == effects_queue(other.environment)) == (
        one.environment == other.environment
    )


@given(
    turn=st.integers(0, 30), act=st.integers(0, 30), other=st.tuples(st.integers(0, 30), st.integers(0, 30))
)
def test_every_deed_has_a_journal_key_of_its_own(turn: int, act: int, other: tuple[int, int]) -> None:
    """Keys lie in their subject's folder and are the same only for the same turn and act."""
    key = journal_key(SHOP, turn, act)

    assert key.startswith(f"{journal_prefix(SHOP)}/")
    assert (key == journal_key(SHOP, *other)) == ((turn, act) == other)
    assert (receipt_key(SHOP, turn) == receipt_key(SHOP, other[0])) == (turn == other[0])


def test_names_that_other_processes_know_do_not_change() -> None:
    """These stand in histories, stores and dashboards: a change is a migration."""
    artifact = digest("artifact")

    assert promotion_id(SHOP, "1.4.0") == "promotion/shop/production/1.4.0"
    assert lane_id(SHOP) == "lane/shop/production"
    assert pipeline_id("shop", "1.4.0") == "pipeline/shop/1.4.0"
    assert change_id(SHOP, 7) == "change/shop/production/7"
    assert environment_id("production") == "environment/production"
    assert effects_queue("production") == "towpath/production"
    assert manifest_key("shop", "1.4.0") == "release/shop/1.4.0.json"
    assert artifact_key(artifact) == f"artifact/sha256/{artifact[7:]}.tar"
    assert journal_key(SHOP, 7, 1) == "journal/shop/production/7/1.json"
    assert receipt_key(SHOP, 7) == "receipt/shop/production/7.json"
    assert str(SHOP) == "shop in production"


def test_search_attributes_fit_into_a_namespace() -> None:
    """SQL visibility has ten keywords for all of a namespace's users; we take nine at most."""
    assert len(set(SEARCH_ATTRIBUTES)) == len(SEARCH_ATTRIBUTES) <= 9
