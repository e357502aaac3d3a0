"""Noting what no honest use brings about, where an environment's worker meets it; nothing about the work is changed."""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.attempts import Attempts, Caught, watched
from activities.ports import Clock
from activities.refusing import NOT_CLEARED, OVER
from domain.attempt import SAYS, Kind
from domain.attempt_telling import Tried
from domain.logbook import Attempt, Doer
from domain.names import Subject
from domain.order import Account, LookOrder, ProofOrder, StepOrder
from domain.refusal import Refusal
from domain.review import ReviewOrder
from domain.saying import Saying
from domain.statement import Statement
from domain.terms import Request
from domain.warrant import Warrant
from domain.workflow_types import CHANGE, ENVIRONMENT_WORKFLOW, LANE, PLAN, PROMOTION, REVIEW, WAY
from workers.doubting import Task, why_ended, why_no_change
from workflows.counting import ATTEMPTS

OURS: Final = frozenset(
    {
        CHANGE,
        ENVIRONMENT_WORKFLOW,
        LANE,
        PLAN,
        PROMOTION,
        REVIEW,
        WAY,
    }
)
"""The kinds of workflow that order anything of an environment's worker."""


class Watching(Interceptor):
    """Notes attempts. Of one activity what is foremost: who ordered it, else what was refused, else what was found."""

    def __init__(self, client: Client, environment: str, attempts: Attempts, clock: Clock) -> None:
        self._client = client
        self._environment = environment
        self._attempts = attempts
        self._clock = clock

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _Watch(next, self)

    def ended(self, found: Sequence[Caught], refused: ApplicationError | None, args: Sequence[Any]) -> None:
        """Take note of how the activity that runs now has ended, which was given this."""
        foremost = [*_strange(), *(_forbidden(refused) if refused else [])][:1]
        for one in foremost or dict.fromkeys(found):
            counter = activity.metric_meter().create_counter(ATTEMPTS, "What no honest use brings about")
            counter.add(1, {"environment": self._environment, "kind": one.kind})
            self._attempts.note(self._tried(one, args))
        if refused and not (foremost or found) and refused.type in {NOT_CLEARED, OVER}:
            tried = self._tried(Caught(Kind.STRANGER, refused.message, "", ""), args)
            self._attempts.doubt(tried, partial(why_no_change, self._client, tried.attempt.by))

    def taken_away(self, args: Sequence[Any]) -> None:
        """Have it looked up why the server knows nothing any more of the activity that runs now."""
        info = activity.info()
        tried = self._tried(Caught(Kind.EVIDENCE, "a worker was still at it", "", ""), args)
        task = Task(tried.attempt.by, info.activity_id, info.attempt)
        self._attempts.doubt(tried, partial(why_ended, self._client, task))

    def _tried(self, what: Caught, args: Sequence[Any]) -> Tried:
        info, about = activity.info(), _about(args)
        doer = Doer(workflow_id=info.workflow_id or "", run=info.workflow_run_id or "")
        attempt = Attempt(
            at=self._clock.now(),
            environment=self._environment,
            subject=about.subject,
            what=f"{SAYS[what.kind]} ({info.activity_type})",
            by=Doer(workflow_id=what.by) if what.by else doer,
            claimed=what.claimed or about.claimed,
            why=what.why,
        )
        return Tried(what.kind, attempt, self._client.namespace)


class _Watch(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, watching: Watching) -> None:  # noqa: A002  # likewise
        super().__init__(next)
        self._watching = watching

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # likewise
        refused: ApplicationError | None = None
        with watched() as found:
            try:
                return await self.next.execute_activity(input)
            except ApplicationError as error:
                refused = error
                raise
            except asyncio.CancelledError:
                details = activity.cancellation_details()
                if details and details.not_found:
                    self._watching.taken_away(input.args)
                raise
            finally:
                self._watching.ended(found, refused, input.args)


def _strange() -> Iterator[Caught]:
    kind = activity.info().workflow_type
    if kind not in OURS:
        yield Caught(Kind.STRANGER, f"it comes from a workflow of the kind “{kind}”", "", "")


def _forbidden(error: ApplicationError) -> Iterator[Caught]:
    match error:
        case ApplicationError(type=type_, details=[Refusal() as refusal, *_]) if type_ == NOT_CLEARED:
            if refusal.attempt:
                yield Caught(refusal.attempt, refusal.why, "", "")
        case _:
            pass


class _About(NamedTuple):
    subject: Subject | None = None
    claimed: str = ""


def _about(args: Sequence[Any]) -> _About:
    """Say what an activity was asked about, and in whose name."""
    match args:
        case [Saying(service=str() as service) as saying]:
            about = _About(Subject(service=service, environment=saying.environment), saying.by)
        case [Saying(by=by) | ProofOrder(statement=Statement(by=by))]:
            about = _About(None, by)
        case [ReviewOrder(subject=subject, word=word)]:
            about = _About(subject, word.by)
        case [Subject() as subject]:
            about = _About(subject)
        case [order]:
            about = _of_request(order)
        case _:
            about = _About()
    return about


def _of_request(order: object) -> _About:
    match order:
        case Request() as request:
            return _About(request.subject, request.actor.name)
        case Warrant(request=request) | StepOrder(warrant=Warrant(request=request)):
            return _About(request.subject, request.actor.name)
        case LookOrder(warrant=Warrant(request=request)) | Account(warrant=Warrant(request=request)):
            return _About(request.subject, request.actor.name)
        case _:
            return _About()
