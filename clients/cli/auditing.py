"""``audit verify``, ``audit show``, ``audit export``: from the store alone, without a server."""

import asyncio
import json
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from clients.cli.grammar import AsJson, ForEnvironment, ForService
from clients.cli.reading import open_archive, open_releases, read_about
from clients.cli.recalling import read_time
from clients.cli.terminal import leave, say, say_aside, say_json, say_plain
from clients.trouble import UsageError
from domain.outcome import Exit
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from datetime import datetime

    from domain.audit import Audit

audit = typer.Typer(
    help="Prove who let what in, from the store alone, whatever has become of the server.",
    no_args_is_help=True,
)

REPORT: Final = "evidence.md"

Head = Annotated[
    str,
    typer.Option(
        "--head", metavar="DIGEST", help="A receipt or page that was there once, and has to be there still."
    ),
]
OfRelease = Annotated[str, typer.Option("--release", metavar="VERSION", help="Only of this release.")]
Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="What ended since: 2h, 7d, or a date as 2026-03-31.")
]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="What ended before then.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write it there, and not on the terminal.")
]


IntoBundle = Annotated[
    Path | None,
    typer.Option(
        "--bundle", metavar="FOLDER", help="Write a folder that proves itself, for another machine."
    ),
]


@audit.command()
def verify(
    service: ForService = "", environment: ForEnvironment = "", head: Head = "", as_json: AsJson = False
) -> None:
    """Check every seal and signature, and that no receipt or record was altered or is missing; else end with 10."""
    found = _audit(service, environment, head)
    if as_json:
        say_json(found)
    else:
        _say_verdict(found)
    leave(Exit.REFUSED if found.findings else Exit.DONE)


