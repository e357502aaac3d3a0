"""How long everything may take, and how often it is tried again."""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy

NOTICE_AFTER: Final = timedelta(seconds=10)
"""An environment that has not answered for this long is asked about: does anybody serve it at all?"""

PUBLISH_AFTER: Final = timedelta(seconds=10)
"""Visibility hears that a promotion is in its lane when it has been there for this long."""

DRAWING_UP: Final = timedelta(minutes=15)
"""A proposal may have to fetch and verify a big release."""

KEEPING: Final = timedelta(seconds=30)
"""Records are kept by the environment's worker at a promotion's end; whatever that comes to, it ends."""

KEEPING_UP: Final = timedelta(minutes=10)
"""The same while a promotion goes on."""

HEARTBEAT: Final = timedelta(seconds=15)
"""A worker silent for this long is taken for dead."""

PROVING: Final = timedelta(seconds=30)
"""A signature is looked at by the environment's worker."""

HEARING: Final = timedelta(hours=1)
"""So long a word waits for its environment's worker; a signed one counts for no longer."""

REVIEWING: Final = timedelta(minutes=2)
"""Whoever signs a review sits and waits for its environment's worker."""

DELIVERING: Final = timedelta(minutes=5)
"""So long a promotion that has ended waits for its alarm to be heard."""

UNDOING: Final = timedelta(minutes=30)
"""One attempt of an undo. The undo itself never gives up."""

LEAVING_RECEIPT: Final = timedelta(minutes=5)

RECALLING: Final = timedelta(days=365)
"""A newborn lane waits for whatever an earlier one left running, however long that takes."""

RECALL_AGAIN: Final = timedelta(seconds=1)
"""What was answered with nonsense is asked for again after this long, and then after twice as long."""

JOINING: Final = timedelta(days=3650)
"""A promotion that was joined may wait for its approval as long as its environment lets it."""

ERRAND: Final = timedelta(seconds=10)

ASKING_BACK: Final = timedelta(seconds=15)
"""A promotion that does not answer for itself keeps its lane no longer: somebody's rollback may wait behind it."""

TELLING: Final = timedelta(days=1)
"""A channel that has not taken a notice for this long does not hear of it any more."""

CALL_A_PERSON_AFTER: Final = timedelta(minutes=1)
"""An undo that has not succeeded for this long needs a person."""

TRY_SOON: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)
)
"""For what is quick and cannot be wrong."""

TRY_A_WHILE: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5), maximum_attempts=10
)
"""For what somebody may have made up, and may never be answered."""

TRY_WITHIN_BUDGET: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)
)
"""For deeds: as often as the budget allows."""

TRY_ONCE: Final = RetryPolicy(maximum_attempts=1)
"""For a deed whose target cannot say whether it was done."""

NEVER_GIVE_UP: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
)
"""For undos: for ever, a minute apart at most."""

TRY_LESS_AND_LESS: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=10)
)
"""For channels: one that is away for a moment is late by seconds, one that is away for hours is not knocked down."""

CHECKED_AT_ONCE: Final = 10
"""Signatures. Whoever floods a promotion with false ones delays only themselves."""

CLOCKS_DIFFER: Final = timedelta(seconds=1)
"""What opens at a moment is tried so much later: the clock that judges it may be behind."""

LOOK_AGAIN: Final = timedelta(days=1)
"""What never opens is looked at again after this long: somebody may have planned it anew."""

REMEMBERED_RECORDS: Final = 200
REMEMBERED_BYTES: Final = 16 * 1024
"""Of records. A status has to fit into one answer, and a memory into the start of a new run: 64 KiB each."""
REMEMBERED_REFUSALS: Final = 20
REMEMBERED_ANSWERS: Final = 20
REMEMBERED_YIELDINGS: Final = 9
"""Whom a soak was told to make way for. The change asks back at once: more than one is rare."""
LONGEST_HISTORY: Final = 4_000
"""Events, after which a workflow that can goes on in a new run."""
