"""What people are told of, how much it matters, and who wants to hear it."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field

from domain.names import Identifier
from domain.value import Value, canonical, digest_of


class Event(StrEnum):
    """Every kind of notice. Endings have the names of their outcomes."""

    APPROVAL_WANTED = "approval wanted"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    APPROVED = "approved"
    NO_WORKER = "no worker"
    WAITING_FOR_GATE = "waiting for a gate"
    PROMOTED = "promoted"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled back"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    NOTHING_TO_DO = "nothing to do"
    SETTLED_BY_HAND = "settled by hand"
    FAILED = "failed"
    FROZEN = "frozen"
    THAWED = "thawed"
    OVERRIDDEN = "overridden"
    UNSETTLED = "unsettled"
    GLASS_BROKEN = "glass broken"
    ATTEMPT = "attempt"
    """Somebody tried what no honest use brings about, and was refused."""


class Severity(StrEnum):
    """How much it matters, least first."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ALARM = "alarm"

    def is_at_least(self, other: "Severity") -> bool:
        order = list(Severity)
        return order.index(self) >= order.index(other)


SEVERITY_OF: Final = {
    Event.APPROVAL_WANTED: Severity.NOTICE,
    Event.REMINDER: Severity.NOTICE,
    Event.ESCALATED: Severity.WARNING,
    Event.APPROVED: Severity.INFO,
    Event.NO_WORKER: Severity.WARNING,
    Event.WAITING_FOR_GATE: Severity.INFO,
    Event.PROMOTED: Severity.NOTICE,
    Event.REFUSED: Severity.WARNING,
    Event.REJECTED: Severity.NOTICE,
    Event.EXPIRED: Severity.WARNING,
    Event.ROLLED_BACK: Severity.WARNING,
    Event.CANCELLED: Severity.NOTICE,
    Event.SUPERSEDED: Severity.INFO,
    Event.NOTHING_TO_DO: Severity.INFO,
    Event.SETTLED_BY_HAND: Severity.WARNING,
    Event.FAILED: Severity.ALARM,
    Event.FROZEN: Severity.WARNING,
    Event.THAWED: Severity.NOTICE,
    Event.OVERRIDDEN: Severity.WARNING,
    Event.UNSETTLED: Severity.ALARM,
    Event.GLASS_BROKEN: Severity.ALARM,
    Event.ATTEMPT: Severity.ALARM,
}

FOR_EVERYBODY: Final = frozenset({Event.GLASS_BROKEN, Event.ATTEMPT})
"""Goes to every channel, whatever the routes say."""


class Notice(Value):
    """One thing to tell people. The same ``key`` is the same notice, whoever finds it and however often."""

    key: str
    event: Event
    service: str = ""
    """Empty where it is about a whole environment."""
    environment: Identifier
    title: str
    text: str
    at: datetime | None = None
    """When there was cause to tell it, for whoever may find it late; None where it is told at once."""

    @property
    def severity(self) -> Severity:
        return SEVERITY_OF[self.event]


class NoticeOrder(Value):
    """Tell this, by these channels."""

    notice: Notice
    channels: tuple[str, ...] = Field(min_length=1)


class Sending(Value):
    """Tell this by one channel."""

    notice: Notice
    channel: str


class Sent(Value):
    """By which channels a notice went out, and which did not take it."""

    told: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()


def key_of(*parts: str) -> str:
    """Return one key for what these parts name together."""
    return digest_of(canonical(parts).encode())


_REFERENCES: Final = ("env:", "file:")
PLAIN_SCHEMAS: Final = ("form", "forms", "json", "jsons", "mailto", "mailtos", "syslog", "xml", "xmls")
"""Apprise's addresses that need no secret. Every other one is a secret as a whole, or has one inside."""
_PLAIN_OPTIONS: Final = frozenset(
    [
        "bcc",
        "cc",
        "cto",
        "format",
        "from",
        "method",
        "mode",
        "name",
        "port",
        "reply",
        "rto",
        "smtp",
        "to",
        "verify",
    ]
)


def _check_address(written: str) -> str:
    """Never repeats what was written: it may be a secret."""
    kind, _, named = written.partition(":")
    if f"{kind}:" in _REFERENCES:
        if not named.strip() or named.startswith("//"):
            message = f"this names nothing; write {kind}:NAME"
            raise ValueError(message)
        return written
    try:
        address = urlsplit(written)
        has_credentials = bool(address.username or address.password)
    except ValueError as error:
        message = "this is not an address; write env:NAME, file:PATH or an address such as json://host/path"
        raise ValueError(message) from error
    options = {name for name, _ in parse_qsl(address.query, keep_blank_values=True)}
    if address.scheme not in PLAIN_SCHEMAS or has_credentials or options - _PLAIN_OPTIONS:
        message = (
            "this address may hold a secret; write env:NAME or file:PATH, and keep the address itself "
            "in that variable or file"
        )
        raise ValueError(message)
    return written


ChannelAddress = Annotated[str, AfterValidator(_check_address)]
"""Where a channel leads: ``env:NAME``, ``file:PATH``, or an address of Apprise's without any credentials."""


def is_reference(address: str) -> bool:
    return address.startswith(_REFERENCES)


class Route(Value):
    """Which notices go to which channels. What is left out matches all."""

    to: tuple[Identifier, ...] = Field(min_length=1)
    events: tuple[Event, ...] = ()
    services: tuple[Identifier, ...] = ()
    environments: tuple[Identifier, ...] = ()
    severity: Severity = Severity.INFO
    """At least this."""

    def takes(self, event: Event, service: str, environment: str) -> bool:
        """Tell whether such a notice goes here. One about a whole environment is about each of its services."""
        return (
            SEVERITY_OF[event].is_at_least(self.severity)
            and (not self.events or event in self.events)
            and (not self.services or not service or service in self.services)
            and (not self.environments or environment in self.environments)
        )


def channels_for(routes: Iterable[Route], event: Event, service: str, environment: str) -> tuple[str, ...]:
    """Return the channels that such a notice goes to, each once, in the order they are written."""
    found = [name for route in routes if route.takes(event, service, environment) for name in route.to]
    return tuple(dict.fromkeys(found))
