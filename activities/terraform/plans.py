"""What a plan of Terraform's or OpenTofu's says, by its JSON."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, Field

NO_ACTION: Final = "no resource is changed"
_MANY: Final = 5


class Action(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    FORGET = "forget"


class _Change(BaseModel):
    actions: tuple[str, ...]


class _ResourceChange(BaseModel):
    address: str
    mode: str = "managed"
    deposed: str = ""
    change: _Change
    action_reason: str = ""


class _Resource(BaseModel):
    address: str
    mode: str = "managed"


class _Module(BaseModel):
    resources: tuple[_Resource, ...] = ()
    child_modules: tuple["_Module", ...] = ()


class _Values(BaseModel):
    root_module: _Module = _Module()


class _State(BaseModel):
    values: _Values = _Values()


class ReadPlan(BaseModel):
    """A plan, as far as it is judged here."""

    resource_changes: tuple[_ResourceChange, ...] = Field(default=())
    prior_state: _State = _State()

    @property
    def actions(self) -> dict[str, Action]:
        """What becomes of each managed resource that does not stay as it is, by its address."""
        found = {
            f"{one.address}{f' ({one.deposed})' if one.deposed else ''}": _action(one.change.actions)
            for one in self.resource_changes
            if one.mode == "managed"
        }
        return {address: action for address, action in sorted(found.items()) if action}

    @property
    def tainted(self) -> frozenset[str]:
        """Resources that are replaced because a deed that ended half-way left them unfinished."""
        return frozenset(
            one.address for one in self.resource_changes if one.action_reason == "replace_because_tainted"
        )

    @property
    def known_before(self) -> tuple[str, ...]:
        """The managed resources that the state knew already."""
        return tuple(_addresses(self.prior_state.values.root_module))


def _action(actions: tuple[str, ...]) -> Action | None:
    if len(actions) > 1:
        return Action.REPLACE
    (only,) = actions or ("no-op",)
    return None if only in {"no-op", "read"} else Action(only)


def _addresses(module: _Module) -> list[str]:
    own = [resource.address for resource in module.resources if resource.mode == "managed"]
    return own + [address for child in module.child_modules for address in _addresses(child)]


def say_actions(actions: Mapping[str, Action]) -> str:
    """Say every action: the same text for the same set."""
    return ", ".join(f"{action} {address}" for address, action in sorted(actions.items())) or NO_ACTION


def say_some(addresses: list[str]) -> str:
    rest = len(addresses) - _MANY
    return ", ".join(addresses[:_MANY]) + (f" and {rest} more" if rest > 0 else "")


def beyond(approved: Mapping[str, Action], plan: ReadPlan) -> dict[str, Action]:
    """Return what a second try would do that was not approved for the first.

    What the first has done is no longer in the plan; what was to be created and is unfinished may be replaced.
    """
    return {
        address: action
        for address, action in plan.actions.items()
        if approved.get(address) is not action
        and not (address in plan.tainted and approved.get(address) in {Action.CREATE, Action.REPLACE})
    }
