"""One file of the configuration: its model, and every fault that it shows by itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from pydantic import JsonValue
from pydantic_core import ErrorDetails

from activities.parsing import Mapped, errors_in, keys_of, rest_of, told_once
from activities.wording import in_words, show
from activities.yaml_lines import Keys, Node
from domain.configuration_files import EnvironmentFile, Organisation, ServiceFile
from domain.fault import Fault, Spot
from domain.names import is_identifier
from domain.spelling import suggest
from domain.value import Value
from domain.written import (
    PLACE_KEYS,
    RESERVED_NAMES,
    as_written,
    check_kinds,
    check_settings,
    rule_settings,
    split_check,
    split_place,
    split_rule,
    target_settings,
)

Models = Mapping[str, type[Value]]
"""Kind → the model of what people may write about it."""


class Kinds(NamedTuple):
    """The kinds of target, check and rule that there are."""

    targets: Models
    checks: Models
    rules: Models = {}


class _Sort(NamedTuple):
    """What stands in a list, each of a kind that it names: what that is called, and which kinds there are."""

    name: str
    short: str
    models: Models
    settings: Callable[[Mapped], Mapped]


ValueT = TypeVar("ValueT", bound=Value)


class Draft(NamedTuple, Generic[ValueT]):
    """What a file says. Where there are faults, ``value`` is what is left of it without them, or None."""

    value: ValueT | None
    faults: tuple[Fault, ...]


def read_organisation(file: str, root: Node) -> Draft[Organisation]:
    return _Reading(file, root).draft(Organisation, _mapped(root), {})


def read_environment(file: str, name: str, root: Node, kinds: Kinds) -> Draft[EnvironmentFile]:
    content = _mapped(root)
    reading = _Reading(file, root)
    _shape_rules(reading, (), content, kinds)
    reading.look_at_conditions(content.get("risk"), kinds.rules)
    return reading.draft(EnvironmentFile, content, {"environment": name})


def read_service(file: str, name: str, root: Node, kinds: Kinds) -> Draft[ServiceFile]:
    content = _mapped(root)
    reading = _Reading(file, root)
    components, places = content.get("components"), content.get("environments")
    if isinstance(components, dict) and isinstance(places, dict):
        reading.look_at_names(components)
        proper = {name: line for name, line in components.items() if name not in RESERVED_NAMES}
        content["environments"] = {
            environment: _shape(reading, environment, place, proper, kinds)
            for environment, place in places.items()
        }
    return reading.draft(ServiceFile, content, {"service": name})


def _shape(
    reading: "_Reading", environment: str, place: JsonValue, components: Mapped, kinds: Kinds
) -> JsonValue:
    if not isinstance(place, dict):
        return place
    reading.look_at_place(environment, place, components)
    reading.look_at_targets(environment, place, components, kinds.targets)
    shaped = split_place(place, components)
    if isinstance(written := place.get("health"), list):
        checks = _Sort("health check", "check", kinds.checks, check_settings)
        reading.look_at_kinds(("environments", environment, "health"), written, checks)
        shaped["health"] = [
            split_check(check if isinstance(check, dict) else {}, kinds.checks) for check in written
        ]
    _shape_rules(reading, ("environments", environment), shaped, kinds)
    return shaped


def _shape_rules(reading: "_Reading", keys: Keys, content: Mapped, kinds: Kinds) -> None:
    """Put the rules that stand here into their model's shape."""
    if isinstance(written := content.get("rules"), list):
        reading.look_at_kinds((*keys, "rules"), written, _Sort("rule", "rule", kinds.rules, rule_settings))
        content["rules"] = [
            split_rule(rule if isinstance(rule, dict) else {}, kinds.rules) for rule in written
        ]


def _mapped(root: Node) -> Mapped:
    plain = root.plain()
    return plain if isinstance(plain, dict) else {}


_MANY: Final = "write each as eu-1: {target: …}"


