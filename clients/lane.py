"""A lane, as an operator sees it: asked for rollbacks and adoptions, and for steering its change."""

from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError

from activities.clock import SystemClock
from activities.errands import ASK, WITHDRAW
from activities.labels import search_attributes
from clients.signing import Signer
from clients.speaking import (
    NO_ENGINE,
    START_ENGINE,
    hear_status,
    in_words,
    is_missing,
    made,
    need_environment,
    tell,
)
from clients.trouble import DeclinedError, FailedError, NobodyPollsError, UsageError
from domain.actor import Actor
from domain.answer import Answer, Ask, Done, Withdrawal
from domain.doors import Signal, Word
from domain.fence import milliseconds
from domain.names import ENGINE_QUEUE, ENVIRONMENT, SERVICE, STORY, Subject, lane_id
from domain.outcome import Outcome
from domain.signature import WordSignature
from domain.status import LaneStatus
from domain.terms import Request, Story
from domain.workflow_types import LANE

FIRST: Final = 1
PERSON: Final = "person/"
"""Begins the name by which a lane answers whoever asks by themselves, and has no workflow."""


class Wish:
    """What a person has asked of a lane. The lane is its only keeper: it has no workflow of its own."""

    def __init__(self, lane: "Lane", ask: Ask) -> None:
        self.lane = lane
        self.asker = ask.asker
        self.story = ask.request.story
        self._mark = ask.mark

    def answer_in(self, status: LaneStatus) -> Answer | None:
        """Return the lane's answer, if this status holds one."""
        told = status.answer_to(self.asker, FIRST, self._mark)
        return told.answer if told else None

    async def result(self) -> Answer:
        """Wait for the lane's answer, by its history: nothing is added to it.

        Raises ``FailedError`` where the lane ends before.
        """
        while True:
            if answer := self.answer_in(await self.lane.status()):
                return answer
            if how := await self.lane.is_over():
                raise FailedError(say_lost(self.lane.subject, self.story, how))
            async for _ in self.lane.handle.fetch_history_events(wait_new_event=True):
                if answer := self.answer_in(await self.lane.status()):
                    return answer

    async def withdraw(self, reason: str) -> None:
        """Ask no longer. A rollback that has begun goes on."""
        word = Withdrawal(asker=self.asker, number=FIRST, reason=reason)
        await tell(self.lane.handle, WITHDRAW, word, self.lane.missing())


def say_lost(subject: Subject, story: Story, how: str) -> str:
    """Say what has become of something that was asked of a lane, and of nobody else."""
    command = "rollback" if story is Story.ROLLBACK else "adopt"
    return (
        f"The lane of {subject} is {how}, and has not answered: whether the {story} was begun, what stands there says. "
        f"See: towpath environments show {subject.environment}. To ask again: towpath {command} {subject.service} "
        f"{subject.environment}"
    )


def _rolled_back_since(known: LaneStatus, meant: datetime) -> bool:
    """Tell whether somebody's rollback began then or later: the turn of a change says when it was asked for."""
    return any(
        isinstance(told.answer, Done)
        and told.answer.outcome is Outcome.ROLLED_BACK
        and told.answer.turn >= milliseconds(meant)
        for asker, told in known.answers.items()
        if asker.startswith(PERSON)
    )


class Lane:
    """The lane of a service in an environment. It need not exist yet."""

    def __init__(self, client: Client, subject: Subject) -> None:
        self.client = client
        self.subject = subject
        self.id = lane_id(subject)
        self.handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(self.id)

    @in_words
    async def status(self) -> LaneStatus:
        """Ask who has it, who waits, and what is held. Raises as ``Promotion.status`` does."""
        status = await self.find()
        if status is None:
            raise self.missing()
        return status

    @in_words
    async def find(self) -> LaneStatus | None:
        """Return where it stands; None where nothing was ever changed here. Raises ``NobodyPollsError``.

        Of one that has ended, what is left of it: whoever asks there begins the next one.
        """
        try:
            status = await hear_status(self.handle, LaneStatus)
            is_over = (await self.handle.describe()).status is not WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if is_missing(error):
                return None
            raise
        if status is None:
            raise NobodyPollsError(
                f"The lane of {self.subject} is there, but {NO_ENGINE}. Start one: {START_ENGINE}"
            )
        return status.over if is_over else status

    async def is_over(self) -> str:
        """Say how it has ended, as ``terminated``; nothing where it runs. Raises ``RPCError`` where there is none."""
        found = (await self.handle.describe()).status
        if found is None or found is WorkflowExecutionStatus.RUNNING:
            return ""
        return found.name.lower().replace("_", " ")

    async def rollback(
        self,
        *,
        by: str,
        reason: str = "",
        of: int | None = None,
        signer: Signer | None = None,
        meant: datetime | None = None,
    ) -> Wish:
        """Ask for the newest change to be undone, or, where ``of`` names one, for that and no other.

        ``signer`` signs the request with the requester's key, where the environment asks for that.

        Raises ``DeclinedError`` where a rollback is under way or waits already, or was done since this one was
        ``meant``, and ``of`` is not said: the second would undo one change more.
        """
        known = await self.find()
        asks = (known.running, *known.queue) if known else ()
        if of is None and (
            other := next((ask for ask in asks if ask and ask.request.story is Story.ROLLBACK), None)
        ):
            raise DeclinedError(
                f"A rollback of {self.subject} is under way already, asked for by "
                f"{other.request.said_by}; another would undo one change more. Follow it: towpath "
                f"status {self.subject.service} {self.subject.environment} --watch"
            )
        if of is None and known and meant and _rolled_back_since(known, meant):
            raise DeclinedError(
                f"{self.subject} was rolled back by somebody else just now; another would undo one change more. See "
                "what stands there, and ask again if that is to go too: towpath environments show "
                f"{self.subject.environment}"
            )
        return await self._ask(Story.ROLLBACK, by, reason, of, signer, known.rollbacks if known else 0)

    async def adopt(self, *, by: str, reason: str = "", signer: Signer | None = None) -> Wish:
        """Ask for what stands there to be looked at, and a receipt of it to be left. Nothing is changed."""
        return await self._ask(Story.ADOPTION, by, reason, None, signer)

    @in_words
    async def steer(
        self, signal: Signal, *, by: str, comment: str = "", signed: WordSignature | None = None
    ) -> None:
        """Say hold, resume, retry or skip to whatever change has the lane now.

        ``signed`` is the person's signature, where the environment counts signed words; ``clients.steering`` makes it.
        """
        await tell(self.handle, signal, made(Word, by=by, comment=comment, signed=signed), self.missing())

    def missing(self) -> UsageError:
        return UsageError(
            f"Nothing was ever changed of {self.subject}: it has no lane. Promote a release there, or have "
            f"what runs recorded: towpath adopt {self.subject.service} {self.subject.environment}"
        )

    @in_words
    async def _ask(  # noqa: PLR0913, PLR0917  # what an ask consists of
        self,
        story: Story,
        by: str,
        reason: str,
        of: int | None,
        signer: Signer | None,
        rollbacks: int | None = None,
    ) -> Wish:
        await need_environment(self.client, self.subject.environment)
        actor = made(Actor, name=by)
        request = made(Request, story=story, subject=self.subject, actor=actor, reason=reason, of=of)
        request = signer.sign_request(request) if signer else request
        ask = Ask(
            asker=f"{PERSON}{uuid4()}",
            number=FIRST,
            request=request,
            dated=SystemClock().now(),
            rollbacks=rollbacks,
        )
        names = {SERVICE: self.subject.service, ENVIRONMENT: self.subject.environment, STORY: "lane"}
        await self.client.start_workflow(
            LANE,
            id=self.id,
            task_queue=ENGINE_QUEUE,
            start_signal=ASK,
            start_signal_args=[ask],
            static_summary=f"The lane of {self.subject}",
            search_attributes=search_attributes(names),
        )
        return Wish(self, ask)
