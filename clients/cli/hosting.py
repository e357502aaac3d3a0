"""``up``, ``worker``: the processes that do the work."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from clients.cli.keying import make_published_key
from clients.cli.tending import (
    DIED,
    alone,
    free_port,
    is_alive,
    last_words,
    stop_signal,
    until_stopped,
    written_down,
)
from clients.cli.terminal import leave, say, say_aside, say_commands
from clients.trouble import NoServerError, UsageError
from domain.hints import USUAL_NAMESPACE
from domain.outcome import Exit
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from activities.spaces import Spaces
    from domain.configuration import Configuration
    from domain.space import Space
    from workers.server import Server

USUAL_PORT: Final = 7233
USUAL_UI_PORT: Final = 8233

Port = Annotated[
    int,
    typer.Option("--port", min=0, max=65535, help="Of the server; 0 takes 7233 if that is free, else any."),
]
UiPort = Annotated[
    int,
    typer.Option(
        "--ui-port", min=0, max=65535, help="Of the Temporal UI; 0 takes 8233 if that is free, else any."
    ),
]
Environments = Annotated[
    str,
    typer.Option("--environments", metavar="A,B", help="Serve these environments; their keys must be here."),
]
Engine = Annotated[bool, typer.Option("--engine", help="Run the workflows too.")]
Namespaces = Annotated[
    str,
    typer.Option(
        "--namespaces",
        metavar="A,B",
        help="With --engine: in these namespaces only, else in every one that environments live in.",
    ),
]


def up(port: Port = 0, ui_port: UiPort = 0) -> None:
    """Run everything in this terminal: a Temporal server on a file, the engine, every environment."""
    place = surroundings()
    _read(place)  # before anything is made: the folder may be the wrong one
    with alone(place):
        leave(asyncio.run(_up(place, port, ui_port)))


def worker(environments: Environments = "", engine: Engine = False, namespaces: Namespaces = "") -> None:
    """Serve environments, the engine, or both, on a Temporal server that is there already.

    Without options: the engine, and every environment whose key is on this machine.
    """
    place, wanted = surroundings(), _names(environments)
    configuration = _read_for(place, wanted) if wanted and not engine else _read(place)
    for name in wanted:
        if name not in configuration.environments:
            known = ", ".join(sorted(configuration.environments)) or "none"
            raise UsageError(f"There is no environment “{name}” in {place.folder}; there is: {known}.")
    only = _names(namespaces)
    if only and not engine:
        raise UsageError("--namespaces goes with --engine: an environment's worker goes where that lives.")
    if not wanted and not engine:
        wanted, engine = _with_keys(place, configuration), True
    leave(asyncio.run(_work(place, configuration, wanted, engine=engine, only=only)))


def _names(listed: str) -> list[str]:
    return listed.replace(",", " ").split()


async def _up(place: Surroundings, port: int, ui_port: int) -> Exit:
    from clients.connection import EmbeddedServer, find_way, server_file
    from clients.spaces import join_spaces
    from workers.server import ServerError, embedded, temporal_binary
    from workers.telemetry import begin
    from workflows.reaching import reach

    here, elsewhere = _up_here(place)
    environments = _with_published_keys(place, here)
    telemetry = begin(place)
    ports = port or free_port(USUAL_PORT), ui_port or free_port(USUAL_UI_PORT)
    stop = stop_signal()
    place.state.mkdir(parents=True, exist_ok=True)
    log = place.state / "temporal.log"
    try:
        async with embedded(
            temporal_binary(place.temporal_cli),
            place.database,
            port=ports[0],
            ui_port=ports[1],
            synchronous=2,
            log=log,
            namespaces=sorted({space.namespace for space in here.values() if space} - {USUAL_NAMESPACE}),
        ) as server:
            with written_down(server_file(place.state), EmbeddedServer(**server._asdict(), pid=_pid())):
                client = await reach(server.address)
                lives = {name: space for name, space in here.items() if space}
                spaces = await join_spaces(client, lives, place.state)
                async with serving(spaces, place, environments, engine=True, telemetry=telemetry) as shown:
                    _welcome(server, environments, shown, elsewhere=find_way(place.state)[1].address)
                    _say_elsewhere(elsewhere)
                    return await until_stopped(client, stop)
    except ServerError as error:
        raise NoServerError(f"{error}{last_words(log)}") from error


async def _work(
    place: Surroundings,
    configuration: "Configuration",
    environments: Sequence[str],
    *,
    engine: bool,
    only: Sequence[str],
) -> Exit:
    from clients.connection import find_way
    from clients.spaces import need_spaces, wanted_by
    from workers.telemetry import begin

    telemetry, stop = begin(place), stop_signal()
    home = find_way(place.state)[0].get("namespace", USUAL_NAMESPACE)
    lives, at_home = wanted_by(configuration.spaces, home, environments, only if engine else None)
    spaces = await need_spaces(lives, place.state, home=at_home)
    async with serving(spaces, place, environments, engine=engine, only=only, telemetry=telemetry) as shown:
        names = [*(["the engine"] if engine else []), *environments]
        say(f"Serving {', '.join(names)} on {_where(spaces)}. Stop with Ctrl-C.")
        if shown:
            say(f"Metrics and health: {shown}/metrics, {shown}/healthz, {shown}/readyz")
        await stop.wait()
        say("Stopping: what is being done is finished first, for at most 10 s.")
    return Exit.DONE


def _where(spaces: "Spaces") -> str:
    """Name the servers; and the namespaces, where there are several."""
    clients = list(spaces.everywhere())
    hosts = " and ".join(dict.fromkeys(client.service_client.config.target_host for client in clients))
    inside = ", ".join(f"“{client.namespace}”" for client in clients)
    return f"{hosts}, in the namespaces {inside}" if len(clients) > 1 else hosts


@asynccontextmanager
async def serving(
    spaces: "Spaces",
    place: Surroundings,
    environments: Sequence[str],
    *,
    engine: bool,
    only: Sequence[str] = (),
    telemetry: object,
) -> AsyncGenerator[str]:
    from activities.ports import SealError, StoreError
    from workers.running import working
    from workers.telemetry import Telemetry, TelemetryError

    shown = telemetry if isinstance(telemetry, Telemetry) else None
    try:
        async with working(spaces, place, environments, engine=engine, only=only, telemetry=shown) as url:
            yield url
    except (SealError, StoreError, TelemetryError) as error:
        raise UsageError(str(error)) from error
    except (RuntimeError, asyncio.CancelledError) as error:
        # Workers that have only just started take the server's death for a fault of their own, and each cancels this.
        if not await is_alive(next(spaces.everywhere())):
            raise NoServerError(DIED) from error
        if why := await _why_lost(spaces):
            raise NoServerError(f"Nothing can be served any more: {why}") from error
        raise


async def _why_lost(spaces: "Spaces") -> str:
    """Say of the first namespace that nothing can be begun in why; nothing where there is none, or nobody says."""
    from temporalio.service import RPCError

    from activities.queues import why_lost

    for client in spaces.everywhere():
        with suppress(RPCError):
            if why := await why_lost(client):
                return why
    return ""


def _welcome(server: "Server", environments: Sequence[str], shown: str, *, elsewhere: str) -> None:
    say(f"Towpath is up: the engine, and {', '.join(environments) or 'no environment yet'}.", "bold green")
    say(f"The Temporal UI: {server.ui}")
    if shown:
        say(f"Metrics and health: {shown}/metrics, {shown}/healthz, {shown}/readyz")
    if elsewhere != server.address:
        say_aside(
            f"TEMPORAL_ADDRESS or a profile names {elsewhere}, so other commands go there and not "
            "to this server."
        )
    say("In another terminal, in this folder:")
    commands = [
        "towpath release create SERVICE VERSION --from PATH",
        "towpath promote SERVICE VERSION ENVIRONMENT --watch",
        "towpath status",
    ]
    if not server.address.endswith(f":{USUAL_PORT}"):
        commands.append(f"export TEMPORAL_ADDRESS={server.address}   # for the temporal command line")
    say_commands(commands)
    say("Stop with Ctrl-C; everything is kept.")


def _up_here(place: Surroundings) -> "tuple[dict[str, Space | None], dict[str, Space]]":
    """Return the environments that `up` serves, and those that a profile leads away from: another server's."""
    known = _read(place)
    away = {name: space for name, space in known.spaces.items() if space.profile}
    return {name: known.spaces.get(name) for name in known.environments if name not in away}, away


def _say_elsewhere(elsewhere: "dict[str, Space]") -> None:
    for name, space in sorted(elsewhere.items()):
        say_aside(
            f"{name} lives in {space}, on another server, and is not served here. Serve it: "
            f"towpath worker --environments {name}"
        )


def _with_published_keys(place: Surroundings, wanted: Iterable[str]) -> list[str]:
    """Make the keys that are missing, publish them, and name the environments. Raises ``UsageError``."""
    configuration = _read(place)
    for name in wanted:
        make_published_key(place, configuration, name)
    return sorted(wanted)


def _with_keys(place: Surroundings, configuration: "Configuration") -> list[str]:
    return [name for name in sorted(configuration.environments) if (place.keys / f"{name}.pem").exists()]


def _read(place: Surroundings) -> "Configuration":
    from clients.cli.reading import read_configuration

    return read_configuration(place)


def _read_for(place: Surroundings, environments: Iterable[str]) -> "Configuration":
    """Read what these environments need: mistakes in the files of others keep no worker from them."""
    from clients.cli.reading import read_about, read_shared

    for name in environments:
        read_about(place, environment=name)
    return read_shared(place)


def _pid() -> int:
    import os

    return os.getpid()
