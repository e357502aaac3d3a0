"""Running other people's programs: each in its own process group, bounded, masked, never left behind."""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple

from pydantic import Field, JsonValue

from activities.finishing import until_done
from activities.masking import mask, secrets_in
from domain.value import Duration, Value, canonical

LONGEST_ANSWER: Final = 16 * 1024
_HEAD: Final = 1 << 20
_TAIL: Final = LONGEST_ANSWER + 2
_LINGER: Final = 1.0
_LAST_WAIT: Final = 5.0
_SOON: Final = 0.1
_GLANCE: Final = 0.02
_NOT_FOR_PROGRAMS: Final = ("TEMPORAL_", "TOWPATH_")
_UNPRINTABLE: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class Program(NamedTuple):
    """What to run. ``grace`` is how long its process group has between TERM and KILL."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    limit: timedelta
    grace: timedelta = timedelta(seconds=10)
    stdin: bytes | None = None
    """What it reads there, in place of what it is told."""
    output: Path | None = None
    """A new file that its stdout goes to, as it is: nothing of it is passed on, and its answer is empty."""
    lasting: Path | None = None
    """A new file that all it prints goes to, and is passed on from: it is not ended by the end of who listens."""
    secrets: Sequence[str] = ()
    """Variables of the worker's that it needs, and whose values are masked whatever their names."""
    without: Sequence[str] = ()
    """How variables of the worker's begin that it does not get."""


class ProgramSettings(Value):
    """What people may write about a program of theirs that is asked whether something is well."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    env: dict[str, str] = {}
    cwd: str = "."
    timeout: Duration = timedelta(seconds=30)

    def program(self, folder: Path) -> Program:
        """Return what to run, where relative paths begin at this folder."""
        grace = timedelta(seconds=2)
        return Program(self.command, folder / self.cwd, self.env, self.timeout, grace)


class Ended(NamedTuple):
    """How a program ended: ``code`` is None where it took too long, and negative where a signal ended it."""

    code: int | None
    answer: str
    """Its last line on stdout; empty where that was longer than 16 KiB."""
    complaint: str
    """Its last line on stderr, or else on stdout."""


class NotStartedError(Exception):
    """A program could not be started at all. The text is a sentence for people."""


async def run(
    program: Program,
    told: Mapping[str, JsonValue],
    said: Callable[[str], None],
    *,
    inherited: Sequence[int] = (),
) -> Ended:
    """Run a program, tell it this on stdin and in variables, and pass on what it prints.

    Where it fails, takes too long or is cancelled, its process group gets TERM, then KILL, and is waited
    for; only what a program that succeeds leaves in the background goes on. Raises ``NotStartedError``.
    """
    stop = asyncio.Event()
    running = asyncio.ensure_future(_run(program, told, said, inherited, stop))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        await until_done(running)
        raise


async def _run(
    program: Program,
    told: Mapping[str, JsonValue],
    said: Callable[[str], None],
    inherited: Sequence[int],
    stop: asyncio.Event,
) -> Ended:
    env = _worker_environment(program.without) | dict(program.env) | _variables(told)
    if missing := [name for name in program.secrets if not env.get(name)]:
        raise NotStartedError(f"The variable {missing[0]} is not set where the worker runs.")
    secrets = secrets_in(env) | {env[name] for name in program.secrets}
    # A file, not a pipe: a program need not read what it is told.
    with (
        tempfile.TemporaryFile() as stdin,
        _opened(program.output) as output,
        _opened(program.lasting) as lasting,
    ):
        stdin.write(canonical(told).encode() if program.stdin is None else program.stdin)
        stdin.seek(0)
        async with _listening(secrets, said) as out, _listening(secrets, said) as err:
            try:
                process = await asyncio.create_subprocess_exec(
                    *program.argv,
                    stdin=stdin,
                    stdout=lasting or output or out.far_end,
                    stderr=lasting or err.far_end,
                    cwd=program.cwd,
                    env=env,
                    pass_fds=inherited,
                    start_new_session=True,
                )
            except (OSError, ValueError) as no:
                raise NotStartedError(
                    f"“{program.argv[0]}” could not be started in {program.cwd}: {no}."
                ) from no
            out.let_go()
            err.let_go()
            async with _passed_on(program.lasting, out):
                code = await _see_out(process, program, stop)
            await asyncio.wait((out.closed, err.closed), timeout=_LINGER)  # its background may hold them open
    return Ended(code, out.last, err.last or out.last)


async def _see_out(process: asyncio.subprocess.Process, program: Program, stop: asyncio.Event) -> int | None:
    ended, stopped = asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())
    limit = program.limit.total_seconds()
    await asyncio.wait((ended, stopped), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    code = ended.result() if ended.done() else None
    if code != 0:
        await _end_group(process.pid, program.grace.total_seconds())
        await ended
    return code


async def _end_group(group: int, grace: float) -> None:
    for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, _LAST_WAIT)):
        deadline = asyncio.get_running_loop().time() + patience
        send: int = sign
        while _reached(group, send) and asyncio.get_running_loop().time() < deadline:
            send = 0
            await asyncio.sleep(_GLANCE)


def _reached(group: int, sign: int) -> bool:
    try:
        os.killpg(group, sign)
    except (ProcessLookupError, PermissionError):
        return False
    return True


class _Listener(asyncio.Protocol):
    """Passes on a stream's first lines as they come, its last ones at the end; counts what lies between."""

    def __init__(self, far_end: int, secrets: frozenset[str], said: Callable[[str], None]) -> None:
        self.far_end = far_end
        self.closed = asyncio.get_running_loop().create_future()
        self.last = ""
        self._secrets = secrets
        self._said = said
        self._holds = True
        self._room = _HEAD
        self._kept = bytearray()
        self._skipped = 0

    def let_go(self) -> None:
        """Close the end that the program writes to, which it has for itself now."""
        if self._holds:
            os.close(self.far_end)
            self._holds = False

    def data_received(self, data: bytes) -> None:
        self._kept += data
        while self._room > 0 and (end := self._kept.find(b"\n")) >= 0:
            self._room -= end + 1
            self._tell(bytes(self._kept[:end]))
            del self._kept[: end + 1]
        if len(self._kept) > _TAIL:
            self._room = 0
            self._skipped += len(self._kept) - _TAIL
            del self._kept[:-_TAIL]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(exc)

    def finish(self) -> None:
        kept = bytes(self._kept)
        if self._skipped:
            beheaded, _, kept = kept.partition(
                b"\n"
            )  # with its beginning gone, a secret in it could not be told
            self._said(f"… {self._skipped + len(beheaded):,} bytes are not shown …")
            self.last = ""
        for line in kept.split(b"\n"):
            self._tell(line)

    def _tell(self, line: bytes) -> None:
        text = mask(_UNPRINTABLE.sub("", line.decode(errors="replace")), self._secrets).rstrip()
        if text:
            self.last = text
            self._said(text)


