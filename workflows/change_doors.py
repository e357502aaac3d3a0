"""What people may say to a change, and what it shows of itself."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RawValue

from workflows.doorkeeper import PosedError, RefusedError, read_value
from workflows.steering import Steered

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities
    from domain.actor import Proof
    from domain.answer import Yielding
    from domain.attempt import Kind
    from domain.doors import Does, Signal, Word, at_change
    from domain.fence import Fence
    from domain.names import Subject, names_in
    from domain.outcome import Phase
    from domain.plan import Deed
    from domain.saying import Saying, steering
    from domain.status import ChangeStatus
    from domain.telling import tell_change
    from domain.terms import Proposal, Sealed, Story
    from domain.warrant import Warrant
    from workflows.chronicle import Chronicle
    from workflows.errand import errand
    from workflows.guard import Guard


MOST_WORDS: Final = 5
"""So many words to skip go along to the effect, the newest."""


class ChangeDoors(Steered):
    """A change's state, and the doors by which it changes from outside."""

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

    def details(self) -> str:
        return tell_change(self.status())
