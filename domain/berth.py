"""Where a component lies: in its one target, or in one of its many, by name."""

from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from domain.names import Identifier

BETWEEN = "@"
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def berth_of(component: str, at: str | None) -> str:
    """Name a berth: ``site`` where a component has one target, ``site@eu-1`` where it has many."""
    return f"{component}{BETWEEN}{at}" if at else component


def component_of(berth: str) -> str:
    return berth.partition(BETWEEN)[0]


def at_of(berth: str) -> str | None:
    """Return which of its component's targets a berth is, or None where that is the only one."""
    return berth.partition(BETWEEN)[2] or None


def _check(text: str) -> str:
    component, between, at = text.partition(BETWEEN)
    _IDENTIFIER.validate_python(component)
    if between:
        _IDENTIFIER.validate_python(at)
    return text


Berth = Annotated[str, AfterValidator(_check)]
