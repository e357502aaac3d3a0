"""All that a rule may know of a promotion, as plain content: one shape for expressions, programs and callbacks."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import JsonValue

from domain.environment import Holding, Placement
from domain.journal import Receipt, Soaked
from domain.plan import Step, Undo
from domain.rehearsal import Rehearsal, Seen, unproven
from domain.release import Release
from domain.risk import is_change
from domain.terms import Request

TIMES: Final = frozenset({"now", "created", "since"})
"""What stands under these keys is a time, or null."""
KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "release": frozenset(
        {
            "service",
            "version",
            "digest",
            "author",
            "revision",
            "notes",
            "created",
            "size",
            "files",
            "components",
        }
    ),
    "request": frozenset({"actor", "channel", "reason", "urgency"}),
    "plan": frozenset({"steps", "pivots", "first", "changes"}),
    "service": frozenset(),
    "environment": frozenset(),
    "way": frozenset(),
    "now": frozenset(),
}
"""Name → what may follow it after a dot; nothing is said where that depends on the list it is in."""


class Waypoint(NamedTuple):
    """What an environment before this one says of the release: since when it holds it, and how well."""

    environment: str
    receipt: Receipt | None
    """The newest, where that left the release there."""
    since: datetime | None = None
    soaked: Soaked = Soaked.NONE
    """How well it soaked when it was let in there last: what was put back since is worth no more than it was."""
    rehearsals: tuple[Rehearsal, ...] = ()
    """What its receipts tell of undos that were rehearsed there, newest first."""

    @property
    def seen(self) -> Seen:
        return Seen(self.environment, self.rehearsals)


def waypoint(release: Release, environment: str, receipts: Sequence[Receipt]) -> Waypoint:
    """Read the receipts of an earlier environment, newest first, for since when it has held this release."""
    since: Receipt | None = None
    for receipt in receipts:
        if not _holds(release, receipt):
            break
        since = receipt
    rehearsals = rehearsed(receipts)
    if since is None:
        return Waypoint(environment, None, rehearsals=rehearsals)
    brought = next((receipt for receipt in receipts if receipt.brought(release.digest())), None)
    soaked = brought.soaked if brought else Soaked.NONE
    return Waypoint(environment, receipts[0], since.ended, soaked, rehearsals)


def rehearsed(receipts: Iterable[Receipt]) -> tuple[Rehearsal, ...]:
    """Return every rehearsal that receipts tell of, in their order."""
    return tuple(receipt.rehearsed for receipt in receipts if receipt.rehearsed)


def _holds(release: Release, receipt: Receipt) -> bool:
    return all(
        isinstance(held := receipt.after.get(component.name), Placement)
        and (held.release, held.artifact) == (release.digest(), component.artifact)
        for component in release.components
    )


def dossier(
    request: Request, release: Release, steps: Sequence[Step], way: Sequence[Waypoint], now: datetime
) -> dict[str, JsonValue]:
    """Return what there is to know. Times are texts in ISO 8601."""
    return {
        "service": request.subject.service,
        "environment": request.subject.environment,
        "request": {
            "actor": request.actor.name,
            "channel": request.actor.channel.value,
            "reason": request.reason,
            "urgency": request.urgency.value,
        },
        "release": {
            "service": release.service,
            "version": release.version,
            "digest": release.digest(),
            "author": release.author,
            "revision": release.revision,
            "notes": release.notes,
            "created": release.created.isoformat(),
            "size": sum(component.size for component in release.components),
            "files": sum(component.files for component in release.components),
            "components": [
                component.model_dump(
                    mode="json", include={"name", "kind", "artifact", "size", "files", "image"}
                )
                for component in release.components
            ],
        },
        "plan": {
            "steps": [_step(step) for step in steps],
            "pivots": [step.component for step in steps if step.undo is Undo.PIVOT],
            "first": any(not isinstance(step.before, Placement) for step in steps),
            "changes": sum(is_change(step) for step in steps),
        },
        "way": [_waypoint(one, steps) for one in way],
        "now": now.isoformat(),
    }


def _step(step: Step) -> JsonValue:
    return {
        "component": step.component,
        "target": step.target,
        "verb": step.verb.value,
        "before": _version(step.before),
        "after": _version(step.after),
        "undo": step.undo.value,
        "fenced": step.fenced,
        "repeatable": step.repeatable,
        "changes": is_change(step),
    }


def _version(holding: Holding) -> str:
    return holding.version if isinstance(holding, Placement) else ""


def _waypoint(one: Waypoint, steps: Sequence[Step]) -> JsonValue:
    receipt = one.receipt
    return {
        "environment": one.environment,
        "holds": receipt is not None,
        "healthy": bool(receipt and receipt.healthy),
        "proven": bool(receipt and receipt.proven),
        "soaked": one.soaked.value,
        "rehearsed": bool(steps) and not unproven(steps, [one.seen]),
        "by": receipt.actor.name if receipt else "",
        "since": one.since.isoformat() if one.since else None,
    }
