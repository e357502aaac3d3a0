"""The immutable thing that moves."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from domain.image import read_image
from domain.names import Identifier
from domain.value import Digest, Value, canonical


class Kind(StrEnum):
    """What sort of thing a component is; it sets how long a change of it may take."""

    CONTENT = "content"
    APPLICATION = "application"
    INFRASTRUCTURE = "infrastructure"
    SETTINGS = "settings"
    FLAGS = "flags"


BUDGETS = {
    Kind.CONTENT: timedelta(minutes=10),
    Kind.APPLICATION: timedelta(minutes=15),
    Kind.INFRASTRUCTURE: timedelta(minutes=30),
    Kind.SETTINGS: timedelta(minutes=5),
    Kind.FLAGS: timedelta(minutes=5),
}
ROLLBACK_BUDGET = timedelta(minutes=5)


class Component(Value):
    """One part of a release: a name, a kind, and the digest of the artifact that it is."""

    name: Identifier
    kind: Kind
    artifact: Digest
    size: int = Field(ge=0)
    files: int = Field(ge=0, default=0)
    image: str = ""
    """Where the release holds no artifact: the container image of that digest, as container tools name it."""

    @model_validator(mode="after")
    def _image_is_what_the_digest_says(self) -> Self:
        if self.image and read_image(self.image).digest != self.artifact:
            message = f"{self.name} is said to be {self.image}, and has another digest"
            raise ValueError(message)
        return self


class Release(Value):
    """A service at a version, with its components. Its identity is the digest of its canonical manifest."""

    service: Identifier
    version: Identifier
    components: tuple[Component, ...] = Field(min_length=1)
    author: str = ""
    revision: str = ""
    notes: str = ""
    created: datetime
    signature: str = ""
    """Of its author, by OpenSSH, over everything else in here; empty where it was not signed."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        names = [component.name for component in self.components]
        if len(set(names)) < len(names):
            message = f"release {self.version} of {self.service} has two components of one name"
            raise ValueError(message)
        return self

    def canonical(self) -> str:
        """Return the canonical manifest, without what is left at its default.

        So a field that a later Towpath adds leaves the identity of every release before it as it was.
        """
        return canonical(self.model_dump(mode="json", exclude_defaults=True))

    @property
    def budget(self) -> timedelta:
        """How long a change to this release may take from its first effect to its last health pass."""
        return max(BUDGETS[component.kind] for component in self.components)

    def component(self, name: str) -> Component | None:
        return next((component for component in self.components if component.name == name), None)
