"""A walk through several environments, as its client sees it."""

from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from activities.spaces import Spaces
from clients.promotion import Promotion
from clients.speaking import NO_ENGINE, START_ENGINE, hear_status, in_words, is_missing, made
from clients.trouble import DeclinedError, FailedError, NobodyPollsError, UsageError
from domain.doors import Word
from domain.names import Subject, pipeline_id
from domain.status import PipelineStatus, WalkReport


class Walk:
    """A walk by its name. It need not exist: every method says so in words where it does not."""

    def __init__(self, spaces: Spaces, service: str, version: str, *, joined: bool = False) -> None:
        self.spaces = spaces
        self.client = spaces.home
        self.service = service
        self.version = version
        self.joined = joined
        """It was under way already when it was asked for."""
        self.id = pipeline_id(service, version)
        self._handle: WorkflowHandle[Any, WalkReport] = self.client.get_workflow_handle(
            self.id, result_type=WalkReport
        )

    def __str__(self) -> str:
        return f"{self.version} of {self.service}"

    def promotion(self, environment: str) -> Promotion:
        """Name the promotion of one of its environments: people's words go there."""
        subject = Subject(service=self.service, environment=environment)
        return Promotion(self.spaces.of(environment), subject, self.version)

    @in_words
    async def status(self) -> PipelineStatus:
        """Ask how far it has come.

        Raises ``UsageError`` where it is not there, ``NobodyPollsError`` without an engine.
        """
        try:
            status = await hear_status(self._handle, PipelineStatus)
        except RPCError as error:
            if is_missing(error):
                raise self._missing() from error
            raise
        if status is None:
            raise NobodyPollsError(f"The walk of {self} is there, but {NO_ENGINE}. Start one: {START_ENGINE}")
        return status

    @in_words
    async def result(self) -> WalkReport:
        """Wait for its end. Raises ``FailedError`` where a promotion was lost: a person is needed."""
        try:
            return await self._handle.result()
        except WorkflowFailureError as failure:
            said = getattr(failure.cause, "message", None) or str(failure.cause)
            raise FailedError(f"The walk of {self} did not end as foreseen: {said}") from failure
        except RPCError as error:
            if is_missing(error):
                raise self._missing() from error
            raise

    @in_words
    async def cancel(self, *, by: str, reason: str = "") -> None:
        """Have it walk no further. Promotions under way go on. Raises ``DeclinedError`` where it has ended."""
        try:
            if (await self._handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
                raise DeclinedError(
                    f"The walk of {self} has ended: there is nothing to stop. See: {self.see}"
                )
        except RPCError as error:
            if is_missing(error):
                raise self._missing() from error
            raise
        word = made(Word, by=by, comment=reason)
        await self._handle.cancel(
            reason=f"cancelled by {word.by}{f': {word.comment}' if word.comment else ''}"
        )

    @property
    def see(self) -> str:
        return f"towpath status {self.id}"

    def _missing(self) -> UsageError:
        return UsageError(
            f"There is no walk of {self}. Start it: towpath promote {self.service} {self.version} --through ENVIRONMENT"
        )
