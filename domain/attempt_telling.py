"""How people are told of what no honest use brings about: who tried it, on what, and why it came to nothing."""

from collections.abc import Iterable
from shlex import quote
from typing import Final, NamedTuple

from domain.attempt import SAYS, Kind
from domain.hints import USUAL_NAMESPACE, temporal
from domain.logbook import Attempt
from domain.value import Digest, canonical, digest_of

NAMED: Final = 8
"""Attempts that a summary names one by one."""
SHOWN: Final = 400
"""Characters of each."""


class Tried(NamedTuple):
    """An attempt, of what kind it is, and in which namespace it came."""

    kind: Kind
    attempt: Attempt
    namespace: str = USUAL_NAMESPACE

    @property
    def key(self) -> Digest:
        """The same kind, by the same workflow, for the same reason, is the same, however often it is tried."""
        one = self.attempt
        return digest_of(canonical([self.kind, one.environment, one.by.workflow_id, one.why]).encode())

    @property
    def where(self) -> str:
        return str(self.attempt.subject or self.attempt.environment)

    def again(self, times: int) -> "Tried":
        """Return it with so many more times to it."""
        return self._replace(attempt=self.attempt.but(times=self.attempt.times + times))

    def __str__(self) -> str:
        one = self.attempt
        name = f", in the name of {one.claimed}" if one.claimed else ""
        return f"{one.what}, by way of “{one.by.workflow_id}”{name}: {one.why.removesuffix('.')}"


def headline(tried: Tried) -> str:
    """Say in one line what was tried where."""
    return f"{tried.where}: {SAYS[tried.kind]}"


def remedy(tried: Tried) -> str:
    """Say what it was, whom to ask, and what to look at."""
    one = tried.attempt
    asked = f" Ask {one.claimed} whether it was theirs." if one.claimed else ""
    # Whoever tried it may have chosen the id, and somebody pastes this into a shell.
    look = temporal("show", quote(one.by.workflow_id), tried.namespace)
    return f"{tried}.{asked} What it came through:\n{look}"


def summary(tried: Iterable[Tried], unnamed: int) -> str:
    """Say, a line for each, what was tried again or beside; ``unnamed`` more are a number only."""
    found = sorted(tried, key=lambda one: -one.attempt.times)
    rest = unnamed + sum(one.attempt.times for one in found[NAMED:])
    lines = [f"{one.attempt.times} × {_on_a_line(str(one))}" for one in found[:NAMED]]
    return "\n".join([*lines, *([f"and {rest} more"] if rest else [])])


def count(tried: Iterable[Tried]) -> int:
    return sum(one.attempt.times for one in tried)


def _on_a_line(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"
