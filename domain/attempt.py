"""What no honest use brings about, by its kinds."""

from enum import StrEnum
from typing import Final

from domain.names import Subject


class Kind(StrEnum):
    """What was tried. An honest refusal, by a gate, a role or a plan that has changed, is none of these."""

    STRANGER = "stranger"
    """An effect was ordered by a workflow that is no change of that lane."""
    WARRANT = "warrant"
    """What was shown was made for something else: another request, step, environment or asker."""
    REPLAY = "replay"
    """What was used up was shown again."""
    SEAL = "seal"
    """A paper is not as its environment sealed it, or stands where another belongs."""
    SIGNATURE = "signature"
    """A signature is not that of the person in whose name it came, or is no longer any."""
    UNSIGNED = "unsigned"
    """Something came in a person's name without their signature, where that is asked for."""
    POSING = "posing"
    """Whoever asked decides on it under another name: the key tells."""
    EVIDENCE = "evidence"
    """A change says that something was done which no worker has done or seen."""
    UNACCOUNTED = "unaccounted"
    """A change that left no receipt is taken for ended."""
    SPEAKING = "speaking"
    """Something was said in the place of a workflow that says otherwise itself."""
    START = "start"
    """A change, a lane or an environment was started by hand."""
    UNREADABLE = "unreadable"
    """A workflow was given what no worker can read, so that it would never go on."""


SAYS: Final[dict[Kind, str]] = {
    Kind.STRANGER: "an effect was ordered by a workflow that has no turn there",
    Kind.WARRANT: "an effect was ordered with what was let in for something else",
    Kind.REPLAY: "what was used up was shown again",
    Kind.SEAL: "a sealed paper is not as it was sealed",
    Kind.SIGNATURE: "a signature is not good",
    Kind.UNSIGNED: "something came unsigned where signatures are asked for",
    Kind.POSING: "somebody decides on their own request under another name",
    Kind.EVIDENCE: "something is said to be done that no worker has done",
    Kind.UNACCOUNTED: "a change ended without a receipt",
    Kind.SPEAKING: "something was said in a workflow's place that it does not say",
    Kind.START: "a workflow was started by hand",
    Kind.UNREADABLE: "a workflow was given what no worker can read, and was ended",
}


def say_unaccounted(subject: Subject, turn: int) -> str:
    """Say of a change that it is in no account."""
    return f"turn {turn} of {subject} was begun, and no receipt says how it ended"
