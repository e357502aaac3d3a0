"""What an effect fails with that is not let in, and what of a turn that is over."""

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.answer import answer_of
from domain.journal import Receipt
from domain.refusal import Cause, Refusal

NOT_CLEARED = "NotCleared"
OUTRANKED = "Outranked"
OVER = "Over"


def not_cleared(refusal: Refusal, *, journaled: bool) -> ApplicationError:
    """Return what a refused effect fails with: final, unless somebody merely did not answer.

    A refusal is a verdict and no mishap: the worker logs it in a line, without a trace, and counts it as no failure.
    """
    return ApplicationError(
        refusal.why,
        refusal,
        journaled,
        type=NOT_CLEARED,
        non_retryable=refusal.cause is not Cause.UNANSWERED,
        category=ApplicationErrorCategory.BENIGN,
    )


def over(receipt: Receipt) -> ApplicationError:
    """Return what an effect of a turn that has its receipt fails with: that receipt is the change's answer."""
    why = f"turn {receipt.turn} has its receipt: it is over"
    return ApplicationError(
        why, answer_of(receipt), type=OVER, non_retryable=True, category=ApplicationErrorCategory.BENIGN
    )