class _Reading:
    """Collects a file's faults."""

    def __init__(self, file: str, root: Node) -> None:
        self._file = Spot(file)
        self._root = root
        self._faults: list[Fault] = []
        if not isinstance(root.content, dict):
            self._note(
                (), f"{show(root)} stands where keys and values are wanted", "write key: value, a line each"
            )
        self._look_at_empty(root, ())

    def draft(self, model: type[ValueT], content: Mapped, stand_ins: Mapped) -> Draft[ValueT]:
        """Judge the whole content by its model."""
        if isinstance(self._root.content, dict):
            for error in told_once(errors_in(model, content)):
                self._note_error(error, model, as_written(keys_of(error)))
        return Draft(rest_of(model, content, stand_ins), tuple(self._faults))

    def look_at_names(self, components: Mapped) -> None:
        for name in RESERVED_NAMES & components.keys():
            why = f"“{name}” is a key of its own, so no component can be called that"
            self._note(("components", name), why, "give it another name")

    def look_at_place(self, environment: str, place: Mapped, components: Mapped) -> None:
        """Find what is neither a key nor a component."""
        for key, value in place.items():
            keys = ("environments", environment, key)
            if key in PLACE_KEYS or key in components:
                continue
            if isinstance(value, dict) and not value.keys().isdisjoint({"target", "targets"}):
                near = suggest(key, components)
                fix = near if near.startswith("did") else f"add it there, as {key}: {{kind: application}}"
                self._note(keys, f"component {key} is not declared under components", fix)
            else:
                self._note(keys, f"“{key}” is not a key here", suggest(key, [*PLACE_KEYS, *components]))

    def look_at_targets(self, environment: str, place: Mapped, components: Mapped, targets: Models) -> None:
        """Judge the settings of each component's target by that target's own model."""
        for component in components:
            written = place.get(component)
            keys = ("environments", environment, component)
            if not isinstance(written, dict) or component in PLACE_KEYS:
                continue
            if "targets" in written:
                self._look_at_many(keys, written, targets)
            else:
                self._look_at_target(keys, written, targets)

    def _look_at_many(self, keys: Keys, written: Mapped, targets: Models) -> None:
        """Judge a component's many targets, each by its name."""
        if "target" in written:
            why = "a component has either one target or many, and here are both"
            self._note((*keys, "target"), why, "move it under targets, with a name")
        if not isinstance(named := written["targets"], dict):
            shown = show(self._root.find((*keys, "targets")))
            self._note((*keys, "targets"), f"{shown} stands where names and targets are wanted", _MANY)
            return
        for at, target in named.items():
            below = (*keys, "targets", at)
            if not is_identifier(at):
                why = f"“{at}” cannot be a target's name"
                self._note(below, why, "use letters, digits, dot, dash and underscore, as eu-1")
            elif not isinstance(target, dict):
                shown = show(self._root.find(below))
                self._note(below, f"{shown} is not a target", _MANY)
            else:
                self._look_at_target(below, target, targets)

    def _look_at_target(self, keys: Keys, written: Mapped, targets: Models) -> None:
        kind = written.get("target")
        if kind is None:
            self._note((*keys, "target"), "target is missing", f"write target: {' or '.join(targets)}")
        elif isinstance(kind, str) and kind not in targets:
            self._note((*keys, "target"), f"there is no target “{kind}”", suggest(kind, targets))
        elif isinstance(kind, str):
            self._look_at_settings(keys, target_settings(written), targets[kind])

    def look_at_kinds(self, place: Keys, written: Sequence[JsonValue], sort: "_Sort") -> None:
        """Judge each in a list of health checks or rules by the model of the one kind that it names."""
        for index, one in enumerate(written):
            keys = (*place, index)
            if not isinstance(one, dict):
                shown = show(self._root.find(keys))
                self._note(
                    keys,
                    f"{shown} is not a {sort.name}",
                    f"write {' or '.join(f'{{{kind}: …}}' for kind in sort.models)}",
                )
                continue
            match check_kinds(one, sort.models):
                case (kind,):
                    self._look_at_settings(keys, sort.settings(one), sort.models[kind])
                case ():
                    self._note(
                        keys,
                        f"this names no kind of {sort.short} ({', '.join(one)})",
                        _which(one, sort.models),
                    )
                case kinds:
                    self._note(
                        keys,
                        f"this names {len(kinds)} kinds of {sort.short}: {', '.join(kinds)}",
                        f"write a {sort.short} for each",
                    )

    def look_at_conditions(self, table: JsonValue, rules: Models) -> None:
        """Judge the conditions of a table of risks as rules that are expressions are judged."""
        if not isinstance(table, dict) or (model := rules.get("expression")) is None:
            return
        for level, conditions in table.items():
            for index, text in enumerate(conditions if isinstance(conditions, list) else ()):
                if isinstance(text, str) and text:
                    for error in errors_in(model, {"expression": text}):
                        self._note_error(error, model, ("risk", level, index))

    def _look_at_settings(self, keys: Keys, settings: Mapped, model: type[Value]) -> None:
        for error in told_once(errors_in(model, settings)):
            self._note_error(error, model, (*keys, *keys_of(error)))

    def _look_at_empty(self, node: Node, keys: Keys) -> None:
        if isinstance(node.content, Mapping):
            for key, (_, below) in node.content.items():
                if below.content is None:
                    self._note((*keys, key), "nothing is written here", "write its value, or remove the key")
                self._look_at_empty(below, (*keys, key))
        elif isinstance(node.content, tuple):
            for index, below in enumerate(node.content):
                self._look_at_empty(below, (*keys, index))

    def _note_error(self, error: ErrorDetails, model: type[Value], keys: Keys) -> None:
        """Note what pydantic found, where nothing has been said yet."""
        if not any(known.spot.holds(self._file.below(*keys)) for known in self._faults):
            self._note(keys, *in_words(error, model, self._root.find(keys)))

    def _note(self, keys: Keys, problem: str, fix: str) -> None:
        self._faults.append(Fault(self._file.below(*keys), problem, fix))


def _which(written: Mapped, models: Models) -> str:
    near = (suggest(key, models) for key in written)
    return next((one for one in near if one.startswith("did")), f"add one of {', '.join(models)}")
