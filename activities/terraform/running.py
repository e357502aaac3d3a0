"""Running Terraform or OpenTofu on a copy of a release's configuration, which nothing of it outlives."""

import asyncio
import json
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from activities.packing import CorruptArtifactError, unpack
from activities.ports import TargetRefusalError, TargetTroubleError, unsaid
from activities.programs import NotStartedError, Program, run
from activities.terraform.locks import StateLock, lock_in
from activities.terraform.plans import ReadPlan
from activities.terraform.settings import TerraformSettings
from activities.terraform.standing import Died
from activities.variables import variable

_NOT_OURS: Final = (
    "TF_CLI_ARGS",
    "TF_WORKSPACE",
    "TF_DATA_DIR",
    "TF_VAR_",
    "TF_LOG",
    "TF_INPUT",
    "TF_IN_AUTOMATION",
)
"""What a worker's own environment would lead astray: a deed is done by the configuration alone."""
_EXCERPT: Final = re.compile(r"\d+: |on \S+ line \d+")
_PLAIN: Final = frozenset({"workspace", "force-unlock"})
"""Commands that print without colours as they are."""
_OVERRIDE: Final = "towpath_override.tf.json"
_NOT_BY_WAITING: Final = (
    "problems with the configuration", "No value for required variable", "Invalid value for",
    "Unsupported Terraform Core", "Inconsistent dependency lock file", "Provider dependency changes detected",
    "Saved plan is stale",
)  # fmt: skip


class Setting(NamedTuple):
    """What is run, and where it keeps what it may keep."""

    given: TerraformSettings
    root: Path
    inherited: tuple[int, ...] = ()
    died: Died | None = None
    said: Callable[[str], None] = unsaid


class FailedError(Exception):
    """The program ended with another code than 0, or was stopped: then the code is None or negative."""

    def __init__(self, verb: str, code: int | None, said: Sequence[str]) -> None:
        super().__init__(verb, code, said)
        self.verb = verb
        self.code = code
        self.said = tuple(line.lstrip("│╷╵ ") for line in said)

    @property
    def lock(self) -> StateLock | None:
        return lock_in(self.said)

    @property
    def reason(self) -> str:
        """Return the first error, and what is said of it below, in one line."""
        if self.code is None:
            return "it was stopped, since it took too long"
        begins = next((at for at, line in enumerate(self.said) if line.startswith("Error: ")), None)
        if begins is None:
            return (self.said[-1] if self.said else "it did not say why").rstrip(".")
        told = [line for line in self.said[begins : begins + 6] if not _EXCERPT.match(line)]
        return " ".join(told).removeprefix("Error: ")[:500].rstrip(".?")

    @property
    def is_final(self) -> bool:
        said = " ".join(self.said)
        return self.verb.endswith("validate") or any(sign in said for sign in _NOT_BY_WAITING)