@asynccontextmanager
async def _listening(secrets: frozenset[str], said: Callable[[str], None]) -> AsyncGenerator[_Listener, None]:
    """Yield a listener at the near end of a pipe.

    Not one of asyncio's own: waiting for a process waits for those too, and a grandchild may hold them open.
    """
    near, far = os.pipe()
    listener = _Listener(far, secrets, said)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: listener, os.fdopen(near, "rb", 0)
    )
    try:
        yield listener
    finally:
        listener.let_go()
        transport.close()
        await listener.closed
        listener.finish()


@asynccontextmanager
async def _passed_on(file: Path | None, listener: _Listener) -> AsyncGenerator[None, None]:
    """Let the listener hear what is written to a file, while it is."""
    if file is None:
        yield
        return

    async def pass_on(lines: BinaryIO) -> None:
        while True:
            listener.data_received(lines.read(_TAIL))
            await asyncio.sleep(_SOON)

    with file.open("rb") as lines:
        passing = asyncio.ensure_future(pass_on(lines))
        try:
            yield
        finally:
            passing.cancel()
            listener.data_received(lines.read())


def _opened(file: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return file.open("xb") if file else nullcontext()


def _worker_environment(without: Sequence[str]) -> dict[str, str]:
    """Return the worker's environment, where programs find their tools and credentials, less the engine's."""
    environment = os.environ  # noqa: TID251 - passed on as it is; nothing is read from it
    kept_back = (*_NOT_FOR_PROGRAMS, *without)
    return {name: value for name, value in environment.items() if not name.startswith(kept_back)}


def _variables(told: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return the scalars of what a program is told, and of its fence, as ``TOWPATH_…``; null is empty."""
    fence = told.get("fence")
    flat = {**told, **(fence if isinstance(fence, dict) else {"turn": None, "act": None})}
    return {
        f"TOWPATH_{name.upper()}": "" if value is None else str(value)
        for name, value in flat.items()
        if name not in {"fence", "capture"} and not isinstance(value, (dict, list))
    }
