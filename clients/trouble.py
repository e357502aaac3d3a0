"""Why a client could not do what it was asked to, in words, and what its caller tells the shell.

Catch ``ClientError`` for all of it; the classes below say which kind, and so whether asking again may help.
"""

from typing import ClassVar

from domain.outcome import Exit


class ClientError(Exception):
    """The text is for people: what was attempted, why it stopped, what to do next."""

    exit: ClassVar[Exit] = Exit.BUG


class UsageError(ClientError):
    """What was asked makes no sense, or is about what is not there."""

    exit = Exit.USAGE


class NoServerError(ClientError):
    """There is no Temporal server that could be used."""

    exit = Exit.NO_SERVER


class AwayError(NoServerError):
    """The server was there, and does not answer now. One that is started anew is back within half a minute."""


class NobodyPollsError(ClientError):
    """The server is there, and no worker of ours: of the engine, or of the ``environment`` that is named."""

    exit = Exit.NOBODY_POLLS

    def __init__(self, why: str, environment: str = "") -> None:
        super().__init__(why)
        self.environment = environment


class DeclinedError(ClientError):
    """It was heard, and not taken."""

    exit = Exit.REFUSED


class FailedError(ClientError):
    """Something ended as nobody foresaw: a person is needed."""

    exit = Exit.BUG