class Module(NamedTuple):
    """A copy of a configuration, ready to be planned and applied."""

    setting: Setting
    folder: Path
    passing: Path

    async def plan(self, *, destroying: bool = False, locking: bool = True) -> ReadPlan:
        """Make and keep a plan, and say what is in it. Raises ``FailedError``."""
        words = [f"-out={self._plan}", f"-lock={str(locking).lower()}", *["-destroy"] * destroying]
        try:
            await self("plan", *words)
        except FailedError as failed:
            if failed.code == 1 and not failed.lock:
                await self("validate")  # says whether it is the configuration that is wrong
            raise
        output = self.passing / "plan.json"
        output.unlink(missing_ok=True)
        await self("show", "-json", str(self._plan), output=output)
        return ReadPlan.model_validate_json(output.read_bytes())

    async def shown(self) -> list[str]:
        """Return the plan as people read it, secrets masked."""
        return await self("show", str(self._plan))

    async def apply(self) -> None:
        """Apply the kept plan, and nothing else. Raises ``FailedError``."""
        self._printed.unlink(missing_ok=True)
        await self("apply", "-input=false", str(self._plan))

    async def unlock(self, lock: StateLock) -> None:
        await self("force-unlock", "-force", lock.id)

    async def begin(self) -> None:
        """Fetch the providers, reach the state, choose the workspace. Raises ``FailedError``."""
        if not self._names_a_backend():
            self._keep_state_here()
        await self._init()
        if self._backend() is None:
            self._keep_state_here()
            await self._init()
        self._refuse_state_in_the_copy()
        if self.setting.given.workspace != "default":
            await self("workspace", "select", "-or-create", self.setting.given.workspace)

    async def _init(self) -> None:
        locked = ["-lockfile=readonly"] if (self.folder / ".terraform.lock.hcl").exists() else []
        told = [f"-backend-config={name}={text}" for name, text in self.setting.given.backend_config.items()]
        is_kept_here = (self.folder / _OVERRIDE).exists()
        if told and is_kept_here:
            raise TargetRefusalError(
                "The release names no backend that backend_config could be for. Write an empty one into its terraform "
                'block, such as backend "s3" {}, or take backend_config out of the target.'
            )
        await self("init", "-input=false", "-reconfigure", *locked, *told)

    def _names_a_backend(self) -> bool:
        """Tell whether it may: looked at closely is only what may, and by the program itself."""
        texts = [file.read_text(errors="replace") for file in _configuration(self.folder)]
        return any(word in text for text in texts for word in ("backend", "cloud"))

    def _keep_state_here(self) -> None:
        root = self.setting.root.absolute()
        local = {"path": str(root / "terraform.tfstate"), "workspace_dir": str(root / "workspaces")}
        (self.folder / _OVERRIDE).write_text(json.dumps({"terraform": {"backend": {"local": local}}}))

    def _backend(self) -> dict[str, object] | None:
        try:
            found = json.loads((self._data / "terraform.tfstate").read_bytes())
        except FileNotFoundError:
            return None
        return found.get("backend") if isinstance(found, dict) else None

    def _refuse_state_in_the_copy(self) -> None:
        backend = self._backend() or {}
        config = backend.get("config")
        path = config.get("path") if isinstance(config, dict) else None
        if backend.get("type") == "local" and not str(path or "").startswith("/"):
            raise TargetRefusalError(
                "The release keeps its state in a file beside its configuration, which is another folder each time. "
                "Take its local backend out, and the state is kept below the target's root; or give its path from /."
            )

    async def __call__(self, verb: str, *words: str, output: Path | None = None) -> list[str]:
        """Run one command and return what it prints. Raises ``FailedError``."""
        said: list[str] = []
        telling = self.setting.said if verb in {"apply", "force-unlock"} else unsaid

        def hear(line: str) -> None:
            said.append(line)
            telling(line)

        given = self.setting.given
        plain = [] if output or verb in _PLAIN else ["-no-color"]
        program = Program(
            (given.program, verb, *plain, *words),
            self.folder,
            self._variables(),
            given.timeout,
            given.grace,
            output=output,
            lasting=self._printed if verb == "apply" else None,
            secrets=tuple(f"TF_VAR_{name}" for name in given.secrets),
            without=_NOT_OURS,
        )  # fmt: skip
        try:
            ended = await run(program, {}, hear, inherited=self.setting.inherited)
        except NotStartedError as no:
            raise TargetRefusalError(f"{no} Install it where the worker runs, or say program:.") from no
        if ended.code != 0:
            raise FailedError(f"{given.program} {verb}", ended.code, said)
        return said

    def _variables(self) -> dict[str, str]:
        given = self.setting.given
        secrets = {f"TF_VAR_{name}": variable(held_in) for name, held_in in given.secrets.items()}
        plugins = {} if variable("TF_PLUGIN_CACHE_DIR") else {"TF_PLUGIN_CACHE_DIR": str(self._plugins)}
        return {
            **given.environment, **secrets, **plugins,
            "TF_DATA_DIR": str(self._data), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1",
        }  # fmt: skip

    @property
    def _plan(self) -> Path:
        return self.passing / "plan"

    @property
    def _printed(self) -> Path:
        """Where an apply prints to: a pipe would end it in the middle, were the worker killed."""
        return self.passing / "printed"

    @property
    def _data(self) -> Path:
        return self.passing / "data"

    @property
    def _plugins(self) -> Path:
        return self.setting.root.absolute() / "plugins"


@asynccontextmanager
async def opened(setting: Setting, source: Path) -> AsyncGenerator[Module, None]:
    """Yield a copy of a configuration, from an artifact or a tree. It is gone afterwards: plans hold secrets."""
    missing = [held_in for held_in in setting.given.secrets.values() if not variable(held_in)]
    if missing:
        raise TargetRefusalError(
            f"The worker has no variable {missing[0]}, which should hold a secret for Terraform."
        )
    passing = await asyncio.to_thread(_copied, setting, source)
    try:
        folder = passing / "release" / setting.given.folder
        if not _configuration(folder):
            raise TargetRefusalError(
                f"The release has no file *.tf or *.tf.json in “{setting.given.folder}”: with no configuration "
                "all that there is would be destroyed. Say folder: where it is."
            )
        yield Module(setting, folder, passing)
    finally:
        await asyncio.to_thread(shutil.rmtree, passing, ignore_errors=True)


def _copied(setting: Setting, source: Path) -> Path:
    root = setting.root.absolute()
    (root / "plugins").mkdir(parents=True, exist_ok=True)
    runs = root / "runs"
    runs.mkdir(exist_ok=True, mode=0o700)
    passing = Path(tempfile.mkdtemp(dir=runs))
    _clear_away(runs, passing.stat().st_mtime - 2 * setting.given.timeout.total_seconds())
    try:
        if source.is_dir():
            shutil.copytree(source, passing / "release", symlinks=True)
        else:
            unpack(source, passing / "release")
    except CorruptArtifactError as corrupt:
        raise TargetRefusalError(str(corrupt)) from corrupt
    return passing


def _clear_away(runs: Path, before: float) -> None:
    """Remove what killed runs have left: nothing runs that long."""
    for left in runs.iterdir():
        if left.stat().st_mtime < before:
            shutil.rmtree(left, ignore_errors=True)


def _configuration(folder: Path) -> list[Path]:
    return (
        [*folder.glob("*.tf"), *folder.glob("*.tf.json"), *folder.glob("*.tofu")] if folder.is_dir() else []
    )


def fail(failed: FailedError) -> Exception:
    """Say in words why it did not work, and whether to try again."""
    why = f"{failed.verb} failed: {failed.reason}."
    if failed.is_final:
        return TargetRefusalError(f"{why} Correct the release's configuration, or the target's settings.")
    return TargetTroubleError(f"{why} It is tried again.")
