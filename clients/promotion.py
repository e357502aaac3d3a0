"""One promotion, as its client sees it."""

from collections.abc import Mapping
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.labels import search_attributes
from clients.signing import Signer
from clients.speaking import (
    NO_ENGINE,
    START_ENGINE,
    decide,
    hear_status,
    in_words,
    is_missing,
    made,
    need_engine,
    need_environment,
    tell,
)
from clients.trouble import DeclinedError, FailedError, NobodyPollsError, UsageError
from domain.actor import Actor
from domain.approval import DecideWord, Decision, DecisionWord, Verdict
from domain.doors import Signal, Word
from domain.names import (
    ACTOR,
    ENGINE_QUEUE,
    ENVIRONMENT,
    PHASE,
    RELEASE,
    SERVICE,
    STORY,
    Subject,
    plan_id,
    promotion_id,
)
from domain.outcome import Phase
from domain.signature import Signature, WordSignature
from domain.statement import why_altered
from domain.status import PromotionStatus, Report
from domain.telling import tell_asked
from domain.terms import Proposal, Request, Story
from domain.urgency import Urgency
from domain.workflow_types import PLAN, PROMOTION


class Promotion:
    """A promotion by its name. It need not exist: every method says so in words where it does not."""

    def __init__(self, client: Client, subject: Subject, version: str) -> None:
        self.client = client
        self.subject = subject
        self.version = version
        self.id = promotion_id(subject, version)
        self._handle: WorkflowHandle[Any, Report] = client.get_workflow_handle(self.id, result_type=Report)

    def __str__(self) -> str:
        return f"{self.version} of {self.subject}"

    @in_words
    async def ask(self, request: Request) -> None:
        """Have it asked for. Raises ``DeclinedError`` where the same is under way."""
        actor = request.actor
        how = "" if request.urgency is Urgency.USUAL else f" ({request.urgency})"
        try:
            await self.client.start_workflow(
                PROMOTION,
                request,
                id=self.id,
                task_queue=ENGINE_QUEUE,
                result_type=Report,
                static_summary=f"{self.version} of {self.subject.service} → {self.subject.environment}{how}",
                static_details=tell_asked(actor, request.reason, how),
                search_attributes=self._names(Story.PROMOTION, {PHASE: Phase.PREPARING, ACTOR: actor.name}),
            )
        except WorkflowAlreadyStartedError as error:
            raise DeclinedError(
                f"The promotion of {self} is under way already. Follow it: {self.see} --watch"
            ) from error

    @in_words
    async def draw_up(self, request: Request) -> WorkflowHandle[Any, Proposal]:
        """Have its plan drawn up, and nothing done. Raises ``NobodyPollsError`` where no worker would answer."""
        await need_engine(self.client)
        await need_environment(self.client, self.subject.environment)
        return await self.client.start_workflow(
            PLAN,
            request,
            id=plan_id(self.subject, self.version),
            task_queue=ENGINE_QUEUE,
            result_type=Proposal,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"What {self.version} of {self.subject.service} would do in {self.subject.environment}",
            search_attributes=self._names("plan", {}),
        )

    def _names(self, story: str, more: Mapping[str, str]) -> TypedSearchAttributes:
        service, environment = self.subject.service, self.subject.environment
        names = {SERVICE: service, ENVIRONMENT: environment, STORY: story, RELEASE: self.version}
        return search_attributes({**names, **more})

    @in_words
    async def status(self) -> PromotionStatus:
        """Ask where it stands.

        Raises ``UsageError`` where it is not there, ``NobodyPollsError`` without an engine.
        """
        try:
            status = await hear_status(self._handle, PromotionStatus)
        except RPCError as error:
            if is_missing(error):
                raise self._missing() from error
            raise
        if status is None:
            raise NobodyPollsError(f"{self} is there, but {NO_ENGINE}. Start one: {START_ENGINE}")
        return status

    @in_words
    async def result(self) -> Report:
        """Wait for its end. Raises ``FailedError`` where it failed or was terminated: a person is needed."""
        try:
            return await self._handle.result()
        except WorkflowFailureError as failure:
            raise FailedError(
                f"The promotion of {self} did not end as foreseen: {_words(failure)}"
            ) from failure
        except RPCError as error:
            if is_missing(error):
                raise self._missing() from error
            raise

    async def approve(self, plan: str, *, by: str, comment: str = "", signed: Signature | None = None) -> str:
        """Approve a plan, by eight hex digits or more of its digest; hear what comes of it.

        ``signed`` is the person's signature, where the environment counts signed decisions; see ``sign``.
        """
        return await self._decide(Verdict.APPROVE, plan, by, comment, signed)

    async def reject(self, plan: str, *, by: str, comment: str = "", signed: Signature | None = None) -> str:
        """Reject a plan, likewise; before there is one, ``plan`` is empty."""
        return await self._decide(Verdict.REJECT, plan, by, comment, signed)

    @in_words
    async def send_decision(
        self,
        verdict: Verdict,
        plan: str,
        *,
        by: str,
        comment: str = "",
        signed: Signature | None = None,
    ) -> None:
        """Leave a decision as a bare signal. What comes of it is seen in the status alone."""
        answer = made(DecisionWord, by=by, plan=plan, comment=comment, signed=signed)
        await tell(self._handle, verdict, answer, self._over())

    def sign(
        self, signer: Signer, verdict: Verdict, proposal: Proposal, *, by: str, comment: str = ""
    ) -> Signature:
        """Sign a decision on the plan of a proposal that somebody has read.

        Raises ``DeclinedError`` where what was shown is not what its plan's digest stands for, and ``UsageError`` where
        the key cannot sign.
        """
        if why := why_altered(proposal):
            raise DeclinedError(f"The plan that {self} shows is not to be signed: {why}.")
        if (proposal.plan.subject, proposal.plan.version) != (self.subject, self.version):
            raise DeclinedError(f"The plan that {self} shows is one of {proposal.plan.subject}.")
        actor = made(Actor, name=by)
        decision = made(
            Decision,
            actor=actor,
            verdict=verdict,
            intent=proposal.plan.intent,
            at=proposal.drawn_up,
            comment=comment,
        )
        return signer.sign_decision(proposal, decision)

    @in_words
    async def steer(
        self, signal: Signal, *, by: str, comment: str = "", signed: WordSignature | None = None
    ) -> None:
        """Say hold, resume, retry or skip; the promotion passes it on to its change.

        ``signed`` is the person's signature, where the environment counts signed words; ``clients.steering`` makes it.
        """
        await tell(self._handle, signal, made(Word, by=by, comment=comment, signed=signed), self._over())

    @in_words
    async def cancel(self, *, by: str, reason: str = "") -> None:
        """Have it stopped, and what it has begun undone. Raises ``DeclinedError`` where it has ended."""
        try:
            if (await self._handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                raise DeclinedError(f"{self} has ended: there is nothing to cancel. See: {self.see}")
        except RPCError as error:
            if is_missing(error):
                raise self._missing() from error
            raise
        word = made(Word, by=by, comment=reason)
        await self._handle.cancel(
            reason=f"cancelled by {word.by}{f': {word.comment}' if word.comment else ''}"
        )

    @property
    def see(self) -> str:
        return f"towpath status {self.subject.service} {self.version} {self.subject.environment}"

    @property
    def take_back(self) -> str:
        return f"towpath cancel {self.subject.service} {self.version} {self.subject.environment}"

    @in_words
    async def _decide(
        self, verdict: Verdict, plan: str, by: str, comment: str, signed: Signature | None
    ) -> str:
        word = made(DecideWord, by=by, plan=plan, comment=comment, decision=verdict, signed=signed)
        return await decide(self._handle, word, self._over())

    def _missing(self) -> UsageError:
        subject = self.subject
        return UsageError(
            f"There is no promotion of {self}. The order is SERVICE VERSION ENVIRONMENT. What there is: towpath status "
            f"{subject.service}. To ask for it: towpath promote {subject.service} {self.version} {subject.environment}"
        )

    def _over(self) -> DeclinedError:
        """The server says the same of what never was and of what has ended, as far as signals go."""
        return DeclinedError(
            f"Nothing can be said to {self}: it has ended, or was never asked for. See: {self.see}"
        )


def _words(failure: WorkflowFailureError) -> str:
    cause = failure.cause
    said = getattr(cause, "message", None) or str(cause)
    return said if said.endswith((".", "!", "?")) else f"{said}."
