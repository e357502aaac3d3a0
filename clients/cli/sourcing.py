"""What a release is made from, as people type it: folders, archives, commits, downloads and images."""

import asyncio
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from clients.cli.terminal import say_aside
from clients.trouble import DeclinedError, UsageError
from domain.image import SCHEME, Image, read_image
from domain.release import Kind

if TYPE_CHECKING:
    from activities.fetching import Download
    from activities.sources import Source as Unfolded
    from domain.configuration import Configuration

Origin: TypeAlias = "Path | Download | Image"


def parts_of(
    configuration: "Configuration", service: str, source: str | None, named: list[str]
) -> Mapping[str, tuple[Kind, Origin]]:
    """Find out what each component is made from, and of what kind. Raises ``UsageError``."""
    known = configuration.services.get(service)
    if known is None:
        there = ", ".join(sorted(configuration.services)) or "none"
        raise UsageError(
            f"There is no service “{service[:80]}” here: services/{service[:80]}.yaml would say what it is "
            f"made of. There is: {there}."
        )
    origins = dict(_named(words) for words in named)
    if len(origins) < len(named):
        raise UsageError("A component is named twice: give each of them one source.")
    if source is not None:
        unnamed = [name for name in known.components if name not in origins]
        if len(unnamed) != 1:
            raise UsageError(
                f"--from gives a source to the only component, and {service} has "
                f"{', '.join(known.components)}: name each one, as in --component site=build/site"
            )
        origins[unnamed[0]] = source
    if not origins:
        raise UsageError(f"Say what {service} is to be made from: --from SOURCE, or --component NAME=SOURCE.")
    if strangers := [name for name in origins if name not in known.components]:
        raise UsageError(
            f"{service} has no component {', '.join(strangers)}; it has {', '.join(known.components)}."
        )
    return {name: (known.components[name].kind, _origin(text)) for name, text in origins.items()}


def _origin(text: str) -> Origin:
    """Read what a component is made from. Raises ``UsageError``."""
    from activities.fetching import SCHEMES, read_download

    try:
        if text.startswith(SCHEME):
            return read_image(text)
        if text.lower().startswith(SCHEMES):
            return read_download(text)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    if "://" in text:
        kind = text.partition("://")[0]
        raise UsageError(
            f"Nothing is fetched by {kind[:40]}://: give a path, https://…#sha256=…, or oci://…@sha256:…."
        )
    return Path(text)


@contextmanager
def unfolded(
    parts: Mapping[str, tuple[Kind, Origin]], revision: str
) -> Generator[tuple[Mapping[str, tuple[Kind, "Path | Image"]], str]]:
    """Yield the folders to pack and the images, and the commit of the first that was chosen by ``revision``."""
    from activities.unpacking import SourceRefusedError

    try:
        temporary = TemporaryDirectory(prefix="towpath-")
    except OSError as error:
        raise DeclinedError(
            f"Nothing was packed, for want of a temporary folder: {error.strerror}. "
            "Make room for one, or set TMPDIR to a better place, and try again."
        ) from error
    try:
        with temporary as workshop:
            found = {
                name: _unfold(origin, revision, Path(workshop, name)) for name, (_, origin) in parts.items()
            }
            commits = [source.revision for source in found.values() if not isinstance(source, Image)]
            yield (
                {
                    name: (parts[name][0], source if isinstance(source, Image) else source.folder)
                    for name, source in found.items()
                },
                next(filter(None, commits), ""),
            )
    except SourceRefusedError as refusal:
        raise DeclinedError(str(refusal)) from refusal


def _unfold(origin: Origin, revision: str, into: Path) -> "Image | Unfolded":
    from activities.sources import unfold, unfold_download

    if isinstance(origin, Path):
        return unfold(origin, revision, into)
    if isinstance(origin, Image):
        _see(origin)
        return origin
    return unfold_download(origin, into)


def _see(image: Image) -> None:
    """Ask the registry for the image. Raises ``DeclinedError`` where it is not there; unasked, it is recorded."""
    from activities.registry import ImageRefusedError, look_for

    try:
        if unasked := asyncio.run(look_for(image)):
            say_aside(unasked)
    except ImageRefusedError as refusal:
        raise DeclinedError(str(refusal)) from refusal


def revision_of(parts: Mapping[str, tuple[Kind, "Path | Image"]]) -> str:
    """Return the commit of the first component that is a folder."""
    return next((_git_revision(source) for _, source in parts.values() if isinstance(source, Path)), "")


def _named(words: str) -> tuple[str, str]:
    name, equals, origin = words.partition("=")
    if not (name and equals and origin):
        raise UsageError(
            f"“{words[:80]}” does not say what a component is made from: write NAME=SOURCE, as in site=build/site"
        )
    return name, origin


def _git_revision(folder: Path) -> str:
    """Return the commit that a folder is of, marked where the folder holds something else."""
    commit = _git(folder, "rev-parse", "HEAD")
    return f"{commit}-dirty" if commit and _git(folder, "status", "--porcelain", "--", ".") else commit


def _git(folder: Path, *words: str) -> str:
    try:
        asked = subprocess.run(  # noqa: S603 - our own words, and a folder
            ["git", "-C", str(folder), *words],  # noqa: S607 - whatever git the person uses
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
