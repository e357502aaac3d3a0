"""A long-running application that supervisord keeps on this machine: its tree is switched, its processes restarted."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue, ValidationError

from activities.finishing import StillWanted, in_thread
from activities.locks import locked
from activities.looking_on import Onlooker
from activities.ports import Deed, Observation, Place, TargetRefusalError
from activities.supervisord import EndedAtOnceError, Process, Supervisord
from activities.trees import Trees
from activities.variables import variable
from domain.environment import Absent, Unknown
from domain.fence import Fence
from domain.plan import Undo
from domain.value import Duration, Value, say_duration


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
        return text
    if parts.scheme == "http" and parts.hostname and not (parts.username or parts.password):
        return text
    raise ValueError(
        f"“{text[:80]}” is no supervisord; write http://127.0.0.1:9001 or unix:///run/supervisor.sock"
    )


def _probe(text: str) -> str:
    if urlsplit(text).scheme not in {"http", "https"}:
        raise ValueError(f"“{text[:80]}” is not an address such as http://127.0.0.1:8080/")
    return text


class SupervisorSettings(Value):
    """What people may write about a supervisor target."""

    root: str = Field(min_length=1)
    program: str = Field(min_length=1, max_length=200)
    url: Annotated[str, AfterValidator(_address)] = "http://127.0.0.1:9001"
    user: str = ""
    password: str = ""
    probe: Annotated[str, AfterValidator(_probe)] | None = None
    patience: Duration = timedelta(minutes=1)
    keep: int = Field(default=5, ge=1, le=1000)


class SupervisorTarget:
    """Places a tree, then restarts what runs from it. See ``docs/how-to/targets/supervisor.md``."""

    settings: ClassVar[type[Value]] = SupervisorSettings

    def __init__(self, settings: Mapping[str, JsonValue], place: Place) -> None:
        self._given = SupervisorSettings.model_validate(settings)
        self._trees = Trees(place.folder / self._given.root, self._given.keep, place)
        self._applied = self._trees.root / "restarted.json"

    @property
    def undo(self) -> Undo:
        return Undo.RESTORE

    @property
    def fenced(self) -> bool:
        return self._trees.can_lock

    @property
    def repeatable(self) -> bool:
        return True

    async def observe(self) -> Observation:
        """Say which tree stands, once the application was restarted with it; until then nobody knows what runs."""
        seen = await self._trees.observe()
        applied = self._restarted_with()
        if seen.fence is None or applied == seen.fence:
            return seen
        why = f"{self._given.program} was not restarted since {seen.capture.holding} was put in its place"
        return seen._replace(capture=seen.capture.model_copy(update={"holding": Unknown(why=why)}))

    async def place(self, deed: Deed) -> None:
        """Switch to the artifact's tree and restart what runs from it, one process after the other."""
        await self._look_first()
        await self._trees.place(deed)
        await self._restart(deed)

    async def restore(self, deed: Deed) -> None:
        """Put the captured tree back and restart; where there was none, the application is stopped."""
        if deed.capture and isinstance(deed.capture.holding, Absent):
            await in_thread(lambda _: self._stop_all(deed.fence))
        await self._trees.restore(deed)
        await self._restart(deed)

    async def _look_first(self) -> None:
        """Before anything is touched, see whether there is such a supervisord, and such a program."""
        await in_thread(lambda _: self._supervisord().processes(self._given.program))

    async def _restart(self, deed: Deed) -> None:
        def work(still_wanted: StillWanted) -> None:
            with locked(self._trees.root / "restart.lock", still_wanted):
                self._restart_all(deed, still_wanted)

        await in_thread(work)

    def _restart_all(self, deed: Deed, still_wanted: StillWanted) -> None:
        """Restart with what stands. A deed that was outranked meanwhile leaves that to the newer one."""
        self._trees.refuse_older(deed.fence)
        if self._restarted_with() == deed.fence:
            return
        if not isinstance(deed.after, Absent):
            began = time.monotonic()
            with Onlooker(self._given.probe or "") as seen:
                processes = self._supervisord().processes(self._given.program)
                for process in processes:
                    still_wanted()
                    self._restart_one(process, deed)
                    seen.wait_for_an_answer(self._given.patience.total_seconds(), still_wanted)
            took = say_duration(timedelta(seconds=time.monotonic() - began))
            deed.said(f"{len(processes)} of {self._given.program} restarted within {took}: {seen}")
        self._applied.write_text(deed.fence.model_dump_json(), encoding="utf-8")

    def _restart_one(self, process: Process, deed: Deed) -> None:
        supervisord = self._supervisord()
        supervisord.stop(process.name)
        try:
            supervisord.start(process.name)
        except EndedAtOnceError as ended:
            for line in supervisord.last_words(process.name):
                deed.said(line)
            raise TargetRefusalError(f"{ended} With {deed.after} it does not stay up.") from ended

    def _stop_all(self, fence: Fence) -> None:
        self._trees.refuse_older(fence)
        supervisord = self._supervisord()
        for process in supervisord.processes(self._given.program):
            supervisord.stop(process.name)

    def _restarted_with(self) -> Fence | None:
        with suppress(FileNotFoundError, ValidationError):
            return Fence.model_validate_json(self._applied.read_bytes())
        return None

    def _supervisord(self) -> Supervisord:
        given = self._given
        password = variable(given.password) if given.password else ""
        if given.password and not password:
            raise TargetRefusalError(
                f"The worker has no variable {given.password}, which should hold supervisord's password."
            )
        return Supervisord(given.url, given.user, password, given.patience.total_seconds())
