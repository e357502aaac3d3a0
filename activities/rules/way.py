"""How a release must have come here: held, healthy and soaked in the environments before."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import JsonValue

from activities.ports import Case, Desk, Judgement
from domain.dossier import Waypoint
from domain.journal import Soaked
from domain.names import Identifier
from domain.rehearsal import unproven
from domain.value import Duration, Value, say_duration


class WayHere(Value):
    """What each environment before must vouch for, beside what ``after`` asks of it."""

    held_for: Duration = timedelta()
    soaked: Literal["full"] | None = None
    proven: bool = False
    rehearsed: bool = False
    through: tuple[Identifier, ...] = ()


class WaySettings(Value):
    """What people may write about a way rule."""

    way: WayHere


class WayRule:
    """Reads the sealed receipts of the environments in ``after``, and of no others."""

    settings: ClassVar[type[Value]] = WaySettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        del desk  # nothing here is relative to it
        self._asked = WaySettings.model_validate(settings).way

    async def judge(self, case: Case) -> Judgement:
        wrong = [
            *self._skipped(case),
            *(why for one in case.way for why in self._objections(one, case.now)),
            *self._unrehearsed(case),
        ]
        if wrong:
            return Judgement(passed=False, sentence="; ".join(wrong))
        names = " and ".join(one.environment for one in case.way)
        return Judgement(
            passed=True, sentence=f"it came by {names}" if names else "nothing lies before this environment"
        )

    def _skipped(self, case: Case) -> Iterator[str]:
        before = {one.environment for one in case.way}
        for name in self._asked.through:
            if name not in before:
                yield (
                    f"{case.subject.service} does not come from {name} here: add it to after, under "
                    f"environments.{case.subject.environment} in its file"
                )

    def _unrehearsed(self, case: Case) -> Iterator[str]:
        """One environment before is enough: whatever is undone there is undone by the same release."""
        if self._asked.rehearsed and (found := unproven(case.steps, [one.seen for one in case.way])):
            yield f"{'; '.join(found)}: promote it again where rehearse is true, or have that set in one before"

    def _objections(self, before: Waypoint, now: datetime) -> Iterator[str]:
        name, receipt, since = before.environment, before.receipt, before.since
        if receipt is None or since is None:
            yield f"{name} does not hold it by any receipt that can be believed: promote it there first"
            return
        held = now - since
        if held < self._asked.held_for:
            left = say_duration(self._asked.held_for - held)
            yield (
                f"{name} has held it for {say_duration(held)}, not {say_duration(self._asked.held_for)}: ask again "
                f"in {left}"
            )
        if not receipt.healthy:
            yield f"it was not healthy in {name}: promote a release that is"
        if self._asked.soaked and before.soaked is not Soaked.FULL:
            yield f"its soak in {name} was {_say(before.soaked)}: let it soak there to the end"
        if self._asked.proven and not receipt.proven:
            yield f"no check in {name} proved that it was this release that answered: see proves, of health checks"


def _say(soaked: Soaked) -> str:
    return "none at all" if soaked is Soaked.NONE else "cut short"
