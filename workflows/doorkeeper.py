"""The safety net at every door: no message wedges or kills a workflow; what is refused is remembered and shown."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import TypeAdapter, ValidationError
from temporalio import workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from domain.actor import PersonName
from domain.attempt import Kind
from domain.doors import LARGEST_MESSAGE
from domain.names import MisnamedWorkflowError, Subject, read_id
from domain.terms import Request, Story
from domain.value import Value
from domain.workflow_types import CHANGE, ENVIRONMENT_WORKFLOW, LANE
from workflows.counting import count_attempt

ModelT = TypeVar("ModelT", bound=Value)
LONGEST_REASON: Final = 400
"""Bytes."""
LONGEST_CANCEL: Final = 2000
"""Bytes. A cancel comes by no door of ours: only here is it cut to what a comment may be."""
LONGEST_NAME: Final = 80
"""Bytes, of a name that nobody has proven."""
RUN_ARGUMENTS: Final = 2
"""What it is about, and the state carried over from an earlier run."""
NOT_BY_HAND: Final = frozenset({CHANGE, ENVIRONMENT_WORKFLOW, LANE})
"""Kinds of workflow that nobody starts by hand, but for an empty lane or environment."""


class RefusedError(Exception):
    """A message is not taken, for the reason that its text says. Never leaves the workflow."""


class PosedError(RefusedError):
    """What came is in somebody's name, and nobody honest would send it."""

    def __init__(self, why: str, kind: Kind, claimed: str) -> None:
        super().__init__(why)
        self.kind = kind
        self.claimed = claimed


class NotBegunError(RuntimeError):
    """A workflow was asked what it knows only once it has begun: a mistake in its code, which waits for its mending."""


class BadStartError(Exception):
    """A workflow was started in a way that it cannot go on from. It fails, with this sentence."""


@runtime_checkable
class HasDoors(Protocol):
    """A workflow that remembers what it refused."""

    def refused(self, door: str, why: str, claimed: str = "") -> None: ...


@runtime_checkable
class HasDetails(Protocol):
    """A workflow that says in Markdown where it stands, for the Temporal UI."""

    def details(self) -> str: ...


def read_message(raw: RawValue, model: type[ModelT]) -> ModelT:
    """Read what a person wrote, strictly. Raises ``RefusedError`` with a sentence."""
    size = len(raw.payload.data)
    if size > LARGEST_MESSAGE:
        message = f"it is {size} bytes long, and {LARGEST_MESSAGE} are the most that are read"
        raise RefusedError(message)
    return read_value(workflow.payload_converter().from_payload(raw.payload), model, strict=True)


def read_request(content: object, kind: str) -> Request:
    """Read the request that a workflow was started with, which has to be for what its id names.

    Raises ``RefusedError`` or ``BadStartError`` with a sentence.
    """
    service, environment, version = read_id(workflow.info().workflow_id, kind)
    subject = Subject(service=service, environment=environment)
    asked = read_value(content, Request)
    if (asked.story, asked.subject, asked.version) != (Story.PROMOTION, subject, version):
        message = (
            f"The request is for {asked.version or 'no version'} of {asked.subject} ({asked.story}), "
            f"and the workflow id for {version} of {subject}."
        )
        raise BadStartError(message)
    return asked


def read_value(content: object, model: type[ModelT], *, strict: bool = False) -> ModelT:
    """Read a value of our own that came as JSON. Raises ``RefusedError`` with a sentence."""
    if not isinstance(content, dict):
        message = (
            f"it is {_kind(content)}, where one JSON object is wanted, with: {', '.join(model.model_fields)}"
        )
        raise RefusedError(message)
    try:
        return model.model_validate(content, extra="forbid" if strict else "ignore")
    except ValidationError as error:
        raise RefusedError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """Say in words what does not fit, a clause for each field."""
    clauses = [
        f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg'].lower()}" for fault in error.errors()[:5]
    ]
    return "; ".join(clauses)


def shortened(text: str, longest: int = LONGEST_REASON) -> str:
    """Cut a text so that twenty of them, in any script, fit into one answer."""
    return text.encode(errors="replace")[:longest].decode(errors="ignore")


def why_cancelled() -> str:
    """Return in whose words this workflow was cancelled, as much of them as every answer has room for; or nothing."""
    return shortened(workflow.cancellation_reason() or "", LONGEST_CANCEL)


def _kind(content: object) -> str:
    match content:
        case None:
            return "null"
        case bytes() | RawValue():
            return "binary"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case _:
            return "a list"


class Sighting(NamedTuple):
    """What no honest use brings about, seen at a door."""

    kind: Kind
    door: str
    why: str
    claimed: str
    workflow_id: str
    run: str
    namespace: str


_NAME: Final[TypeAdapter[str]] = TypeAdapter(PersonName)
Witness = Callable[[Sighting], None]
"""Hears of sightings, from any thread, and of none twice by a replay; a task that is done again may repeat one."""


def unseen(_: Sighting) -> None:
    """Where nobody is told."""


_see_now: ContextVar[Callable[[Kind, str, str, str], None]] = ContextVar("see_now")


