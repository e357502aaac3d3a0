"""Asking a promotion itself what was said in its name: whoever can signal can say anything."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from workflows.doorkeeper import RefusedError

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities
    from domain.answer import OwnWord
    from workflows import patience
    from workflows.undisturbed import undisturbed


async def own_word(asker: str) -> OwnWord:
    """Return what a promotion says of its turn. Raises ``RefusedError`` where it could not be asked.

    Beside the work, not within it: a promotion that is asking us meanwhile could not answer.
    """
    asking = workflow.start_activity_method(
        ErrandActivities.hear_promotion,
        asker,
        start_to_close_timeout=patience.ERRAND,
        schedule_to_close_timeout=patience.ASKING_BACK,
        retry_policy=patience.TRY_A_WHILE,
        summary=f"what does {asker[:100]} say itself?",
    )
    try:
        return await undisturbed(asking)
    except FailureError as error:
        message = f"{asker} could not be asked what it says itself"
        raise RefusedError(message) from error
