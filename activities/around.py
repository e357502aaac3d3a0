"""Who asks for an effect, and what those around it say: the engine, or a person where no engine is."""

from typing import Protocol

from temporalio import activity

from activities.asking import Runs
from activities.lanes import Caller
from activities.reading import Word, ask_around
from domain.names import Subject, change_id
from domain.terms import Story
from domain.warrant import Warrant


class Around(Protocol):
    """What a clearance has to know that is neither in the store nor at the target."""

    @property
    def workflow_id(self) -> str:
        """The change that the effect is done for."""
        ...

    @property
    def is_offline(self) -> bool:
        """Whether somebody acts on the worker's own host, with the environment's key and without the engine."""
        ...

    def meet(self) -> None:
        """Know from now on in which run the workflow is that the effect is done for."""
        ...

    async def word(self, subject: Subject, warrant: Warrant, *, gates: bool = True) -> Word:
        """Look at the lane, and ask asker and, where its ``gates`` matter, environment."""
        ...


class Engine:
    """The activity that runs now, and the workflows of its server."""

    is_offline = False

    def __init__(self) -> None:
        self._runs = Runs()

    @property
    def workflow_id(self) -> str:
        return activity.info().workflow_id or ""

    def meet(self) -> None:
        self._runs.note(self.workflow_id, activity.info().workflow_run_id or "")

    async def word(self, subject: Subject, warrant: Warrant, *, gates: bool = True) -> Word:
        caller = Caller(activity.client(), self.workflow_id, activity.info().workflow_run_id or "")
        return await ask_around(caller, subject, warrant, self._runs, gates=gates)


class Nobody:
    """No engine: a turn of its own, which the holder of the environment's key and store has taken.

    It opens nothing that moves forward: nobody asks for a promotion here, so that every one is refused.
    """

    is_offline = True

    def __init__(self, subject: Subject, turn: int) -> None:
        self._turn = turn
        self.workflow_id = change_id(subject, turn)

    def meet(self) -> None:
        """Nobody is asked, in whatever run."""

    async def word(self, subject: Subject, warrant: Warrant, *, gates: bool = True) -> Word:  # noqa: ARG002 - nobody is asked
        return Word(
            open_turn=self._turn,
            taken=self._turn,
            lane_listens=True,
            asking=warrant.request.story is not Story.PROMOTION,
            freeze=None,
            pin=None,
            unanswered=(),
        )
