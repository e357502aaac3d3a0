"""What frames the story: where everything is, and what to look at afterwards."""

from clients.cli.demo.answering import YOU
from clients.cli.demo.processes import find_program
from clients.cli.demo.scene import SERVICE, Scene
from clients.cli.demo.telling import Telling, typed
from clients.cli.terminal import say_commands
from domain.names import Subject, change_id, promotion_id
from workers.server import temporal_binary


def introduce(scene: Scene, telling: Telling) -> None:
    """Say what was started, and where it is."""
    server = scene.server
    telling.row("Temporal", f"{server.address}, and its UI at {server.ui}")
    telling.row("worker", f"process {scene.worker.process.pid}: the engine, {', '.join(scene.sites)}")
    telling.row(
        "web server", f"process {scene.web_server.process.pid}: Caddy, with a site for each environment"
    )
    for environment, address in scene.sites.items():
        telling.row(environment, address)
    telling.row("folder", str(scene.place.folder))


def tell_histories(scene: Scene, telling: Telling, rolled_back: int, *, keep: bool) -> None:
    """Say how to read in Temporal what has just been told."""
    until = "" if keep else ", while this runs (make demo ARGS=--keep lets it run on)"
    telling.chapter(f"The histories{until}")
    telling.row("UI", scene.server.ui)
    temporal = typed(temporal_binary(scene.place.temporal_cli))
    production = Subject(service=SERVICE, environment="production")
    staging = Subject(service=SERVICE, environment="staging")
    shown = [promotion_id(production, "2.0.0"), promotion_id(staging, "3.0.0")]
    shown += [change_id(production, rolled_back)] if rolled_back else []
    say_commands(
        [
            f"export TEMPORAL_ADDRESS={scene.server.address}",
            f"{temporal} workflow list",
            *(f"{temporal} workflow show -w {workflow_id}" for workflow_id in shown),
        ]
    )


def tell_what_next(scene: Scene, telling: Telling) -> None:
    """Say what to try while it is kept."""
    telling.chapter("To try, in another terminal and this folder")
    towpath = typed(find_program("towpath", "towpath"))
    say_commands(
        [
            f"export TOWPATH_CONFIG={scene.place.folder}",
            f"export TEMPORAL_ADDRESS={scene.server.address}",
            f"{towpath} status",
            f"{towpath} promote {SERVICE} 2.0.0 production",
            f"{towpath} approve {SERVICE} 2.0.0 production --by {YOU}",
            f"{towpath} rollback {SERVICE} dev --watch",
            f"{towpath} release create {SERVICE} 4.0.0 --from PATH",
        ]
    )
