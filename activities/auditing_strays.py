"""Looking for what stands in the rooms of the papers and is none, or stands where no audit of a lane comes by."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from activities.archive import Archive
from activities.auditing_papers import NOT_BELIEVED, read_paper
from activities.ports import Store
from activities.reviews import BROKEN, REVIEWED
from domain.audit import Finding
from domain.names import GATE_WORDS, LEDGERS, LOGBOOKS, TRAILS, Subject, is_identifier, is_number
from domain.review import Broken, Reviewed
from domain.value import Value

AT_ONCE: Final = 8
OF_LANES: Final = ("receipt", "journal", TRAILS, LEDGERS, "review")
OF_ENVIRONMENTS: Final = (GATE_WORDS, LOGBOOKS)
_REVIEWS: Final[Mapping[str, type[Value]]] = {BROKEN: Broken, REVIEWED: Reviewed}


class StrayAuditor:
    """Checks what no other looks at, by the public keys in a configuration folder."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    async def findings(
        self, service: str, environment: str, accounted: Mapping[Subject, Collection[int]]
    ) -> list[Finding]:
        """Find it, of one service or environment, or of all. Raises ``StoreError`` as the store does.

        ``accounted`` are the turns with receipts: whoever looks at those sees whether their reviews are to be believed.
        """
        found: list[Finding] = []
        reviews: list[tuple[str, ...]] = []
        for room in (*OF_LANES, *(() if service else OF_ENVIRONMENTS)):
            of_lane = room in OF_LANES
            for key in await self._store.list(f"{room}/{service}" if service else room):
                names = tuple(key.split("/"))
                owners = names[1:3] if of_lane else names[1:2]
                if environment and is_identifier(owners[-1]) and owners[-1] != environment:
                    continue
                if not (_is_owned(names, owners) and _is_called(names)):
                    found.append(Finding(what=f"“{key}” is not where any paper is kept: it was put in"))
                elif room == "review":
                    reviews.append(names)
        for first in range(0, len(reviews), AT_ONCE):
            looks = (self._why_no_review(names, accounted) for names in reviews[first : first + AT_ONCE])
            found += [Finding(what=why) for why in await asyncio.gather(*looks) if why]
        return found

    async def _why_no_review(self, names: Sequence[str], accounted: Mapping[Subject, Collection[int]]) -> str:
        kind = _REVIEWS[names[-1].removesuffix(".json")]
        kept = await read_paper(self._archive, "/".join(names), names[2], kind)
        is_seen = int(names[3]) in accounted.get(Subject(service=names[1], environment=names[2]), ())
        return kept if isinstance(kept, str) and not (is_seen and NOT_BELIEVED in kept) else ""


def _is_owned(names: Sequence[str], owners: Sequence[str]) -> bool:
    """Tell whether a key is below a lane's or an environment's name."""
    return len(names) > len(owners) + 1 and all(map(is_identifier, owners))


def _is_called(names: Sequence[str]) -> bool:
    """Tell whether a paper is called as those of its room are, where nobody else asks."""
    room, *_, last = names
    name = last.removesuffix(".json")
    match room, len(names):
        case "receipt", 4:
            return is_number(name) and last != name
        case "review", 5:
            return is_number(names[3]) and name in _REVIEWS and last != name
        case (("receipt" | "review"), _):
            return False
        case _:
            return True
