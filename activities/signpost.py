"""A signpost: what an environment answers to whoever asks for a release's way to it."""

import asyncio

from activities.archive import Archive
from activities.drawing import unknown_place
from activities.gatehouse import Gatehouse
from activities.ports import BadSealError, TargetRefusalError
from activities.releases import ReleaseRefusedError, read_release
from activities.tools import Tools
from domain.berth import component_of
from domain.configuration import Configuration
from domain.environment import Placement, same_content
from domain.names import Subject
from domain.release import Component, Release
from domain.road import Waymark
from domain.soak import proves_the_way
from domain.terms import Request


class Signpost:
    """Answers for one environment, out of its own configuration, its own receipts and what stands in it."""

    def __init__(self, tools: Tools, archive: Archive, gatehouse: Gatehouse) -> None:
        self._tools = tools
        self._archive = archive
        self._gatehouse = gatehouse

    async def point(self, request: Request) -> Waymark:
        """Say what lies before this environment, that the release stands here already, or why there is no way.

        Whoever walks has to be let ask here, and to have signed it where that is asked for: told before anything moves.
        """
        environment, subject = self._tools.environment, request.subject
        configuration = self._tools.configuration(subject.service)
        if why := unknown_place(configuration, subject):
            return Waymark(environment=environment, refusal=why)
        try:
            release = await read_release(self._tools.store, subject.service, request.version or "")
        except ReleaseRefusedError as error:
            return Waymark(environment=environment, refusal=str(error))
        if there := await self._there(release, configuration, subject):
            return Waymark(environment=environment, there=there)
        if why := await self._gatehouse.admit(request):
            return Waymark(environment=environment, refusal=why)
        place = configuration.place(subject)
        return Waymark(environment=environment, after=place.after if place else ())

    async def _there(self, release: Release, configuration: Configuration, subject: Subject) -> str:
        """Say that it stands here, where the newest receipt vouches for it and the targets show it."""
        try:
            receipts = await self._archive.receipts_of(subject, release.digest())
        except BadSealError:
            return ""  # its promotion says so, and why
        if proves_the_way(release, subject.environment, receipts):
            return ""
        shown = await asyncio.gather(
            *(self._shows(part, release, configuration, subject) for part in release.components)
        )
        return f"{release.version} stands in {subject.environment} already" if all(shown) else ""

    async def _shows(
        self, component: Component, release: Release, configuration: Configuration, subject: Subject
    ) -> bool:
        """Tell whether every target of a component shows it. One that can show nothing is believed, as by `after:`."""
        place = configuration.place(subject)
        targets = place.targets if place else {}
        berths = [berth for berth in targets if component_of(berth) == component.name]
        made = [self._tools.target(targets[berth], subject, berth) for berth in berths]
        try:
            seen = await asyncio.gather(*(target.observe() for target in made if target.repeatable))
        except TargetRefusalError:
            return False
        wanted = Placement(version=release.version, release=release.digest(), artifact=component.artifact)
        return bool(made) and all(same_content(wanted, look.capture.holding) for look in seen)
