"""How things end, where they stand on the way, and what a shell is told about it."""

from enum import IntEnum, StrEnum
from typing import Final


class Outcome(StrEnum):
    """Every way a promotion or change ends that somebody foresaw. The list is closed."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ROLLED_BACK = "rolled back"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    NOTHING_TO_DO = "nothing to do"
    SETTLED_BY_HAND = "settled by hand"


class Phase(StrEnum):
    """Where a promotion, change, lane or pipeline stands now."""

    PREPARING = "preparing"
    NO_WORKER = "no worker"
    WAITING_FOR_APPROVAL = "waiting for approval"
    WAITING_FOR_GATE = "waiting for a gate"
    IN_LANE = "in the lane"
    DEPLOYING = "deploying"
    REHEARSING = "rehearsing"
    CHECKING_HEALTH = "checking health"
    SOAKING = "soaking"
    HELD = "held"
    UNDOING = "undoing"
    STUCK = "stuck"
    WALKING = "walking"
    IDLE = "idle"
    BUSY = "busy"
    UNSETTLED = "unsettled"
    ENDED = "ended"


FOR_PEOPLE: Final = frozenset({Phase.HELD, Phase.WAITING_FOR_GATE, Phase.STUCK})
"""Phases in which a change may wait for people alone."""
FOR_WORKERS: Final = frozenset({Phase.PREPARING, Phase.NO_WORKER, Phase.ENDED})
"""Phases in which a promotion waits for nobody but workers; what has ended is only to be closed."""


INTERRUPTED: Final = 130
"""What shells make of a program that ended by Ctrl-C."""


class Exit(IntEnum):
    """What a command tells the shell."""

    DONE = 0
    BUG = 1
    USAGE = 2
    NO_SERVER = 3
    NOBODY_POLLS = 4
    REFUSED = 10
    REJECTED = 11
    EXPIRED = 12
    ROLLED_BACK = 13
    CANCELLED = 14
    SUPERSEDED = 15
    SETTLED_BY_HAND = 16
    UNSETTLED = 20
    UNTOLD = 21
    UNCOVERED = 22


EXIT_OF: Final = {
    Outcome.PROMOTED: Exit.DONE,
    Outcome.NOTHING_TO_DO: Exit.DONE,
    Outcome.REFUSED: Exit.REFUSED,
    Outcome.REJECTED: Exit.REJECTED,
    Outcome.EXPIRED: Exit.EXPIRED,
    Outcome.ROLLED_BACK: Exit.ROLLED_BACK,
    Outcome.CANCELLED: Exit.CANCELLED,
    Outcome.SUPERSEDED: Exit.SUPERSEDED,
    Outcome.SETTLED_BY_HAND: Exit.SETTLED_BY_HAND,
}
