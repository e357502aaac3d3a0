"""``watch``."""

from collections.abc import Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import ask, need_known_service
from clients.cli.grammar import LANE_WORDS, AsJson, read_promotion
from clients.cli.reading import environments_of
from clients.cli.terminal import say
from clients.trouble import UsageError
from domain.names import is_identifier
from domain.outcome import Exit
from domain.record import OutcomeRecord, PhaseRecord
from workers.settings import surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.timeline import Happening, Scope

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERVICE] [ENVIRONMENT] | PROMOTION", show_default=False),
]
UntilIdle = Annotated[bool, typer.Option("--until-idle", help="End when nothing is under way any more.")]


def watch(words: Words = None, until_idle: UntilIdle = False, as_json: AsJson = False) -> None:
    """Follow what happens, live: in one promotion, a service, an environment, or everywhere."""
    said = words or []
    if len(said) > LANE_WORDS or any("/" in word for word in said):
        _watch_promotion(said, as_json=as_json)
    if strange := [word for word in said if not is_identifier(word)]:
        raise UsageError(f"“{strange[0][:80]}” is no name of a service or an environment.")

    if len(said) == 1 and said[0] not in environments_of(surroundings()):
        need_known_service(said[0])

    async def work(towpath: "Towpath") -> Exit:
        from activities.clock import SystemClock
        from clients.timeline import happenings

        if not as_json:
            where = " in ".join(said) or "everything"
            say(f"Watching {where}; Ctrl-C ends it. What stands now: towpath status")
        now = SystemClock().now()
        async with aclosing(happenings(towpath.spaces, _scope(said), now, until_idle=until_idle)) as told:
            async for one in told:
                _print(one, as_json=as_json)
        if not as_json:
            say("Nothing is under way any more. Ask for something: towpath promote --help")
        return Exit.DONE

    ask(work)


def _watch_promotion(words: list[str], *, as_json: bool) -> None:
    service, version, environment = read_promotion(words)
    if as_json:
        raise UsageError(
            f"One promotion is watched in sentences; as JSON: towpath status {service} {version} {environment} "
            f"--json, or towpath watch {service} {environment} --json"
        )

    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.following import follow

        return await follow(towpath.promotion(service, version, environment))

    ask(work)


def _scope(words: list[str]) -> "Scope":
    from clients.timeline import Scope

    if len(words) == LANE_WORDS:
        return Scope(service=words[0], environment=words[1])
    return Scope(either=words[0] if words else "")


def _print(one: "Happening", *, as_json: bool) -> None:
    if as_json:
        typer.echo(one.model_dump_json())
        return
    for line in _tell(one):
        say(f"{one.at:%H:%M:%S}  {one.id}  {line}")


def _tell(one: "Happening") -> Iterator[str]:
    from clients.cli.progress import tell_record

    match one.record:
        case PhaseRecord(phase=phase, why=why):
            yield f"{phase}{f': {why}' if why else ''}"
        case OutcomeRecord(outcome=outcome, why=why):
            yield f"ended: {outcome}{f': {why}' if why else ''}"
        case record:
            yield from tell_record(record)
