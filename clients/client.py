"""The Python client: what a script, CI and the command line ask of Towpath."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.labels import search_attributes
from activities.spaces import Spaces
from clients.connection import HERE, connect
from clients.environment import Environment
from clients.lane import Lane, Wish
from clients.promotion import Promotion
from clients.signing import Signer
from clients.spaces import join_spaces
from clients.speaking import (
    in_words,
    is_at_work,
    made,
    name_of,
    subject_of,
    why_in_vain,
)
from clients.trouble import DeclinedError, FailedError, NobodyPollsError
from clients.walk import Walk
from domain.actor import Actor
from domain.names import (
    ACTOR,
    ENGINE_QUEUE,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    pipeline_id,
)
from domain.outcome import Phase
from domain.road import WalkRequest
from domain.space import Space
from domain.status import WalkReport
from domain.telling import tell_asked
from domain.terms import Proposal, Request
from domain.urgency import Urgency
from domain.workflow_types import PIPELINE

NOWHERE_ELSE: Final[Mapping[str, Space]] = {}
PLANNING: Final = 15.0
"""Seconds, after which a plan is not waited for: its worker is not at it, or fails again and again."""


class Towpath:
    """Asks by way of a connected client. Everything raises ``ClientError`` with a sentence for people."""

    def __init__(self, client: Client | Spaces) -> None:
        self.spaces = client if isinstance(client, Spaces) else Spaces(client)

    @classmethod
    async def connect(
        cls, state: Path = HERE, *, identity: str | None = None, lives: Mapping[str, Space] = NOWHERE_ELSE
    ) -> Self:
        """Connect as ``TEMPORAL_*``, the profile, or the ``towpath up`` of this folder say.

        ``lives`` says which environments live in a namespace of their own, as their files do.
        """
        home = await connect(state, identity=identity)
        return cls(await join_spaces(home, lives, state, identity=identity) if lives else home)

    @property
    def client(self) -> Client:
        """Of home: where walks live, and every environment that does not say where it does."""
        return self.spaces.home

    def promotion(self, service: str, version: str, environment: str) -> Promotion:
        """Name a promotion. Nothing is asked of the server yet."""
        subject = subject_of(service, environment)
        return Promotion(self.spaces.of(environment), subject, name_of("version", version))

    def lane(self, service: str, environment: str) -> Lane:
        subject = subject_of(service, environment)
        return Lane(self.spaces.of(environment), subject)

    def environment(self, name: str) -> Environment:
        named = name_of("environment", name)
        return Environment(self.spaces.of(named), named)

    async def promote(  # noqa: PLR0913 - what a request consists of
        self,
        service: str,
        version: str,
        environment: str,
        *,
        by: str,
        reason: str = "",
        signer: Signer | None = None,
        urgency: Urgency = Urgency.USUAL,
    ) -> Promotion:
        """Ask for a release to be let into an environment; it may be asked for again once it has ended.

        ``signer`` signs the request with the requester's key, where the environment asks for that. ``urgency`` names a
        shorter way in, which takes a reason.

        Raises ``DeclinedError`` where the same is under way.
        """
        promotion = self.promotion(service, version, environment)
        subject, actor = promotion.subject, made(Actor, name=by)
        request = made(Request, subject=subject, version=version, actor=actor, reason=reason, urgency=urgency)
        request = signer.sign_request(request) if signer else request
        await promotion.ask(request)
        return promotion

    def pipeline(self, service: str, version: str) -> Walk:
        """Name a walk. Nothing is asked of the server yet."""
        return Walk(self.spaces, name_of("service", service), name_of("version", version))

    @in_words
    async def walk(  # noqa: PLR0913 - what a request consists of
        self,
        service: str,
        version: str,
        through: Sequence[str],
        *,
        by: str,
        reason: str = "",
        signer: Signer | None = None,
        passing: Sequence[str] = (),
    ) -> Walk:
        """Ask for a release to be walked through these environments, and through what lies before them.

        ``signer`` signs what is asked of each of them with the requester's key, and of those in ``passing`` that lie
        before them. Where an environment asks for a signature and has none, the walk is refused before it begins.

        Each gets a promotion, started or joined, in the order that the environments themselves give. A walk that is
        under way already and leads there is joined; raises ``DeclinedError`` where it leads elsewhere.
        """
        walk = self.pipeline(service, version)
        actor = made(Actor, name=by)
        wanted = tuple(dict.fromkeys(name_of("environment", one) for one in through))
        request = made(
            WalkRequest, service=service, version=version, through=wanted, actor=actor, reason=reason
        )
        request = signer.sign_walk(request, (*wanted, *passing)) if signer else request
        names = {SERVICE: service, STORY: "pipeline", RELEASE: version, PHASE: Phase.PREPARING, ACTOR: by}
        try:
            await self.client.start_workflow(
                PIPELINE,
                request,
                id=pipeline_id(service, version),
                task_queue=ENGINE_QUEUE,
                result_type=WalkReport,
                static_summary=f"{version} of {service} → {' and '.join(wanted)}",
                static_details=tell_asked(actor, reason),
                search_attributes=search_attributes(names),
            )
        except WorkflowAlreadyStartedError:
            return await self._join(walk, wanted)
        return walk

    async def _join(self, walk: Walk, wanted: Sequence[str]) -> Walk:
        leads = (await walk.status()).request
        if leads is None or not set(wanted) <= set(leads.through):
            where = f" through {' and '.join(leads.through)}" if leads else ""
            raise DeclinedError(
                f"A walk of {walk} is under way already{where}, and not through {' and '.join(wanted)}. Wait for its "
                f"end ({walk.see} --watch), or stop it (towpath cancel {walk.id}); then ask again."
            )
        return Walk(self.spaces, walk.service, walk.version, joined=True)

    async def rollback(  # noqa: PLR0913 - what a request consists of
        self,
        service: str,
        environment: str,
        *,
        by: str,
        reason: str = "",
        of: int | None = None,
        signer: Signer | None = None,
        meant: datetime | None = None,
    ) -> Wish:
        """Ask for the newest change that still stands to be undone; ``signer`` signs, as in ``promote``.

        ``meant`` is when somebody made up their mind: what others have rolled back since is enough.
        """
        lane = self.lane(service, environment)
        return await lane.rollback(by=by, reason=reason, of=of, signer=signer, meant=meant)

    async def adopt(
        self, service: str, environment: str, *, by: str, reason: str = "", signer: Signer | None = None
    ) -> Wish:
        """Ask for what runs there to be learned again; ``signer`` signs, as in ``promote``."""
        return await self.lane(service, environment).adopt(by=by, reason=reason, signer=signer)

    async def plan(
        self, service: str, version: str, environment: str, *, by: str, signer: Signer | None = None
    ) -> Proposal:
        """Have the environment's own worker say what a promotion would do. Changes nothing.

        Raises ``NobodyPollsError`` where no worker would answer.
        """
        promotion = self.promotion(service, version, environment)
        subject = promotion.subject
        request = made(Request, subject=subject, version=version, actor=made(Actor, name=by))
        planning = await promotion.draw_up(signer.sign_request(request) if signer else request)
        try:
            proposal = await _patiently(planning)
        except TimeoutError as silence:
            why = await why_in_vain(planning)
            raise NobodyPollsError(
                f"No plan for {version} of {subject} was drawn up within {PLANNING:.0f} s: "
                f"{why or f'the worker of {environment} has not answered'}. See: towpath doctor"
            ) from silence
        except WorkflowFailureError as failure:
            why = getattr(failure.cause, "message", None) or str(failure.cause)
            raise FailedError(f"No plan could be drawn up for {version} of {subject}: {why}") from failure
        return proposal


async def _patiently(planning: WorkflowHandle[Any, Proposal]) -> Proposal:
    """Wait for as long as a worker is at it: rules may be tests, which take their time. Raises ``TimeoutError``."""
    drawn_up = asyncio.ensure_future(planning.result())
    try:
        while True:
            done, _ = await asyncio.wait((drawn_up,), timeout=PLANNING)
            if done:
                return drawn_up.result()
            if not await is_at_work(planning):
                raise TimeoutError
    finally:
        drawn_up.cancel()
