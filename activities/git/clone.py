"""A worker's own clone of somebody's repository: bare, without old contents, made anew whenever it is broken."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from activities.git.running import MOST_PRINTED, Access, Git, GitFailedError, fail
from activities.locks import locked_with_children
from activities.ports import TargetRefusalError, TargetTroubleError
from domain.value import canonical, digest_of, say_duration

_CONFIGURATION: Final = """\
[core]
	repositoryformatversion = 1
	bare = true
[extensions]
	partialClone = origin
[remote "origin"]
	url = "{address}"
	promisor = true
	partialclonefilter = blob:none
"""
_MOST_LOOSE: Final = 2000
"""Objects, about, that lie apart before they are packed."""
_BROKEN: Final = ("bad object", "corrupt", "unable to read", "missing blob", "missing tree", "missing commit")
_RACES: Final = (
    "stale info",
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old",
)


class LostRaceError(Exception):
    """Somebody else has pushed first."""


class Source(NamedTuple):
    """Which repository, which of its branches, and as whom we write."""

    access: Access
    branches: tuple[str, ...]
    author: tuple[str, str]
    limit: timedelta


@asynccontextmanager
async def opened(source: Source, folder: Path) -> AsyncGenerator["Clone", None]:
    """Have the clone below a folder to ourselves, on this machine; what a killed worker left in it is cleared away."""
    name = digest_of(canonical([source.access.address, source.branches]).encode())[-32:]
    async with AsyncExitStack() as held:
        try:
            async with asyncio.timeout(source.limit.total_seconds()):
                lock = await held.enter_async_context(locked_with_children(_lock(folder, name)))
        except TimeoutError as busy:
            limit = say_duration(source.limit)
            raise TargetTroubleError(
                f"The clone of {source.access.address} has been in use by another deed on this worker for {limit}. "
                "It is tried again."
            ) from busy
        home = folder / name
        _prepare(home, source.access.address)
        clone = Clone(Git(home, source.access, source.limit, lock, source.author), source)
        yield clone
        await clone.tidy()


def _lock(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{name}.lock"


def _prepare(home: Path, address: str) -> None:
    if not (home / "config").exists():
        shutil.rmtree(home, ignore_errors=True)
        fresh = home.with_name(f".{home.name}.{secrets.token_hex(4)}")
        for part in ("objects", "refs"):
            (fresh / part).mkdir(parents=True)
        (fresh / "HEAD").write_text("ref: refs/heads/none\n")
        quoted = address.replace("\\", "\\\\").replace('"', '\\"')
        (fresh / "config").write_text(_CONFIGURATION.format(address=quoted))
        fresh.rename(home)
    for left in (*home.glob("*.lock"), *(home / "refs").rglob("*.lock"), *home.glob("objects/pack/tmp_*")):
        left.unlink(missing_ok=True)
    shutil.rmtree(home / "passing", ignore_errors=True)
    (home / "passing").mkdir()


class Clone:
    """The clone, while it is ours."""

    def __init__(self, git: Git, source: Source) -> None:
        self.git = git
        self._source = source
        self._grew = False

    @property
    def address(self) -> str:
        return self._source.access.address

    async def tips(self) -> Mapping[str, str | None]:
        """Ask where the branches stand now, and fetch what is new. A branch that is not there has none."""
        heads = [f"refs/heads/{branch}" for branch in self._source.branches]
        try:
            listed = await self.git("ls-remote", "origin", *heads)
            there = dict(line.split("\t")[::-1] for line in listed.decode(errors="replace").splitlines())
            known = await self._known()
            if new := [head for head in heads if head in there and there[head] != known.get(self._own(head))]:
                await self._fetch(new)
                known = await self._known()
        except GitFailedError as failed:
            self._fail("Reading", failed)
        return {
            head.removeprefix("refs/heads/"): known[self._own(head)] if head in there else None
            for head in heads
        }

    async def tidy(self) -> None:
        """Where much has come together, pack it. What is left of a history that was rewritten stays for two weeks."""
        if self._grew:
            with suppress(GitFailedError):  # it is as good as before, and tried again after the next deed
                await self.git("-c", f"gc.auto={_MOST_LOOSE}", "gc", "--auto", "--quiet")

    async def _fetch(self, heads: list[str]) -> None:
        self._grew = True
        await self.git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", "--filter=blob:none", "origin", *(f"+{head}:{self._own(head)}" for head in heads),
        )  # fmt: skip

    async def _known(self) -> dict[str, str]:
        listed = await self.local("for-each-ref", "--format=%(refname)%09%(objectname)", "refs/towpath")
        return dict(line.split("\t") for line in listed.decode().splitlines())

    def _own(self, head: str) -> str:
        """Name a branch here: theirs may be such that no two of them can be kept side by side."""
        return f"refs/towpath/{self._source.branches.index(head.removeprefix('refs/heads/'))}"

    async def branches(self) -> list[str]:
        """Return the names of all branches there."""
        try:
            listed = await self.git("ls-remote", "--heads", "origin")
        except GitFailedError as failed:
            self._fail("Reading", failed)
        return [line.partition("\trefs/heads/")[2] for line in listed.decode(errors="replace").splitlines()]

    async def local(
        self, *words: str, stdin: bytes = b"", index: Path | None = None, most: int = MOST_PRINTED
    ) -> bytes:
        """Run what should work on any clone that is whole; where it does not, the clone is given up for a new one.

        It may have to fetch the content of a file. Returns ``most`` bytes at most.
        """
        try:
            return await self.git(*words, stdin=stdin, index=index, most=most)
        except GitFailedError as failed:
            said = "\n".join(failed.said)
            if "promisor remote" in said or "unable to access" in said:
                fail("Reading from", self.address, failed)
            self._give_up(failed)

    def _fail(self, what: str, failed: GitFailedError) -> NoReturn:
        """Say why the repository was not reached, where it was not our clone that is broken."""
        said = "\n".join(failed.said)
        if any(sign in said for sign in (str(self.git.folder), *_BROKEN)):
            self._give_up(failed)
        fail(what, self.address, failed)

    def _give_up(self, failed: GitFailedError) -> NoReturn:
        (self.git.folder / "config").unlink(missing_ok=True)
        raise TargetTroubleError(
            f"The worker's clone of {self.address} was of no use to git {failed.words[0]}, and is made anew: "
            f"{failed.reason}."
        ) from failed

    async def has(self, commit: str) -> bool:
        """Tell whether a commit is here, or can still be had."""
        try:
            await self.git("cat-file", "-e", f"{commit}^{{commit}}")
        except GitFailedError:
            return False
        return True

    async def leads_to(self, old: str, tip: str) -> bool:
        """Tell whether a commit is part of another one's history."""
        try:
            await self.git("merge-base", "--is-ancestor", old, tip)
        except GitFailedError:
            return False
        return True

    async def push(self, commit: str, branch: str, expected: str | None) -> None:
        """Let a branch be this commit. Raises ``LostRaceError`` where it no longer stands as expected."""
        head, self._grew = f"refs/heads/{branch}", True
        try:
            await self.git(
                "push", "--no-verify", "--no-follow-tags", "--recurse-submodules=no",
                f"--force-with-lease={head}:{expected or ''}", "origin", f"{commit}:{head}",
            )  # fmt: skip
        except GitFailedError as failed:
            self._say_why_not(branch, failed)

    def _say_why_not(self, branch: str, failed: GitFailedError) -> None:
        verdict = next((line for line in failed.said if "rejected]" in line), "")
        if any(sign in verdict for sign in _RACES):
            raise LostRaceError from failed
        if verdict:
            told = [line for line in failed.said if line.startswith("remote:")]
            why = "; ".join([verdict.rpartition("(")[2].rstrip(") "), *told[:3]])
            raise TargetRefusalError(
                f"{self.address} did not take a commit on {branch}: {why}. Let whoever the credentials belong to push "
                "there, or have Towpath write to a branch for review."
            ) from failed
        self._fail("Writing to", failed)
