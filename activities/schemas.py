"""The JSON Schemas of the configuration's files, for editors: generated from the models that judge them."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from activities.configuration_file import Kinds
from domain.configuration_files import EnvironmentFile, Organisation, ServiceEnvironment, ServiceFile
from domain.rule import MOST_RULES, RuleTerms, Weight
from domain.terms import CheckTerms, Fleet
from domain.value import Value, say_duration
from domain.written import (
    CHECK_KEYS,
    RESERVED_NAMES,
    RULE_KEYS,
)

Schema = dict[str, Any]

DURATION: Final[Schema] = {
    "type": "string",
    "pattern": r"^\s*(\d+(\.\d+)?\s*[smhdw]\s*)+$",
    "description": "A number and a unit: 90s, 10m, 1h30m, 3d, 2w.",
}
NAME: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"}
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _AsWritten(GenerateJsonSchema):
    """Durations are written as people write them."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        del schema
        return dict(DURATION)

    def encode_default(self, dft: Any) -> Any:
        return say_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schemas(kinds: Kinds) -> dict[str, Schema]:
    """Return the schema of each kind of file: ``towpath``, ``environment``, ``service``."""
    return {
        "towpath": _titled(_of(Organisation), "towpath.yaml"),
        "environment": _titled(_environment(kinds), "environments/<name>.yaml"),
        "service": _titled(_service(kinds), "services/<name>.yaml"),
    }


def _titled(schema: Schema, title: str) -> Schema:
    return {"$schema": _DIALECT, **schema, "title": title}


def _environment(kinds: Kinds) -> Schema:
    """An environment's rules carry their own settings."""
    schema = _of(EnvironmentFile)
    schema["$defs"].pop("RuleTerms", None)
    schema["properties"]["rules"] = _rules(kinds)
    return schema


def _rules(kinds: Kinds) -> Schema:
    own = {key: value for key, value in _of(RuleTerms)["properties"].items() if key in RULE_KEYS}
    severity = {"enum": [weight.value for weight in Weight], "default": Weight.BLOCK.value}
    bodies = (_inlined(model) for model in kinds.rules.values())
    items = [body | {"properties": body["properties"] | own | {"severity": severity}} for body in bodies]
    return {"type": "array", "maxItems": MOST_RULES, "items": {"anyOf": items}}


def _service(kinds: Kinds) -> Schema:
    """A service's file is written flatter than its model: components and checks carry their own settings."""
    schema = _of(ServiceFile)
    targets = [_target(*kind) for kind in kinds.targets.items()]
    place = _of(ServiceEnvironment)
    own = {
        key: value for key, value in place["properties"].items() if key not in {"targets", "fleets", "health"}
    }
    schema["$defs"] = schema["$defs"] | place.get("$defs", {})
    schema["$defs"].pop("ServiceEnvironment", None)
    schema["$defs"] = {
        name: found
        for name, found in schema["$defs"].items()
        if name not in {"TargetTerms", "CheckTerms", "RuleTerms", "Fleet"}
    }
    schema["properties"]["components"]["propertyNames"] = NAME | {"not": {"enum": sorted(RESERVED_NAMES)}}
    schema["properties"]["environments"]["propertyNames"] = NAME
    schema["properties"]["environments"]["additionalProperties"] = {
        "type": "object",
        "properties": own
        | {"health": {"type": "array", "items": {"anyOf": list(map(_check, kinds.checks.values()))}}}
        | {"rules": _rules(kinds)},
        "additionalProperties": {"anyOf": [*targets, _many(targets)]},
    }
    return schema


def _many(targets: Sequence[Schema]) -> Schema:
    """A component with many targets, by name."""
    named = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": NAME,
        "additionalProperties": {"anyOf": targets},
    }
    fleet = _of(Fleet)
    return fleet | {"properties": {"targets": named} | fleet["properties"], "required": ["targets"]}


def _target(name: str, model: type[Value]) -> Schema:
    schema = _inlined(model)
    return schema | {
        "properties": {"target": {"const": name}} | schema["properties"],
        "required": ["target", *schema.get("required", [])],
    }


def _check(model: type[Value]) -> Schema:
    schema = _inlined(model)
    common = _of(CheckTerms)["properties"]
    extra = {key: common[key] for key in CHECK_KEYS}
    return schema | {"properties": schema["properties"] | extra}


def _inlined(model: type[Value]) -> Schema:
    """Return the schema with what it refers to in its place, since it goes into another one."""
    schema = _of(model)
    inlined: Schema = _resolve(schema, schema.pop("$defs", {}))
    return inlined


def _resolve(part: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_resolve(one, known) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _resolve(known[part["$ref"].rpartition("/")[2]], known)
    return {key: _resolve(value, known) for key, value in part.items()}


def _of(model: type[Value]) -> Schema:
    adapter: TypeAdapter[Value] = TypeAdapter(model)
    schema: Schema = adapter.json_schema(schema_generator=_AsWritten)
    closed: Schema = _closed(schema)
    return closed


def _closed(part: Any) -> Any:
    """What is not in a model is a mistake where people write."""
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    closed = {key: _closed(value) for key, value in part.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed
