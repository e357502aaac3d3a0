"""What a soak is worth: whether a change is done with it, and whether its release may go on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from domain.attempt import Kind
from domain.berth import component_of
from domain.environment import Absent, Placement, same
from domain.journal import Evidence, Receipt, Settled, Soaked
from domain.refusal import Cause, Refusal
from domain.release import Release
from domain.terms import Proposal


def judge_soak(
    proposal: Proposal, turn: int, soak: Evidence | None, cut: str, last_deed: datetime | None
) -> Refusal | None:
    """A change is done only with evidence of its own soak, unless its terms let a newer promotion end it.

    Its own is that of this turn and plan, begun when its ``last_deed`` was.
    """
    if not proposal.terms.soak or (soak is None and cut and proposal.terms.lane.yields):
        return None
    if soak and soak.passed and _is_of(soak, proposal, turn, last_deed):
        return None
    why = "It says it was done, without evidence of its soak."
    return Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.EVIDENCE)


def _is_of(soak: Evidence, proposal: Proposal, turn: int, last_deed: datetime | None) -> bool:
    own = (proposal.plan.subject, turn, proposal.plan.intent)
    is_own = (soak.subject, soak.turn, soak.intent) == own
    return is_own and not (last_deed and soak.began and soak.began < last_deed)


def proves_the_way(release: Release, environment: str, receipts: Sequence[Receipt]) -> str:
    """Say why an earlier environment does not vouch for a release, or nothing where it does.

    It does when its newest receipt left the content of every component of this release in each of its berths there,
    healthy, and the soak of the release's own promotion was not cut short: what was put back since is worth no more
    than it was. What a release left alone may be there by an earlier one. ``receipts`` are its newest, newest first.
    """
    name = f"{release.version} of {release.service}"
    if not receipts:
        return f"{environment} has never held {name}; promote it there first"
    newest = receipts[0]
    stands = {
        berth: (component, newest.after.get(berth, Absent()))
        for component in release.components
        for berth in _berths_of(component.name, newest)
    }
    brought = any(
        isinstance(held, Placement) and held.release == release.digest() for _, held in stands.values()
    )
    for berth, (component, held) in stands.items():
        if not brought or not (isinstance(held, Placement) and held.artifact == component.artifact):
            return f"{environment} holds {berth} {held}, not {release.version}; promote it there first"
    if stayed := _stayed(newest, stands):
        return f"{stayed} of {name} only stayed in {environment}, when turn {newest.turn} was put back"
    if not newest.healthy:
        return f"{name} was not healthy in {environment}"
    if cut := cut_soak(release, receipts):
        again = f"towpath promote {release.service} {release.version} {environment}"
        return f"in {environment} {cut}; promote {name} there again, and it soaks anew: {again}"
    return ""


def _stayed(newest: Receipt, berths: Iterable[str]) -> str:
    """Name what a change that was put back left behind: it cannot be undone, and vouches for nothing."""
    if newest.settled is Settled.DONE:
        return ""
    own = {deed.step.berth: deed.step.after for deed in newest.deeds}
    return next((one for one in berths if one in own and same(own[one], newest.after[one])), "")


LATE: Final = timedelta(seconds=4)
"""Whoever watches every second, and has not for so long, was stopped."""


@dataclass
class Soaking:
    """What is known of a soak under way: since when it lasts, when all was found well last, and what was found sick."""

    began: datetime
    well: datetime
    sick: tuple[str, ...] = ()
    watched: datetime | None = None
    """When it was watched last, where whoever watches says so every second."""

    def watch(self, now: datetime) -> None:
        """Say that somebody watches. While a process is stopped, or its machine, nobody does, and nothing soaks."""
        self.catch_up(now)
        self.watched = now

    def catch_up(self, now: datetime) -> None:
        """Leave out of it what has passed unwatched."""
        if self.watched and now - self.watched > LATE:
            self.began += now - self.watched
            self.watched = now

    def beat(self) -> tuple[str, ...]:
        """Return what a heartbeat says, for a later run to go on from."""
        return self.began.isoformat(), self.well.isoformat(), *self.sick


def go_on(beat: Sequence[object], last_deed: datetime, now: datetime) -> Soaking:
    """Return what is known of a soak by the last heartbeat of whoever watched it before, if anybody did.

    While nobody watched nothing soaked, nor while it was not found well; and what was found sick is. Anybody can send a
    heartbeat: it is never believed back to before the last deed, nor ahead of the clock.
    """
    began, well = (_moment(one, now) for one in (*beat, "", "")[:2])
    unwatched = now - well if len(beat) > 1 else timedelta()
    return Soaking(max(min(began + unwatched, now), last_deed), now, tuple(map(str, beat[2:])))


def _moment(said: object, now: datetime) -> datetime:
    """Read a moment of the past; what is none is now."""
    try:
        moment = datetime.fromisoformat(str(said))
    except ValueError:
        return now
    return min(moment, now) if moment.tzinfo else now


def _berths_of(component: str, receipt: Receipt) -> list[str]:
    return [berth for berth in receipt.after if component_of(berth) == component] or [component]


def cut_soak(release: Release, receipts: Iterable[Receipt]) -> str:
    """Say how a release's soak was cut short when it was let in last; nothing where it was not."""
    last = next((receipt for receipt in receipts if receipt.brought(release.digest())), None)
    return (last.cut or "its soak was cut short") if last and last.soaked is Soaked.CUT else ""
