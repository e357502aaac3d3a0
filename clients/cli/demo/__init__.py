"""The demo: the main job, whole, on this machine, with nothing left of it afterwards."""

import asyncio
import shutil
import signal
from contextlib import AsyncExitStack, ExitStack
from typing import Final

from temporalio.service import RPCError

from activities.ports import StoreError
from activities.releases import ReleaseRefusedError
from clients.cli.demo.answering import Approver
from clients.cli.demo.leaving import introduce, tell_histories, tell_what_next
from clients.cli.demo.processes import unless_dead
from clients.cli.demo.scene import Scene, free_ports, logs, make_scratch, opened
from clients.cli.demo.story import Story
from clients.cli.demo.telling import Telling
from clients.cli.terminal import complain, say
from clients.trouble import ClientError
from domain.outcome import INTERRUPTED, Exit
from workers.server import ServerError
from workers.settings import Surroundings

TUTORIAL: Final = "Next: docs/tutorial.md takes a site of your own down the same road."


def run(*, yes: bool, keep: bool) -> int:
    """Play the demo; return what the shell is told: 0 where everything came true."""
    return asyncio.run(Demo(yes=yes, keep=keep).play())


class Demo:
    """One showing, and what becomes of its folder: it stays where somebody asked for that, or has to look into it."""

    def __init__(self, *, yes: bool, keep: bool) -> None:
        self._yes = yes
        self._keep = keep
        self._telling = Telling()
        self._interrupted = False
        self._enough: asyncio.Event | None = None
        """Set by a Ctrl-C, once there is nothing left to do but to be looked at."""

    async def play(self) -> int:
        self._hear_signals()
        ports = free_ports()
        place = make_scratch(ports)
        code = INTERRUPTED
        try:
            await self._show(place, {name: f"http://127.0.0.1:{port}/" for name, port in ports.items()})
            code = int(Exit.DONE)
        except (ClientError, ReleaseRefusedError, RPCError, ServerError, StoreError) as error:
            complain(f"\nThe demo did not come true. {error}")
            complain(f"What server, worker and web server said is in {logs(place)}")
            code = int(Exit.BUG)
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
        except Exception:
            code = int(Exit.BUG)
            raise
        finally:
            self._leave(place, code)
        return code

    async def _show(self, place: Surroundings, sites: dict[str, str]) -> None:
        self._telling.title("Towpath: a release walks to production, and back when it must")
        with ExitStack() as last:
            async with AsyncExitStack() as stack:
                with self._telling.live():
                    self._telling.now("starting", "a Temporal server, a worker, a web server")
                    scene = await stack.enter_async_context(opened(place, sites))
                introduce(scene, self._telling)
                story = Story(scene, self._telling, Approver(scene, self._telling, yes=self._yes))
                await unless_dead(scene.programs, story.tell())
                tell_histories(scene, self._telling, story.turn, keep=self._keep)
                if self._keep:
                    await self._stay(scene)
                last.enter_context(self._telling.live())
                self._telling.now("stopping", "all that was started")

    async def _stay(self, scene: Scene) -> None:
        tell_what_next(scene, self._telling)
        say()
        say(TUTORIAL)
        say("Everything runs on until Ctrl-C.", "bold")
        self._enough = asyncio.Event()
        await unless_dead(scene.programs, self._enough.wait())

    def _hear_signals(self) -> None:
        loop, playing = asyncio.get_running_loop(), asyncio.current_task()

        def hear() -> None:
            if self._enough:
                self._enough.set()
            elif playing and not self._interrupted:
                self._interrupted = True
                playing.cancel()

        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if asked is not signal.SIGHUP or signal.getsignal(asked) is not signal.SIG_IGN:
                loop.add_signal_handler(asked, hear)

    def _leave(self, place: Surroundings, code: int) -> None:
        stays = self._keep or code == Exit.BUG
        if not stays:
            shutil.rmtree(place.folder, ignore_errors=True)
        say()
        became = f"stays: rm -r {place.folder}" if stays else "is removed"
        say(f"Everything that was started has been stopped. The folder {became}.")
        if code == Exit.DONE and not self._keep:
            say(TUTORIAL)
