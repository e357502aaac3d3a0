"""A road as a picture: a line for each environment, and the ways between them drawn beside it.

::

    ✓ dev         promoted
    │
    ✓ staging     promoted
    ├─┐
    ● │ asia      waiting for approval
    │ ● europe    soaking
    ├─┘
    ○ production  after asia and europe
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from domain.road import Road, Stand, Stop, in_order

MARKS: Final = {Stand.AHEAD: "○", Stand.UNDER_WAY: "●", Stand.THROUGH: "✓", Stand.STOPPED: "✗"}


def picture(road: Road, says: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Draw a road, a text for each line. ``says`` is what is known of an environment beyond the walk's own word."""
    ordered = in_order(road)
    known = says or {}
    rows = list(_rows(ordered))
    widest = max((len(drawn) for drawn, _ in rows), default=0)
    name = max((len(stop.environment) for stop in ordered), default=0)
    return tuple(
        f"{drawn:<{widest}} {stop.environment:<{name}}  {known.get(stop.environment) or say_stop(stop)}"
        if stop
        else drawn
        for drawn, stop in rows
    )


def say_stop(stop: Stop) -> str:
    """Say how the walk stands with one environment."""
    match stop.stand:
        case Stand.AHEAD:
            return f"after {' and '.join(stop.after)}" if stop.after else "next"
        case Stand.UNDER_WAY:
            return f"{stop.stand}, joined" if stop.joined else str(stop.stand)
        case Stand.THROUGH | Stand.STOPPED:
            shown = stop.outcome or stop.stand
            return f"{shown}: {stop.why}" if stop.why and stop.stand is Stand.STOPPED else str(shown)


def _rows(ordered: Sequence[Stop]) -> Iterator[tuple[str, Stop | None]]:
    """Yield what stands to the left of each line, and the environment that the line is about, if it is.

    A column is a way that has been begun, and holds the name of where it leads; an empty one is free.
    """
    columns: list[str] = []
    above = -1
    for number, stop in enumerate(ordered):
        ends = [place for place, name in enumerate(columns) if name == stop.environment]
        if len(ends) > 1:
            yield _bend(columns, ends, "┘", "┴"), None
        elif ends == [above]:
            yield _ways(columns), None
        at = above = ends[0] if ends else _free(columns, 0, 1)[0]
        for place in ends:
            columns[place] = ""
        columns[at] = stop.environment
        yield _ways(columns, at, MARKS[stop.stand]), stop
        leads = [later.environment for later in ordered[number + 1 :] if stop.environment in later.after]
        columns[at] = leads[0] if leads else ""
        if len(leads) > 1:
            places = [at, *_free(columns, at + 1, len(leads) - 1)]
            for place, name in zip(places, leads, strict=True):
                columns[place] = name
            yield _bend(columns, places, "┐", "┬"), None
            above = -1


def _free(columns: list[str], since: int, count: int) -> list[int]:
    """Return free columns to the right of somewhere, making new ones where there are too few."""
    columns += [""] * max(0, since - len(columns))
    found = [place for place in range(since, len(columns)) if not columns[place]][:count]
    while len(found) < count:
        columns.append("")
        found.append(len(columns) - 1)
    return found


def _ways(columns: Sequence[str], at: int = -1, mark: str = "") -> str:
    cells = [mark if place == at else "│" if name else " " for place, name in enumerate(columns)]
    return " ".join(cells).rstrip()


def _bend(columns: Sequence[str], places: Iterable[int], last: str, inner: str) -> str:
    """Draw one way that becomes many, or many that become one; others that it crosses go on below it."""
    bent = sorted(places)
    first, end = bent[0], bent[-1]
    drawn = ""
    for place, name in enumerate(columns):
        inside = first < place < end
        match place:
            case _ if place == first:
                cell = "├"
            case _ if place == end:
                cell = last
            case _ if place in bent:
                cell = inner
            case _ if inside:
                cell = "┼" if name else "─"
            case _:
                cell = "│" if name else " "
        drawn += cell + ("─" if first <= place < end else " ")
    return drawn.rstrip()
