"""How a repository is found: where its branches stand, what it says there, and what we last wrote."""

from collections.abc import Sequence
from typing import NamedTuple

from activities.git.clone import Clone
from activities.git.edits import Values
from activities.git.memory import Memory
from activities.git.settings import Write
from activities.git.trails import LANE, LOG_FORMAT, Trail, newest, record_of
from activities.git.trees import Tree
from activities.ports import TargetRefusalError
from activities.yaml_places import NoPlaceError
from domain.environment import Absent, Holding, Unknown
from domain.value import canonical, digest_of


class Standing(NamedTuple):
    """What the branch says now, and the newest of our commits there, and of those that wait for review."""

    tip: str
    """The branch's newest commit; empty where the repository has none at all."""
    review: str | None
    trail: Trail | None
    """Our newest commit in the branch."""
    newest: Trail | None
    """Our newest commit in either."""
    values: Values
    trouble: str = ""
    """Why its files cannot be read."""

    @property
    def is_as_written(self) -> bool:
        """Whether the branch says what our newest commit there wrote."""
        return (
            self.trail is not None and not self.trouble and self.trail.wrote == digest_of_values(self.values)
        )

    @property
    def holding(self) -> Holding:
        if self.trouble:
            return Unknown(why=self.trouble)
        if self.trail and self.is_as_written:
            return self.trail.holding
        if all(value is None for value in self.values.values()):
            return Absent()
        said = ", ".join(f"{place} is {value}" for place, value in self.values.items() if value is not None)
        since = f"was changed after deed {self.trail.fence}" if self.trail else "was not written by Towpath"
        return Unknown(why=f"what stands there {since}: {said[:500]}")


def digest_of_values(values: Values) -> str:
    return digest_of(canonical(dict(values)).encode())


async def look(clone: Clone, branch: str, writes: Sequence[Write], lane: str) -> Standing:
    """Look at the repository as it is now. Raises as ``Clone.tips``, and where the branch is not there."""
    tips = dict(await clone.tips())
    tip = tips.pop(branch)
    review_branch, review = next(iter(tips.items()), ("", None))
    if tip is None and (others := await clone.branches()):
        shown = ", ".join(sorted(others)[:10])
        raise TargetRefusalError(
            f"{clone.address} has no branch {branch}; it has {shown}. Write one of them."
        )
    trail = await _newest(clone, lane, branch, tip) if tip else None
    waiting = await _newest(clone, lane, review_branch, review) if review else None
    both = [found for found in (trail, waiting) if found]
    foremost = max(both, key=lambda found: (found.fence.turn, found.fence.act), default=None)
    try:
        values, trouble = await Tree(clone, tip or "").values(writes), ""
    except (NoPlaceError, TargetRefusalError) as error:
        values, trouble = {}, str(error)
    return Standing(tip or "", review, trail, foremost, values, trouble)


async def _newest(clone: Clone, lane: str, branch: str, tip: str) -> Trail | None:
    """Find the newest fence in all of a branch's history: a merge may bring an old commit to its top.

    What was read for an earlier tip is remembered in the clone, as long as that is part of this history.
    """
    known = Memory(clone.git.folder, lane, branch)
    if known.tip == tip:
        return newest(known.log, lane)
    is_further = bool(known.tip) and await clone.leads_to(known.tip, tip)
    unread = f"{known.tip}..{tip}" if is_further else tip
    words = ("log", f"--format={LOG_FORMAT}", "--fixed-strings", f"--grep={LANE}: {lane}", unread, "--")
    log = (await clone.local(*words)).decode(errors="replace") + (known.log if is_further else "")
    found = newest(log, lane)
    known.keep(tip, record_of(log, found.commit) if found else "")
    return found


async def changed_by_others(clone: Clone, standing: Standing, writes: Sequence[Write]) -> list[str]:
    """Say, a sentence each, what others have written since to the very places that we wrote to."""
    if standing.trail is None or standing.is_as_written or standing.trouble:
        return []
    try:
        written = await Tree(clone, standing.trail.commit).values(writes)
    except (NoPlaceError, TargetRefusalError):
        return []
    differing = [place for place, value in standing.values.items() if written.get(place) != value]
    return [await _say(clone, standing, place) for place in differing]


async def _say(clone: Clone, standing: Standing, place: str) -> str:
    since = f"{standing.trail.commit}..{standing.tip}" if standing.trail else standing.tip
    file = place.partition(":")[0]
    log = await clone.local("log", "-1", "--format=%an in %h", since, "--", file)
    who = log.decode(errors="replace").strip()
    return f"{place} was changed to {standing.values[place]} meanwhile{f', by {who}' if who else ''}."
