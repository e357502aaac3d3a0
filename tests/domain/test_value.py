import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.doors import FreezeWord
from domain.release import Component, Kind, Release
from domain.terms import TargetTerms
from domain.value import (
    LONGEST_DURATION,
    Duration,
    canonical,
    digest_of,
    names_digest,
    parse_duration,
    say_duration,
    short,
)
from tests.domain.strategies import digest, identifiers, moments

DURATION = TypeAdapter[timedelta](Duration)
words = st.text(max_size=5) | st.sampled_from(["é", "é", "日本", "\x7f", "\u2028", '"', "\\"])
components = st.builds(
    Component,
    name=identifiers,
    kind=st.sampled_from(Kind),
    artifact=st.just(digest("a")),
    size=st.integers(0, 9),
)
releases = st.builds(
    Release,
    service=identifiers,
    version=identifiers,
    components=components.map(lambda component: (component,)),
    author=words,
    revision=words,
    notes=words,
    created=moments,
    signature=words,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@given(one=releases, other=releases)
def test_two_releases_have_one_digest_exactly_when_they_are_equal(one: Release, other: Release) -> None:
    """A release's identity is its content, all of it."""
    assert (one.digest() == other.digest()) == (one == other)


@given(release=releases, change=st.sampled_from([*Release.model_fields]), word=words, at=moments)
def test_any_changed_field_is_another_digest(release: Release, change: str, word: str, at: datetime) -> None:
    """No field of a manifest can be edited without its identity changing."""
    values: dict[str, object] = {
        "created": at,
        "service": "other",
        "version": "9.9",
        "components": (release.components[0].but(size=10),),
    }
    changed = release.but(**{change: values.get(change, word)})

    assert (changed.digest() == release.digest()) == (changed == release)


@given(release=releases)
def test_a_digest_survives_the_wire(release: Release) -> None:
    """Written as JSON and read again, a value is equal and has the same digest."""
    again = Release.model_validate_json(release.model_dump_json())

    assert again == release
    assert again.digest() == release.digest()


@given(settings=st.dictionaries(words, plain, max_size=3))
def test_the_digest_of_free_settings_survives_the_wire(settings: dict[str, object]) -> None:
    """Whatever a target's settings are, canonical text and reading it again agree."""
    terms = TargetTerms.model_validate({"target": "directory", "settings": settings})

    assert TargetTerms.model_validate_json(terms.canonical()).canonical() == terms.canonical()


@given(content=plain)
def test_canonical_text_is_the_content_and_only_the_content(content: object) -> None:
    """It reads back as what it was, has no white space of its own, and leaves letters as they are."""
    text = canonical(content)

    assert json.loads(text) == content
    assert canonical(json.loads(text)) == text
    assert canonical("é 日") == '"é 日"'
    assert canonical([1, {"a": None}]) == '[1,{"a":null}]'


@given(content=st.dictionaries(words, st.integers(), min_size=2, max_size=5))
def test_the_order_of_fields_makes_no_difference(content: dict[str, int]) -> None:
    """Two writers who list the same fields differently write the same text."""
    backwards = dict(reversed(content.items()))

    assert canonical(backwards) == canonical(content)


def test_accents_typed_in_two_ways_are_two_contents() -> None:
    """A digest is of what was written, not of how it looks."""
    composed, decomposed = "\u00e9", "e\u0301"

    assert digest_of(canonical(composed).encode()) != digest_of(canonical(decomposed).encode())


def test_a_copy_can_only_change_fields_that_exist() -> None:
    """A mistyped field would otherwise be a change that silently never happens."""
    terms = TargetTerms(target="directory")

    with pytest.raises(TypeError, match="TargetTerms has no setings"):
        terms.but(setings={})
    assert terms.but(target="command") == TargetTerms(target="command")
    assert terms.target == "directory"


def test_an_unknown_field_is_ignored_inside() -> None:
    """An old worker survives a new field in a rolling upgrade."""
    assert TargetTerms.model_validate({"target": "directory", "new": 1}) == TargetTerms(target="directory")


@given(
    claimed=st.integers(0, 70),
    case=st.booleans(),
    prefixed=st.booleans(),
    wrong=st.none() | st.integers(0, 63),
)
def test_a_claim_names_a_digest_exactly_when_it_is_eight_of_its_first_digits(
    claimed: int, wrong: int | None, *, case: bool, prefixed: bool
) -> None:
    """Letter case, the prefix and outer spaces do not matter; one wrong digit does."""
    full = digest("plan")
    digits = (full[7:] + "0" * 9)[:claimed]
    if wrong is not None and wrong < claimed:
        digits = digits[:wrong] + ("0" if digits[wrong] != "0" else "1") + digits[wrong + 1 :]
    text = f" {'sha256:' if prefixed else ''}{digits.upper() if case else digits} "

    is_right = 8 <= claimed <= 64 and (wrong is None or wrong >= claimed)
    assert names_digest(text, full) == is_right
    assert names_digest(short(full), full)
    assert not names_digest(full[15:], full)


lengths = st.integers(0, int(LONGEST_DURATION.total_seconds())).map(
    lambda seconds: timedelta(seconds=seconds)
)
tenths = st.integers(0, 99).map(lambda count: timedelta(milliseconds=100 * count))


@given(length=lengths | tenths)
def test_what_is_said_of_a_length_reads_back_as_that_length(length: timedelta) -> None:
    """Whole seconds, and tenths below ten seconds, lose nothing."""
    assert DURATION.validate_python(say_duration(length)) == length


@given(
    parts=st.lists(st.tuples(st.integers(0, 99), st.sampled_from("smhdw")), min_size=1, max_size=4),
    space=st.sampled_from(["", " "]),
)
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]], space: str) -> None:
    """Numbers with units, in any order, with spaces or without."""
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    text = space.join(f"{count}{space}{unit}" for count, unit in parts)

    assert parse_duration(text) == timedelta(seconds=sum(count * seconds[unit] for count, unit in parts))


