"""What an environment holds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from domain.fence import Fence
from domain.names import Identifier
from domain.value import Digest, Value, short


class Placement(Value):
    """A component of a release stands here, put there by the deed with this fence."""

    held: Literal["release"] = "release"
    version: Identifier
    release: Digest
    artifact: Digest
    fence: Fence | None = None
    since: datetime | None = None

    def __str__(self) -> str:
        return f"{self.version} ({short(self.release)})"


class Absent(Value):
    """Nothing stands here, and that is a legal state."""

    held: Literal["absent"] = "absent"

    def __str__(self) -> str:
        return "nothing"


class Unknown(Value):
    """Nobody can say what stands here, until the next observation or ``adopt``."""

    held: Literal["unknown"] = "unknown"
    why: str = ""

    def __str__(self) -> str:
        return "unknown"


Holding = Annotated[Placement | Absent | Unknown, Field(discriminator="held")]
Holdings = Mapping[str, Holding]


def same_content(one: Holding, other: Holding) -> bool:
    """Tell whether two placements are of the same artifact, whichever release brought it."""
    return isinstance(one, Placement) and isinstance(other, Placement) and one.artifact == other.artifact


def same(one: Holding, other: Holding) -> bool:
    """Tell whether two holdings are of the same content; who put it there, and when, does not matter.

    What is unknown is the same as nothing, not even as itself.
    """
    match one, other:
        case Placement(), Placement():
            return one.release == other.release and one.artifact == other.artifact
        case Absent(), Absent():
            return True
        case _:
            return False