def see(kind: Kind, door: str, why: str, claimed: str) -> None:
    """Have people told of what came by a door, and turns out later to be what no honest use brings about."""
    _see_now.get()(kind, door, why, claimed)


class _Doorkeeper(WorkflowInboundInterceptor):
    _entered = False
    _witness: Witness = staticmethod(unseen)

    def _see(self, kind: Kind, door: str, why: str, claimed: str = "") -> None:
        """Tell of it outside of the workflow, which does not change by it."""
        if not workflow.unsafe.is_replaying_history_events():
            here = workflow.info()
            count_attempt(kind)
            seen = Sighting(kind, door, why, claimed, here.workflow_id, here.run_id, here.namespace)
            self._witness(seen)

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        if len(input.args) > RUN_ARGUMENTS:
            message = f"It takes one JSON object to start this; {len(input.args)} inputs came."
            raise ApplicationError(message, type="BadStart", non_retryable=True)
        # A cron schedule or a retry would pass off hand-made carried state as an earlier run's.
        if workflow.info().cron_schedule or workflow.info().retry_policy:
            message = "This is started once: without a cron schedule, and without retries."
            raise ApplicationError(message, type="BadStart", non_retryable=True)
        input.args = [*input.args, *[None] * (RUN_ARGUMENTS - len(input.args))]
        self._entered = True
        _see_now.set(self._see)
        try:
            _refuse_carried_by_hand(input.args)
            return await super().execute_workflow(input)
        except (BadStartError, MisnamedWorkflowError, RefusedError) as error:
            if workflow.info().workflow_type in NOT_BY_HAND or _is_carried_by_hand(input.args):
                self._see(Kind.START, "start", str(error))
            raise ApplicationError(str(error), type="BadStart", non_retryable=True) from None

    async def handle_signal(self, input: HandleSignalInput) -> None:
        # What arrives in a run's first task would be heard before ``run`` has taken up what was carried over.
        if not self._entered:
            await workflow.wait_condition(lambda: self._entered)
        try:
            # The catch-all is given the signal's name and all inputs: it refuses for itself.
            if workflow.get_signal_handler(input.signal):
                _one_object(input.args)
            await super().handle_signal(input)
        # Whatever a handler raises would otherwise wedge the workflow, or fail it: a signal's sender hears nothing.
        except Exception as error:
            why = shortened(str(error))
            workflow.logger.warning("message_refused", extra={"door": input.signal[:80], "why": why})
            if isinstance(error, PosedError):
                self._see(error.kind, input.signal, str(error), error.claimed)
            instance = workflow.instance()
            if isinstance(instance, HasDoors):
                instance.refused(input.signal[:80], why, _claimed_in(input.args))

    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer = await super().handle_query(input)
        if isinstance(answer, WorkflowMetadata):
            instance = workflow.instance()
            # Written when somebody looks, and not at every step: hardly any of it would ever be read.
            with suppress(Exception):  # a workflow that could not begin knows nothing of itself
                answer.current_details = instance.details() if isinstance(instance, HasDetails) else ""
        return answer

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        try:
            return await super().handle_update_handler(input)
        except FailureError:
            raise
        except Exception as error:
            raise ApplicationError(shortened(str(error)), type="Refused", non_retryable=True) from None

    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        _one_object(input.args)
        try:
            super().handle_update_validator(input)
        except ApplicationError as error:
            if isinstance(posed := error.__cause__, PosedError):
                self._see(posed.kind, input.update, str(posed), posed.claimed)
            raise


def _is_carried_by_hand(args: Sequence[object]) -> bool:
    """Tell whether somebody has made up the state of an earlier run."""
    return args[RUN_ARGUMENTS - 1] is not None and not workflow.info().continued_run_id


def _refuse_carried_by_hand(args: Sequence[object]) -> None:
    if _is_carried_by_hand(args):
        message = "Two inputs came. State is carried over from an earlier run only, never by hand: start it with one."
        raise BadStartError(message)


def _claimed_in(args: Sequence[object]) -> str:
    """Return in whose name a message came that was not taken; nothing where it holds no name that could be one."""
    raw = next((one for one in args if isinstance(one, RawValue)), None)
    if raw is None or len(raw.payload.data) > LARGEST_MESSAGE:
        return ""
    try:
        content = workflow.payload_converter().from_payload(raw.payload)
        name = _NAME.validate_python(content.get("by") if isinstance(content, dict) else None)
    # What it was refused for may be that nobody can read it, in whatever way: raised here, that would wedge.
    except Exception:
        return ""
    return shortened(name, LONGEST_NAME)


def _one_object(args: Sequence[object]) -> None:
    if len(args) != 1:
        message = f"{len(args) or 'no'} inputs came, where one JSON object is wanted"
        raise RefusedError(message)


class Doorkeeper(Interceptor):
    """Give this to every worker and replayer of our workflows."""

    def __init__(self, witness: Witness = unseen) -> None:
        self._kind = type("_Doorkeeper", (_Doorkeeper,), {"_witness": staticmethod(witness)})

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        del input
        return self._kind
