"""A release is walked from environment to environment: a promotion each, started here or joined."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from workflows.doorkeeper import BadStartError, NotBegunError, RefusedError, read_value, why_cancelled

with workflow.unsafe.imports_passed_through():
    from activities.crossing import CrossingActivities
    from domain.actor import Actor, Channel
    from domain.names import (
        ACTOR,
        ENGINE_QUEUE,
        OUTCOME,
        PHASE,
        RELEASE,
        SERVICE,
        STORY,
        Subject,
        effects_queue,
        names_in,
        promotion_id,
        read_id,
        way_id,
    )
    from domain.outcome import Outcome, Phase
    from domain.record import JudgementRecord, OutcomeRecord, OverrideRecord
    from domain.road import (
        Road,
        Stand,
        Stop,
        WalkRequest,
        Waymark,
        arrived,
        circle_in,
        end_of,
        in_order,
        leaving,
        ready,
        stop_at,
        unasked,
        under_way,
        with_stop,
    )
    from domain.status import PipelineStatus, Report, WalkReport
    from domain.telling import tell_pipeline
    from domain.terms import Request
    from domain.value import Value
    from workflows import patience
    from workflows.chronicle import Chronicle, Memory, publish
    from workflows.errand import errand
    from workflows.silence import notice_silence
    from workflows.steering import wants_new_run
    from workflows.undisturbed import heed_cancel

PIPELINE: Final = "pipeline"
LONGEST_WHY: Final = 1000
"""Letters of one environment's reason: twenty of them still fit into a status."""


class Carried(Value):
    """What a walk takes along when it goes on in a new run."""

    road: Road
    memory: Memory


Ending = tuple[Outcome, str]


