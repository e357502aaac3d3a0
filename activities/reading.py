"""What the workflows say when the environment's worker asks them, right before it acts."""

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple, TypeVar

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import LISTENING, Runs
from activities.attempts import caught
from activities.lanes import Caller, find_lane, gave
from domain.approval import Decision
from domain.attempt import Kind
from domain.gate import Freeze, Pin
from domain.logbook import is_about_a_gate
from domain.names import Subject, environment_id, promotion_id
from domain.outcome import Phase
from domain.override import Override
from domain.record import OverrideRecord, steered
from domain.status import EnvironmentStatus, PromotionStatus
from domain.terms import Story
from domain.value import Value
from domain.warrant import Warrant

StatusT = TypeVar("StatusT", bound=Value)


class Word(NamedTuple):
    """What was learned: the open turn, whether the asker still asks, the freeze, the pin, and who did not answer.

    ``open_turn`` is the caller's own; ``taken`` the turn that has the lane, whosever it is. ``decisions`` are all
    that the asker holds by now, which may be more than it gave along.
    """

    open_turn: int | None
    taken: int | None
    lane_listens: bool
    asking: bool
    freeze: Freeze | None
    pin: Pin | None
    unanswered: tuple[str, ...]
    promotion: PromotionStatus | None = None
    """What the promotion that asks says of itself, where it is one and still asks."""
    overrides: tuple[Override, ...] = ()
    tidings: tuple[OverrideRecord, ...] = ()
    """What people said of gates, where the environment's worker has not heard it before it counted."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Return what the promotion that asks was given until now."""
        return self.promotion.decisions if self.promotion else ()


class _Silence(Exception):
    """Somebody is there and does not answer."""


async def ask_around(
    caller: Caller, subject: Subject, warrant: Warrant, runs: Runs, *, gates: bool = True
) -> Word:
    """Look at the lane, and ask asker and, where its ``gates`` matter, environment, at once.

    Nobody there is an answer; a silence is said to be one.
    """
    lane, asker, environment = await asyncio.gather(
        _look_at_lane(caller, subject),
        _ask_asker(caller.client, warrant, runs),
        _ask(caller.client, environment_id(subject.environment), EnvironmentStatus) if gates else _nobody(),
        return_exceptions=True,
    )
    named = {
        "the lane": lane,
        warrant.asker or "the lane": asker,
        f"the environment {subject.environment}": environment,
    }
    for answer in named.values():
        if isinstance(answer, BaseException) and not isinstance(answer, _Silence):
            raise answer
    return Word(
        open_turn=lane.turn if isinstance(lane, _Seen) and lane.is_own else None,
        taken=lane.turn if isinstance(lane, _Seen) else None,
        lane_listens=lane is not None,
        asking=not (isinstance(asker, BaseException) or asker is None),
        freeze=environment.freeze if isinstance(environment, EnvironmentStatus) else None,
        pin=environment.pins.get(subject.service) if isinstance(environment, EnvironmentStatus) else None,
        unanswered=tuple(name for name, answer in named.items() if isinstance(answer, _Silence)),
        promotion=asker if isinstance(asker, PromotionStatus) else None,
        overrides=_overrides_of(environment, subject.service),
        tidings=_tidings_of(environment),
    )


class _Seen(NamedTuple):
    """A lane's open turn, and whether it was given to whoever asks."""

    turn: int | None
    is_own: bool


async def _look_at_lane(caller: Caller, subject: Subject) -> _Seen | None:
    try:
        lane = await find_lane(caller.client, subject)
        return lane and _Seen(lane.turn, await gave(lane, subject, caller))
    except RPCError as error:
        raise _Silence from error


def _overrides_of(environment: object, service: str) -> tuple[Override, ...]:
    known = environment.overrides if isinstance(environment, EnvironmentStatus) else ()
    return tuple(one for one in known if one.service == service)


def _tidings_of(environment: object) -> tuple[OverrideRecord, ...]:
    if not isinstance(environment, EnvironmentStatus) or environment.guarded:
        return ()
    return tuple(one for one in steered(environment.records) if is_about_a_gate(one))


async def _nobody() -> None:
    """Ask nobody."""


class _Somebody:
    """Asks, and has no workflow to be asked back."""


async def _ask_asker(client: Client, warrant: Warrant, runs: Runs) -> PromotionStatus | _Somebody | None:
    """Return who asks, or None where nobody does.

    A promotion is asked back: by its own id, and for the very decisions that it was given.

    Whoever asks a lane for a rollback or an adoption has no workflow to be asked.
    """
    request = warrant.request
    if request.story is not Story.PROMOTION:
        return _Somebody()
    if warrant.asker != promotion_id(request.subject, request.version or ""):
        return None
    status = await _ask_promotion(client, warrant.asker, runs)
    if status is None or status.request != request:
        return None
    if (status.subject, status.version) != (request.subject, request.version):
        return None
    given = [decision.but(comment="") for decision in status.decisions]
    if made_up := [decision for decision in warrant.decisions if decision.but(comment="") not in given]:
        name = made_up[0].actor.name
        caught(Kind.WARRANT, f"{warrant.asker} was given no such decision by {name}", name)
        return None
    return status if _has_asked(status, warrant) else None


def _has_asked(status: PromotionStatus, warrant: Warrant) -> bool:
    if status.phase is not Phase.IN_LANE and not status.number:
        caught(Kind.WARRANT, f"{warrant.asker} has not asked for it yet", warrant.request.actor.name)
    return status.phase is Phase.IN_LANE


async def _ask_promotion(client: Client, workflow_id: str, runs: Runs) -> PromotionStatus | None:
    """Ask the run that is known, as long as that runs; else whichever runs now, and look up which that is."""
    run = runs.of(workflow_id)
    status = await _ask(client, workflow_id, PromotionStatus, run) if run else None
    if status is None:
        status, run = await asyncio.gather(
            _ask(client, workflow_id, PromotionStatus), _run_of(client, workflow_id)
        )
    if status is None or run is None:
        return None
    if status.run != run:
        raise _Silence  # it was reset just now; or it says that it is another
    runs.note(workflow_id, run)
    return status


async def _run_of(client: Client, workflow_id: str) -> str:
    """Return the run that goes by this id, by the server's own word."""
    try:
        return (await client.get_workflow_handle(workflow_id).describe(rpc_timeout=LISTENING)).run_id
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return ""
        raise _Silence from error


async def _ask(
    client: Client, workflow_id: str, status: type[StatusT], run: str | None = None
) -> StatusT | None:
    handle = client.get_workflow_handle(workflow_id, run_id=run)
    asking: Awaitable[StatusT] = handle.query(
        "status", result_type=status, reject_condition=QueryRejectCondition.NOT_OPEN, rpc_timeout=LISTENING
    )
    try:
        return await asking
    except WorkflowQueryRejectedError:
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise _Silence from error
    except WorkflowQueryFailedError as error:
        raise _Silence from error
