"""What our commits say of themselves, in the trailers that end their messages; and what is read back from them."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from pydantic import ValidationError

from activities.ports import Deed, Place
from domain.berth import berth_of
from domain.environment import Absent, Holding, Placement, Unknown
from domain.fence import Fence, read_fence

LANE: Final = "Towpath-Lane"
_FENCE: Final = "Towpath-Fence"
_RELEASE: Final = "Towpath-Release"
_ARTIFACT: Final = "Towpath-Artifact"
_WROTE: Final = "Towpath-Wrote"
_PROMOTION: Final = "Towpath-Promotion"
_ACTOR: Final = "Towpath-Actor"

LOG_FORMAT: Final = "%H%x1f%ct%x1f%(trailers:only,unfold)%x1e"
_NOT_IN_A_LINE: Final = re.compile(r"[\x00-\x1f\x7f]+")
_ABSENT, _UNKNOWN = "absent", "unknown"


class Trail(NamedTuple):
    """A commit of ours: the deed that made it, what it put there, and the digest of the values that it wrote."""

    commit: str
    fence: Fence
    holding: Holding
    wrote: str


def lane_of(place: Place) -> str:
    """Name what a commit was for, in one line that can be searched for."""
    subject = place.subject
    return f"{subject.service}/{subject.environment}/{berth_of(place.component, place.at)}"


def message(deed: Deed, lane: str, wrote: str, remarks: Iterable[str] = ()) -> str:
    """Write the message of a deed's commit."""
    holding = deed.after
    what = holding.version if isinstance(holding, Placement) else f"what was before ({holding})"
    way = "back to " if deed.capture else ""
    trailers = {
        _PROMOTION: deed.asker,
        LANE: lane,
        _FENCE: str(deed.fence),
        _RELEASE: _said(holding),
        _ARTIFACT: holding.artifact if isinstance(holding, Placement) else "",
        _WROTE: wrote,
        _ACTOR: deed.actor,
    }
    title = f"{deed.subject.service} in {deed.subject.environment}: {deed.component} {way}{what}"
    ending = [f"{name}: {_line(text)}" for name, text in trailers.items() if text]
    return "\n\n".join([title, *map(_line, remarks), "\n".join(ending)]) + "\n"


def _said(holding: Holding) -> str:
    match holding:
        case Placement():
            return f"{holding.version} {holding.release}"
        case Absent():
            return _ABSENT
        case Unknown():
            return _UNKNOWN


def _line(text: str) -> str:
    return _NOT_IN_A_LINE.sub(" ", text).strip()


def newest(log: str, lane: str) -> Trail | None:
    """Return the commit with the newest fence of a lane, whatever their order: merges bring several together."""
    trails = sorted(_read(log, lane), key=lambda trail: (trail.fence.turn, trail.fence.act))
    return trails[-1] if trails else None


def record_of(log: str, commit: str) -> str:
    """Return what a log says of one commit."""
    return next(record for record in log.split("\x1e") if record.strip().startswith(commit)) + "\x1e"


def _read(log: str, lane: str) -> Iterator[Trail]:
    for record in log.split("\x1e"):
        commit, _, rest = record.strip().partition("\x1f")
        seconds, _, trailers = rest.partition("\x1f")
        pairs = (line.partition(": ") for line in trailers.splitlines())
        said = {name: text for name, _, text in pairs}
        if said.get(LANE) != lane:
            continue
        try:
            fence = read_fence(said.get(_FENCE, ""))
            since = datetime.fromtimestamp(int(seconds), UTC)
        except ValueError:
            continue  # people may write trailers too: what is no fence is none of ours
        yield Trail(commit, fence, _holding(said, fence, since), said.get(_WROTE, ""))


def _holding(said: dict[str, str], fence: Fence, since: datetime) -> Holding:
    version, _, release = said.get(_RELEASE, "").partition(" ")
    if version == _ABSENT and not release:
        return Absent()
    try:
        return Placement.model_validate(
            {
                "version": version,
                "release": release,
                "artifact": said.get(_ARTIFACT),
                "fence": fence,
                "since": since,
            }
        )
    except ValidationError:
        return Unknown(why="its last commit by Towpath put back what Towpath had not written")
