"""The road of a release: its order, how far it has come, and how it is drawn."""

from hypothesis import given
from hypothesis import strategies as st

from domain.outcome import Outcome
from domain.picture import picture
from domain.road import (
    Road,
    Stand,
    Stop,
    Waymark,
    arrived,
    circle_in,
    end_of,
    in_order,
    ready,
    stop_at,
    unasked,
    with_stop,
)

NAMES = ("a", "b", "c", "d", "e", "f")


def road(**after: str) -> Road:
    """Write a road as ``dev="", staging="dev"``."""
    return tuple(Stop(environment=name, after=tuple(before.split())) for name, before in after.items())


DIAMOND = road(dev="", asia="dev", europe="dev", production="asia europe")


@st.composite
def roads(draw: st.DrawFn) -> Road:
    """Any road without a circle, its stops in any order."""
    stops = [
        Stop(environment=name, after=tuple(draw(st.lists(st.sampled_from(NAMES[:number]), unique=True))))
        if number
        else Stop(environment=name)
        for number, name in enumerate(NAMES[: draw(st.integers(1, len(NAMES)))])
    ]
    return tuple(draw(st.permutations(stops)))


@given(way=roads())
def test_a_road_is_in_order_exactly_when_nothing_stands_before_its_own_way(way: Road) -> None:
    """Every stop is there once, behind all that it comes after, and no circle is seen."""
    seen: set[str] = set()
    for stop in in_order(way):
        assert set(stop.after) <= seen
        seen.add(stop.environment)

    assert len(in_order(way)) == len(way)
    assert not circle_in(way)


@given(way=roads(), good=st.sampled_from([Outcome.PROMOTED, Outcome.NOTHING_TO_DO]))
def test_a_walk_reaches_every_environment_and_skips_none(way: Road, good: Outcome) -> None:
    """What is ready is exactly what has all its predecessors through, until all are."""
    walked: list[str] = []
    while steps := list(ready(way)):
        for stop in steps:
            assert set(stop.after) <= set(walked)
        walked += [stop.environment for stop in steps]
        for stop in steps:
            way = with_stop(way, arrived(stop, good, ""))

    ending = end_of(way, [stop.environment for stop in way])
    assert sorted(walked) == sorted(stop.environment for stop in way)
    assert ending
    assert ending[0] is good


@given(way=roads())
def test_a_picture_has_one_line_of_its_own_for_each_environment(way: Road) -> None:
    """Each environment stands in it once, in order, and each way that begins also ends."""
    lines = picture(way)

    named = [line for line in lines if "○" in line]
    drawn = [line.split("○", 1)[1].replace("│", " ").split()[0] for line in named]
    assert drawn == [stop.environment for stop in in_order(way)]
    assert all("│" not in line for line in lines[-1:])


def test_environments_that_wait_for_one_another_are_named() -> None:
    """A circle is said, with who is in it, and whoever waits for it."""
    assert circle_in(road(dev="", staging="production", production="staging")) == (
        "production, staging wait for one another by their `after:`"
    )
    assert circle_in(road(dev="dev"))


def test_a_diamond_is_drawn_as_one() -> None:
    """Two ways part and come together."""
    dev, asia, *rest = DIAMOND
    way = (arrived(dev, Outcome.PROMOTED, ""), asia.but(stand=Stand.UNDER_WAY), *rest)

    assert picture(way, {"asia": "waiting for approval"}) == (
        "✓   dev         promoted",
        "├─┐",
        "● │ asia        waiting for approval",
        "│ ○ europe      after dev",
        "├─┘",
        "○   production  after asia and europe",
    )


def test_ways_that_cross_are_drawn_across() -> None:
    """A way that leads past where others come together goes on below."""
    assert picture(road(a="", b="", c="a b", d="a", e="c d")) == (
        "○     a  next",
        "├─┐",
        "│ │ ○ b  next",
        "├─┼─┘",
        "○ │   c  after a and b",
        "│ ○   d  after a",
        "├─┘",
        "○     e  after c and d",
    )


def test_where_a_release_stands_already_nobody_asks_further_back() -> None:
    """What leads to an environment that vouches for the release is of no concern to the walk."""
    there = stop_at(Waymark(environment="staging", after=("dev",), there="it stands there"))

    assert unasked((there,), ["staging"]) is None
    assert unasked(road(staging="dev"), ["staging"]) == "dev"
    assert unasked(road(staging="dev", dev=""), ["staging"]) is None
    assert unasked((), ["staging", "europe"]) == "staging"
    assert end_of((there,), ["staging"]) == (Outcome.NOTHING_TO_DO, "it stands in staging already")


def test_a_walk_ends_where_it_is_stopped_and_says_what_is_left() -> None:
    """The outcome is that of the environment; what was not reached and what goes on are named."""
    dev, asia, europe, production = DIAMOND
    way = (
        arrived(dev, Outcome.PROMOTED, ""),
        arrived(asia, Outcome.REJECTED, "bo says no"),
        europe.but(stand=Stand.UNDER_WAY),
        production,
    )

    assert end_of(way, ["production"]) == (
        Outcome.REJECTED,
        "asia: bo says no; not walked to: production; still under way, and going on: europe",
    )
    assert end_of(with_stop(way, asia), ["production"]) is None


@given(bad=st.sampled_from(sorted(set(Outcome) - {Outcome.PROMOTED, Outcome.NOTHING_TO_DO})))
def test_no_other_outcome_lets_the_walk_go_on(bad: Outcome) -> None:
    """Whatever else an environment answers, what comes after it is not begun."""
    dev, *rest = DIAMOND
    way = (arrived(dev, bad, "why"), *rest)

    ending = end_of(way, ["production"])
    assert not list(ready(way))
    assert ending
    assert ending[0] is bad
