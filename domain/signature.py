"""What makes a claimed name a proven one: an OpenSSH signature over a statement, and when it was made.

The format is OpenSSH's own (its PROTOCOL.sshsig): ``ssh-keygen -Y sign`` makes it, with a key in a file, in an
agent or on a token. What is signed is a statement, see ``domain.statement``.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, StringConstraints

from domain.key import key_of
from domain.value import Value, say_duration

AHEAD: Final = timedelta(minutes=5)
"""So much may a signer's clock run ahead of the worker's."""
LARGEST_SIGNATURE: Final = 6 * 1024
"""Bytes: a certificate's is the largest, and a door takes 16 KiB in all."""


class Signature(Value):
    """A signature, with what its signer wrote into the statement beside the words: when, and until when it counts."""

    at: AwareDatetime
    expires: AwareDatetime
    ssh: Annotated[str, Field(max_length=LARGEST_SIGNATURE)]

    @property
    def key(self) -> str:
        """Tell by which key it was made, where that can be read; whose that is, OpenSSH says."""
        return key_of(self.ssh)


class WordSignature(Signature):
    """A signature under a word that may be said many times: the nonce tells them apart, so that each counts once."""

    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


def out_of_time(signature: Signature, now: datetime) -> str:
    """Say why a signature does not count at this moment, or nothing where it does."""
    if signature.at > now + AHEAD:
        ahead = say_duration(signature.at - now)
        return f"its signature is dated {ahead} ahead of this worker's clock"
    if now > signature.expires:
        return f"its signature expired {signature.expires:%Y-%m-%d %H:%M %Z}"
    return ""
