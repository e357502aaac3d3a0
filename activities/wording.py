"""What pydantic says of a file, in words for who wrote it: what is wrong, and what to write."""

import re
from collections.abc import Sequence
from typing import Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from activities.yaml_lines import Keys, Node
from domain.spelling import suggest

_LONGEST_SHOWN: Final = 60
_WITHHELD: Final = frozenset({"channels", "env", "headers"})
"""What stands under these is not repeated: it may be a secret."""
_LOOK_UP: Final = "look it up in docs/reference/configuration.md"
_SENTENCES: Final = {
    "missing": ("{key} is missing", "add it"),
    "greater_than_equal": ("{shown} is too small", "write {ge} or more"),
    "less_than_equal": ("{shown} is too large", "write {le} or less"),
    "too_short": ("{key} is empty", "write at least one"),
    "string_too_short": ("{key} is empty", "write something"),
    "string_too_long": ("{shown} is too long", "write at most {max_length} characters"),
    "string": ("{shown} stands where a text is wanted", "write one text"),
    "int": ("{shown} is not a number", "write a whole number such as 2"),
    "int_from_float": ("{shown} is not a number", "write a whole number such as 2"),
    "bool": ("{shown} is neither true nor false", "write true or false"),
    "time_delta": ("{shown} is not a duration", "write a number and a unit, such as 90s, 10m, 1h30m or 3d"),
    "tuple": ("{shown} stands where a list is wanted", "write a list, such as [a, b]"),
    "list": ("{shown} stands where a list is wanted", "write a list, such as [a, b]"),
    "model": ("{shown} stands where keys and values are wanted", "write key: value, a line each"),
    "dict": ("{shown} stands where keys and values are wanted", "write key: value, a line each"),
}


def in_words(error: ErrorDetails, model: type[BaseModel], node: Node | None) -> tuple[str, str]:
    """Say what is wrong with what stands at an error's place, and how to mend it."""
    key = str(error["loc"][-1]) if error["loc"] else ""
    kind, bounds = error["type"].removesuffix("_type").removesuffix("_parsing"), error.get("ctx", {})
    text = node.text if node else ""
    shown = _withheld(node) if _WITHHELD & set(error["loc"]) else show(node)
    match kind, node.content if node else None:
        case "extra_forbidden", _:
            return f"“{key}” is not a key here", suggest(key, keys_in(model, error["loc"][:-1]))
        case "value_error", _:
            return _split(str(bounds["error"]))
        case "enum", _:
            what = f"one of the {error['loc'][-2]}" if key.isdecimal() else f"a {key}"
            return f"{shown} is not {what}", suggest(text, re.findall(r"'([^']*)'", bounds["expected"]))
        case "string", bool() | int() | float():
            return f"{shown} is not read as text", f'write "{text}"' if text in shown else "put it in quotes"
        case "time_delta", bool() | int() | float():
            return f"{shown} has no unit", f"write {text}s or {text}m"
        case _:
            pass
    problem, fix = _SENTENCES.get(kind, (f"{{shown}} does not fit: {error['msg']}", _LOOK_UP))
    words = {"key": key, "shown": shown, **bounds}
    return problem.format(**words), fix.format(**words)


def _split(sentence: str) -> tuple[str, str]:
    """Take a sentence of the domain apart where its remedy begins."""
    problem, _, fix = sentence.partition("; ") if "; " in sentence else sentence.partition(": ")
    return problem, fix or _LOOK_UP


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


def keys_in(model: type[BaseModel], place: Keys) -> Sequence[str]:
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
