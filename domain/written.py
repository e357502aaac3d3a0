"""How people write what their services and environments say, and how that is sorted into the models' shapes."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from pydantic import JsonValue

from domain.berth import at_of, berth_of, component_of

PLACE_KEYS: Final = (
    "after",
    "health",
    "soak",
    "rehearse",
    "lane",
    "yield",
    "approval",
    "rules",
    "windows",
    "freezes",
    "observe_only",
    "roles",
)
"""What may stand under one environment of a service, beside its components."""
RESERVED_NAMES: Final = frozenset({*PLACE_KEYS, "targets", "fleets", "rollout"})
"""What no component may be called, since it would be taken for a key."""
CHECK_KEYS: Final = ("component", "target", "within", "every")
"""What may stand in any health check, beside its own settings."""
RULE_KEYS: Final = ("severity", "name", "message", "remedy")
"""What may stand in any rule, beside its own settings."""
UNKNOWN_KIND: Final = "unknown"
"""Stands for the kind of a health check or rule that could not be told."""


def split_place(written: Mapping[str, JsonValue], components: Collection[str]) -> dict[str, JsonValue]:
    """Sort what is written under one environment of a service into its model's shape.

    A component stands beside ``after`` and ``health``, as ``site: {target: directory, root: live/dev}``: its
    ``target`` says which, and the rest are that target's settings. Where it has many, they stand by name under
    ``targets``. What is neither is left out.
    """
    place = {key: value for key, value in written.items() if key in PLACE_KEYS}
    lines = {name: value for name, value in written.items() if name in components}
    place["targets"] = {
        berth_of(name, at): _split_target(value) for name, line in lines.items() for at, value in many(line)
    }
    place["fleets"] = {
        name: {key: value for key, value in line.items() if key != "targets"}
        for name, line in lines.items()
        if isinstance(line, dict) and "targets" in line
    }
    return place


def many(line: JsonValue) -> Iterable[tuple[str | None, JsonValue]]:
    """Return the targets in a component's line, each with its name; the only one of a component has none."""
    if not isinstance(line, dict) or "targets" not in line:
        return ((None, line),)
    targets = line["targets"]
    return targets.items() if isinstance(targets, dict) else ()


def _split_target(written: JsonValue) -> JsonValue:
    if not isinstance(written, dict):
        return written
    split = {key: value for key, value in written.items() if key == "target"}
    split["settings"] = target_settings(written)
    return split


def target_settings(written: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what is left of a component's line for its target to judge."""
    return {key: value for key, value in written.items() if key != "target"}


def check_kinds(written: Mapping[str, JsonValue], checks: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds that a health check or rule names. It is well written where that is exactly one."""
    return tuple(name for name in checks if name in written)


def split_check(written: Mapping[str, JsonValue], checks: Iterable[str]) -> dict[str, JsonValue]:
    """Sort one health check, as ``{http: "http://…/", status: 200, within: 30s}``, into its model's shape.

    The key that is a check's name says which; its value is the setting of that name.
    """
    kinds = check_kinds(written, checks)
    split = {key: value for key, value in written.items() if key in CHECK_KEYS}
    split["check"] = kinds[0] if len(kinds) == 1 else UNKNOWN_KIND
    split["settings"] = check_settings(written)
    return split


def check_settings(written: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what is left of a health check for its kind to judge."""
    return {key: value for key, value in written.items() if key not in CHECK_KEYS}


def split_rule(written: Mapping[str, JsonValue], rules: Iterable[str]) -> dict[str, JsonValue]:
    """Sort one rule, as ``{release_size: {at_most: 2GB}, severity: warn}``, into its model's shape."""
    kinds = check_kinds(written, rules)
    split = {key: value for key, value in written.items() if key in RULE_KEYS}
    split["rule"] = kinds[0] if len(kinds) == 1 else UNKNOWN_KIND
    split["settings"] = rule_settings(written)
    return split


def rule_settings(written: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what is left of a rule for its kind to judge."""
    return {key: value for key, value in written.items() if key not in RULE_KEYS}


def line_of(berth: str) -> tuple[str, ...]:
    """Return the keys under which a berth's target is written."""
    at = at_of(berth)
    return (component_of(berth), "targets", at) if at else (berth,)


def as_written(place: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return where in a file people wrote what stands at this place of its model."""
    match place:
        case ("environments", environment, "targets", str(berth), "settings", *rest):
            return ("environments", environment, *line_of(berth), *rest)
        case ("environments", environment, "targets", str(berth), *rest):
            return ("environments", environment, *line_of(berth), *rest)
        case ("environments", environment, "fleets", *rest):
            return ("environments", environment, *rest)
        case ("environments", environment, "health" | "rules" as key, index, "settings", *rest):
            return ("environments", environment, key, index, *rest)
        case ("rules", index, "settings", *rest):
            return ("rules", index, *rest)
        case _:
            return place
