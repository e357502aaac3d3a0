"""Who may do what: five roles, and which of them each door asks for."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import Field

from domain.actor import PersonName, person
from domain.fault import Spot
from domain.names import Identifier
from domain.value import Value


class Role(StrEnum):
    REQUEST = "request"
    APPROVE = "approve"
    OPERATE = "operate"
    FREEZE = "freeze"
    ADMINISTER = "administer"


class Door(StrEnum):
    """What people say or ask for, by the word that they type."""

    PROMOTE = "promote"
    APPROVE = "approve"
    REJECT = "reject"
    HOLD = "hold"
    RESUME = "resume"
    RETRY = "retry"
    SKIP = "skip"
    ROLLBACK = "rollback"
    ADOPT = "adopt"
    PIN = "pin"
    UNPIN = "unpin"
    FREEZE = "freeze"
    THAW = "thaw"
    QUARANTINE = "quarantine"
    UNQUARANTINE = "unquarantine"


ASKS_FOR: Final[dict[Door, Role]] = {
    Door.PROMOTE: Role.REQUEST,
    Door.APPROVE: Role.APPROVE,
    Door.REJECT: Role.APPROVE,
    Door.HOLD: Role.OPERATE,
    Door.RESUME: Role.OPERATE,
    Door.RETRY: Role.OPERATE,
    Door.SKIP: Role.OPERATE,
    Door.ROLLBACK: Role.OPERATE,
    Door.ADOPT: Role.OPERATE,
    Door.PIN: Role.OPERATE,
    Door.UNPIN: Role.OPERATE,
    Door.FREEZE: Role.FREEZE,
    Door.THAW: Role.FREEZE,
    Door.QUARANTINE: Role.ADMINISTER,
    Door.UNQUARANTINE: Role.ADMINISTER,
}
"""The one role that each door asks for."""

STANDS_IN: Final[dict[Role, tuple[Role, ...]]] = {
    Role.OPERATE: (Role.ADMINISTER,),
    Role.FREEZE: (Role.ADMINISTER,),
}
"""Who is named for these may do it too. Nobody asks or approves by standing in."""

OF_THE_ENVIRONMENT: Final = frozenset({Door.FREEZE, Door.THAW})
"""Doors that no service has a say in."""


class Holders(Value):
    """Who has a role: everybody in the groups in ``from``, and these people."""

    groups: tuple[Identifier, ...] = Field(default=(), alias="from")
    people: tuple[PersonName, ...] = ()


class Roles(Value):
    """Role → who has it. What is not written, everybody has."""

    request: Holders | None = None
    approve: Holders | None = None
    operate: Holders | None = None
    freeze: Holders | None = None
    administer: Holders | None = None

    def of(self, role: Role) -> Holders | None:
        holders: Holders | None = getattr(self, role.value)
        return holders

    @property
    def written(self) -> dict[Role, Holders]:
        """Return the roles that somebody wrote about."""
        return {role: holders for role in Role if (holders := self.of(role)) is not None}


class Level(NamedTuple):
    """Roles as one file writes them, and where they stand in it."""

    spot: Spot
    roles: Roles


Members = Callable[[Iterable[str]], tuple[str, ...]]
"""Everybody in these groups."""


def names_of(holders: Holders, members: Members) -> tuple[str, ...]:
    """Return everybody who has a role, each once."""
    named = {person(name): name for name in reversed((*members(holders.groups), *holders.people))}
    return tuple(reversed(named.values()))


def has_role(level: Level, role: Role, name: str, members: Members) -> bool:
    """Tell whether one file lets this person: it names them, or names nobody at all for the role."""
    own = level.roles.of(role)
    if own is None:
        return True
    given = [own, *(level.roles.of(other) for other in STANDS_IN.get(role, ()))]
    allowed = {person(one) for holders in given if holders for one in names_of(holders, members)}
    return person(name) in allowed


def keeps_out(levels: Iterable[Level], role: Role, name: str, members: Members) -> Level | None:
    """Return the first file that does not let this person, or None where all do: a service only ever takes away."""
    return next((level for level in levels if not has_role(level, role, name, members)), None)
