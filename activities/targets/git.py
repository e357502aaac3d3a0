"""A repository that says what is to run: a commit for each deed, for Argo CD, Flux and the like to act on."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final, Literal

from pydantic import JsonValue

from activities.git.clone import Clone, LostRaceError, Source, opened
from activities.git.drafts import Undone, draft_deed, draft_undo, unpacked
from activities.git.previews import preview_of
from activities.git.running import Access
from activities.git.settings import Credentials, GitSettings
from activities.git.standing import Standing, changed_by_others, digest_of_values, look
from activities.git.trails import lane_of, message
from activities.git.trees import Draft, Tree, drafted
from activities.ports import (
    Deed,
    Observation,
    Place,
    Preview,
    StaleFenceError,
    TargetRefusalError,
    TargetTroubleError,
)
from domain.environment import Unknown
from domain.fence import Fence
from domain.journal import Capture
from domain.plan import Undo
from domain.value import Value, canonical

Fill = Callable[[Draft, Clone, Standing], Awaitable[None]]
"""Makes what is to be committed of what is there."""

_TRIES: Final = 8
_LONGEST_PAUSE: Final = 400
"""Milliseconds, at most, between two tries to be first: others step back as long as we do."""


class GitTarget:
    """Commits to somebody's repository. See ``docs/how-to/targets/git.md``."""

    settings: ClassVar[type[Value]] = GitSettings
    undo = Undo.RESTORE
    fenced = True
    repeatable = True

    def __init__(self, settings: Mapping[str, JsonValue], place: Place) -> None:
        given = GitSettings.model_validate(settings)
        self._settings = given
        self._lane = lane_of(place)
        self._keeps = place.keeps or place.folder / ".towpath"
        self._branches = (given.branch, *([given.review] if given.review else []))
        who = given.credentials or Credentials()
        access = Access(
            given.where_from(place.folder),
            who.username,
            who.password or "",
            str(place.folder / who.key) if who.key else "",
            str(place.folder / who.known_hosts) if who.known_hosts else "",
        )
        self._source = Source(access, self._branches, given.who, given.timeout)

    @property
    def takes_images(self) -> Literal[True]:
        return True

    async def observe(self) -> Observation:
        """Say what the branch says. What waits for review is not there yet, but its fence has been seen."""
        async with self._opened() as clone:
            standing = await self._look(clone)
        capture = Capture(holding=standing.holding, note=canonical({"at": standing.tip}))
        return Observation(capture, standing.newest.fence if standing.newest else None)

    async def place(self, deed: Deed) -> None:
        """Commit what the release says. A second run finds the commit of the first."""
        if isinstance(deed.after, Unknown):
            raise TargetRefusalError(f"Deed {deed.fence} does not say what is to stand in {self._address}.")
        async with unpacked(deed, self._settings.write) as files:

            async def fill(draft: Draft, clone: Clone, standing: Standing) -> None:
                await draft_deed(draft, Tree(clone, standing.tip), self._settings.write, deed, files)

            # A deed is told what it would be undone by; its commit is not to read as an undo.
            await self._make_stand(deed._replace(capture=None), fill)

    async def restore(self, deed: Deed) -> None:
        """Commit what stood there before, and leave alone what others have changed beside it since."""
        if deed.capture is None:
            raise TargetRefusalError(f"Deed {deed.fence} brings no capture, so nothing can be put back.")
        at = str(json.loads(deed.capture.note or "{}").get("at", ""))

        async def fill(draft: Draft, clone: Clone, standing: Standing) -> None:
            trees = Undone(
                found=Tree(clone, standing.tip),
                written=Tree(clone, standing.trail.commit if standing.trail else standing.tip),
                before=await self._captured(clone, at),
            )
            await draft_undo(draft, clone, trees, self._settings.write)

        await self._make_stand(deed, fill)

    async def preview(self, deed: Deed) -> Preview:
        """Return the diff of the commit that ``place`` would make now."""
        async with self._opened() as clone, unpacked(deed, self._settings.write) as files:
            before = Tree(clone, (await self._look(clone)).tip)
            async with drafted(clone, before) as draft:
                await draft_deed(draft, before, self._settings.write, deed, files)
                return Preview(await preview_of(clone, before, await draft.done()))

    async def _make_stand(self, deed: Deed, fill: Fill) -> None:
        async with self._opened() as clone:
            for _ in range(_TRIES):
                standing = await self._look(clone)
                if standing.newest and standing.newest.fence.outranks(deed.fence):
                    raise StaleFenceError(
                        f"Deed {deed.fence} comes too late for {self._address}, which has seen {standing.newest.fence}."
                    )
                if await self._is_done(clone, standing, deed.fence):
                    return
                try:
                    await self._commit(clone, standing, deed, fill)
                except LostRaceError:
                    await asyncio.sleep(secrets.randbelow(_LONGEST_PAUSE) / 1000)
        raise TargetTroubleError(
            f"Others were quicker to push to {self._address}, {_TRIES} times. It is tried again."
        )

    async def _is_done(self, clone: Clone, standing: Standing, fence: Fence) -> bool:
        """Tell whether the deed's commit is in the branch and nobody has changed what it wrote.

        Raises ``TargetTroubleError`` where it waits for people to merge it.
        """
        if standing.trail and standing.trail.fence == fence:
            return standing.is_as_written
        if standing.newest is None or standing.newest.fence != fence:
            return False
        waiting = await Tree(clone, standing.newest.commit).values(self._settings.write)
        if waiting == standing.values:
            return True  # it takes back what was never merged
        raise TargetTroubleError(
            f"Deed {fence} is not merged yet: it is commit {standing.newest.commit[:12]} on {self._settings.review} of "
            f"{self._source.access.address}. Merge that into {self._settings.branch}."
        )

    async def _commit(self, clone: Clone, standing: Standing, deed: Deed, fill: Fill) -> None:
        """Commit upon the branch's tip, and push. Raises ``LostRaceError``."""
        remarks = await changed_by_others(clone, standing, self._settings.write)
        for remark in remarks:
            deed.said(remark)
        async with drafted(clone, Tree(clone, standing.tip)) as draft:
            await fill(draft, clone, standing)
            tree = await draft.done()
        wrote = digest_of_values(await tree.values(self._settings.write))
        said = message(deed, self._lane, wrote, remarks)
        parents = ("-p", standing.tip) if standing.tip else ()
        commit = await clone.local("commit-tree", tree.name, *parents, stdin=said.encode())
        branch, expected = self._branches[-1], standing.review if self._settings.review else standing.tip
        await clone.push(commit.decode().strip(), branch, expected)

    async def _captured(self, clone: Clone, at: str) -> Tree:
        """Return the commit that was captured. Raises ``TargetRefusalError`` where somebody has rewritten history."""
        if at and not await clone.has(at):
            raise TargetRefusalError(
                f"Commit {at[:12]}, which held what is to be put back, is no longer in {self._address}: its history "
                "was rewritten. Put back by hand what stood there, and then skip this undo."
            )
        return Tree(clone, at)

    async def _look(self, clone: Clone) -> Standing:
        return await look(clone, self._settings.branch, self._settings.write, self._lane)

    @property
    def _address(self) -> str:
        return f"{self._source.access.address} ({self._settings.branch})"

    def _opened(self) -> AbstractAsyncContextManager[Clone]:
        return opened(self._source, self._keeps / "repositories")
