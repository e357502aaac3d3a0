"""Any program: it deploys, undoes and says what stands there, told what and under which fence."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, NoReturn

from pydantic import Field, JsonValue, ValidationError

from activities.locks import locked_with_children, own_lock
from activities.masking import MASK
from activities.ports import (
    Deed,
    Observation,
    Place,
    StaleFenceError,
    TargetRefusalError,
    TargetTroubleError,
)
from activities.programs import Ended, NotStartedError, Program, run
from domain.environment import Absent, Holding, Placement, Unknown
from domain.fence import Fence
from domain.journal import Capture
from domain.names import Identifier
from domain.plan import Undo
from domain.value import Digest, Duration, Value, canonical, say_duration

_LOOK: Final = timedelta(seconds=60)

Argv = Annotated[tuple[str, ...], Field(min_length=1)]


class CommandSettings(Value):
    """What people may write about a command target."""

    deploy: Argv
    undo: Argv | None = None
    observe: Argv | None = None
    fenced: bool = False
    env: dict[str, str] = {}
    cwd: str = "."
    timeout: Duration = timedelta(minutes=10)
    grace: Duration = timedelta(seconds=10)


class Held(Value):
    version: Identifier
    release: Digest
    artifact: Digest = Field(alias="digest")


class Seen(Value):
    """What ``observe`` prints as its last line."""

    held: Held | None
    fence: Fence | None = None
    capture: JsonValue = None


class CommandTarget:
    """Runs the owner's programs. See ``docs/how-to/targets/command.md``."""

    settings: ClassVar[type[Value]] = CommandSettings

    def __init__(self, settings: Mapping[str, JsonValue], place: Place) -> None:
        self._settings = CommandSettings.model_validate(settings)
        self._place = place

    @property
    def undo(self) -> Undo:
        return Undo.COMMAND if self._settings.undo else Undo.PIVOT

    @property
    def fenced(self) -> bool:
        return self._settings.fenced

    @property
    def repeatable(self) -> bool:
        return self._settings.observe is not None

    @property
    def takes_images(self) -> Literal[True]:
        return True

    async def observe(self) -> Observation:
        if self._settings.observe is None:
            return Observation(
                Capture(holding=Unknown(why=f"{self._place.component} has no observe program")), None
            )
        program = self._program(self._settings.observe, limit=min(_LOOK, self._settings.timeout))
        ended = await self._run(program, self._told("observe"), lambda _: None)
        if ended.code != 0:
            self._refuse("observe", program.limit, ended)
        return self._read(ended.answer)

    async def place(self, deed: Deed) -> None:
        """Run ``deploy``. That a second run under the same fence changes nothing is up to the program."""
        if not isinstance(deed.after, Placement):
            raise TargetRefusalError(
                f"deploy places releases; it cannot make {deed.after} stand in {self._place.subject}."
            )
        await self._perform("deploy", self._settings.deploy, deed, deed.after, None)

    async def restore(self, deed: Deed) -> None:
        """Run ``undo`` with what was captured."""
        if self._settings.undo is None:
            raise TargetRefusalError(
                f"{self._place.component} in {self._place.subject.environment} has no undo program."
            )
        if deed.capture is None:
            raise TargetRefusalError(f"Deed {deed.fence} brings no capture, so nothing can be put back.")
        await self._perform(
            "undo", self._settings.undo, deed, deed.capture.holding, _read_note(deed.capture.note)
        )

    async def _perform(
        self, verb: str, argv: tuple[str, ...], deed: Deed, holding: Holding, capture: JsonValue
    ) -> None:
        program = self._program(argv)
        told = self._told(verb, deed, holding, capture)
        async with self._turn(verb) as inherited:
            ended = await self._run(program, told, deed.said, inherited)
        if ended.code != 0:
            self._refuse(verb, program.limit, ended)

    @asynccontextmanager
    async def _turn(self, verb: str) -> AsyncGenerator[tuple[int, ...], None]:
        """Keep deeds apart on this worker where the target does not do that itself."""
        if self._settings.fenced:
            yield ()
            return
        name = canonical([self._place.subject.service, self._place.subject.environment, *self._berth])
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(self._settings.timeout.total_seconds()):
                    lock = await held.enter_async_context(locked_with_children(own_lock(name)))
            except TimeoutError as busy:
                limit = say_duration(self._settings.timeout)
                raise TargetTroubleError(
                    f"{verb} of {self._place.component} in {self._place.subject.environment} has waited "
                    f"{limit} for an earlier one, which still runs on this worker."
                ) from busy
            yield (lock,)

    @property
    def _berth(self) -> tuple[str, ...]:
        return (self._place.component, *([self._place.at] if self._place.at else []))

    def _program(self, argv: tuple[str, ...], limit: timedelta | None = None) -> Program:
        settings = self._settings
        return Program(
            argv, self._place.folder / settings.cwd, settings.env, limit or settings.timeout, settings.grace
        )

    async def _run(
        self,
        program: Program,
        told: Mapping[str, JsonValue],
        said: Callable[[str], None],
        inherited: tuple[int, ...] = (),
    ) -> Ended:
        try:
            return await run(program, told, said, inherited=inherited)
        except NotStartedError as no:
            raise TargetRefusalError(
                f"{no} See to it on the worker of {self._place.subject.environment}."
            ) from no

    def _told(
        self,
        verb: str,
        deed: Deed | None = None,
        holding: Holding | None = None,
        capture: JsonValue = None,
    ) -> dict[str, JsonValue]:
        placed = holding if isinstance(holding, Placement) else None
        undoes = deed.undoes if deed else None
        return {
            "verb": verb,
            "fence": {"turn": deed.fence.turn, "act": deed.fence.act} if deed else None,
            "service": self._place.subject.service,
            "environment": self._place.subject.environment,
            "component": self._place.component,
            "target": self._place.at,
            "version": placed.version if placed else None,
            "release": placed.release if placed else None,
            "digest": placed.artifact if placed else None,
            "artifact_path": str(deed.artifact) if deed and deed.artifact else None,
            "image": deed.image or None if deed else None,
            "undoes_version": undoes.placement.version if undoes else None,
            "undoes_digest": undoes.placement.artifact if undoes else None,
            "undoes_artifact_path": str(undoes.artifact) if undoes and undoes.artifact else None,
            "undoes_image": undoes.image or None if undoes else None,
            "capture": capture,
        }

    def _refuse(self, verb: str, limit: timedelta, ended: Ended) -> NoReturn:
        said = f": {ended.complaint}" if ended.complaint else ", and said nothing"
        what = f"{verb} of {self._place.component} in {self._place.subject.environment}"
        match ended.code:
            case None:
                raise TargetTroubleError(
                    f"{what} was stopped, since it took longer than {say_duration(limit)}{said}"
                )
            case 10:
                raise TargetRefusalError(f"{what} refused{said}")
            case 11:
                raise StaleFenceError(f"{what} came too late{said}")
            case code:
                raise TargetTroubleError(f"{what} ended with exit code {code}{said}")

    def _read(self, answer: str) -> Observation:
        what = f"observe of {self._place.component} in {self._place.subject.environment}"
        if MASK in answer:
            raise TargetRefusalError(
                f"{what} prints a secret in its last line, which would be kept: print a reference to it."
            )
        try:
            seen = Seen.model_validate_json(answer)
        except ValidationError as wrong:
            raise TargetRefusalError(
                f"{what} must print, as its last line and in at most 16 KiB, "
                '{"held": {"version", "release", "digest"} or null, "fence"?, "capture"?}; '
                f"it printed “{answer[:200]}”."
            ) from wrong
        note = "" if seen.capture is None else canonical(seen.capture)
        if seen.held is None:
            return Observation(Capture(holding=Absent(), note=note), seen.fence)
        held = Placement(
            version=seen.held.version,
            release=seen.held.release,
            artifact=seen.held.artifact,
            fence=seen.fence,
        )
        return Observation(Capture(holding=held, note=note), seen.fence)


def _read_note(note: str) -> JsonValue:
    parsed: JsonValue = json.loads(note) if note else None
    return parsed
