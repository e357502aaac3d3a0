"""What workflows have carried between one another: quick, and of no authority."""

from typing import Final

from temporalio import activity
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowQueryRejectedError
from temporalio.common import (
    QueryRejectCondition,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.asking import Runs
from activities.labels import search_attributes
from activities.lanes import is_run_by_engine
from activities.ports import Alarm, Notifier
from activities.spaces import Spaces
from domain.answer import OwnWord, Told
from domain.names import (
    ENGINE_QUEUE,
    ENVIRONMENT,
    PHASE,
    SERVICE,
    STORY,
    Subject,
    environment_id,
    environment_of,
    lane_id,
)
from domain.order import Call
from domain.outcome import Phase
from domain.status import LaneStatus, PromotionStatus
from domain.value import Value
from domain.workflow_types import LANE, PROMOTION

ASK: Final = "ask"
WITHDRAW: Final = "withdraw"
STEER: Final = "steer"
AWAKE: Final = "awake"
STUCK: Final = "stuck"
YIELD_SOAK: Final = "yield_soak"
TOLD: Final = "told"
ASK_AGAIN: Final = "ask_again"
TELL_OF_THAW: Final = "tell_of_thaw"
GATE_OPENED: Final = "gate_opened"
HAS_RUN: Final = 4
"""Events: with fewer a workflow's first task is not done, as where it was started with a delay. It answers nothing."""


class LaneMessage(Value):
    """One of the verbs that a lane understands, with its value as JSON."""

    subject: Subject
    verb: str
    content: dict[str, object] = {}


class TellOrder(Value):
    """An answer for an asker that may have gone."""

    asker: str
    told: Told


class WaitersOrder(Value):
    """Find who waits for this lane, but for those it knows."""

    subject: Subject
    known: tuple[str, ...] = ()


class ThawOrder(Value):
    """Promotions that asked to be told when the gate opens."""

    waiting: tuple[str, ...]


class Hearing(Value):
    """A question: what did the lane answer to this asker's ask of that number and mark."""

    subject: Subject
    asker: str
    number: int
    ask: str = ""


class Silence(Value):
    """A workflow has heard nothing from this queue."""

    workflow_id: str
    queue: str


class WhySilent(Value):
    """Why there is no answer, and the command that helps."""

    text: str
    remedy: str


class ThawRequest(Value):
    environment: str
    asker: str


class ErrandActivities:
    """Errands of the engine's queue. All may run twice: whoever is told knows what it was told before."""

    def __init__(self, notifier: Notifier, spaces: Spaces | None = None) -> None:
        self._notifier = notifier
        self._spaces = spaces
        self._lanes = Runs()

    @activity.defn
    async def ask_lane(self, message: LaneMessage) -> None:
        """Say something to a lane; a lane that is not there is born of it."""
        await lane_message(activity.client(), message.subject, message.verb, message.content)

    @activity.defn
    async def tell(self, order: TellOrder) -> None:
        """Give an asker its answer. One that is gone needs none."""
        await _signal(activity.client(), order.asker, TOLD, order.told)

    @activity.defn
    async def hear_lane(self, hearing: Hearing) -> Told | None:
        """Return what the lane itself says that it answered, or None where it says nothing of the kind.

        Whoever can signal can say anything; a lane's own word is known from the lane.
        """
        status = await self._lane_status(hearing.subject)
        return status.answer_to(hearing.asker, hearing.number, hearing.ask) if status else None

    @activity.defn
    async def hear_promotion(self, asker: str) -> OwnWord:
        """Return what a promotion itself says of its turn. One that the engine's worker does not run is none."""
        promotion = activity.client().get_workflow_handle(asker)
        try:
            found = await promotion.describe()
            if not is_run_by_engine(found, PROMOTION):
                return OwnWord(known=False)
            if found.history_length < HAS_RUN:
                return OwnWord(waits=False)
            status = await promotion.query(
                "status", result_type=PromotionStatus, reject_condition=QueryRejectCondition.NOT_OPEN
            )
        except WorkflowQueryRejectedError:
            return OwnWord(open=False)
        except RPCError as error:
            if error.status not in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                raise
            return OwnWord(known=False)
        waits = status.phase is Phase.IN_LANE
        return OwnWord(
            waits=waits,
            number=status.number,
            since=status.asked_at,
            mark=status.ask,
            withdrawal=status.withdrawal,
        )

    @activity.defn
    async def hear_yieldings(self, subject: Subject) -> list[str]:
        """Return what the lane itself says whom the soak under way was told to make way for, the newest last."""
        status = await self._lane_status(subject)
        return list(status.yieldings) if status else []

    @activity.defn
    async def call_back(self, asker: str) -> None:
        """Have a promotion ask its lane again. One that is gone need not."""
        await _signal(activity.client(), asker, ASK_AGAIN, {})

    @activity.defn
    async def call_waiters(self, order: WaitersOrder) -> None:
        """Have every promotion that still runs for this subject ask its newborn lane again."""
        query = (
            f"{SERVICE}='{order.subject.service}' AND {ENVIRONMENT}='{order.subject.environment}' "
            f"AND {STORY}='promotion' AND ExecutionStatus='Running'"
        )
        async for found in activity.client().list_workflows(query):
            if found.id not in order.known:
                await _signal(activity.client(), found.id, ASK_AGAIN, {})

    @activity.defn
    async def hear_of_thaw(self, order: ThawRequest) -> bool:
        """Ask the environment to tell when it thaws. False: nobody is there, so nothing is frozen."""
        return await _signal(
            activity.client(), environment_id(order.environment), TELL_OF_THAW, {"asker": order.asker}
        )

    @activity.defn
    async def tell_of_thaw(self, order: ThawOrder) -> None:
        for asker in order.waiting:
            await _signal(activity.client(), asker, GATE_OPENED, {})

    @activity.defn
    async def why_silent(self, waiting: Silence) -> WhySilent | None:
        """Say why an environment has not answered a workflow yet: nobody there, or failing. None: it is at work."""
        environment = environment_of(waiting.queue)
        here = activity.info().workflow_namespace
        there = self._spaces.said_of(environment) if self._spaces else ""
        if there and there != f"the namespace “{here}”":
            why = f"{environment} lives in {there}, and this is “{here}”: nothing comes of it here"
            return WhySilent(text=why, remedy=f"temporal workflow cancel -n {here} -w {waiting.workflow_id}")
        return await why_silent_at(activity.client(), waiting)

    @activity.defn
    async def call_person(self, call: Call) -> None:
        """Raise an alarm. The same key twice is one alarm."""
        await self._notifier.call(Alarm(call.subject, call.headline, call.remedy, call.key, call.event))

    async def _lane_status(self, subject: Subject) -> LaneStatus | None:
        """Return what a lane says of itself, or None where the engine's worker runs none.

        It is asked by its run: whoever has taken its place since is not asked.
        """
        client, lane = activity.client(), lane_id(subject)
        run = self._lanes.of(lane)
        status = await _status_of(client, lane, run, QueryRejectCondition.NOT_OPEN) if run else None
        if status is None and (run := await _engines_run_of(client, lane)):
            self._lanes.note(lane, run)
            status = await _status_of(client, lane, run)
        return status


async def _engines_run_of(client: Client, lane: str) -> str:
    """Return in which run the engine's worker runs a lane, or nothing where it runs none."""
    try:
        found = await client.get_workflow_handle(lane).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return ""
    return found.run_id if is_run_by_engine(found, LANE) else ""


async def _status_of(
    client: Client, lane: str, run: str, reject: QueryRejectCondition | None = None
) -> LaneStatus | None:
    handle = client.get_workflow_handle(lane, run_id=run)
    try:
        status: LaneStatus = await handle.query("status", result_type=LaneStatus, reject_condition=reject)
    except WorkflowQueryRejectedError:
        return None
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    return status


async def why_silent_at(client: Client, waiting: Silence) -> WhySilent | None:
    """Say why nothing came from a queue yet, by the workflow that waits for it. None: somebody is at work."""
    description = await client.get_workflow_handle(waiting.workflow_id).describe()
    for pending in description.raw_description.pending_activities:
        if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED:
            return None
        if pending.last_failure.message:
            why = f"its worker tries again and again, and fails: {pending.last_failure.message}"
            return WhySilent(text=why, remedy="towpath doctor")
    environment = environment_of(waiting.queue)
    why = f"nobody asks {waiting.queue} for work"
    return WhySilent(text=why, remedy=f"towpath worker --environments {environment}")


async def lane_message(client: Client, subject: Subject, verb: str, content: dict[str, object]) -> None:
    """Say something to a lane; a lane that is not there is born of it."""
    # Nearly always it is there, and a signal alone takes half the time of one that may have to start it.
    if await _signal(client, lane_id(subject), verb, content):
        return
    names = {
        SERVICE: subject.service,
        ENVIRONMENT: subject.environment,
        STORY: "lane",
        PHASE: Phase.IDLE,
    }
    await client.start_workflow(
        LANE,
        id=lane_id(subject),
        task_queue=ENGINE_QUEUE,
        start_signal=verb,
        start_signal_args=[content],
        static_summary=f"The lane of {subject}",
        search_attributes=search_attributes(names),
    )


async def _signal(client: Client, workflow_id: str, signal: str, content: object) -> bool:
    try:
        await client.get_workflow_handle(workflow_id).signal(signal, content)
    except RPCError as error:
        # An address that cannot be one has nobody behind it, and trying again changes neither.
        if error.status not in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
            raise
        return False
    return True
