"""Why a client could not do what it was asked to, in words, and what its caller tells the shell.

    ClientError
    ├── UsageError            what was asked makes no sense, or is about what is not there
    ├── NoServerError         no Temporal server that could be used
    ├── NobodyPollsError      the server is there, and no worker of ours
    ├── DeclinedError         it was heard, and not taken
    └── FailedError           a workflow failed: a person is needed
"""

from typing import ClassVar

from domain.outcome import Exit


class ClientError(Exception):
    """The text is for people: what was attempted, why it stopped, what to do next."""

    exit: ClassVar[Exit] = Exit.BUG


class UsageError(ClientError):
    exit = Exit.USAGE


class NoServerError(ClientError):
    exit = Exit.NO_SERVER


class NobodyPollsError(ClientError):
    exit = Exit.NOBODY_POLLS


class DeclinedError(ClientError):
    exit = Exit.REFUSED


class FailedError(ClientError):
    exit = Exit.BUG
