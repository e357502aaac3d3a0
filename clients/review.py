"""The review of what was done in an emergency, as its reviewer's client sees it."""

from typing import TYPE_CHECKING

from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.labels import search_attributes
from clients.speaking import in_words, made, need_engine, need_environment
from clients.trouble import DeclinedError, FailedError
from domain.names import ENGINE_QUEUE, ENVIRONMENT, SERVICE, STORY, Subject
from domain.review import ReviewWord, review_id
from domain.workflow_types import REVIEW

if TYPE_CHECKING:
    from domain.signature import Signature


class ReviewDesk:
    """Signs reviews by way of the environments' own workers, which judge them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @in_words
    async def sign(
        self, subject: Subject, turn: int, *, by: str, comment: str, signed: "Signature | None" = None
    ) -> None:
        """Have a review written down. Raises ``DeclinedError`` where it does not count, with the reason."""
        await need_engine(self.client)
        await need_environment(self.client, subject.environment)
        word = made(ReviewWord, by=by, comment=comment, signed=signed)
        try:
            why: str = await self.client.execute_workflow(
                REVIEW,
                word,
                id=review_id(subject, turn),
                task_queue=ENGINE_QUEUE,
                result_type=str,
                static_summary=f"The review of turn {turn} of {subject}",
                search_attributes=search_attributes(
                    {SERVICE: subject.service, ENVIRONMENT: subject.environment, STORY: "review"}
                ),
            )
        except WorkflowAlreadyStartedError as error:
            message = (
                f"Somebody is just signing the review of turn {turn} of {subject}. See: towpath review list"
            )
            raise DeclinedError(message) from error
        except WorkflowFailureError as failure:
            said = getattr(failure.cause, "cause", None) or failure.cause
            message = f"The review of turn {turn} of {subject} could not be written down: {said}"
            raise FailedError(message) from failure
        if why:
            raise DeclinedError(f"This review of turn {turn} of {subject} does not count: {why}.")
