"""``release create``, ``release list``, ``release show``, ``release prune``."""

import asyncio
import subprocess
from collections.abc import Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar

import typer

from clients.cli.asking import signer
from clients.cli.carrying import carrying
from clients.cli.grammar import AsJson, Key, Service, Version
from clients.cli.identity import find_me
from clients.cli.reading import open_releases, read_configuration
from clients.cli.terminal import quoted, say, say_aside, say_commands, say_json, say_table
from clients.trouble import ClientError, DeclinedError, UsageError
from domain.gate import Quarantine
from domain.image import SCHEME, Image, read_image
from domain.release import Kind, Release
from domain.size import say_size
from domain.value import Value, parse_duration, short
from workers.settings import surroundings

if TYPE_CHECKING:
    from activities.fetching import Download
    from activities.ports import Store
    from activities.sources import Source as Unfolded
    from domain.configuration import Configuration

ResultT = TypeVar("ResultT")

Origin: TypeAlias = "Path | Download | Image"

Source = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="SOURCE",
        help="Of its only component: a folder, archive or repository, https://…#sha256=…, or oci://…@sha256:….",
        show_default=False,
    ),
]
Components = Annotated[
    list[str] | None,
    typer.Option(
        "--component", metavar="NAME=SOURCE", help="The same of a component; repeat it.", show_default=False
    ),
]
Notes = Annotated[str, typer.Option("--notes", metavar="TEXT", help="What is new.")]
Author = Annotated[str, typer.Option("--author", metavar="NAME", help="Who made it; else you.")]
Revision = Annotated[
    str, typer.Option("--revision", metavar="REV", help="Of its source; packs that commit of a repository.")
]
OptionalService = Annotated[str, typer.Argument(metavar="[SERVICE]", show_default=False)]

release = typer.Typer(no_args_is_help=True, help="Make releases, and find them again.")


class Releases(Value):
    """What ``release list --json`` prints."""

    schema_version: Literal[1] = 1
    releases: tuple[Release, ...]
    quarantined: tuple[Quarantine, ...] = ()


class ShownRelease(Release):
    """What ``release show --json`` prints: the release, and the last word on its quarantine."""

    quarantine: Quarantine | None = None


@release.command()
def create(
    service: Service,
    version: Version,
    source: Source = None,
    component: Components = None,
    notes: Notes = "",
    author: Author = "",
    revision: Revision = "",
    key: Key = "",
) -> None:
    """Pack folders, archives, downloads or commits into a release and store it; record images by their digest.

    A version exists once; the same content again is the same release.
    """
    from activities.clock import SystemClock
    from activities.releases import create_release

    place = surroundings()
    signs = signer(key)
    named = _parts(read_configuration(place), service, source, component or [])
    with (
        carrying(f"Packing {version} of {service} …") as shown,
        _unfolded(named, revision) as (parts, commit),
    ):
        stored = done_with_store(
            create_release(
                open_releases(place),
                service,
                version,
                parts,
                author=author or find_me(place.by).name,
                revision=commit or revision or _revision_of(parts),
                notes=notes,
                now=SystemClock().now(),
                sign=signs.sign_release if signs else _unsigned,
                sending=shown.sending,
            )
        )
    say(stored.sentence, "green")
    _show(stored.release)
    if signs and not stored.release.signature:
        say_aside(
            "It is not signed: it was stored unsigned before. Where that matters, give it a version of its own."
        )
    say("Let it in somewhere:")
    say_commands([f"towpath promote {service} {version} ENVIRONMENT --watch"])


@release.command("list")
def list_(service: OptionalService = "", as_json: AsJson = False) -> None:
    """List the releases of a service, or of all, oldest first."""
    place = surroundings()
    services = [service] if service else sorted(read_configuration(place).services)
    found, quarantined = done_with_store(_list(open_releases(place), services))
    if as_json:
        say_json(Releases(releases=found, quarantined=tuple(quarantined.values())))
    elif found:
        rows = [("SERVICE", "VERSION", "DIGEST", "MADE", "BY", "NOTES")]
        rows += [
            (
                one.service,
                one.version,
                short(one.digest()),
                f"{one.created:%Y-%m-%d %H:%M}",
                one.author,
                f"quarantined: {_line(quarantined[key].reason)}"
                if (key := (one.service, one.version)) in quarantined
                else _line(one.notes),
            )
            for one in found
        ]
        say_table(rows)
    else:
        say(f"There is no release{f' of {service}' if service else ''} yet. Make one:")
        say_commands([f"towpath release create {service or 'SERVICE'} VERSION --from PATH"])


