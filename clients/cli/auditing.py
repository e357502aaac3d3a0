"""``audit verify``, ``audit show``, ``audit export``: from the store alone, without a server."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.grammar import AsJson, ForEnvironment, ForService
from clients.cli.reading import open_archive
from clients.cli.recalling import read_time
from clients.cli.terminal import leave, say, say_aside, say_json, say_plain
from clients.trouble import UsageError
from domain.outcome import Exit
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from domain.audit import Audit

audit = typer.Typer(
    help="Prove who let what in, from the store alone, whatever has become of the server.",
    no_args_is_help=True,
)

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
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="What ended until then.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write it there, and not on the terminal.")
]


@audit.command()
def verify(
    service: ForService = "", environment: ForEnvironment = "", head: Head = "", as_json: AsJson = False
) -> None:
    """Check every seal and signature, and that no receipt or record was altered or is missing. Ends with 10 if so."""
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
    _report(_narrowed(_audit(service, environment, ""), release, since, until), None, as_json=as_json)


@audit.command()
def export(
    service: ForService = "",
    environment: ForEnvironment = "",
    release: OfRelease = "",
    since: Since = "",
    until: Until = "",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Write an evidence report for an auditor, as Markdown or, with --json, as one value."""
    _report(_narrowed(_audit(service, environment, ""), release, since, until), out, as_json=as_json)


@audit.command()
def schema() -> None:
    """Print the JSON Schema of what `audit export --json` writes."""
    from domain.audit import Audit

    say_plain(json.dumps(Audit.model_json_schema(mode="serialization"), indent=2) + "\n")


def _audit(service: str, environment: str, head: str) -> "Audit":
    from activities.auditing import Auditor
    from activities.ports import StoreError
    from activities.signers import OpenSshSigners
    from clients.speaking import name_of

    place = surroundings()
    for what, name in (("service", service), ("environment", environment)):
        if name:
            name_of(what, name)
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


def _narrowed(found: "Audit", release: str, since: str, until: str) -> "Audit":
    """Return what was asked for. What does not hold is never left out."""
    from domain.logbook import version_of

    first = read_time(since, "--since") if since else None
    last = read_time(until, "--until") if until else None
    accounts = tuple(
        one
        for one in found.accounts
        if (not release or one.version == release)
        and (first is None or one.ended >= first)
        and (last is None or one.ended <= last)
    )
    promotions = tuple(
        one
        for one in found.promotions
        if (not release or one.version == release)
        and (first is None or one.ended is None or one.ended >= first)
        and (last is None or one.began <= last)
    )
    notes = tuple(
        one
        for one in found.notes
        if (not release or version_of(one.note) == release)
        and (first is None or one.at >= first)
        and (last is None or one.at <= last)
    )
    return found.but(accounts=accounts, promotions=promotions, notes=notes)


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
