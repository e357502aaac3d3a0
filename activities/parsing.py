"""From plain content to a model: every error at once, and what is left without them."""

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Final, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from activities.yaml_lines import Keys
from domain.spelling import suggest

Mapped = dict[str, JsonValue]
ModelT = TypeVar("ModelT", bound=BaseModel)
_ROUNDS: Final = 10
"""What was wrong, then what lacks something because of that, and so on outwards."""


def errors_in(model: type[BaseModel], content: Mapped) -> list[ErrorDetails]:
    """Return what is wrong with the content, one error a place.

    Pydantic's lax mode would take ``true`` for 1 and ``soak: 10`` for ten seconds; its strict mode refuses
    what passes through a validator of the model's own, such as a list for ``status``. So strictness is asked
    too, and is not believed where what was written is of the right type.
    """
    found = {error["loc"]: error for error in _strictly(model, content) if not _is_needless(error)}
    found |= {error["loc"]: error for error in _laxly(model, content)}
    return [error for place, error in found.items() if not any(_is_inside(other, place) for other in found)]


def told_once(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out what is only missing because it is misspelt beside its place: that is one mistake, not two."""
    strangers = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    return [
        error
        for error in errors
        if error["type"] != "missing" or not any(_is_meant(one, error["loc"]) for one in strangers)
    ]


def _is_meant(stranger: tuple[int | str, ...], missing: tuple[int | str, ...]) -> bool:
    return stranger[:-1] == missing[:-1] and suggest(str(stranger[-1]), [str(missing[-1])]).startswith("did")


def _strictly(model: type[BaseModel], content: Mapped) -> list[ErrorDetails]:
    try:
        model.model_validate_json(json.dumps(content), strict=True, extra="forbid")
    except ValidationError as wrong:
        return wrong.errors()
    return []


def _laxly(model: type[BaseModel], content: Mapped) -> list[ErrorDetails]:
    try:
        model.model_validate(content, extra="forbid")
    except ValidationError as wrong:
        return wrong.errors()
    return []


def _is_needless(error: ErrorDetails) -> bool:
    written = error["input"]
    match error["type"]:
        case "tuple_type":
            return isinstance(written, list)
        case "time_delta_type":
            return isinstance(written, str)
        case _:
            return False


def _is_inside(inner: Keys, outer: Keys) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def keys_of(error: ErrorDetails) -> Keys:
    """Return the keys that lead to an error. A wrong key is where it stands."""
    return tuple(key for key in error["loc"] if key != "[key]")


def rest_of(model: type[ModelT], content: Mapped, stand_ins: Mapped) -> ModelT | None:
    """Return the model of what is left when everything wrong is taken out, or None where nothing is.

    A stand-in is put where its key is missing or wrong.
    """
    left = deepcopy(content)
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(left, extra="forbid")
        except ValidationError as wrong:
            for error in reversed(wrong.errors()):
                if not _take_out(left, error, stand_ins):
                    return None
    return None


def _take_out(content: Mapped, error: ErrorDetails, stand_ins: Mapped) -> bool:
    """Take out what an error is about; what lacks something that it must have goes as a whole."""
    keys = keys_of(error)
    if len(keys) == 1 and keys[0] in stand_ins:
        content[str(keys[0])] = stand_ins[str(keys[0])]
        return True
    if error["type"] == "missing":
        keys = keys[:-1]
    if not keys:
        return False
    container: JsonValue = content
    for key in keys[:-1]:
        container = _below(container, key)
    match container, keys[-1]:
        case dict(), str() as name:
            container.pop(name, None)
        case list(), int() as index if index < len(container):
            container.pop(index)
        case _:
            pass
    return True


def _below(container: JsonValue, key: str | int) -> JsonValue:
    match container, key:
        case dict(), str():
            return container.get(key)
        case list(), int() if key < len(container):
            return container[key]
        case _:
            return None
