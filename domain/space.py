"""Where an environment's workflows live: a Temporal namespace of its own, and how to get there."""

from pydantic import Field

from domain.names import Identifier
from domain.value import Value


class Space(Value):
    """A namespace of Temporal. Whoever may enter it reaches the environments that live there, and no others."""

    namespace: Identifier
    profile: str = Field(default="", max_length=63)
    """The profile of Temporal's client configuration that leads there; empty for the connection of all else."""

    def __str__(self) -> str:
        by = f" (by profile “{self.profile}”)" if self.profile else ""
        return f"“{self.namespace}”{by}"
