"""What a lane and its promotions should come to, in plain Python: what the real workflows are held to."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from domain.outcome import Outcome

MANAGERS: Final = ("bo@example.com", "cy@example.com")
ABSENT: Final = "absent"


class Stand(Enum):
    """Where a promotion stands."""

    WAITING = auto()
    """For people."""
    GATED = auto()
    QUEUED = auto()
    RUNNING = auto()
    """Its change is in the middle of its deed."""
    HELD = auto()
    """Its change has done its deed, and somebody holds it."""
    STUCK = auto()
    """Its change cannot be undone: a person was called."""
    ENDED = auto()


@dataclass
class Mine:
    """A promotion, and what people have said of the plan that it has now."""

    version: str
    by: str
    sick: bool
    basis: str
    """What stood there when its plan was drawn up."""
    plans: int = 1
    stand: Stand = Stand.WAITING
    outcome: Outcome | None = None
    approvals: set[str] = field(default_factory=set)
    on_hold: bool = False

    def get_stuck(self, outcome: Outcome) -> None:
        self.stand, self.outcome = Stand.STUCK, outcome

    def end(self, outcome: Outcome) -> None:
        self.stand, self.outcome = Stand.ENDED, outcome


@dataclass
class Life:
    """One environment: what it holds, what was written to it, who waits, and what keeps them out."""

    quorum: int
    held: str = ABSENT
    blocked: bool = False
    """Whether a deed stays in its middle."""
    rusty: bool = False
    """Whether nothing can be put back."""
    gates: set[str] = field(default_factory=set)
    """What is closed: a freeze, a pin."""
    mine: list[Mine] = field(default_factory=list)
    queue: list[Mine] = field(default_factory=list)
    running: Mine | None = None
    writes: list[str] = field(default_factory=list)
    befores: list[str] = field(default_factory=list)
    """What each change that still stands has replaced, newest last: where rollbacks lead."""
    lost: int = 0

    # Who is there.

    def those(self, *stands: Stand) -> list[Mine]:
        return [one for one in self.mine if one.stand in stands]

    def may_approve(self, one: Mine, who: str) -> bool:
        return who not in one.approvals and who != one.by

    @property
    def can_line_up(self) -> bool:
        """Whether it is certain in which order those who wait would go on."""
        return not self.gates or not (self.queue or self.those(Stand.GATED))

    @property
    def is_idle(self) -> bool:
        return self.running is None and not self.queue

    # What people do.

    @property
    def stands(self) -> str:
        """What a plan finds at the target: a change that is stuck has left there what it could not put back."""
        return self.writes[-1] if self.writes else ABSENT

    def promote(self, version: str, by: str, *, sick: bool, waits: bool = True) -> Mine:
        one = Mine(version, by, sick, basis=self.stands)
        self.mine.append(one)
        if not waits:
            one.end(Outcome.EXPIRED)
        return one

    def approve(self, one: Mine, who: str) -> None:
        if self.may_approve(one, who):
            one.approvals.add(who)
        if len(one.approvals) >= self.quorum:
            self._line_up(one)

    def reject(self, one: Mine) -> None:
        one.end(Outcome.REJECTED)

    def cancel(self, one: Mine, outcome: Outcome = Outcome.CANCELLED) -> None:
        if one is self.running:
            self._put_back(one, outcome)
            return
        if one in self.queue:
            self.queue.remove(one)
        one.end(outcome)

    def lose(self) -> None:
        """The change is terminated: its lane has it put back."""
        assert self.running
        self.lost += 1
        self.cancel(self.running, Outcome.ROLLED_BACK)

    def shut(self, gate: str) -> None:
        self.gates.add(gate)

    def open(self, gate: str) -> None:
        self.gates.discard(gate)
        if not self.gates:
            for one in self.those(Stand.GATED):
                self._line_up(one)

    def release(self) -> None:
        """What stays in the middle of its deed goes on."""
        self.blocked = False
        if self.running and self.running.stand is Stand.RUNNING:
            self._deployed(self.running)
        self._go_on()

    def resume(self) -> None:
        assert self.running
        self.running.on_hold = False
        if self.running.stand is Stand.HELD:
            self._well(self.running)
            self._go_on()

    def oil(self) -> Mine | None:
        """What cannot be put back can be again; return who is stuck, and goes on as soon as somebody says so."""
        self.rusty = False
        one = self.running
        if one is None or one.stand is not Stand.STUCK or one.outcome is None:
            return None
        self._put_back(one, one.outcome)
        return one

    def roll_back(self) -> bool:
        """Undo the newest change that still stands; False where there is none."""
        if not self.befores:
            return False
        self.held = self.befores.pop()
        self.writes.append(self.held)
        return True

    # What comes of it.

    def _line_up(self, one: Mine) -> None:
        one.stand = Stand.QUEUED
        self.queue.append(one)
        self._go_on()

    def _go_on(self) -> None:
        while self.queue and self.running is None:
            one = self.queue.pop(0)
            if self.gates:
                one.stand = Stand.GATED
            elif one.basis != self.held:
                one.stand, one.basis, one.approvals, one.plans = (
                    Stand.WAITING,
                    self.held,
                    set(),
                    one.plans + 1,
                )
            else:
                self.running, one.stand = one, Stand.RUNNING
                if not self.blocked:
                    self._deployed(one)

    def _deployed(self, one: Mine) -> None:
        self.writes.append(one.version)
        if one.on_hold:
            one.stand = Stand.HELD
        else:
            self._well(one)

    def _well(self, one: Mine) -> None:
        """The health checks have their say."""
        if one.sick:
            self._put_back(one, Outcome.ROLLED_BACK)
        else:
            self.befores.append(self.held)
            self.held = one.version
            self._free(one, Outcome.PROMOTED)

    def _put_back(self, one: Mine, outcome: Outcome) -> None:
        if self.rusty:
            one.get_stuck(outcome)
        else:
            self.writes.append(one.basis)
            self._free(one, outcome)

    def _free(self, one: Mine, outcome: Outcome) -> None:
        one.end(outcome)
        self.running = None
        self._go_on()
