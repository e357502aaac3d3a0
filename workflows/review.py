"""Somebody signs that they have looked at what was done in an emergency."""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from workflows.doorkeeper import RefusedError, read_value

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from domain.names import Subject, effects_queue, read_id
    from domain.review import ReviewOrder, ReviewWord
    from workflows import patience


@workflow.defn
class ReviewWorkflow:
    """Has the environment's own worker judge a review, and write it down.

    Returns why it does not count, or nothing where it does.
    """

    @workflow.run
    async def run(self, word: Any = None, _: Any = None) -> str:
        order = _order(word)
        return await workflow.execute_activity_method(
            EffectActivities.review,
            order,
            task_queue=effects_queue(order.subject.environment),
            schedule_to_close_timeout=patience.REVIEWING,
            start_to_close_timeout=patience.PROVING,
            retry_policy=patience.TRY_SOON,
            summary=f"write down the review by {order.word.by[:60]}",
        )

    @workflow.signal(dynamic=True, description="A review takes no signals")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "a review takes no signals: it is signed by `towpath review sign`"
        raise RefusedError(message)


def _order(word: object) -> ReviewOrder:
    service, environment, turn = read_id(workflow.info().workflow_id, "review")
    said = read_value(word, ReviewWord)
    return ReviewOrder(subject=Subject(service=service, environment=environment), turn=int(turn), word=said)
