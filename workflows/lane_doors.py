"""What promotions, changes and people may say to a lane, and what it shows of itself."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.workflow import ChildWorkflowHandle

from workflows.doorkeeper import PosedError, RefusedError, explain, read_value
from workflows.steering import Steered

with workflow.unsafe.imports_passed_through():
    from domain.answer import Ask, Awake, Order, Stuck, Told, Withdrawal
    from domain.attempt import Kind
    from domain.doors import Signal, Word
    from domain.fence import is_too_far_ahead, milliseconds
    from domain.journal import Recollection
    from domain.lane import LaneState
    from domain.names import PHASE, Subject, is_promotion, names_in
    from domain.outcome import Phase
    from domain.status import LaneStatus
    from domain.telling import tell_lane
    from domain.terms import LaneTerms, Proposal, Sealed, Story
    from domain.value import Value
    from workflows import patience
    from workflows.asking_back import own_word
    from workflows.chronicle import Chronicle, Memory, publish

MessageT = TypeVar("MessageT", bound=Value)
LARGEST_ASK: Final = 40 * 1024
"""Bytes: with all that it leaves to be understood written out, a warrant is still below the server's 64 KiB."""


class Carried(Value):
    """What a lane takes along when it goes on in a new run."""

    lane: LaneState
    memory: Memory
    answers: dict[str, Told] = {}


class LaneDoors(Steered):
    """A lane's state, and the doors by which it changes from outside."""

    def __init__(self) -> None:
        service, environment = names_in(workflow.info().workflow_id, 2)
        subject = Subject.model_construct(service=service, environment=environment)
        self._lane = LaneState.model_construct(subject=subject)
        self._memory: Recollection | None = None
        self._inbox: list[Ask | Withdrawal | Order] = []
        self._change: ChildWorkflowHandle[Any, object] | None = None
        self._inquiries = 0
        self._believed: Ask | None = None
        self._cancelled = ""
        self._yieldings: tuple[str, ...] = ()
        self._answers: dict[str, Told] = {}
        self._log = Chronicle(Phase.IDLE)

    @workflow.signal(description="For a promotion or an operator's command: ask for a change")
    def ask(self, raw: RawValue) -> None:
        ask = self._read(raw, Ask)
        if ask.request.subject != self._lane.subject:
            message = f"it asks for a change of {ask.request.subject}"
            raise RefusedError(message)
        if ask.request.story is Story.SETTLEMENT or not ask.asker:
            message = "somebody asks for a promotion, a rollback or an adoption; a lane settles by itself"
            raise RefusedError(message)
        proposal = self._read_proposal(ask.proposal) if ask.proposal else None
        terms, now = proposal.terms.lane if proposal else LaneTerms(), workflow.now()
        # Never its own arrival: a replay may hear of it at another time, and a turn is made of this. What is far
        # ahead is not believed: no effect is cleared for a turn of another day.
        moments = (ask.dated, proposal.drawn_up if proposal else None)
        believed = [one for one in moments if one and not is_too_far_ahead(milliseconds(one), now)]
        dated = max(believed, default=None)
        self._inbox.append(ask.but(lane=terms, since=ask.since or now, dated=dated))

    @workflow.signal(description="For whoever asked: ask no longer")
    async def withdraw(self, raw: RawValue) -> None:
        said = self._read(raw, Withdrawal)
        self._inbox.append(await self._withdrawn_by_itself(said) if is_promotion(said.asker) else said)

    @workflow.signal(description="For a promotion: pass on what somebody says to its change")
    def steer(self, raw: RawValue) -> None:
        self._inbox.append(self._read(raw, Order))

    @workflow.signal(description="For a change: it needs a person, or no longer does")
    def stuck(self, raw: RawValue) -> None:
        word = self._read(raw, Stuck)
        running = self._lane.running
        if running is None or running.turn != word.turn:
            message = f"turn {word.turn} is not open"
            raise RefusedError(message)
        self._lane = self._lane.but(running=running.but(stuck=word.stuck))
        self._show_phase()

    @workflow.signal(
        description="For a change whose lane was lost: be there; for a worker: learn of a turn that it does not know of"
    )
    def awake(self, raw: RawValue) -> None:
        word = self._read(raw, Awake)
        self._learn_of_turn(word.turn, lost=word.lost)

    @workflow.query
    def status(self) -> LaneStatus:
        lane = self._lane
        return LaneStatus(
            subject=lane.subject,
            phase=lane.phase,
            turn=lane.running.turn if lane.running else None,
            last_turn=lane.last_turn,
            running=_shown(lane.running.ask) if lane.running else None,
            queue=tuple(_shown(ask) for ask in (*lane.queue, *self._unread())),
            unsettled=lane.unsettled,
            held=lane.held,
            answers=self._answers,
            rollbacks=lane.rollbacks,
            refused=self._log.refused,
            yieldings=self._yieldings,
            offline=lane.offline,
        )

    async def _steer(self, signal: Signal, word: Word) -> None:
        order = Order(signal=signal, by=word.by, comment=word.comment, signed=word.signed)
        self._inbox.append(order)

    async def _withdrawn_by_itself(self, said: Withdrawal) -> Withdrawal:
        """Ask a promotion itself: whoever can signal can say that it withdraws, and have undone what it began."""
        await workflow.wait_condition(lambda: self._inquiries < patience.CHECKED_AT_ONCE)
        self._inquiries += 1
        try:
            word = await own_word(said.asker)
        finally:
            self._inquiries -= 1
        if own := word.withdraws(said.asker):
            return own
        why = f"{said.asker} does not say so itself"
        if word.belies_withdrawal(said.asker):
            raise PosedError(why, Kind.SPEAKING, said.asker)
        raise RefusedError(why)

    def _learn_of_turn(self, turn: int, *, lost: bool) -> None:
        """A turn that this lane never gave was taken without the engine: recall before the next change.

        The same holds for a turn that this lane takes for over, and of which the environment's worker finds no receipt.
        """
        if lost or turn > self._lane.last_turn:
            self._lane = self._lane.but(recalled=False)

    def _unread(self) -> Iterator[Ask]:
        """Return who has asked, and has not been read yet."""
        asks = (message for message in self._inbox if isinstance(message, Ask))
        return (one for one in asks if not self._lane.waits(one.asker, one.number))

    def _show_phase(self) -> None:
        """Let everybody see whether the lane is idle, busy or unsettled.

        Visibility is told only of what is unsettled, and when it no longer is: that a lane is busy is seen by its
        change, and would cost two events for each.
        """
        before, now = self._log.phase, self._lane.phase
        if now is not before:
            self._log.enter(now)
            if Phase.UNSETTLED in {before, now}:
                publish({PHASE: now})

    def _read(self, raw: RawValue, model: type[MessageT]) -> MessageT:
        size = len(raw.payload.data)
        if size > LARGEST_ASK:
            message = f"it is {size} bytes long, and {LARGEST_ASK} are the most that a change starts with"
            raise RefusedError(message)
        content: object = workflow.payload_converter().from_payload(raw.payload)
        return read_value(content, model)

    def _read_proposal(self, sealed: Sealed) -> Proposal:
        """See that a change could read it. Whether its seal is good, only the environment's worker can tell."""
        try:
            return Proposal.model_validate_json(sealed.text)
        except ValidationError as error:
            message = f"its proposal cannot be read: {explain(error)}"
            raise RefusedError(message) from error

    def details(self) -> str:
        return tell_lane(self.status())


def _shown(ask: Ask) -> Ask:
    """Leave out what only a change needs: a long queue has to fit into one answer."""
    return ask.but(proposal=None, decisions=())
