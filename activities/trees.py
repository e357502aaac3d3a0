"""Trees of files below a root: ``current`` leads to what is placed, and switches at once."""

import errno
import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from activities.finishing import StillWanted, in_thread
from activities.placements import Placements, Standing, link_to
from activities.ports import Deed, Observation, Place, TargetRefusalError, TargetTroubleError
from domain.environment import Absent, Placement, Unknown, same
from domain.fence import Fence
from domain.journal import Capture
from domain.marker import marker

_NOT_BY_WAITING: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
)


class Trees:
    """Places trees of files, and says which one stands. Raises as a target does."""

    def __init__(self, root: Path, keep: int, place: Place) -> None:
        self._placements = Placements(root)
        self._keep = keep
        self._place = place

    @property
    def root(self) -> Path:
        return self._placements.root

    @property
    def can_lock(self) -> bool:
        """Whether two deeds at once are kept apart, whichever process they run in."""
        return self._placements.can_lock

    def newest_fence(self) -> Fence | None:
        return self._placements.newest_fence()

    def refuse_older(self, fence: Fence) -> None:
        """Raise ``StaleFenceError`` for a deed that comes too late."""
        self._placements.refuse_older(fence)

    async def observe(self) -> Observation:
        return await in_thread(self._observe)

    async def place(self, deed: Deed) -> None:
        """Switch to the artifact's tree. Reading ``current`` finds the old tree or the new one, whole."""
        if isinstance(deed.after, Unknown):
            raise TargetRefusalError(
                f"Deed {deed.fence} does not say what is to stand in {self._placements.root}."
            )
        await self._make_stand(deed, Capture(holding=deed.after))

    async def restore(self, deed: Deed) -> None:
        """Put the captured content back under the new fence; a link that was not ours, as it was."""
        if deed.capture is None:
            raise TargetRefusalError(f"Deed {deed.fence} brings no capture, so nothing can be put back.")
        await self._make_stand(deed, deed.capture)

    def _observe(self, _: StillWanted) -> Observation:
        with self._in_words():
            return Observation(self._capture(self._placements.standing()), self._placements.newest_fence())

    def _capture(self, standing: Standing) -> Capture:
        current = self._placements.root / "current"
        note = json.dumps({"link": standing.link}) if standing.link is not None else ""
        if standing.is_no_link:
            return Capture(holding=Unknown(why=f"{current} is not a link, so it was not placed by Towpath"))
        if standing.link is None:
            return Capture(holding=Absent())
        if standing.marker is None or not self._is_ours(standing):
            return Capture(holding=Unknown(why=self._other_than_ours(standing)), note=note)
        return Capture(
            holding=Placement(
                version=standing.marker.version,
                release=standing.marker.release,
                artifact=standing.marker.artifact,
                fence=standing.marker.fence,
                since=standing.since,
            ),
            note=note,
        )

    def _is_ours(self, standing: Standing) -> bool:
        found = standing.marker
        return found is None or (found.subject, found.component) == (
            self._place.subject,
            self._place.component,
        )

    def _other_than_ours(self, standing: Standing) -> str:
        if standing.marker is None:
            return f"{self._placements.root / 'current'} leads to “{standing.link}”, not placed by Towpath"
        placed = f"{standing.marker.component} of {standing.marker.subject}"
        return f"{standing.link} in {self._placements.root} is {placed}"

    async def _make_stand(self, deed: Deed, wanted: Capture) -> None:
        def work(still_wanted: StillWanted) -> str:
            with self._in_words(deed.fence):
                self._change(deed, wanted, still_wanted)
            return self._prune(deed.fence)

        if trouble := await in_thread(work):
            deed.said(trouble)

    def _change(self, deed: Deed, wanted: Capture, still_wanted: StillWanted) -> None:
        self._placements.refuse_older(deed.fence)
        if not self._may_switch(deed.fence, wanted):
            self._placements.switch(deed.fence, None, None, lambda: False, still_wanted)
            return
        with ExitStack() as making:
            link, prepared = _link_of(wanted), None
            if isinstance(wanted.holding, Placement):
                said = marker(deed.subject, deed.component, wanted.holding, deed.fence)
                prepared = making.enter_context(self._placements.prepared(said, deed.artifact, still_wanted))
                link = link_to(deed.fence)
            self._placements.switch(
                deed.fence, link, prepared, lambda: self._may_switch(deed.fence, wanted), still_wanted
            )

    def _may_switch(self, fence: Fence, wanted: Capture) -> bool:
        """Tell whether ``current`` has to be switched. Raises where that would take what is another's."""
        standing = self._placements.standing()
        if isinstance(wanted.holding, Unknown) and wanted.note in {"", self._capture(standing).note}:
            return False  # it could not be replaced, and so was not, or it stands there again
        if standing.is_no_link:
            raise TargetRefusalError(
                f"{self._placements.root / 'current'} is a real file or folder, not a link that can be "
                "switched. Move it away; Towpath never removes what it did not place."
            )
        if not self._is_ours(standing):
            raise TargetRefusalError(
                f"{self._other_than_ours(standing)}, and this is {self._place.component} of "
                f"{self._place.subject}. Give each a root of its own."
            )
        under_this_fence = not isinstance(wanted.holding, Placement) or standing.link == link_to(fence)
        return not (under_this_fence and same(wanted.holding, self._capture(standing).holding))

    def _prune(self, fence: Fence) -> str:
        """Remove what is no longer kept. The deed is done: failing at this is said, and does not fail it."""
        try:
            self._placements.prune(self._keep, fence)
        except OSError as trouble:
            return f"Old placements in {self._placements.root} could not be removed: {trouble}."
        return ""

    @contextmanager
    def _in_words(self, fence: Fence | None = None) -> Generator[None, None, None]:
        try:
            yield
        except (OSError, TargetRefusalError) as trouble:
            if fence:
                self._placements.refuse_older(
                    fence
                )  # a newer deed clears away what an older one is preparing
            if isinstance(trouble, TargetRefusalError):
                raise
            why = f"{self._placements.root} could not be read or changed: {trouble}."
            if trouble.errno in _NOT_BY_WAITING:
                raise TargetRefusalError(
                    f"{why} See to it that the worker's user may write there."
                ) from trouble
            raise TargetTroubleError(why) from trouble


def _link_of(capture: Capture) -> str | None:
    return str(json.loads(capture.note)["link"]) if isinstance(capture.holding, Unknown) else None