@workflow.defn
class PipelineWorkflow:
    """Asks each environment what lies before it, and then walks that road. It decides nothing: promotions do.

    Promotions outlive it: cancelling a walk ends the walk, and nothing that is under way.
    """

    def __init__(self) -> None:
        self._service, self._version = names_in(workflow.info().workflow_id, 2)
        self._request: WalkRequest | None = None
        self._road: Road = ()
        self._walks: dict[str, asyncio.Task[Report]] = {}
        self._ending: Ending | None = None
        self._log = Chronicle(Phase.PREPARING)

    # The story.

    @workflow.run
    async def run(self, request: Any = None, carried: Any = None) -> WalkReport:
        self._begin(request, carried)
        try:
            ending = await self._survey() or await self._walk()
        except asyncio.CancelledError:
            ending = self._stopped()
        return self._end(ending)

    async def _survey(self) -> Ending | None:
        """Ask from the end of the road back to its beginning, each environment of its own worker."""
        while environment := unasked(self._road, self._asked.through):
            waymark = await self._ask_way(environment)
            if waymark.refusal:
                return Outcome.REFUSED, f"{environment}: {waymark.refusal}"
            self._road = (*self._road, stop_at(waymark))
        if circle := circle_in(self._road):
            return Outcome.REFUSED, circle
        self._road = in_order(self._road)
        return None

    async def _walk(self) -> Ending:
        """Set out for every environment that nothing keeps us from; end where all is reached, or one is not."""
        self._log.enter(Phase.WALKING, f"through {' and '.join(self._asked.through)}")
        publish({PHASE: Phase.WALKING})
        for environment in under_way(self._road):  # set out for in an earlier run
            self._join(environment)
        while True:
            for environment, walked in list(self._walks.items()):
                if walked.done():
                    await self._arrive(environment, self._walks.pop(environment))
            if ending := self._end_reached() or await self._go_on():
                return ending
            await workflow.wait_condition(self._has_arrived_or_wants_new_run)
            if not self._has_arrived():
                self._go_on_in_a_new_run()

    async def _go_on(self) -> Ending | None:
        for stop in ready(self._road):
            await self._set_out(stop)
        return self._end_reached()

    async def _set_out(self, stop: Stop) -> None:
        """Ask for the promotion, in the name of whoever asked for the walk; where it is under way already, join it."""
        environment = stop.environment
        started = await errand(
            CrossingActivities.set_out, self._request_for(environment), f"ask {environment}"
        )
        if started.refusal:
            self._road = with_stop(self._road, arrived(stop, Outcome.REFUSED, started.refusal))
            return
        self._road = with_stop(self._road, stop.but(stand=Stand.UNDER_WAY, joined=started.joined))
        self._join(environment)
        # A cancel that came while it was being started has not been raised anywhere.
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError

    def _join(self, environment: str) -> None:
        """Wait for a promotion, whoever started it and wherever it lives."""
        self._walks[environment] = workflow.start_activity_method(
            CrossingActivities.join,
            promotion_id(self._subject(environment), self._version),
            task_queue=ENGINE_QUEUE,
            start_to_close_timeout=patience.JOINING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            summary=f"wait for {self._version} in {environment}",
        )

    async def _arrive(self, environment: str, walked: "asyncio.Task[Report]") -> None:
        """Take note of how a promotion ended. One that ended without an outcome needs a person, and so do we."""
        try:
            report = await walked
        except ActivityError as failure:
            raise _lost(self._version, self._subject(environment), failure) from failure
        stop = next(stop for stop in self._road if stop.environment == environment)
        self._road = with_stop(self._road, arrived(stop, report.outcome, report.why[:LONGEST_WHY]))
        self._log.record(
            JudgementRecord(
                at=workflow.now(),
                of=environment,
                passed=report.outcome in {Outcome.PROMOTED, Outcome.NOTHING_TO_DO},
                sentences=(f"{report.outcome}{f': {report.why}' if report.why else ''}"[:LONGEST_WHY],),
            )
        )

    def _stopped(self) -> Ending:
        """Somebody cancelled the walk. Whatever is under way goes on."""
        why = why_cancelled() or "cancelled"
        somebody = Actor(name="somebody who cancelled the workflow", channel=Channel.ENGINE)
        self._log.record(OverrideRecord(at=workflow.now(), actor=somebody, did="cancel", comment=why))
        left = leaving(self._road)
        return Outcome.CANCELLED, f"{why}; {left}" if left else why

    # Asking the way.

    async def _ask_way(self, environment: str) -> Waymark:
        """Have the environment's own worker say what lies before it; say so where nobody does."""
        self._log.enter(Phase.PREPARING, f"the way to {environment}")
        asking = workflow.start_activity_method(
            CrossingActivities.ask_way,
            self._request_for(environment),
            task_queue=ENGINE_QUEUE,
            start_to_close_timeout=patience.JOINING,
            heartbeat_timeout=patience.HEARTBEAT,
            retry_policy=patience.TRY_SOON,
            summary=f"what lies before {environment}?",
        )
        try:
            await workflow.wait_condition(asking.done, timeout=patience.NOTICE_AFTER)
        except TimeoutError:
            way = way_id(self._subject(environment), self._version)
            await notice_silence(self._log, CrossingActivities.why_no_way, way, effects_queue(environment))
            heed_cancel()
            await workflow.wait_condition(lambda: asking.done() or wants_new_run())
            if not asking.done():
                self._go_on_in_a_new_run()
        return await asking

    # Its doors.

    @workflow.signal(
        dynamic=True, description="A walk takes no signals: cancel it, or speak to its promotions"
    )
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "a walk takes no signals: cancel it, or speak to the promotion of the environment"
        raise RefusedError(message)

    @workflow.query
    def status(self) -> PipelineStatus:
        outcome, why = self._ending or (None, "")
        return PipelineStatus(
            service=self._service,
            version=self._version,
            phase=self._log.phase,
            since=self._log.since,
            waits_for=self._log.waits_for,
            remedy=self._log.remedy,
            request=self._request,
            road=self._road,
            refused=self._log.refused,
            outcome=outcome,
            why=why,
            records=self._log.chain.records,
            head=self._log.chain.head,
        )

    def refused(self, door: str, why: str, claimed: str = "") -> None:
        self._log.refuse(door, why, claimed)

    # Its beginning and its end.

    def _begin(self, request: object, carried: object) -> None:
        service, version = read_id(workflow.info().workflow_id, PIPELINE)
        asked = read_value(request, WalkRequest)
        if (asked.service, asked.version) != (service, version):
            message = (
                f"The request is for {asked.version} of {asked.service}, and the workflow id for {version} "
                f"of {service}."
            )
            raise BadStartError(message)
        self._request = asked
        if carried is not None:
            state = read_value(carried, Carried)
            self._road = state.road
            self._log.remember(state.memory)

    def _end(self, ending: Ending) -> WalkReport:
        outcome, why = self._ending = ending
        self._log.record(OutcomeRecord(at=workflow.now(), outcome=outcome, why=why))
        self._log.enter(Phase.ENDED)
        publish(
            {
                SERVICE: self._service,
                STORY: PIPELINE,
                RELEASE: self._version,
                ACTOR: self._asked.actor.name,
                PHASE: Phase.ENDED,
                OUTCOME: outcome,
            }
        )
        return WalkReport(
            service=self._service,
            version=self._version,
            through=self._asked.through,
            outcome=outcome,
            why=why,
            road=self._road,
            head=self._log.chain.head,
        )

    def _go_on_in_a_new_run(self) -> None:
        """Promotions under way are joined there: only a run that started them is their parent."""
        workflow.continue_as_new(args=[self._asked, Carried(road=self._road, memory=self._log.memory)])

    def _end_reached(self) -> Ending | None:
        return end_of(self._road, self._asked.through)

    def _has_arrived(self) -> bool:
        return any(walked.done() for walked in self._walks.values())

    def _has_arrived_or_wants_new_run(self) -> bool:
        return self._has_arrived() or wants_new_run()

    @property
    def _asked(self) -> WalkRequest:
        if self._request is None:
            message = "A walk that has not begun was asked where it leads."
            raise NotBegunError(message)
        return self._request

    def _subject(self, environment: str) -> Subject:
        return Subject(service=self._service, environment=environment)

    def _request_for(self, environment: str) -> Request:
        return self._asked.to(environment)

    def details(self) -> str:
        return tell_pipeline(self.status())


def _lost(version: str, subject: Subject, failure: FailureError) -> ApplicationError:
    cause = failure.cause
    why = getattr(cause, "message", None) or str(cause or failure)
    return ApplicationError(
        f"The promotion of {version} of {subject} ended without an outcome: {why.rstrip('.')}. See what stands there "
        f"(towpath status {subject.service} {subject.environment}), then walk again.",
        type="Lost",
        non_retryable=True,
    )
