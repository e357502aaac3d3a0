"""``logs``."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from clients.cli.grammar import LANE_WORDS, AsJson, read_promotion, read_workflow_id
from clients.cli.reading import open_archive
from clients.cli.releasing import done_with_store
from clients.cli.terminal import leave, say, say_aside, say_commands, say_json, say_line
from clients.trouble import UsageError
from domain.names import Subject
from domain.outcome import Exit
from workers.settings import surroundings

if TYPE_CHECKING:
    from activities.transcripts import Transcripts
    from domain.transcript import Told, Transcript

Words = Annotated[list[str], typer.Argument(metavar="SERVICE [VERSION] ENVIRONMENT | ID", show_default=False)]
Turn = Annotated[
    int | None, typer.Option("--turn", metavar="N", min=1, help="Of this turn; else of the newest.")
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is printed, to its end.")]
PAUSE: Final = 1.0
"""Seconds between two looks into the store."""


def logs(words: Words, turn: Turn = None, follow: Follow = False, as_json: AsJson = False) -> None:
    """Show what programs and checks printed while a release was put somewhere, or put back."""
    subject, version, named = _which(words)
    if turn and named and turn != named:
        raise UsageError(f"The id names turn {named}, and --turn names {turn}: give one of them.")
    done_with_store(_tell(subject, version, turn or named, follow=follow, as_json=as_json))
    leave(Exit.DONE)


def _which(words: list[str]) -> tuple[Subject, str, int | None]:
    """Return the subject, the version that it is about, if any, and the turn, if an id names one."""
    if len(words) == LANE_WORDS:
        words = [read_workflow_id(words)]
    kind, *names = words[0].split("/") if len(words) == 1 else ("promotion",)
    if kind == "lane" and len(names) == 2:
        return Subject(service=names[0], environment=names[1]), "", None
    if kind == "change" and len(names) == 3 and names[2].isdecimal():
        return Subject(service=names[0], environment=names[1]), "", int(names[2])
    service, version, environment = read_promotion(words)
    promotion = read_workflow_id([service, version, environment])
    return Subject(service=service, environment=environment), promotion.rpartition("/")[2], None


async def _tell(subject: Subject, version: str, turn: int | None, *, follow: bool, as_json: bool) -> None:
    from activities.transcripts import Transcripts

    transcripts = Transcripts(*open_archive(surroundings()), subject)
    chosen = await _choose(transcripts, subject, version, turn, follow=follow)
    if follow:
        await _follow(transcripts, chosen, as_json=as_json)
        return
    found = await transcripts.read(chosen)
    _complain_of(found)
    if as_json:
        say_json(found)
        return
    _show_head(found)
    for line in found.lines:
        _print(line)
    _show_end(found)


async def _choose(
    transcripts: "Transcripts", subject: Subject, version: str, turn: int | None, *, follow: bool
) -> int:
    """Return the turn to show; a follower waits for one to begin."""
    waits = False
    while True:
        turns = await transcripts.turns()
        chosen = (
            await transcripts.newest_turn(version)
            if version and not turn
            else turn or next(iter(turns), None)
        )
        if chosen in turns and chosen is not None:
            return chosen
        what = f"turn {turn} of {subject}" if turn else f"{f'{version} of ' if version else ''}{subject}"
        missing = f"The release store knows nothing of {what}: nothing was begun there yet."
        if turn or not follow:
            raise UsageError(f"{missing} What there is: towpath history --service {subject.service}")
        if not waits:
            say_aside(f"{missing} Waiting for it; Ctrl-C ends that.")
        waits = True
        await asyncio.sleep(PAUSE)


async def _follow(transcripts: "Transcripts", turn: int, *, as_json: bool) -> None:
    """Print each line once, as it comes, until the turn has its receipt."""
    told: Counter[Told] = Counter()
    began = False
    while True:
        found = await transcripts.read(turn)
        if not (began or as_json):
            _show_head(found)
        began = True
        for line in (Counter(found.lines) - told).elements():
            typer.echo(line.model_dump_json()) if as_json else _print(line)
        told = Counter(found.lines)
        if found.outcome:
            break
        await asyncio.sleep(PAUSE)
    _complain_of(found)
    if not as_json:
        _show_end(found)


def _complain_of(found: "Transcript") -> None:
    for sentence in found.unread:
        say_aside(f"Not shown: {sentence}")


def _show_head(found: "Transcript") -> None:
    what = f"{found.story or 'a change'}{f' of {found.version}' if found.version else ''}"
    state = found.outcome or "not accounted for yet"
    say(f"Turn {found.turn} of {found.service} in {found.environment}: {what}, {state}", "bold")


def _show_end(found: "Transcript") -> None:
    if not any(line.source == "program" for line in found.lines):
        say_aside("No program printed anything that is kept.")
    if not found.outcome:
        say_aside("It is under way, or unsettled. Go on with it, or see where it stands:")
        say_commands(
            [
                f"towpath logs {found.service} {found.environment} --turn {found.turn} --follow",
                f"towpath status {found.service} {found.environment}",
            ]
        )


def _print(line: "Told") -> None:
    again = f", attempt {line.attempt}" if line.attempt > 1 else ""
    whose = f"[{line.what}{again}] " if line.what else ""
    style = "" if line.source == "program" else "dim"
    say_line(f"{line.at:%H:%M:%S}  {whose}{line.text}", style)
