"""What an environment has to stand on when a change goes wrong: judged for each service on its road."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from domain.journal import Receipt, Settled
from domain.names import Identifier, Subject
from domain.outcome import Exit
from domain.plan import Undo
from domain.terms import Story
from domain.value import Value, say_duration

OLD: Final = timedelta(days=90)
"""A way back that was last taken longer ago is doubtful: much may have changed since."""


class Stands(StrEnum):
    GOOD = "good"
    DOUBTFUL = "doubtful"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """Nobody could be asked."""


class Cover(Value):
    """One thing that should be there: how it stands, in a word or two, and what to do where it does not."""

    stands: Stands
    said: str
    remedy: str = ""
    exit: Exit = Exit.DONE


class Covered(Value):
    """All that one service has to stand on in one environment."""

    service: Identifier
    environment: Identifier
    health: Cover
    alarm: Cover
    undo: Cover
    worker: Cover
    rollback: Cover

    @property
    def subject(self) -> Subject:
        return Subject(service=self.service, environment=self.environment)

    @property
    def covers(self) -> Mapping[str, Cover]:
        """Each thing by its name."""
        return {name: getattr(self, name) for name in THINGS}


THINGS: Final = ("health", "alarm", "undo", "worker", "rollback")


class Coverage(Value):
    """What ``doctor --coverage --json`` prints."""

    schema_version: Literal[1] = 1
    places: tuple[Covered, ...] = ()
    unread: tuple[str, ...] = ()
    exit: Exit = Exit.DONE


class Taker(NamedTuple):
    """What takes a component: how it is undone, and whether it refuses late writes by itself."""

    component: str
    undo: Undo
    fenced: bool


def _missing(said: str, remedy: str, code: Exit = Exit.UNCOVERED) -> Cover:
    return Cover(stands=Stands.MISSING, said=said, remedy=remedy, exit=code)


def _doubtful(said: str, remedy: str) -> Cover:
    return Cover(stands=Stands.DOUBTFUL, said=said, remedy=remedy)


def _good(said: str) -> Cover:
    return Cover(stands=Stands.GOOD, said=said)


def cover_health(checks: int, receipts: Sequence[Receipt], file: str) -> Cover:
    """Judge by what is configured, and whether it proved the revision when something was last let in."""
    if not checks:
        return _missing("none", f"say under health in {file} what to ask whether it is well")
    newest = next((one for one in receipts if _was_let_in(one)), None)
    if newest is None:
        return _good("not asked yet")
    if newest.proven:
        return _good("proving")
    return _doubtful(
        "unproven", f"have a check in {file} prove which revision answers, by proves or the marker"
    )


def cover_alarm(*, routed: bool) -> Cover:
    """Judge whether somebody is called where an undo is stuck."""
    if routed:
        return _good("routed")
    return _missing("none", "route alarms to a channel, under notify in towpath.yaml")


def cover_undo(takers: Sequence[Taker], file: str) -> Cover:
    """Judge whether there is a way back, and whether a late write is refused."""
    if not takers:
        return _missing("no target", f"say in {file} what takes the components here")
    if pivots := [one.component for one in takers if one.undo is Undo.PIVOT]:
        named = ", ".join(pivots)
        return _missing(f"none: {named}", f"give the target of {named} in {file} an undo program")
    if open_ := [one.component for one in takers if not one.fenced]:
        named = ", ".join(open_)
        return _doubtful(
            f"not fenced: {named}",
            f"have the programs of {named} in {file} refuse what is older, and say fenced",
        )
    return _good(" and ".join(sorted({str(one.undo) for one in takers})))


def cover_worker(workers: int | None, environment: str) -> Cover:
    """Judge whether anybody polls; None where no server could be asked."""
    if workers is None:
        return Cover(
            stands=Stands.UNKNOWN,
            said="unknown",
            remedy="reach the server: towpath doctor",
            exit=Exit.NO_SERVER,
        )
    if workers:
        return _good(str(workers))
    return _missing(
        "none", f"start one where its key is: towpath worker --environments {environment}", Exit.NOBODY_POLLS
    )


def cover_rollback(receipts: Iterable[Receipt], subject: Subject, now: datetime) -> Cover:
    """Judge by the newest receipt, of those given newest first, of something that was really put back and was well."""
    proof = next((one for one in receipts if _went_back(one)), None)
    practise = f"practise: towpath rollback {subject.service} {subject.environment} --watch"
    if proof is None:
        return _missing("never", practise)
    age = max(now - proof.ended, timedelta())
    said = f"{_say_age(age)} ago"
    return _doubtful(said, f"it is long ago; {practise}") if age > OLD else _good(said)


def _was_let_in(receipt: Receipt) -> bool:
    return receipt.story is Story.PROMOTION and receipt.settled is Settled.DONE


def _went_back(receipt: Receipt) -> bool:
    back = receipt.settled is Settled.UNDONE or receipt.story in {Story.ROLLBACK, Story.SETTLEMENT}
    return back and receipt.healthy and bool(receipt.deeds or receipt.of)


def _say_age(age: timedelta) -> str:
    """Say an age by its largest unit."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if age >= unit:
            return say_duration(age // unit * unit)
    return say_duration(timedelta(seconds=int(age.total_seconds())))


WORST_FIRST: Final = (Exit.NO_SERVER, Exit.NOBODY_POLLS, Exit.UNCOVERED)


def worst(places: Iterable[Covered]) -> Exit:
    """Return what a shell is told of all these."""
    codes = {cover.exit for place in places for cover in place.covers.values()}
    return next((code for code in WORST_FIRST if code in codes), Exit.DONE)
