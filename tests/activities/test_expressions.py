"""Policy expressions: what is found by reading them, and what they can do to whoever evaluates them."""

import time
from collections.abc import Iterator

import pytest
from pydantic import JsonValue

from activities import expressions
from activities.expressions import LONGEST_THOUGHT, check_expression, thinking
from domain.actor import Actor
from domain.dossier import KNOWN, dossier
from domain.names import Subject
from domain.release import Component, Kind, Release
from domain.risk import LONGEST_EXPRESSION
from domain.terms import Request
from domain.value import digest_of
from tests.domain.strategies import NOON

FACTS = dossier(
    Request(subject=Subject(service="shop", environment="dev"), version="1.0", actor=Actor(name="ana")),
    Release(
        service="shop",
        version="1.0",
        components=(Component(name="site", kind=Kind.CONTENT, artifact=digest_of(b"site"), size=5),),
        author="bo",
        created=NOON.replace(hour=9),
    ),
    [],
    [],
    NOON,
)
BIG: dict[str, JsonValue] = {"plan": {"steps": list(range(300))}}
EXPONENTIAL = "plan.steps.all(a, plan.steps.all(b, plan.steps.all(c, a + b + c >= 0)))"
HUNGRY = (
    "plan.steps.map(a, plan.steps.map(b, plan.steps.map(c, 'a long text that takes some room'))).size() > 0"
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("release.author != request.actor && size(plan.steps) < 10", True),
        ("now - release.created >= duration('3h')", True),
        ("now - release.created > duration('3h')", False),
        ("now.getHours() < 17 && now.getDayOfWeek() in [1, 2, 3, 4]", True),
        ("service == 'shop' && environment == 'production'", False),
        ("release.components.exists(c, c.kind == 'content' && c.size > 4)", True),
        ("way.all(w, w.healthy)", True),
        ("has(release.author)", True),
    ],
)
async def test_an_expression_comes_to_its_truth(expression: str, value: bool) -> None:  # noqa: FBT001 - a table
    """Over all that is known, with times that can be reckoned with."""
    async with thinking(FACTS) as mind:
        assert await mind.think(check_expression(expression)) == (value, "")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("size(plan.steps)", "neither true nor false"),
        ("'yes'", "neither true nor false"),
        ("release.author > 3", "does not go together"),
        ("1 / 0 == 1", "divides by zero"),
        ("release.components[9].size > 1", ""),
        ("release.components.all(c, c.colour == 'red')", "there is no “colour”"),
    ],
)
async def test_what_has_no_truth_says_why(expression: str, why: str) -> None:
    """Neither true nor false is no truth, and nothing is raised."""
    async with thinking(FACTS) as mind:
        found = await mind.think(expression)

    assert found.value is None
    assert why in found.why


@pytest.mark.parametrize("hostile", [EXPONENTIAL, HUNGRY])
async def test_a_hostile_expression_harms_nobody(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped in its time, the next one is answered, and meanwhile this process goes on."""
    monkeypatch.setattr(expressions, "LONGEST_THOUGHT", LONGEST_THOUGHT / 4)
    async with thinking(BIG) as mind:
        began = time.monotonic()

        found = await mind.think(hostile)

        assert found.value is None
        assert time.monotonic() - began < 10
        assert (await mind.think("size(plan.steps) == 300")).value is True


async def test_more_than_can_be_told_is_not_thought_about() -> None:
    """Facts and expressions have a size that they may not pass."""
    async with thinking({"release": {"notes": "x" * 300_000}}) as mind:
        assert "256 KiB" in (await mind.think("true")).why
    async with thinking(FACTS) as mind:
        assert "2,000" in (await mind.think(f"'{'x' * LONGEST_EXPRESSION}' == ''")).why


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("release.author ==", "at character 18"),
        ("", "cannot be read as an expression"),
        ("@#!", "cannot be read as an expression"),
        ("(" * 900 + "1" + ")" * 900, "cannot be read as an expression"),
        ("true" + " && true" * 300, "write at most 2,000"),
        ("relase.author == ''", "there is no “relase”"),
        ("release.auhtor == ''", "did you mean author?"),
        ("release.author.startswith('a')", "did you mean startsWith?"),
        ("plan.steps.exists(s, t.fenced)", "there is no “t”"),
        ("open('/etc/passwd') == ''", "there is no function “open”"),
    ],
)
def test_what_can_be_found_by_reading_is_found(written: str, why: str) -> None:
    """Syntax, unknown names, functions and fields, with what was probably meant."""
    with pytest.raises(ValueError, match=r".*") as wrong:
        check_expression(written)

    assert why in str(wrong.value)


@pytest.mark.parametrize(
    "written",
    [
        "'release.auhtor' != release.author",
        "plan.steps.all(step, step.fenced && has(step.undo))",
        "type(1) == int && dyn(1) == 1",
        "release.notes.matches('^relase.foo$') || release.author.contains('@')",
        "way.filter(w, w.holds).size() >= 1",
    ],
)
def test_what_is_right_is_left_alone(written: str) -> None:
    """Texts, names of a macro's own and types are no strangers."""
    assert check_expression(written) == written


def named(part: str) -> Iterator[str]:
    content = FACTS[part]
    yield from content if isinstance(content, dict) else ()


def test_what_is_known_is_what_is_told() -> None:
    """The names that an expression is checked against are those that it will find."""
    assert {part: frozenset(named(part)) for part in FACTS} == KNOWN
