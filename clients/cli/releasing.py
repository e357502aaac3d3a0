"""``release create``, ``release list``, ``release show``, ``release prune``."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from clients.cli.asking import need_known_service, signer
from clients.cli.carrying import carrying
from clients.cli.grammar import AsJson, Key, Service, Version
from clients.cli.identity import find_me
from clients.cli.reading import open_releases, read_about
from clients.cli.sourcing import parts_of, revision_of, unfolded
from clients.cli.terminal import quoted, say, say_aside, say_commands, say_json, say_table
from clients.trouble import ClientError, DeclinedError, UsageError
from domain.gate import Quarantine
from domain.release import Release
from domain.size import say_size
from domain.value import Value, parse_duration, short
from workers.settings import surroundings

if TYPE_CHECKING:
    from activities.ports import Store

ResultT = TypeVar("ResultT")

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
    named = parts_of(read_about(place, service), service, source, component or [])
    with (
        carrying(f"Packing {version} of {service} …") as shown,
        unfolded(named, revision) as (parts, commit),
    ):
        stored = done_with_store(
            create_release(
                open_releases(place),
                service,
                version,
                parts,
                author=author or find_me(place.by).name,
                revision=commit or revision or revision_of(parts),
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
    services = [service] if service else sorted(read_about(place).services)
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
        if service:
            need_known_service(service)
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


def done_with_store(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    from activities.ports import StoreError
    from activities.releases import ReleaseRefusedError, UnknownReleaseError

    try:
        return asyncio.run(work)
    except UnknownReleaseError as unknown:
        raise UsageError(str(unknown)) from unknown
    except ReleaseRefusedError as refusal:
        raise DeclinedError(str(refusal)) from refusal
    except StoreError as error:
        raise ClientError(str(error)) from error


def _line(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= 40 else f"{first[:39]}…"
