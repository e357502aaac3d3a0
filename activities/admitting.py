"""Whether a release may come in at all, and its requester ask for it: told before anything of it is looked at."""

from collections.abc import Iterable, Sequence

from activities.archive import Archive
from activities.gatehouse import Gatehouse
from activities.ports import BadSealError
from activities.proving import Proving
from activities.releases import ReleaseRefusedError
from activities.tools import Tools
from domain.configuration import Configuration
from domain.emergency import glass_of
from domain.gate import say_banned
from domain.journal import Receipt
from domain.names import Subject
from domain.release import Release
from domain.soak import proves_the_way
from domain.terms import Request
from domain.urgency import Urgency, why_not_broken, why_not_urgent


class Admitting:
    """Says, a sentence each, what keeps a release or a request out of one environment."""

    def __init__(self, tools: Tools, archive: Archive, gatehouse: Gatehouse) -> None:
        self._tools = tools
        self._archive = archive
        self._gatehouse = gatehouse
        self._proving = Proving(tools.signers, tools.clock)

    async def of_release(
        self, release: Release, configuration: Configuration, subject: Subject
    ) -> tuple[str, ...]:
        """Say why a release is kept out: its signature, a quarantine, or its way here."""
        foreign = await self._foreign(release, configuration, subject.environment)
        banned = await self.banned(subject.service, (release.version,))
        return (*foreign, *banned, *await self._way(release, configuration, subject))

    def unwarranted(self, request: Request, configuration: Configuration) -> tuple[str, ...]:
        """Say why the requester may not take the way in that they ask for."""
        environment, by = request.subject.environment, request.actor.name
        if request.urgency is Urgency.BREAK_GLASS:
            glass = glass_of(configuration, request.subject)
            why = why_not_broken(glass, environment, by, request.reason)
        else:
            has_hotfix = configuration.environments[environment].hotfix is not None
            why = why_not_urgent(request.urgency, environment, reason=request.reason, has_hotfix=has_hotfix)
        return (why,) if why else ()

    async def of_requester(self, request: Request, receipts: Sequence[Receipt] = ()) -> tuple[str, ...]:
        """Say why the requester may not ask, or may be somebody else, where that matters."""
        why = await self._gatehouse.admit(request, receipts)
        return (why,) if why else ()

    async def banned(self, service: str, versions: Iterable[str]) -> tuple[str, ...]:
        """Say which of these releases are in quarantine, and what cannot be read counts as that."""
        try:
            found = await self._gatehouse.quarantined(service, versions)
        except ReleaseRefusedError as error:
            return (str(error),)
        return tuple(map(say_banned, found.values()))

    async def _foreign(
        self, release: Release, configuration: Configuration, environment: str
    ) -> tuple[str, ...]:
        """Say why the release may be somebody else's, where that matters."""
        asks = configuration.environments[environment].signed_releases
        why = await self._proving.release(release) if asks else ""
        return (
            (f"release {release.version} may not be {release.author or 'anybody'}’s: {why}",) if why else ()
        )

    async def _way(self, release: Release, configuration: Configuration, subject: Subject) -> tuple[str, ...]:
        place = configuration.place(subject)
        said = [await self._vouch(release, before) for before in (place.after if place else ())]
        return tuple(sentence for sentence in said if sentence)

    async def _vouch(self, release: Release, environment: str) -> str:
        """Say why an earlier environment's newest receipt does not vouch for a release, or nothing."""
        earlier = Subject(service=release.service, environment=environment)
        try:
            receipts = await self._archive.receipts_of(earlier, release.digest())
        except BadSealError as error:
            return f"the newest receipt of {earlier} cannot be believed: {error}"
        return proves_the_way(release, environment, receipts)
