"""``status``."""

from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.asking import ask, meaning, need_known_service
from clients.cli.grammar import AsJson, StatusWords, Watch, read_workflow_id
from clients.cli.repeating import ask_and_show
from clients.cli.terminal import say_json
from clients.trouble import FailedError, UsageError
from domain.names import is_identifier
from domain.outcome import EXIT_OF, Exit, Phase

if TYPE_CHECKING:
    from clients.client import Towpath
    from clients.overview import Overview, Rows

All = Annotated[bool, typer.Option("--all", help="List what has ended, too.")]

Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to list, at most.")]


def status(
    words: StatusWords = None,
    as_json: AsJson = False,
    watch: Watch = False,
    all_: All = False,
    limit: Limit = 50,
) -> None:
    """Show where things stand: everything, a service, a promotion, a lane, or whatever has this id."""
    said = words or []
    if not said or (len(said) == 1 and "/" not in said[0]):
        _list(said[0] if said else "", as_json=as_json, watch=watch, all_=all_, limit=limit)
    if watch:
        _follow(said)
    _show(said, as_json=as_json)


def _list(service: str, *, as_json: bool, watch: bool, all_: bool, limit: int) -> None:
    if service and not is_identifier(service):
        raise UsageError(f"“{service[:80]}” is no service. Write a service's name, a promotion, or an id.")

    async def look(towpath: "Towpath") -> "Rows":
        from clients.overview import find

        rows = await find(towpath.spaces, service, only_open=not (all_ or service), limit=limit)
        if service and not rows.rows:
            need_known_service(service)
        return rows

    def show(rows: "Rows") -> None:
        from clients.cli.showing import show_rows

        show_rows(rows)

    ask_and_show(look, show, as_json=as_json, watch=watch)


def _show(words: list[str], *, as_json: bool) -> None:
    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.showing import show
        from clients.overview import look

        workflow_id = await _id_of(towpath, words)
        async with meaning(towpath, workflow_id):
            seen = await look(towpath.spaces, workflow_id)
        if as_json:
            say_json(seen)
        else:
            show(seen)
        return _judge(seen)

    ask(work)


def _follow(words: list[str]) -> None:
    async def work(towpath: "Towpath") -> Exit:
        from clients.cli.following import follow, follow_lane

        workflow_id = await _id_of(towpath, words)
        kind, *names = workflow_id.split("/")
        if kind == "promotion":
            service, environment, version = names
            return await follow(towpath.promotion(service, version, environment))
        if kind == "pipeline":
            from clients.cli.walking import follow_walk

            return await follow_walk(towpath.pipeline(*names))
        if kind == "lane":
            return await follow_lane(towpath.lane(*names))
        raise UsageError(f"“{workflow_id}” is not watched: promotions, walks and lanes are.")

    ask(work)


async def _id_of(towpath: "Towpath", words: list[str]) -> str:
    """Two words are a lane; where there is no such lane, perhaps the second is a version."""
    if len(words) == 2:
        from clients.overview import find

        service, other = words
        workflow_id = read_workflow_id(words)
        rows = (await find(towpath.spaces, service)).rows
        if any(row.environment == other for row in rows):
            return workflow_id
        ids = list(dict.fromkeys(row.id for row in rows if row.release == other and row.story == "promotion"))
        if len(ids) > 1:
            raise UsageError(
                f"{other} of {service} is promoted to several environments; say which: {', '.join(ids)}"
            )
        return ids[0] if ids else workflow_id
    return read_workflow_id(words)


def _judge(seen: "Overview") -> Exit:
    """What is open is fine, unless it is stuck; what has ended, ended as its outcome says."""
    if seen.report:
        return EXIT_OF[seen.report.outcome]
    if seen.walk:
        return EXIT_OF[seen.walk.outcome]
    if seen.change and seen.change.phase is Phase.STUCK:
        return Exit.UNSETTLED
    if seen.is_open:
        return Exit.NOBODY_POLLS if seen.trouble else Exit.DONE
    if seen.state in {"failed", "terminated", "timed out"} and seen.trouble:
        return FailedError.exit
    return Exit.DONE
