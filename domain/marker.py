"""What content says about itself, so that an answer proves which revision gave it."""

from typing import Final

from pydantic import Field

from domain.environment import Placement
from domain.fence import Fence
from domain.names import Identifier, Subject
from domain.value import Digest, Value

MARKER_PATH: Final = ".well-known/towpath.json"
"""Beside the tree and outside its digest. A release that brings its own is refused."""


def is_marker_path(path: str) -> bool:
    """Tell whether a path in a tree is the marker's, on a file system with or without upper case."""
    return path.casefold() == MARKER_PATH


class Marker(Value):
    """Served with a placement: what it is, where it was meant to be, and by which deed."""

    service: Identifier
    environment: Identifier
    component: Identifier
    version: Identifier
    release: Digest
    artifact: Digest
    turn: int = Field(ge=0)
    act: int = Field(ge=0)

    @property
    def subject(self) -> Subject:
        return Subject(service=self.service, environment=self.environment)

    @property
    def fence(self) -> Fence:
        return Fence(turn=self.turn, act=self.act)


def marker(subject: Subject, component: str, placement: Placement, fence: Fence) -> Marker:
    return Marker(
        service=subject.service,
        environment=subject.environment,
        component=component,
        version=placement.version,
        release=placement.release,
        artifact=placement.artifact,
        turn=fence.turn,
        act=fence.act,
    )
