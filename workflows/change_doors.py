"""What people may say to a change, what it shows of itself, and what its chapters have in common."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RawValue

from workflows.doorkeeper import NotBegunError, PosedError, RefusedError, read_value
from workflows.steering import Steered

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities, LaneMessage
    from domain.actor import Proof
    from domain.answer import Stuck, Yielding
    from domain.attempt import Kind
    from domain.doors import Does, Signal, Word, at_change
    from domain.fence import Fence
    from domain.hints import keyed
    from domain.names import Subject, effects_queue, names_in
    from domain.outcome import Phase
    from domain.plan import Deed
    from domain.record import JudgementRecord
    from domain.saying import Saying, steering
    from domain.status import ChangeStatus
    from domain.telling import tell_change
    from domain.terms import Proposal, Sealed, Story, Terms
    from domain.warrant import Warrant
    from workflows.chronicle import Chronicle
    from workflows.errand import errand
    from workflows.guard import Guard
    from workflows.troubles import cancelled


MOST_WORDS: Final = 5
"""So many words to skip go along to the effect, the newest."""


class ChangeDoors(Steered):
    """A change's state, the doors by which it changes from outside, and what its chapters share."""

    def __init__(self) -> None:
        service, environment, turn = names_in(workflow.info().workflow_id, 3)
        self._subject = Subject.model_construct(service=service, environment=environment)
        self._turn = int(turn) if turn.isdecimal() else 0
        self._given: Warrant | None = None
        self._proposal: Proposal | None = None
        self._begun: list[Deed] = []
        self._skipped: list[str] = []
        self._unsure: list[str] = []
        self._soaked: Sealed | None = None
        self._yields_to = ""
        self._makes_way_for = ""
        self._cut = ""
        self._act = 0
        self._began = workflow.now()
        self._paused = timedelta()
        self._waits = 0
        self._waits_since = self._began
        self._held = False
        self._times_opened = 0
        self._undoing = False
        self._undo_phase = Phase.UNDOING
        self._undone_once = False
        self._rehearsed: Sealed | None = None
        self._helped = ""
        self._said: Signal | None = None
        self._stuck_on: Fence | None = None
        self._calls = 0
        self._guard = Guard()
        self._words: list[Saying] = []
        self._log = Chronicle(Phase.PREPARING)

    @workflow.signal(
        description="For its lane: a newer promotion waits, and ends the soak; or no longer does"
    )
    async def yield_soak(self, raw: RawValue) -> None:
        word = read_value(workflow.payload_converter().from_payload(raw.payload), Yielding)
        if self._proposal is None or not self._proposal.terms.lane.yields:
            message = "by its terms nobody ends its soak"
            raise RefusedError(message)
        yieldings = await errand(ErrandActivities.hear_yieldings, self._subject, "what does the lane say?")
        self._yields_to = yieldings[-1] if yieldings else ""
        if word.to not in yieldings:
            message = f"the lane of {self._subject} does not say so"
            raise PosedError(message, Kind.SPEAKING, word.to)

    @workflow.signal(description="For the environment: the gate is open")
    def gate_opened(self, _: RawValue) -> None:
        self._times_opened += 1

    @workflow.query
    def status(self) -> ChangeStatus:
        return ChangeStatus(
            story=self._given.request.story if self._given else Story.PROMOTION,
            subject=self._subject,
            turn=self._turn,
            version=self._proposal.plan.version if self._proposal else "",
            request=self._given.request if self._given else None,
            phase=self._log.phase,
            since=self._log.since,
            waits_for=self._log.waits_for,
            remedy=self._log.remedy,
            stuck_on=self._stuck_on,
            will_hold=self._will_hold,
            refused=self._log.refused,
            records=self._log.chain.records,
            head=self._log.chain.head,
        )

    async def _steer(self, signal: Signal, word: Word) -> None:
        self._check(signal)
        saying, proof = steering(workflow.info().workflow_id, self._subject, signal, word), Proof.NONE
        if self._proposal and self._proposal.terms.guarded:
            proof = await self._guard.admit(saying)
            self._check(signal)  # things may have moved on meanwhile
        if signal is Signal.SKIP:
            self._words = [*self._words, saying][-MOST_WORDS:]
        match signal:
            case Signal.HOLD:
                self._held = True
            case Signal.RESUME:
                self._held = False
            case _:
                self._said = signal
                self._times_opened += 1
        self._note_override(signal, word, proof)

    @property
    def _will_hold(self) -> bool:
        return self._held and not self._undoing

    def _check(self, signal: Signal) -> None:
        phase = Phase.HELD if self._will_hold else self._log.phase
        does, why = at_change(phase, signal)
        if does is Does.REFUSE:
            raise RefusedError(why)
        if self._proposal is None and signal is Signal.HOLD:
            message = "nothing is drawn up yet that could be held; say it again once it is"
            raise RefusedError(message)

    # What its chapters have in common.

    @property
    def _queue(self) -> str:
        return effects_queue(self._subject.environment)

    @property
    def _warrant(self) -> Warrant:
        if self._given is None:
            message = "A change that has not begun was asked for its warrant."
            raise NotBegunError(message)
        return self._given

    async def _tell_lane(self, verb: str, content: Stuck | None = None) -> None:
        said = content.model_dump(mode="json") if content else {}
        message = LaneMessage(subject=self._subject, verb=verb, content=said)
        await errand(ErrandActivities.ask_lane, message, f"{verb}: the lane of {self._subject}")

    @property
    def _terms(self) -> Terms:
        if self._proposal is None:
            message = "A change that has no plan yet was asked for its terms."
            raise NotBegunError(message)
        return self._proposal.terms

    def _stop_if_cancelled(self) -> None:
        """A deed that finishes in spite of a cancel swallows it (sdk-python#620): ask after every step."""
        going_forward = self._proposal is not None and self._proposal.is_forward and not self._undoing
        if going_forward and workflow.cancellation_reason() is not None:
            raise cancelled()

    def _command(self, verb: str) -> str:
        command = f"towpath {verb} {self._subject.service} {self._subject.environment}"
        return keyed(command, signed=self._proposal is not None and self._proposal.terms.approval.signed)

    def _note_judgement(self, of: str, *sentences: str, passed: bool) -> None:
        self._log.record(JudgementRecord(at=workflow.now(), of=of, passed=passed, sentences=sentences))

    def details(self) -> str:
        return tell_change(self.status())
