"""``history``."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import connected, need_known_service
from clients.cli.grammar import Again, AsJson, ForEnvironment, ForService
from clients.cli.reading import maybe_archive
from clients.cli.repeating import repeat
from clients.cli.terminal import leave, say, say_aside, say_commands, say_json, say_table
from clients.trouble import ClientError, NoServerError, UsageError
from domain.actor import CLAIMED
from domain.outcome import Exit
from domain.passage import History, Passage, Source, Wanted
from domain.urgency import Urgency
from domain.value import parse_duration, say_duration
from workers.settings import surroundings

if TYPE_CHECKING:
    from activities.archive import Archive
    from activities.ports import Store

Release = Annotated[str, typer.Option("--release", metavar="VERSION", help="Only of this release.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many, at most.")]
Since = Annotated[
    str, typer.Option("--since", metavar="TIME", help="What ended since: 2h, 7d, or a date as 2026-03-31.")
]


def history(
    service: ForService = "",
    environment: ForEnvironment = "",
    release: Release = "",
    limit: Limit = 20,
    since: Since = "",
    as_json: AsJson = False,
    watch: Again = False,
) -> None:
    """Show what has gone through: who, when, how long, and how it ended, newest first."""
    from clients.speaking import name_of

    wanted = Wanted(
        service=name_of("service", service) if service else "",
        environment=name_of("environment", environment) if environment else "",
        release=name_of("release", release) if release else "",
        since=read_time(since) if since else None,
        limit=limit,
    )
    archive = maybe_archive(surroundings())

    async def look() -> History:
        return await _look_back(archive, wanted)

    if watch:
        asyncio.run(repeat(look, _show, as_json=as_json, passing=ClientError))
    found = asyncio.run(look())
    if wanted.service and not found.passages:
        need_known_service(wanted.service)
    if as_json:
        say_json(found)
    else:
        _show(found)
    leave(Exit.DONE)


async def _look_back(archive: "tuple[Store, Archive] | None", wanted: Wanted) -> History:
    """Ask the server and the store; where the server is away, receipts tell what they can."""
    from temporalio.service import RPCError

    from clients.connection import explain
    from clients.past import look_back

    try:
        place = surroundings()
        spaces = (await connected(place)).spaces
    except NoServerError as error:
        if archive is None:
            raise
        say_aside(f"Only receipts are shown. {error}")
        return await look_back(None, archive, wanted)
    try:
        return await look_back(spaces, archive, wanted)
    except RPCError as error:
        raise await explain(spaces.home, error) from error


def _show(found: History) -> None:
    for sentence in found.unread:
        say_aside(f"Not shown: {sentence}")
    if found.passages:
        _show_table(found.passages)
    else:
        say("Nothing that was asked for has ended yet. What is under way:")
        say_commands(["towpath status"])


def _show_table(passages: tuple[Passage, ...]) -> None:
    table = [("ENDED", "WHAT", "OUTCOME", "TOOK", "BY", "PROOF")]
    table += [
        (
            f"{passage.ended.astimezone(UTC):%Y-%m-%d %H:%M}",
            _what(passage),
            passage.outcome,
            say_duration(passage.took),
            " + ".join([passage.by, *passage.approved_by]),
            _proof(passage),
        )
        for passage in passages
    ]
    say_table(table)
    if not all(passage.proven for passage in passages):
        say_aside(f"Names are {CLAIMED}, where no signatures are said to prove them.")


def _proof(passage: Passage) -> str:
    if Source.RECEIPT not in passage.known_from:
        return ""
    return "receipt, signatures" if passage.proven else "receipt"


def _what(passage: Passage) -> str:
    what = passage.release if passage.story == "promotion" else passage.story
    how = "" if passage.urgency is Urgency.USUAL else f" ({passage.urgency})"
    return f"{passage.service} {what} {passage.environment}{how}"


def read_time(text: str, option: str = "--since") -> datetime:
    """Read how long ago, or a moment; without a zone it is UTC."""
    from datetime import timedelta

    from activities.clock import SystemClock

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            length = parse_duration(text)
        except ValueError as error:
            raise UsageError(_say_no_time(text, option)) from error
        if not isinstance(length, timedelta):
            raise UsageError(_say_no_time(text, option)) from None
        return SystemClock().now() - length
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _say_no_time(text: str, option: str) -> str:
    return (
        f"{option} takes how long ago, as in 90m, 2h or 7d, or a date, as in 2026-03-31 or 2026-03-31T14:00; "
        f"“{text[:80]}” is neither."
    )