@pytest.mark.parametrize(
    "text", ["", " ", "10", "m", "10 minutes", "1h-30m", "1,5h", "10m5", ".5h", "ten", "1.h"]
)
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    """A half-understood duration would be a wrong deadline."""
    with pytest.raises(ValidationError, match="is not a duration; write a number and a unit"):
        DURATION.validate_python(text)


@pytest.mark.parametrize("written", ["9999999999999999w", "3651d", "9" * 400 + "s", "P4000D", 1e18, 10**400])
def test_a_duration_beyond_all_sense_is_refused(written: object) -> None:
    """It must not overflow, neither here nor where a workflow adds it to the time."""
    with pytest.raises(ValidationError):
        FreezeWord.model_validate({"by": "ana", "reason": "holidays", "lasts": written})


def test_durations_from_nothing_to_ten_years_are_taken() -> None:
    """Both edges belong to it; a negative one does not, however it is written."""
    assert DURATION.validate_python("0s") == timedelta()
    assert DURATION.validate_python("3650d") == LONGEST_DURATION
    assert DURATION.validate_python("1.5h") == timedelta(minutes=90)
    assert DURATION.validate_python("PT90S") == timedelta(seconds=90)
    for negative in (-1, "-PT1S", timedelta(microseconds=-1)):
        with pytest.raises(ValidationError, match="cannot be negative"):
            DURATION.validate_python(negative)


def test_lengths_are_said_as_people_write_them() -> None:
    """No unit that is zero, no fraction that nobody needs."""
    said = {
        0: "0s",
        0.44: "0.4s",
        5: "5s",
        9.96: "10s",
        59.9: "59s",
        90: "1m30s",
        5400: "1h30m",
        1209600: "14d",
    }

    assert {seconds: say_duration(timedelta(seconds=seconds)) for seconds in said} == said


def test_moments_keep_the_zone_in_which_they_were_written() -> None:
    """The same instant written in two zones is two texts: a manifest is what its author wrote."""
    release = Release(
        service="shop",
        version="1.0",
        components=(Component(name="site", kind=Kind.CONTENT, artifact=digest("a"), size=1),),
        created=datetime(2026, 1, 5, 12, tzinfo=UTC),
    )
    elsewhere = release.but(created=datetime(2026, 1, 5, 14, tzinfo=timezone(timedelta(hours=2))))

    assert elsewhere.digest() != release.digest()
    assert Release.model_validate_json(elsewhere.model_dump_json()).digest() == elsewhere.digest()
