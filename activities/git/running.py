"""Running git on a clone without a working tree: no hook, no filter, no prompt, nobody's own configuration."""

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from activities.ports import TargetRefusalError, TargetTroubleError
from activities.programs import NotStartedError, Program, run

_NOT_OURS: Final = (
    "GIT_DIR", "GIT_COMMON", "GIT_WORK_TREE", "GIT_INDEX", "GIT_OBJECT", "GIT_ALTERNATE", "GIT_NAMESPACE", "GIT_CONFIG",
    "GIT_QUARANTINE", "GIT_TRACE", "GIT_AUTHOR", "GIT_COMMITTER", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS",
    "SSH_ASKPASS", "GIT_SHALLOW", "GIT_GRAFT", "GIT_REPLACE", "GIT_CEILING", "GIT_PROTOCOL", "GIT_DEFAULT_HASH",
)  # fmt: skip
"""What a worker that was started by git, or by somebody who works with it, would lead a git of its own astray by."""
_PLAIN: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_CONFIGURED: Final = (
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.bigFileThreshold", "4m"),
    ("gc.auto", "0"),
    ("gc.autoDetach", "false"),
    ("maintenance.auto", "false"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    ("credential.helper", ""),
    ("push.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("i18n.logOutputEncoding", "UTF-8"),
)
_FORBIDDEN: Final = (
    "authentication failed", "could not read username", "could not read password", "terminal prompts disabled",
    "permission denied", "access denied", "host key verification failed", "error: 401", "error: 403", "not authorized",
    "permission to ", "http basic: access denied",
)  # fmt: skip
_NOT_FOUND: Final = (
    "not found", "does not appear to be a git repository", "does not exist", "no such file or directory", "error: 404",
)  # fmt: skip
_SAYS_NOTHING: Final = (
    "fatal: Could not read from remote repository",
    "Please make sure you have",
    "and the repository",
)
"""What git adds where ssh has said why."""
MOST_PRINTED: Final = 64 << 20
_MOVED: Final = ("error: 301", "error: 302", "error: 307", "error: 308")


class Access(NamedTuple):
    """How a repository is reached: by which address, user and password variable, or key."""

    address: str
    user: str = ""
    password: str = ""
    """Name of the variable, where the worker runs, that holds it."""
    key: str = ""
    known_hosts: str = ""

    @property
    def configuration(self) -> tuple[tuple[str, str], ...]:
        """Return what git has to be told: a password goes to the host of the address, and to no other."""
        if not self.password:
            return ()
        origin = "/".join(self.address.split("/", 3)[:3])
        answer = f"printf 'username=%s\\npassword=%s\\n' {shlex.quote(self.user)} \"${self.password}\""
        return ((f"credential.{origin}.helper", f'!f() {{ test "$1" = get && {answer}; }}; f'),)

    @property
    def variables(self) -> Mapping[str, str]:
        words = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        words += ["-i", self.key, "-o", "IdentitiesOnly=yes"] if self.key else []
        words += ["-o", f"UserKnownHostsFile={self.known_hosts}"] if self.known_hosts else []
        return {"GIT_SSH_COMMAND": shlex.join(words)}


class GitFailedError(Exception):
    """git ended with another code than 0, or was stopped; ``said`` is what it printed for people, masked."""

    def __init__(self, words: Sequence[str], code: int | None, said: Sequence[str]) -> None:
        super().__init__(words, code, said)
        self.words = words
        self.code = code
        self.said = tuple(said)

    @property
    def reason(self) -> str:
        """Return the line that says most: hints and summaries stand around it."""
        said = [line for line in self.said if not line.startswith(_SAYS_NOTHING)]
        for begins in ("remote: error", "remote: ERROR", "fatal:", "ERROR:", "remote:", "error:", ""):
            for line in said:
                if line.startswith(begins):
                    return line[:300].removeprefix("fatal: ").rstrip(".?")
        return "it was stopped, since it took too long" if self.code is None else "it did not say why"


class Git(NamedTuple):
    """One clone's git. What it starts holds the clone's lock, so that a killed worker's git is waited for."""

    folder: Path
    access: Access
    limit: timedelta
    lock: int
    author: tuple[str, str]

    async def __call__(
        self,
        *words: str,
        stdin: bytes = b"",
        index: Path | None = None,
        heard: Callable[[str], None] | None = None,
        most: int = MOST_PRINTED,
    ) -> bytes:
        """Return what it prints, or so many bytes of its beginning.

        Raises ``GitFailedError``, and ``TargetRefusalError`` where it cannot be started.
        """
        said: list[str] = []
        with tempfile.TemporaryDirectory(dir=self.folder / "passing") as passing:
            output = Path(passing, "output")
            program = Program(
                ("git", "--git-dir", str(self.folder), *words),
                self.folder,
                self._variables(index),
                self.limit,
                timedelta(seconds=2),
                stdin=stdin,
                output=output,
                secrets=(self.access.password,) if self.access.password else (),
                without=_NOT_OURS,
            )
            try:
                ended = await run(program, {}, heard or said.append, inherited=(self.lock,))
            except NotStartedError as no:
                raise TargetRefusalError(
                    f"{no} See to it that the worker has git, and what it needs."
                ) from no
            if ended.code != 0:
                raise GitFailedError(words, ended.code, said)
            with output.open("rb") as printed:  # noqa: ASYNC230 - of this machine, and bounded
                return printed.read(most)

    def _variables(self, index: Path | None) -> dict[str, str]:
        name, mail = self.author
        configured = (*_CONFIGURED, *self.access.configuration)
        numbered = {
            f"GIT_CONFIG_{kind}_{number}": text
            for number, pair in enumerate(configured)
            for kind, text in zip(("KEY", "VALUE"), pair, strict=True)
        }
        who = {f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")}
        where = {f"GIT_{role}_EMAIL": mail for role in ("AUTHOR", "COMMITTER")}
        shown = {"GIT_INDEX_FILE": str(index)} if index else {}
        return {
            **_PLAIN, **self.access.variables, **numbered, **who, **where, **shown,
            "GIT_CONFIG_COUNT": str(len(configured)),
        }  # fmt: skip


def fail(what: str, address: str, failed: GitFailedError) -> NoReturn:
    """Say in words why the repository could not be reached, and whether to try again."""
    said = "\n".join(failed.said).lower()
    why = f"{what} {address} was not possible: {failed.reason}."
    if any(sign in said for sign in _FORBIDDEN):
        raise TargetRefusalError(
            f"{why} Check the credentials under target: git, and what their owner may do there."
        ) from failed
    if any(sign in said for sign in _MOVED):
        raise TargetRefusalError(f"{why} It has moved: write the address that it ends at.") from failed
    if any(sign in said for sign in _NOT_FOUND):
        raise TargetRefusalError(
            f"{why} Check the address; a private repository may say the same."
        ) from failed
    room = " Make room on the worker's disk." if "no space left on device" in said else ""
    raise TargetTroubleError(f"{why}{room} It is tried again.") from failed
