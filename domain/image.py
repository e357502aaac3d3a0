"""A container image by its digest: what a release names and does not hold."""

import re
from typing import Final, NamedTuple

SCHEME: Final = "oci://"
_REGISTRY: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?")
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST: Final = 500
_SHOWN: Final = 120


class Image(NamedTuple):
    """One image, for good: what its digest names never changes, and a tag may."""

    registry: str
    repository: str
    digest: str

    def __str__(self) -> str:
        """Say it as container tools take it: ``registry.example/shop/web@sha256:…``."""
        return f"{self.registry}/{self.repository}@{self.digest}"


def read_image(text: str) -> Image:
    """Read ``registry/repository@sha256:…``, with ``oci://`` before it or not. Raises ``ValueError``, a sentence."""
    plain = text.removeprefix(SCHEME)
    name, at, digest = plain.partition("@")
    registry, slash, repository = name.partition("/")
    tagged = ":" in repository
    repository = repository.partition(":")[0]
    named = slash and _REGISTRY.fullmatch(registry) and _REPOSITORY.fullmatch(repository)
    if len(text) > _LONGEST or not named:
        message = (
            f"“{text[:_SHOWN]}” names no image: write oci://REGISTRY/REPOSITORY@sha256:DIGEST, as in "
            "oci://registry.example/shop/web@sha256:…, without a name or a password in it"
        )
        raise ValueError(message)
    if tagged or not at:
        tag = name if tagged else f"{name}:TAG"
        message = (
            f"“{text[:_SHOWN]}” names an image by a tag, which may be another image tomorrow: name it by its digest, "
            f"oci://{registry}/{repository}@sha256:…. "
            f"`skopeo inspect --format '{{{{.Digest}}}}' docker://{tag}` prints it, and so does "
            f"`docker buildx imagetools inspect {tag}`"
        )
        raise ValueError(message)
    if not _DIGEST.fullmatch(digest):
        message = f"“{digest[:_SHOWN]}” is no digest of an image: write sha256: and its 64 hex digits, in lower case"
        raise ValueError(message)
    return Image(registry, repository, digest)
