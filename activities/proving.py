"""Finding out whether names are proven: with OpenSSH itself, against the people that this worker knows."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from activities.attempts import caught
from activities.ports import Clock, Signers
from domain.actor import Proof
from domain.approval import Decision
from domain.attempt import Kind
from domain.override import Override, word_of
from domain.release import Release
from domain.signature import Signature, out_of_time
from domain.statement import (
    Matter,
    Statement,
    decision_statement,
    override_statement,
    release_statement,
    request_statement,
)
from domain.terms import UNSIGNED_REQUEST, Request


class Proving:
    """Judges signatures for one environment's worker. Believes nothing that anybody else says of proofs."""

    def __init__(self, signers: Signers, clock: Clock) -> None:
        self._signers = signers
        self._clock = clock

    async def decisions(self, matter: Matter, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
        """Return the decisions, each with the proof that was found for it."""
        return tuple(one for one, _ in await self.looked_at(matter, decisions))

    async def looked_at(
        self, matter: Matter, decisions: Sequence[Decision]
    ) -> tuple[tuple[Decision, str], ...]:
        """Return the same, each with what speaks against its proof, where there is none."""
        found = await asyncio.gather(*(self._decision(matter, one) for one in decisions))
        return tuple(
            (one.but(actor=one.actor.but(proof=Proof.NONE if why else Proof.SSH_SIGNATURE)), why)
            for one, why in zip(decisions, found, strict=True)
        )

    async def overrides(self, environment: str, overrides: Sequence[Override]) -> tuple[Override, ...]:
        """Return the overrides, each with the proof that was found for it."""
        found = await asyncio.gather(*(self._override(environment, one) for one in overrides))
        return tuple(
            one.but(by=one.by.but(proof=Proof.NONE if why else Proof.SSH_SIGNATURE))
            for one, why in zip(overrides, found, strict=True)
        )

    async def request(self, request: Request, drawn_up: datetime | None = None) -> str:
        """Say why a request is not proven to be its requester's own, or nothing.

        Its signature has to last until its terms are ``drawn_up``, else until now: what comes then may take days.
        """
        signature = request.signature
        if signature is None:
            return UNSIGNED_REQUEST
        statement = request_statement(request, signature)
        if drawn_up is None:
            return await self.why_not(statement, signature)
        return await self.why_no_more(statement, signature, drawn_up)

    async def release(self, release: Release, *, again: bool = False) -> str:
        """Say why a release is not proven to be its author's own, or nothing where it is.

        The author's key has to have been valid when the release was made, and not to have been revoked since.
        ``again`` says that it was found good before.
        """
        if not release.signature:
            return "it is not signed; it is as it is made: towpath release create --key FILE"
        given = release.created if again else None
        return await self._signers.why_not(
            release_statement(release), release.signature, release.created, given
        )

    async def why_not(self, statement: Statement, signature: Signature) -> str:
        """Say why a signature that comes now is not good for this statement, or nothing where it is."""
        now = self._clock.now()
        return out_of_time(signature, now) or await self._signers.why_not(statement, signature.ssh, now)

    async def why_no_more(
        self, statement: Statement, signature: Signature, counts_at: datetime | None = None
    ) -> str:
        """Say why one is not good that was taken as good when it came. It has to last until ``counts_at``, else now.

        A key that was revoked since counts no more, and nobody is called for it.
        """
        now = self._clock.now()
        late = out_of_time(signature, counts_at or now)
        return late or await self._signers.why_not(statement, signature.ssh, now, signature.at)

    async def as_it_comes(self, statement: Statement, signature: Signature) -> str:
        """Say the same of what has just come: nobody honest sends what is out of time."""
        if late := out_of_time(signature, self._clock.now()):
            caught(Kind.SIGNATURE, late, statement.by)
            return late
        return await self.why_not(statement, signature)

    async def _override(self, environment: str, one: Override) -> str:
        if one.signature is None:
            caught(Kind.UNSIGNED, "an override is not signed", one.by.name)
            return "it is not signed"
        statement = override_statement(environment, word_of(one), one.signature)
        return await self.why_no_more(statement, one.signature)

    async def _decision(self, matter: Matter, decision: Decision) -> str:
        signature = decision.signature
        if signature is None:
            return "it is not signed"
        if decision.intent != matter.plan:
            return "it is about another plan"  # as an earlier one of the same promotion: it counts for nothing here
        return await self.why_no_more(decision_statement(matter, decision, signature), signature)
