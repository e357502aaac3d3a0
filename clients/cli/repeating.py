"""Showing something again whenever it has changed: drawn anew on a terminal, line by line elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import typer

from clients.cli.asking import ask
from clients.cli.terminal import console, say_aside, say_json
from domain.outcome import Exit
from domain.value import Value

if TYPE_CHECKING:
    from clients.client import Towpath

FoundT = TypeVar("FoundT", bound=Value)
EVERY: Final = 3.0
"""Seconds between two looks."""


def done(_: Value) -> Exit:
    """Whatever was found is fine."""
    return Exit.DONE


def ask_and_show(
    look: Callable[["Towpath"], Awaitable[FoundT]],
    show: Callable[[FoundT], None],
    *,
    as_json: bool,
    watch: bool,
    judge: Callable[[FoundT], Exit] = done,
) -> NoReturn:
    """Ask the server and show what it says, once, or again and again; end as it is judged."""

    async def work(towpath: "Towpath") -> Exit:
        async def look_again() -> FoundT:
            return await look(towpath)

        if watch:
            from temporalio.service import RPCError

            await repeat(look_again, show, as_json=as_json, passing=RPCError)
        found = await look_again()
        _show_once(found, show, as_json=as_json)
        return judge(found)

    ask(work)


async def repeat(
    look: Callable[[], Awaitable[FoundT]],
    show: Callable[[FoundT], None],
    *,
    as_json: bool,
    passing: type[Exception],
) -> NoReturn:
    """Show what is found whenever it has changed, until somebody stops it. Only the first look may fail."""
    seen: FoundT | None = None
    lines: list[str] = []
    said = ""
    while True:
        try:
            found, trouble = await look(), ""
        except passing as error:
            if seen is None:
                raise
            found, trouble = seen, str(error) or type(error).__name__
        if trouble and trouble != said:
            say_aside(f"No answer just now, and it is asked again: {trouble}")
        said = trouble
        if as_json and found != seen:
            typer.echo(found.model_dump_json())
        elif not as_json:
            lines = _draw(found, show, lines)
        seen = found
        await asyncio.sleep(EVERY)


def _show_once(found: FoundT, show: Callable[[FoundT], None], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
    else:
        show(found)


def _draw(found: FoundT, show: Callable[[FoundT], None], before: list[str]) -> list[str]:
    """Draw what is new, and return all of it: on a terminal over what stood there, elsewhere its new lines."""
    from rich.control import Control

    with console().capture() as captured:
        show(found)
    lines = captured.get().splitlines()
    if lines == before:
        return lines
    if console().is_terminal:
        console().control(Control.home(), Control.clear())
        typer.echo("\n".join(lines), color=True)
        say_aside(f"Looked at every {EVERY:g} s; Ctrl-C ends it.")
    else:
        typer.echo("\n".join(line for line in lines if line not in before))
    return lines
