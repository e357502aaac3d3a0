"""What pydantic says of people's writing, in words for those who wrote it: what is wrong, and what to write."""

import re
from collections.abc import Sequence
from typing import Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from activities.yaml_lines import Keys, Node
from domain.spelling import suggest

_LONGEST_SHOWN: Final = 60
_WITHHELD: Final = frozenset({"env", "headers"})
"""What stands under these is not repeated: it may be a secret."""
_EXAMPLES: Final = {
    "int": "a whole number such as 2",
    "bool": "true or false",
    "time_delta": "a number and a unit, such as 90s, 10m, 1h30m or 3d",
}
_UNITS: Final = "a number and a unit, such as {0}s or {0}m"


def in_words(error: ErrorDetails, model: type[BaseModel], node: Node | None) -> tuple[str, str]:
    """Say what is wrong with what stands at an error's place, and how to mend it."""
    key = str(error["loc"][-1]) if error["loc"] else ""
    shown = _withheld(node) if _WITHHELD & set(error["loc"]) else show(node)
    kind, bounds = error["type"], error.get("ctx", {})
    match kind:
        case "extra_forbidden":
            return f"“{key}” is not a key here", suggest(key, keys_of(model, error["loc"][:-1]))
        case "missing":
            return f"{key} is missing", "add it"
        case "value_error":
            return _split(str(bounds["error"]))
        case "enum":
            known = re.findall(r"'([^']*)'", bounds["expected"])
            return f"{shown} is not a {key}", suggest(node.text if node else "", known)
        case "greater_than_equal":
            return f"{shown} is too small", f"write {bounds['ge']} or more"
        case "less_than_equal":
            return f"{shown} is too large", f"write {bounds['le']} or less"
        case "too_short" | "string_too_short":
            return f"{key} is empty", "write at least one" if kind == "too_short" else "write something"
        case "string_too_long":
            return f"{shown} is too long", f"write at most {bounds['max_length']} characters"
        case _:
            return _wrong_type(kind.removesuffix("_type").removesuffix("_parsing"), node, shown, error["msg"])


def _wrong_type(kind: str, node: Node | None, shown: str, message: str) -> tuple[str, str]:
    scalar = node is not None and not isinstance(node.content, (tuple, dict))
    text = node.text if node else ""
    match kind:
        case "string" if node and scalar and node.content is not None:
            what = "true or false" if isinstance(node.content, bool) else "a number"
            quoted = f'"{text}"' if text in shown else "it"
            return f"{shown} is read as {what}", f"put {quoted} in quotes" if quoted == "it" else f"write {quoted}"
        case "string":
            return f"{shown} stands where a text is wanted", "write one text"
        case "int" | "int_from_float":
            return f"{shown} is not a number", f"write {_EXAMPLES['int']}"
        case "bool":
            return f"{shown} is neither true nor false", f"write {_EXAMPLES['bool']}"
        case "time_delta" if node and isinstance(node.content, (int, float)):
            return f"{shown} has no unit", f"write {_UNITS.format(text)}"
        case "time_delta":
            return f"{shown} is not a duration", f"write {_EXAMPLES['time_delta']}"
        case "tuple" | "list":
            return f"{shown} stands where a list is wanted", f"write [{text}]" if scalar else "write a list, as [a, b]"
        case "model" | "dict" | "model_attributes":
            return f"{shown} stands where keys and values are wanted", "write key: value, a line each"
        case _:
            return f"{shown} does not fit: {message}", "look it up in docs/reference/configuration.md"


def _split(sentence: str) -> tuple[str, str]:
    """Take a sentence of the domain apart where its remedy begins."""
    problem, _, fix = sentence.partition("; ") if "; " in sentence else sentence.partition(": ")
    return problem, fix or "look it up in docs/reference/configuration.md"


def show(node: Node | None) -> str:
    """Show what was written, as it was written, and not too much of it."""
    if node is None or node.content is None:
        return "nothing"
    match node.content:
        case tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            text = node.text if len(node.text) <= _LONGEST_SHOWN else f"{node.text[:_LONGEST_SHOWN]}…"
            return f"“{text}”"


def _withheld(node: Node | None) -> str:
    return "this" if node and not isinstance(node.content, (tuple, dict)) else show(node)


def keys_of(model: type[BaseModel], place: Keys) -> Sequence[str]:
    """Return the keys that may stand at a place of a model."""
    here = model
    for step in place:
        fields = {field.alias or name: field for name, field in here.model_fields.items()}
        if step in fields:
            here = _model_in(fields[str(step)].annotation) or here
    return [field.alias or name for name, field in here.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model in ``Model | None``, ``dict[str, Model]`` and their like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model), None)
