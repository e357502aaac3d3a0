"""Who acted, how that is known, and through which door they came."""

import unicodedata
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from domain.value import Value


def _one_visible_line(name: str) -> str:
    """Whoever is asked to believe a name must see all of it, and nothing that a name would write below itself."""
    if any(unicodedata.category(letter) in _UNSEEN or letter in _BLANK for letter in name):
        message = "a name is one line, of letters that can be seen"
        raise ValueError(message)
    return name


_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_BLANK = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
"""Letters, marks and a symbol that show nothing: fillers, joiners, variation selectors."""
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_visible_line),
]


class Proof(StrEnum):
    """How strongly a name is vouched for."""

    NONE = "none"
    """The name is a claim: whoever reached the door may have typed it."""
    SSH_SIGNATURE = "ssh signature"
    SERVER_PRINCIPAL = "server principal"


class Channel(StrEnum):
    """The door that a request or decision came through."""

    SIGNAL = "signal"
    UPDATE = "update"
    START = "start"
    ENGINE = "engine"
    OFFLINE = "offline"
    """On a worker's host, without the engine: whoever has the environment's key."""
    STORE = "store"
    """By a record in the release store: whoever may write there."""


CLAIMED: Final = "claimed, not proven"


class Actor(Value):
    """A person or program: the claimed name, the proof of it, and the door."""

    name: PersonName
    proof: Proof = Proof.NONE
    channel: Channel = Channel.START

    def __str__(self) -> str:
        return f"{self.name} ({CLAIMED})" if self.proof is Proof.NONE else self.name

    @property
    def is_proven(self) -> bool:
        return self.proof is not Proof.NONE

    def is_same_person(self, other: "Actor") -> bool:
        """Tell whether two actors claim to be one person, however either name was typed."""
        return person(self.name) == person(other.name)


def person(name: str) -> str:
    """Return the name by which people are compared: letter case, outer space and encoding make no other."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


ENGINE = Actor(name="towpath", channel=Channel.ENGINE)