async def _list(
    store: "Store", services: Sequence[str]
) -> tuple[tuple[Release, ...], dict[tuple[str, str], Quarantine]]:
    from activities.quarantines import find_quarantined
    from activities.releases import list_releases

    found: list[Release] = []
    quarantined: dict[tuple[str, str], Quarantine] = {}
    for name in services:
        releases = await list_releases(store, name)
        versions = [one.version for one in releases]
        for version, record in (await find_quarantined(store, name, versions)).items():
            quarantined[name, version] = record
        found += releases
    return tuple(found), quarantined


@release.command("show")
def show_release(service: Service, version: Version, as_json: AsJson = False) -> None:
    """Show what a release is made of."""
    from activities.quarantines import find_quarantine
    from activities.releases import read_release

    store = open_releases(surroundings())
    found = done_with_store(read_release(store, service, version))
    quarantine = done_with_store(find_quarantine(store, service, version))
    if as_json:
        say_json(ShownRelease(**dict(found), quarantine=quarantine))
    else:
        say(f"Release {found.version} of {found.service} ({short(found.digest())})", "bold")
        if quarantine:
            say(f"  {quarantine}", "" if quarantine.lifted else "yellow")
        _show(found)


@release.command()
def prune(
    service: Service,
    keep: Annotated[
        int, typer.Option("--keep", metavar="N", min=0, help="How many of the newest stay in any case.")
    ] = 10,
    logs_older_than: Annotated[
        str,
        typer.Option("--logs-older-than", metavar="TIME", help="Remove what was printed before, too: 90d."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")
    ] = False,
) -> None:
    """Remove old releases that no environment may need again, and old logs where asked to."""
    from activities.retention import prune_releases

    store, age = open_releases(surroundings()), _age(logs_older_than)
    pruned = done_with_store(prune_releases(store, service, keep, dry_run=dry_run))
    for one in pruned.releases:
        say(f"  {one.version} ({short(one.digest())}), made {one.created:%Y-%m-%d}")
    releases, artifacts = len(pruned.releases), len(pruned.artifacts)
    would = "Would remove" if dry_run else "Removed"
    say(f"{would} {releases} releases of {service} and {artifacts} artifacts; {pruned.kept} releases stay.")
    if age is not None:
        from activities.clock import SystemClock
        from activities.retention import prune_transcripts

        before = SystemClock().now() - age
        turns = done_with_store(prune_transcripts(store, service, before, dry_run=dry_run))
        say(f"{would} what was printed in {turns} turns before {before:%Y-%m-%d %H:%M}; receipts stay.")


def _age(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        age = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--logs-older-than: {error}.") from error
    if isinstance(age, timedelta) and age >= timedelta():
        return age
    raise UsageError(f"--logs-older-than takes how long ago, as in 90d or 12h; “{text[:80]}” is not that.")


def _unsigned(_: Release) -> str:
    return ""


def _show(found: Release) -> None:
    for part in found.components:
        if part.image:
            say(f"  {part.name} ({part.kind}): the image {part.image}")
            continue
        say(f"  {part.name} ({part.kind}): {part.files} files, {say_size(part.size)}, {short(part.artifact)}")
    for name in ("author", "revision", "notes"):
        if said := getattr(found, name):
            say(f"  {name}: {quoted(said)}")
    if found.signature:
        say("  signed by its author")


def _parts(
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
def _unfolded(
    parts: Mapping[str, tuple[Kind, Origin]], revision: str
) -> Generator[tuple[Mapping[str, tuple[Kind, "Path | Image"]], str]]:
    """Yield the folders to pack and the images, and the commit of the first that was chosen by ``revision``."""
    from activities.sources import SourceRefusedError

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


def _revision_of(parts: Mapping[str, tuple[Kind, "Path | Image"]]) -> str:
    """Return the commit of the first component that is a folder."""
    return next((_git_revision(source) for _, source in parts.values() if isinstance(source, Path)), "")


def _named(words: str) -> tuple[str, str]:
    name, equals, origin = words.partition("=")
    if not (name and equals and origin):
        raise UsageError(
            f"“{words[:80]}” does not say what a component is made from: write NAME=SOURCE, as in site=build/site"
        )
    return name, origin


def done_with_store(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    from activities.ports import StoreError
    from activities.releases import ReleaseRefusedError

    try:
        return asyncio.run(work)
    except ReleaseRefusedError as refusal:
        raise DeclinedError(str(refusal)) from refusal
    except StoreError as error:
        raise ClientError(str(error)) from error


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


def _line(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= 40 else f"{first[:39]}…"