@audit.command()
def show(
    service: ForService = "",
    environment: ForEnvironment = "",
    release: OfRelease = "",
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Show who asked, who let it in, what was done, and how it was found, oldest first."""
    _report(_told_of(service, environment, release, since, until), None, as_json=as_json)


@audit.command()
def export(
    service: ForService = "",
    environment: ForEnvironment = "",
    release: OfRelease = "",
    since: Since = "",
    until: Until = "",
    out: Out = None,
    bundle: IntoBundle = None,
    as_json: AsJson = False,
) -> None:
    """Write an evidence report for an auditor, as Markdown or, with --json, as one value.

    With --bundle, a folder that is checked by itself on another machine: report, papers, public keys.
    """
    if bundle is not None:
        if release or since or until or out or as_json:
            raise UsageError(
                "--bundle takes all that is kept of a service or environment, since a chain of which a part is left "
                "out proves nothing: use --service and --environment alone with it. In the folder "
                "`towpath audit show` narrows what is read."
            )
        _bundle(bundle.absolute(), service, environment)
    _report(_told_of(service, environment, release, since, until), out, as_json=as_json)


@audit.command()
def schema() -> None:
    """Print the JSON Schema of what `audit export --json` writes."""
    from domain.audit import Audit

    say_plain(json.dumps(Audit.model_json_schema(mode="serialization"), indent=2) + "\n")


def _bundle(into: Path, service: str, environment: str) -> None:
    """Write the folder, and check it from itself alone."""
    from activities.bundling import Bundle, BundleError, seal
    from activities.clock import SystemClock
    from activities.ports import StoreError
    from domain.evidence import tell_audit

    place = surroundings()
    _named(service, environment)
    keys = {name: one.key for name, one in read_about(place).environments.items()}
    if environment and environment not in keys:
        raise UsageError(
            f"There is no environment “{environment}” in {place.folder}, so nobody knows its key."
        )
    bundle = Bundle(open_releases(place), place.folder, keys)
    try:
        at = f"{SystemClock().now():%Y-%m-%d %H:%M:%S} UTC"
        bundle.begin(into, environment, at)
        asyncio.run(bundle.copy(into, service, environment))
        found = _audit(service, environment, "", into)
        (into / REPORT).write_text(tell_audit(found), encoding="utf-8")
        digest = seal(into)
    except (BundleError, StoreError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"{into} could not be written: {error.strerror}.") from error
    say(f"Written to {into}, and checked there:")
    _say_verdict(found)
    say_aside(f"all of it: {digest}")
    leave(Exit.REFUSED if found.findings else Exit.DONE)


def _named(service: str, environment: str) -> None:
    from clients.speaking import name_of

    for what, name in (("service", service), ("environment", environment)):
        if name:
            name_of(what, name)


def _audit(service: str, environment: str, head: str, folder: Path | None = None) -> "Audit":
    from activities.auditing import Auditor
    from activities.ports import StoreError
    from activities.signers import OpenSshSigners

    place = surroundings(folder)
    _named(service, environment)
    if head and not head.startswith("sha256:"):
        raise UsageError(
            "--head takes a receipt's or page's whole digest, as `towpath audit verify` prints it: sha256:…"
        )
    store, archive = open_archive(place)
    auditor = Auditor(store, archive, OpenSshSigners(place.folder))
    try:
        found = asyncio.run(auditor.audit(service, environment, head))
    except StoreError as error:
        raise UsageError(str(error)) from error
    if found.is_empty:
        _must_be_known(place, "service", service)
        _must_be_known(place, "environment", environment)
    return found


def _must_be_known(place: Surroundings, what: str, name: str) -> None:
    """An audit of nothing finds nothing wrong: a slip of the pen must not pass for a clean bill."""
    file = f"{what}s/{name}.yaml"
    if name and not (place.folder / file).is_file():
        raise UsageError(
            f"There is no {what} “{name}”: nothing is kept of it, and {place.folder} has no {file}."
        )


def _told_of(service: str, environment: str, release: str, since: str, until: str) -> "Audit":
    first = read_time(since, "--since") if since else None
    last = read_time(until, "--until") if until else None
    whole = _audit(service, environment, "")
    _must_be_told_of(whole, release)
    found = _narrowed(whole, release, first, last)
    return found.but(scope=_scope(service, environment, release, first, last))


def _must_be_told_of(found: "Audit", release: str) -> None:
    """A report that is empty for a slip of the pen must not pass for one of a release that did nothing."""
    if release and _narrowed(found, release, None, None).is_empty:
        raise UsageError(
            f"Nothing is kept of a release “{release}” there. What is kept of others: towpath audit show"
        )


def _narrowed(found: "Audit", release: str, first: "datetime | None", last: "datetime | None") -> "Audit":
    """Return what was asked for: what ended in a period, each in one of two that adjoin, and what is still open.

    What does not hold is never left out.
    """
    from domain.logbook import version_of

    accounts = tuple(
        one
        for one in found.accounts
        if (not release or one.version == release)
        and (first is None or one.ended >= first)
        and (last is None or one.ended < last)
    )
    promotions = tuple(
        one
        for one in found.promotions
        if (not release or one.version == release)
        and (first is None or one.ended is None or one.ended >= first)
        and (last is None or (one.ended or one.began) < last)
    )
    notes = tuple(
        one
        for one in found.notes
        if (not release or version_of(one.note) == release)
        and (first is None or one.at >= first)
        and (last is None or one.at < last)
    )
    return found.but(accounts=accounts, promotions=promotions, notes=notes)


def _scope(
    service: str, environment: str, release: str, first: "datetime | None", last: "datetime | None"
) -> str:
    """Say what a report is about, where it is not about all: what ended in a period, and what is open yet."""
    said = (
        f"{service or 'every service'} in {environment or 'every environment'}"
        * bool(service or environment),
        f"release {release}" * bool(release),
        f"from {_moment(first)}" if first else "",
        f"until before {_moment(last)}" if last else "",
        "by when it ended, and what is still open" * bool(first or last),
    )
    return ", ".join(filter(None, said))


def _moment(at: "datetime") -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _report(found: "Audit", out: Path | None, *, as_json: bool) -> None:
    from domain.evidence import say_pages, tell_audit

    text = found.model_dump_json(indent=2) + "\n" if as_json else tell_audit(found)
    if out is None:
        say_plain(text)
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{out} could not be written: {error.strerror}.") from error
        counts = f"{len(found.accounts)} receipts, {len(found.promotions)} promotions"
        counts += f", {say_pages(len(found.notes))}" * bool(found.notes)
        say(f"Written to {out}: {counts}, {len(found.findings)} findings.")
    leave(Exit.REFUSED if found.findings else Exit.DONE)


def _say_verdict(found: "Audit") -> None:
    from domain.evidence import say_pages

    if found.is_empty:
        say("Nothing has been asked for anywhere yet: there is no receipt, and no record.")
        return
    for finding in found.findings:
        say(str(finding), "red")
    if not found.findings:
        counts = f"{len(found.accounts)} receipts and the records of {len(found.promotions)} promotions"
        counts += f", with {say_pages(len(found.notes))}," * bool(found.notes)
        say(f"{counts} are good: every seal, every signature, and the chains that bind them.", "green")
    newest = [
        *found.heads.items(),
        *((f"{place}, ledger", head) for place, head in found.ledgers.items()),
        *((f"{place}, logbook", head) for place, head in found.logbooks.items()),
    ]
    for place, head in newest:
        say_aside(f"{place}: {head}")
    _say_weaknesses(found)


def _say_weaknesses(found: "Audit") -> None:
    """Say what holds and proves less than it might."""
    for told in found.promotions:
        if told.lost:
            say_aside(
                f"{told.version} of {told.subject} let {told.lost} records go before they could be kept."
            )
    if unsigned := sum(1 for one in found.accounts if one.was_let_in and not one.signed):
        say_aside(f"{unsigned} were let in by names that were claimed, not proven.")
