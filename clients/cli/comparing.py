"""``diff``."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.grammar import AsJson, Service
from clients.cli.reading import open_archive
from clients.cli.releasing import done_with_store
from clients.cli.terminal import leave, say, say_commands, say_json, say_table
from clients.trouble import DeclinedError, UsageError
from domain.difference import ComponentDifference, Difference, FileDifference, How
from domain.names import Subject, is_identifier
from domain.outcome import Exit
from domain.size import say_size
from domain.value import short
from workers.settings import surroundings

if TYPE_CHECKING:
    from activities.archive import Archive
    from activities.comparing import Side
    from activities.ports import Store

Versions = Annotated[list[str] | None, typer.Argument(metavar="[RELEASE RELEASE]", show_default=False)]
Environments = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--environment", metavar="A B", help="Compare what two environments hold.", show_default=False
    ),
]
Content = Annotated[bool, typer.Option("--content", help="Show how small text files differ, line by line.")]
SIGNS = {How.ADDED: "+", How.REMOVED: "-", How.CHANGED: "~"}
PAIR = 2


def diff(
    service: Service,
    releases: Versions = None,
    environment: Environments = None,
    content: Content = False,
    as_json: AsJson = False,
) -> None:
    """Show what differs between two releases, or between what two environments hold."""
    names = releases or []
    if (len(names) != PAIR) == (environment is None) or (names and environment):
        raise UsageError(
            "Say what to compare: two releases, as in `towpath diff storefront 1.4.0 1.5.0`, or two "
            "environments, as in `towpath diff storefront --environment staging production`."
        )
    for name in (service, *names, *(environment or ())):
        if not is_identifier(name):
            raise UsageError(f"“{name[:80]}” is no name of a service, release or environment.")
    store, archive = open_archive(surroundings())
    found = done_with_store(_compare(store, archive, service, names, environment, content=content))
    if as_json:
        say_json(found)
    else:
        _show(found)
    leave(Exit.DONE)


async def _compare(
    store: "Store",
    archive: "Archive",
    service: str,
    releases: list[str],
    environments: tuple[str, str] | None,
    *,
    content: bool,
) -> Difference:
    from activities.comparing import look_into, side_of_release
    from activities.releases import read_release

    if environments:
        before, after = [await _held(archive, service, name) for name in environments]
    else:
        before, after = [side_of_release(await read_release(store, service, version)) for version in releases]
    with TemporaryDirectory(prefix="towpath-") as workshop:
        return await look_into(store, service, before, after, Path(workshop), content=content)


async def _held(archive: "Archive", service: str, environment: str) -> "Side":
    """Return what the newest receipt of an environment says that it holds."""
    from activities.comparing import side_of_holdings
    from activities.ports import SealError

    subject = Subject(service=service, environment=environment)
    try:
        receipts = await archive.newest_receipts(subject, 1)
    except SealError as error:
        raise DeclinedError(str(error)) from error
    if not receipts:
        raise UsageError(
            f"Nothing was ever changed of {subject}: there is no receipt in the store. Promote a release "
            f"there, or have what runs recorded: towpath adopt {service} {environment}"
        )
    return side_of_holdings(environment, receipts[0].after)


def _show(found: Difference) -> None:
    if not (found.components or found.settings):
        say(f"{found.before} and {found.after} of {found.service} hold the same.", "bold green")
        return
    say(f"{found.service}, from {found.before} to {found.after}:", "bold")
    for setting in found.settings:
        say(f"  {setting.name}: {setting.before or 'not said'} → {setting.after or 'not said'}")
    for component in found.components:
        _show_component(component)
    if found.components and not any(one.text for part in found.components for one in part.files):
        say("How small texts differ, line by line:")
        say_commands([f"{_again(found)} --content"])


def _again(found: Difference) -> str:
    parts = found.components
    by_release = all(part.before_version in {"", found.before} for part in parts)
    by_release = by_release and all(part.after_version in {"", found.after} for part in parts)
    between = f"{found.before} {found.after}"
    return f"towpath diff {found.service} {between if by_release else f'--environment {between}'}"


def _show_component(part: ComponentDifference) -> None:
    counts = ", ".join(_counts(part.files))
    say(
        f"  {part.component}: {_named(part.before_version, part.before)} → {_named(part.after_version, part.after)}"
    )
    say(f"    {counts or 'the same files, packed otherwise; or an image, which is not looked into'}")
    if part.files:
        say_table(
            [("    FILE", "BEFORE", "AFTER")]
            + [(f"  {SIGNS[one.how]} {one.path}", _size(one.before), _size(one.after)) for one in part.files]
        )
    for one in part.files:
        if one.text:
            say(one.text)


def _counts(files: tuple[FileDifference, ...]) -> Iterator[str]:
    for how in How:
        if count := sum(one.how is how for one in files):
            yield f"{count} {how}"


def _named(version: str, artifact: str | None) -> str:
    return f"{version} ({short(artifact)})" if artifact else "nothing"


def _size(count: int | None) -> str:
    return "" if count is None else say_size(count)
